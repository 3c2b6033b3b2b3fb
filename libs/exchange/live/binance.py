"""Binance's own account calls: spot, cross margin and USD-M futures wallets.

By ccxt's implicit methods, since `fetch_balance` adds unrealised profit to a futures total, and amounts of
transfers and loans would be cut to the precision of a market (`currency_to_precision` without currencies).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from libs.common.clock import mono_us
from libs.common.instant import US_PER_SEC
from libs.common.money import plain
from libs.common.subjects import SPOT, Kind
from libs.exchange.live import permissions
from libs.exchange.live.binance_outside import OUTSIDE, moved_outside
from libs.exchange.live.places import Places
from libs.exchange.live.record import TradingRecord
from libs.exchange.port import Instrument, VenueError
from libs.exchange.trading_values import (
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
POSITION_MODE_US: Final = 60 * US_PER_SEC
_INCOME_ROWS: Final = 1_000
_SAPI_ROWS: Final = 100

# fapi/v1/income: incomeType; a tranId is unique within one.
_INCOME: Final[dict[RecordKind, str]] = {
    "funding": "FUNDING_FEE",
    "fee": "COMMISSION",
    "realised": "REALIZED_PNL",
    "transfer": "TRANSFER",
    "liquidation": "INSURANCE_CLEAR",
}
_LOANS: Final[dict[RecordKind, tuple[str, int]]] = {"borrow": ("BORROW", 1), "repay": ("REPAY", -1)}
# sapi/v1/asset/transfer: `type` is SOURCE_TARGET
_WALLETS: Final[dict[Wallet, str]] = {
    "spot": "MAIN",
    "margin": "MARGIN",
    "futures": "UMFUTURE",
    "funding": "FUNDING",
}
_MODES: Final = {
    "CROSSED": MarginMode.CROSS,
    "CROSS": MarginMode.CROSS,
    "ISOLATED": MarginMode.ISOLATED,
}


class BinanceDesk:
    """See account.DeskCalls."""

    def __init__(self, _record: TradingRecord, places: Places) -> None:
        self._places = places
        self._venue = places.venue
        self._spot = places.serving(SPOT)
        self._usdm = places.serving(Kind.PERP)
        self._mode: PositionMode | None = None
        self._mode_until_us = 0

    async def verify_layout(self) -> None:
        """Multi-assets mode would margin a short by coins of another pair: it is refused by name."""
        answer = await self._usdm.get("verify", "fapiPrivateGetMultiAssetsMargin")
        if str(answer.get("multiAssetsMargin")).lower() == "true":
            text = "verify: the futures account is in multi-assets mode; single-asset mode is what is traded"
            raise VenueError(self._venue, "not_supported", text)

    async def balances(self) -> list[BalanceReport]:
        """Spot, cross margin and futures; `total` of futures is the wallet balance without open profit."""
        spot = await self._spot.get("balances", "privateGetAccount", {"omitZeroBalances": "true"})
        margin = await self._spot.get("balances", "sapiGetMarginAccount")
        futures = await self._usdm.get("balances", "fapiPrivateV3GetAccount")
        found = [_coins("spot", row) for row in _list(spot, "balances", self._venue)]
        found += [_coins("margin", row) for row in _list(margin, "userAssets", self._venue)]
        found += [
            BalanceReport(
                wallet="futures",
                asset=str(row.get("asset")),
                total=decimal_of(row.get("walletBalance")) or ZERO,
                free=decimal_of(row.get("availableBalance")) or ZERO,
            )
            for row in _list(futures, "assets", self._venue)
        ]
        return [one for one in found if one.total or one.borrowed or one.interest]

    async def settings(self, item: Instrument) -> AccountSettings:
        """SymbolConfig and positionSide/dual."""
        asked = {"symbol": item.venue_symbol}
        rows = await self._usdm.get("settings", "fapiPrivateGetSymbolConfig", asked)
        row: dict[str, Any] = next((one for one in rows if one.get("symbol") == item.venue_symbol), {})
        return AccountSettings(
            instrument=item.slug,
            margin_mode=_MODES.get(str(row.get("marginType"))),
            leverage=int_of(row.get("leverage")),
            position_mode=await self._position_mode(),
        )

    async def _position_mode(self) -> PositionMode | None:
        """One for all symbols, and dear to ask for (weight 30): told again for a short while."""
        if mono_us() >= self._mode_until_us:
            dual = await self._usdm.get("settings", "fapiPrivateGetPositionSideDual")
            hedge = {"true": PositionMode.HEDGE, "false": PositionMode.ONE_WAY}
            self._mode = hedge.get(str(dual.get("dualSidePosition")).lower())
            self._mode_until_us = mono_us() + POSITION_MODE_US
        return self._mode

    async def set_margin_mode(self, item: Instrument, mode: MarginMode) -> None:
        """marginType; "no need to change" is no error in ccxt."""
        exchange = self._usdm.trade.exchange
        await self._usdm.trade.call("set_margin_mode", exchange.set_margin_mode(mode.value, item.symbol))

    async def set_leverage(self, item: Instrument, leverage: int) -> None:
        """Leverage of one symbol."""
        exchange = self._usdm.trade.exchange
        await self._usdm.trade.call("set_leverage", exchange.set_leverage(leverage, item.symbol))

    async def set_position_mode(self, item: Instrument, mode: PositionMode) -> None:
        """One for all symbols."""
        exchange = self._usdm.trade.exchange
        work = exchange.set_position_mode(mode is PositionMode.HEDGE, item.symbol)
        try:
            await self._usdm.trade.call("set_position_mode", work)
        finally:
            self._mode_until_us = 0

    async def borrow(self, asset: str, amount: Decimal) -> None:
        """Cross margin."""
        await self._loan("borrow", "BORROW", asset, amount)

    async def repay(self, asset: str, amount: Decimal) -> None:
        """Cross margin."""
        await self._loan("repay", "REPAY", asset, amount)

    async def _loan(self, name: str, kind: str, asset: str, amount: Decimal) -> None:
        asked = {"asset": asset, "amount": plain(amount), "isIsolated": "FALSE", "type": kind}
        await self._spot.post(name, "sapiPostMarginBorrowRepay", asked)

    async def transfer(self, asset: str, amount: Decimal, source: Wallet, target: Wallet) -> str:
        """Universal transfer; its tranId."""
        if source not in _WALLETS or target not in _WALLETS or source == target:
            raise VenueError(self._venue, "not_supported", f"transfer: from {source} to {target}")
        asked = {
            "type": f"{_WALLETS[source]}_{_WALLETS[target]}",
            "asset": asset,
            "amount": plain(amount),
        }
        answer = await self._spot.post("transfer", "sapiPostAssetTransfer", asked)
        return str(answer.get("tranId") or "")

    async def permissions(self) -> KeyPermissions:
        """See permissions.binance."""
        return permissions.binance(await self._spot.get("permissions", "sapiGetAccountApiRestrictions"))

    # --- records --------------------------------------------------------------------------------------------

    async def records(self, kind: RecordKind, since_ms: int) -> list[LedgerRecord]:
        """Income of the futures wallet, interest and loans of the margin wallet, deposits and withdrawals of
        the spot wallet. Fees of spot trades are in their fills.
        """
        if kind in _INCOME:
            return await self._income(kind, since_ms)
        if kind == "interest":
            return await self._interest(since_ms)
        if kind in _LOANS:
            return await self._loans(kind, since_ms)
        if kind in OUTSIDE:
            return await moved_outside(self._spot, kind, since_ms)
        raise VenueError(self._venue, "not_supported", f"records: no {kind} here")

    async def _income(self, kind: RecordKind, since_ms: int) -> list[LedgerRecord]:
        found: list[LedgerRecord] = []
        slugs = {
            item.venue_symbol: item.slug
            for item in self._places.instruments.values()
            if item.kind is not SPOT
        }
        for page in range(1, PAGES_MAX + 1):
            asked = {
                "incomeType": _INCOME[kind],
                "startTime": since_ms,
                "limit": _INCOME_ROWS,
                "page": page,
            }
            rows = await self._usdm.get("records", "fapiPrivateGetIncome", asked)
            found += [
                LedgerRecord(
                    record_id=str(row.get("tranId")),
                    kind=kind,
                    asset=str(row.get("asset")),
                    amount=decimal_of(row.get("income")) or ZERO,
                    ts_ms=int_of(row.get("time")) or 0,
                    instrument=slugs.get(str(row.get("symbol"))),
                    ref=str(row.get("tradeId") or row.get("info") or ""),
                )
                for row in rows
            ]
            if len(rows) < _INCOME_ROWS:
                break
        return found

    async def _interest(self, since_ms: int) -> list[LedgerRecord]:
        rows = await self._rows("sapiGetMarginInterestHistory", {"startTime": since_ms})
        return [
            LedgerRecord(
                record_id=str(row.get("txId")),
                kind="interest",
                asset=str(row.get("asset")),
                amount=-(decimal_of(row.get("interest")) or ZERO),
                ts_ms=int_of(row.get("interestAccuredTime")) or 0,
                ref=str(row.get("type") or ""),
            )
            for row in rows
        ]

    async def _loans(self, kind: RecordKind, since_ms: int) -> list[LedgerRecord]:
        word, sign = _LOANS[kind]
        rows = await self._rows("sapiGetMarginBorrowRepay", {"type": word, "startTime": since_ms})
        return [
            LedgerRecord(
                record_id=str(row.get("txId")),
                kind=kind,
                asset=str(row.get("asset")),
                amount=(decimal_of(row.get("amount") or row.get("principal")) or ZERO) * sign,
                ts_ms=int_of(row.get("timestamp")) or 0,
                ref=str(row.get("status") or ""),
            )
            for row in rows
            if row.get("status") != "FAILED"
        ]

    async def _rows(self, method: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
        """All pages of a margin history: newest first, `current` counts from 1."""
        found: list[dict[str, Any]] = []
        for page in range(1, PAGES_MAX + 1):
            whole = {**asked, "size": _SAPI_ROWS, "current": page}
            answer = await self._spot.get("records", method, whole)
            rows = _list(answer, "rows", self._venue)
            found += rows
            if len(rows) < _SAPI_ROWS:
                break
        return found


def _coins(wallet: Wallet, row: dict[str, Any]) -> BalanceReport:
    free = decimal_of(row.get("free")) or ZERO
    return BalanceReport(
        wallet=wallet,
        asset=str(row.get("asset")),
        total=free + (decimal_of(row.get("locked")) or ZERO),
        free=free,
        borrowed=decimal_of(row.get("borrowed")) or ZERO,
        interest=decimal_of(row.get("interest")) or ZERO,
    )


def _list(answer: Any, name: str, venue: str) -> list[dict[str, Any]]:
    rows = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise VenueError(venue, "bad_payload", f"no {name} in the answer")
    return rows
