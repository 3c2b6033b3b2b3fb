"""Account calls by ccxt's unified methods, for venues without a desk of their own here.

What a venue does not tell stays None, and what ccxt has no method for is refused by name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from libs.common.money import plain
from libs.common.subjects import Kind
from libs.exchange.live import permissions
from libs.exchange.live.payments import id_of, payments_since, stamp_of
from libs.exchange.live.places import Places
from libs.exchange.live.record import TradingRecord
from libs.exchange.live.reports import balances_of
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
from libs.exchange.units import decimal_of

ZERO: Final = Decimal(0)
_KEYS: Final = {
    "bybit": ("privateGetV5UserQueryApi", permissions.bybit),
    "okx": ("privateGetAccountConfig", permissions.okx),
}
_LEDGER: Final[dict[RecordKind, str]] = {"fee": "fee", "transfer": "transfer", "trade": "trade"}


class UnifiedDesk:
    """See account.DeskCalls."""

    def __init__(self, record: TradingRecord, places: Places) -> None:
        self._record = record
        self._places = places
        self._venue = places.venue
        self._place = places.serving(Kind.PERP)

    async def verify_layout(self) -> None:
        """A signed call tells whether the keys work at all."""
        await self.balances()

    async def balances(self) -> list[BalanceReport]:
        """fetch_balance of each wallet of the record."""
        found: list[BalanceReport] = []
        for wallet, params in self._place.desk.balances.items():
            raw = await self._place.get("balances", "fetch_balance", params)
            found += balances_of(raw if isinstance(raw, dict) else {}, wallet)
        return found

    def _has(self, feature: str, name: str) -> None:
        if not self._place.trade.exchange.has.get(feature):
            raise VenueError(self._venue, "not_supported", f"{name}: ccxt has no {feature} for {self._venue}")

    async def _maybe(self, feature: str, work: Callable[[Any], Any]) -> dict[str, Any]:
        """An optional reading: empty where ccxt has no method, or the venue no answer for it."""
        if not self._place.poll.exchange.has.get(feature):
            return {}
        with contextlib.suppress(
            VenueError
        ):  # what cannot be read is None in the settings, which refuses them
            found = await self._place.ask("settings", work)
            return found if isinstance(found, dict) else {}
        return {}

    async def settings(self, item: Instrument) -> AccountSettings:
        """fetch_leverage, fetch_margin_mode and fetch_position_mode, as far as there are such."""
        leverage = await self._maybe("fetchLeverage", lambda ex: ex.fetch_leverage(item.symbol))
        margin = await self._maybe("fetchMarginMode", lambda ex: ex.fetch_margin_mode(item.symbol))
        mode = await self._maybe("fetchPositionMode", lambda ex: ex.fetch_position_mode(item.symbol))
        text = margin.get("marginMode") or leverage.get("marginMode")
        hedged = mode.get("hedged")
        figures = {decimal_of(leverage.get(name)) for name in ("longLeverage", "shortLeverage")} - {None}
        figure = figures.pop() if len(figures) == 1 else None
        return AccountSettings(
            instrument=item.slug,
            margin_mode=MarginMode(text) if text in ("cross", "isolated") else None,
            leverage=None if figure is None else int(figure),
            position_mode=None if hedged is None else PositionMode.HEDGE if hedged else PositionMode.ONE_WAY,
        )

    async def set_margin_mode(self, item: Instrument, mode: MarginMode) -> None:
        """set_margin_mode."""
        self._has("setMarginMode", "set_margin_mode")
        exchange = self._place.trade.exchange
        await self._place.trade.call("set_margin_mode", exchange.set_margin_mode(mode.value, item.symbol))

    async def set_leverage(self, item: Instrument, leverage: int) -> None:
        """set_leverage."""
        self._has("setLeverage", "set_leverage")
        exchange = self._place.trade.exchange
        await self._place.trade.call("set_leverage", exchange.set_leverage(leverage, item.symbol))

    async def set_position_mode(self, item: Instrument, mode: PositionMode) -> None:
        """set_position_mode."""
        self._has("setPositionMode", "set_position_mode")
        exchange = self._place.trade.exchange
        work = exchange.set_position_mode(mode is PositionMode.HEDGE, item.symbol)
        await self._place.trade.call("set_position_mode", work)

    async def borrow(self, asset: str, amount: Decimal) -> None:
        """Orders on borrowed coins are not known to work here, so nothing is borrowed."""
        text = f"borrow: {plain(amount)} {asset}: borrowing on {self._venue} is not part of this port"
        raise VenueError(self._venue, "not_supported", text)

    async def repay(self, asset: str, amount: Decimal) -> None:
        """A debt of somebody else's making can be paid back."""
        self._has("repayCrossMargin", "repay")
        exchange = self._place.trade.exchange
        await self._place.trade.call("repay", exchange.repay_cross_margin(asset, plain(amount)))

    async def transfer(self, asset: str, amount: Decimal, source: Wallet, target: Wallet) -> str:
        """transfer, between the wallets of the record."""
        names = self._record.transfers
        if source not in names or target not in names or names[source] == names[target]:
            raise VenueError(self._venue, "not_supported", f"transfer: from {source} to {target}")
        exchange = self._place.trade.exchange
        work = exchange.transfer(asset, plain(amount), names[source], names[target])
        return str((await self._place.trade.call("transfer", work)).get("id") or "")

    async def permissions(self) -> KeyPermissions:
        """Ccxt has no unified call for it: the venue's own, where it is known."""
        known = _KEYS.get(self._record.venue)
        if known is None:
            return permissions.UNKNOWN
        method, read = known
        return read(await self._place.get("permissions", method))

    async def records(self, kind: RecordKind, since_ms: int) -> list[LedgerRecord]:
        """fetch_funding_history, all pages of it, and fetch_ledger.

        The sign of a funding amount is ccxt's: received > 0, except Bybit's, where it is what was paid.
        """
        if kind == "funding":
            self._has("fetchFundingHistory", "records")
            rows = await payments_since(self._places, self._place, since_ms)
            sign = -1 if self._record.venue == "bybit" else 1
            return [self._line(row, kind, sign) for row in rows]
        wanted = _LEDGER.get(kind)
        if wanted is None:
            raise VenueError(self._venue, "not_supported", f"records: no {kind} here")
        self._has("fetchLedger", "records")
        rows = await self._place.ask("records", lambda ex: ex.fetch_ledger(None, since_ms))
        return [
            self._line(row, kind, -1 if row.get("direction") == "out" else 1)
            for row in rows
            if row.get("type") == wanted
        ]

    def _line(self, row: dict[str, Any], kind: RecordKind, sign: int) -> LedgerRecord:
        item = self._places.find(self._place, row.get("symbol"))
        amount = decimal_of(row.get("amount")) or ZERO
        asset = str(row.get("code") or row.get("currency") or "")
        if kind == "funding" and item is not None:
            asset = item.settle  # ccxt takes Bybit's payments in USDC for USDT
        return LedgerRecord(
            record_id=id_of(row),
            kind=kind,
            asset=asset,
            amount=amount * sign,
            ts_ms=stamp_of(row),
            instrument=None if item is None else item.slug,
            ref=str(row.get("referenceId") or ""),
        )
