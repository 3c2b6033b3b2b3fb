"""Bitget's own account calls, unified account (v3).

ccxt's set_margin_mode, fetch_leverage and loans call v2 only, which refuses keys of a unified account
(40085).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from libs.common.instant import MS_PER_DAY
from libs.common.money import plain
from libs.common.subjects import SPOT, Kind
from libs.exchange.live import permissions
from libs.exchange.live.lists import BACK_MS_MAX
from libs.exchange.live.places import Places
from libs.exchange.live.record import TradingRecord
from libs.exchange.port import Instrument, VenueError
from libs.exchange.trading_values import (
    IN_MARKET_TIME,
    AccountSettings,
    BalanceReport,
    KeyPermissions,
    LedgerRecord,
    MarginMode,
    PositionMode,
    RecordKind,
    Wallet,
)
from libs.exchange.units import decimal_of, int_of

ZERO: Final = Decimal(0)
PAGES_MAX: Final = 200
WINDOW_MS: Final = 29 * MS_PER_DAY  # 00001: startTime and endTime lie at most 30 days apart
_ROWS: Final = 100
_WALLETS: Final[dict[Wallet, str]] = {"unified": "uta", "funding": "spot"}
_MODES: Final = {"crossed": MarginMode.CROSS, "isolated": MarginMode.ISOLATED}
_HOLD: Final = {"one_way_mode": PositionMode.ONE_WAY, "hedge_mode": PositionMode.HEDGE}

# v3 account/financial-records: which categories hold a kind, and what its types are called.
_PERPS: Final = ("USDT-FUTURES", "USDC-FUTURES")
_RECORDS: Final[dict[RecordKind, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "funding": (_PERPS, ("CONTRACT_MAIN_SETTLE_FEE_USER_IN", "CONTRACT_MAIN_SETTLE_FEE_USER_OUT")),
    "interest": (("MARGIN",), ("INTEREST_",)),
    "transfer": (("OTHER",), ("TRANSFER_",)),
    "liquidation": (_PERPS, ("LIQ_FEE", "RISK_LIQ_", "BURST_")),
    "realised": (_PERPS, ("BUY_DEAL", "SELL_DEAL", "OPEN_", "CLOSE_", "FORCE_", "DELIVERY_")),
    "fee": (("SPOT", *_PERPS), ("",)),
}
_OUT: Final = ("_OUT",)


class BitgetDesk:
    """See account.DeskCalls."""

    def __init__(self, _record: TradingRecord, places: Places) -> None:
        self._places = places
        self._venue = places.venue
        self._place = places.serving(Kind.PERP)

    async def verify_layout(self) -> None:
        """`uta` is set, so an account of the classic kind would only be noticed at its first order."""
        data = _data(await self._settings(), self._venue)
        if not data.get("holdMode"):
            raise VenueError(self._venue, "not_supported", "verify: no unified account answers to this key")

    async def _settings(self) -> Any:
        return await self._place.get("settings", "privateUtaGetV3AccountSettings")

    async def balances(self) -> list[BalanceReport]:
        """The unified wallet (`balance` without open profit; a debt is borrowed and interest together)."""
        unified = await self._place.get("balances", "privateUtaGetV3AccountAssets")
        funding = await self._place.get("balances", "privateUtaGetV3AccountFundingAssets")
        assets = _data(unified, self._venue).get("assets")
        rows = funding.get("data")
        if not isinstance(assets, list) or not isinstance(rows, list):
            raise VenueError(self._venue, "bad_payload", "balances: no assets in the answer")
        found = [_coins("unified", row) for row in assets] + [_coins("funding", row) for row in rows]
        return [one for one in found if one.total or one.borrowed]

    async def settings(self, item: Instrument) -> AccountSettings:
        """`symbolConfigList` names symbols whose settings were touched or all of them; others are None."""
        data = _data(await self._settings(), self._venue)
        rows = data.get("symbolConfigList")
        category = category_of(item)
        row: dict[str, Any] = next(
            (
                one
                for one in (rows if isinstance(rows, list) else ())
                if one.get("symbol") == item.venue_symbol and one.get("category") == category
            ),
            {},
        )
        return AccountSettings(
            instrument=item.slug,
            margin_mode=_MODES.get(str(row.get("marginMode"))),
            leverage=int_of(row.get("leverage")),
            position_mode=_HOLD.get(str(data.get("holdMode"))),
        )

    async def set_margin_mode(self, item: Instrument, mode: MarginMode) -> None:
        """v3 has no call for it."""
        text = f"set_margin_mode: {item.slug} to {mode}: the unified account's API cannot; set it on the site"
        raise VenueError(self._venue, "not_supported", text)

    async def set_leverage(self, item: Instrument, leverage: int) -> None:
        """v3 account/set-leverage."""
        exchange = self._place.trade.exchange
        await self._place.trade.call("set_leverage", exchange.set_leverage(leverage, item.symbol))

    async def set_position_mode(self, item: Instrument, mode: PositionMode) -> None:
        """v3 account/set-hold-mode, one for all symbols."""
        exchange = self._place.trade.exchange
        work = exchange.set_position_mode(mode is PositionMode.HEDGE, item.symbol)
        await self._place.trade.call("set_position_mode", work)

    async def borrow(self, asset: str, amount: Decimal) -> None:
        """v3 has no call for it, and borrowing by a MARGIN order is not confirmed from its payloads."""
        text = f"borrow: {plain(amount)} {asset}: not possible on Bitget's unified account"
        raise VenueError(self._venue, "not_supported", text)

    async def repay(self, asset: str, amount: Decimal) -> None:
        """v3 account/repay takes no amount: the coin's whole debt is paid with the coin itself, when `amount`
        is at least the debt; otherwise it is refused.
        """
        owed = next(
            (one.borrowed for one in await self.balances() if one.asset == asset and one.borrowed), ZERO
        )
        if amount < owed:
            text = f"repay: {plain(amount)} of {plain(owed)} {asset}: only whole debts can be repaid here"
            raise VenueError(self._venue, "not_supported", text)
        asked = {"repayableCoinList": [asset], "paymentCoinList": [asset]}
        answer = await self._place.post("repay", "privateUtaPostV3AccountRepay", asked)
        data = _data(answer, self._venue)
        if str(data.get("result")).upper() != "YES":
            raise VenueError(self._venue, "exchange", f"repay: the venue says {data.get('result')}")

    async def transfer(self, asset: str, amount: Decimal, source: Wallet, target: Wallet) -> str:
        """v3 account/transfer between the unified and the funding wallet (`spot` to Bitget)."""
        if source not in _WALLETS or target not in _WALLETS or source == target:
            raise VenueError(self._venue, "not_supported", f"transfer: from {source} to {target}")
        asked = {
            "fromType": _WALLETS[source],
            "toType": _WALLETS[target],
            "coin": asset,
            "amount": plain(amount),
        }
        answer = await self._place.post("transfer", "privateUtaPostV3AccountTransfer", asked)
        return str(_data(answer, self._venue).get("transferId") or "")

    async def permissions(self) -> KeyPermissions:
        """See permissions.bitget."""
        answer = await self._place.get("permissions", "privateUtaGetV3AccountInfo")
        return permissions.bitget(_data(answer, self._venue))

    # --- records --------------------------------------------------------------------------------------------

    async def records(self, kind: RecordKind, since_ms: int) -> list[LedgerRecord]:
        """Financial records. `fee` reads the fees inside the rows of trades, `realised` their amounts."""
        if kind not in _RECORDS:
            raise VenueError(self._venue, "not_supported", f"records: no {kind} here")
        categories, types = _RECORDS[kind]
        found: list[LedgerRecord] = []
        for category in categories:
            now_ms = self._places.now_ms(market=kind in IN_MARKET_TIME)
            rows = await self._rows(category, since_ms, now_ms)
            found += [
                record
                for row in rows
                if str(row.get("type")).startswith(types) and (record := self._record(kind, row)) is not None
            ]
        return found

    def _record(self, kind: RecordKind, row: dict[str, Any]) -> LedgerRecord | None:
        """One line, None where the row moves nothing of this kind. The sign is that of the type's ending."""
        amount = decimal_of(row.get("fee" if kind == "fee" else "amount")) or ZERO
        if kind == "interest" or (kind != "fee" and str(row.get("type")).endswith(_OUT)):
            amount = -abs(amount)
        if not amount:
            return None
        contract = str(row.get("category")).upper().endswith("FUTURES")
        slugs = {
            item.venue_symbol: item.slug
            for item in self._places.instruments.values()
            if (item.kind is not SPOT) == contract
        }
        return LedgerRecord(
            record_id=str(row.get("id")),
            kind=kind,
            asset=str(row.get("coin")),
            amount=amount,
            ts_ms=int_of(row.get("ts")) or 0,
            instrument=slugs.get(str(row.get("symbol"))),
            ref=str(row.get("type") or ""),
        )

    async def _rows(self, category: str, since_ms: int, now_ms: int) -> list[dict[str, Any]]:
        """All pages of a category, at most half a year back, newest first in each window."""
        found: list[dict[str, Any]] = []
        since_ms = max(since_ms, now_ms - BACK_MS_MAX)
        for start_ms in range(since_ms, max(since_ms + 1, now_ms), WINDOW_MS):
            whole: dict[str, Any] = {"category": category, "startTime": start_ms, "limit": _ROWS}
            if start_ms + WINDOW_MS < now_ms:
                whole["endTime"] = start_ms + WINDOW_MS
            for _ in range(PAGES_MAX):
                answer = await self._place.get("records", "privateUtaGetV3AccountFinancialRecords", whole)
                data = _data(answer, self._venue)
                rows = data.get("list")
                found += rows if isinstance(rows, list) else []
                if not rows or len(rows) < _ROWS or not data.get("cursor"):
                    break
                whole["cursor"] = data["cursor"]
        return found


def category_of(item: Instrument) -> str:
    """v3's category of an instrument."""
    return "SPOT" if item.kind is SPOT else f"{item.settle}-FUTURES"


def _coins(wallet: Wallet, row: dict[str, Any]) -> BalanceReport:
    total = decimal_of(row.get("balance")) or ZERO
    free = decimal_of(row.get("available"))
    return BalanceReport(
        wallet=wallet,
        asset=str(row.get("coin")),
        total=total,
        free=total if free is None else free,
        borrowed=decimal_of(row.get("debt")) or ZERO,
    )


def _data(answer: Any, venue: str) -> dict[str, Any]:
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict):
        raise VenueError(venue, "bad_payload", "no data in the answer")
    return data
