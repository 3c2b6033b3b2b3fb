"""What venues tell about an API key, out of their own payloads. What is not told stays None, never False.

| venue | call | withdraws | bound | expires |
|---|---|---|---|---|
| Binance | sapi account/apiRestrictions | enableWithdrawals | ipRestrict | tradingAuthorityExpirationTime |
| Bitget | v3 account/info | `withdraw` in permissions | ips | |
| Bybit | v5/user/query-api | Wallet has Withdraw | ips other than `*` | expiredAt (unbound keys) |
| OKX | v5/account/config | `withdraw` in perm | ip | |
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from libs.exchange.trading_values import KeyPermissions
from libs.exchange.units import int_of

UNKNOWN = KeyPermissions(readable=False)
ANYWHERE: Final = frozenset({"*", "0.0.0.0", "0.0.0.0/0", "::/0"})  # read, not bound to


def binance(row: Any) -> KeyPermissions:
    """Trading needs both products."""
    withdraws = _flag(row, "enableWithdrawals")
    if withdraws is None:
        return UNKNOWN
    flags = [_flag(row, name) for name in ("permitsUniversalTransfer", "enableInternalTransfer")]
    return KeyPermissions(
        readable=True,
        may_trade=bool(_flag(row, "enableSpotAndMarginTrading") and _flag(row, "enableFutures")),
        may_withdraw=withdraws,
        may_transfer=any(flags),
        ip_bound=_flag(row, "ipRestrict"),
        expires_ms=int_of(row.get("tradingAuthorityExpirationTime")) or None,
    )


def bitget(data: Any) -> KeyPermissions:
    """`permissions` of a read-only key name what it may look at."""
    names = data.get("permissions") if isinstance(data, dict) else None
    if not isinstance(names, list):
        return UNKNOWN
    held = {str(name) for name in names}
    writes = str(data.get("permType")) != "read-only"
    return KeyPermissions(
        readable=True,
        may_trade=writes and "uta_trade" in held,
        may_withdraw=writes and "withdraw" in held,
        may_transfer=writes and bool(held & {"uta_mgt", "transfer"}),
        ip_bound=_binds(str(data.get("ips") or "").split(",")),
        account_type="unified",
    )


def bybit(answer: Any) -> KeyPermissions:
    """`readOnly` 1 takes every right to write, whatever the lists say."""
    result = answer.get("result") if isinstance(answer, dict) else None
    groups = result.get("permissions") if isinstance(result, dict) else None
    if not isinstance(result, dict) or not isinstance(groups, dict):
        return UNKNOWN
    writes = str(result.get("readOnly")) == "0"
    wallet = _words(groups.get("Wallet"))
    told = isinstance(groups.get("Wallet"), list)  # no word on the wallet is no word on withdrawals
    contracts, spot = _words(groups.get("ContractTrade")), _words(groups.get("Spot"))
    ips = _words(result.get("ips"))
    return KeyPermissions(
        readable=True,
        may_trade=writes and {"Order", "Position"} <= contracts and "SpotTrade" in spot,
        may_withdraw=(writes and "Withdraw" in wallet) if told else None,
        may_transfer=writes and "AccountTransfer" in wallet,
        ip_bound=_binds(ips),
        account_type="unified" if str(result.get("uta")) == "1" else "classic",
        expires_ms=_moment_ms(result.get("expiredAt")),
    )


def okx(answer: Any) -> KeyPermissions:
    """`perm` is a list in one text: read_only, withdraw, trade."""
    rows = answer.get("data") if isinstance(answer, dict) else None
    row = rows[0] if isinstance(rows, list) and rows else None
    words = row.get("perm") if isinstance(row, dict) else None
    if not isinstance(row, dict) or not isinstance(words, str) or not words:
        return UNKNOWN
    held = {word.strip() for word in words.split(",")}
    return KeyPermissions(
        readable=True,
        may_trade="trade" in held,
        may_withdraw="withdraw" in held,
        may_transfer="trade" in held,
        ip_bound=_binds(str(row.get("ip") or "").split(",")),
        account_type="unified",
    )


def _flag(row: Any, name: str) -> bool | None:
    """True or False as the venue writes it, None when it does not say."""
    said = str(row.get(name)).lower() if isinstance(row, dict) else ""
    return {"true": True, "false": False}.get(said)


def _binds(ips: Iterable[str]) -> bool:
    """Whether an allow-list names addresses, and not all of them."""
    named = {one.strip() for one in ips} - {""}
    return bool(named) and not named & ANYWHERE


def _words(value: Any) -> set[str]:
    return {str(one) for one in value} if isinstance(value, list) else set()


def _moment_ms(text: Any) -> int | None:
    """Of an ISO 8601 text, None of anything else; year 1970 stands for never."""
    try:
        stamp = datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None
    return int(stamp * 1_000) or None
