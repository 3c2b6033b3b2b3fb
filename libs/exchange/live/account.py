"""The account side of a venue: balances, positions, settings verified by reading back, permissions, records.

What ccxt's unified structures blur (a futures "total" that holds unrealised profit, amounts cut to a
currency's precision, calls that only exist on another API version) is read and asked by the venue's own
calls in `binance` and `bitget`; other venues use `unified`.
"""

from __future__ import annotations

from collections.abc import Coroutine
from decimal import Decimal
from typing import Any, Final, Protocol

from libs.common.subjects import SPOT, Kind
from libs.exchange.live.binance import BinanceDesk
from libs.exchange.live.bitget import BitgetDesk
from libs.exchange.live.held import noted
from libs.exchange.live.places import Place, Places
from libs.exchange.live.record import TradingRecord
from libs.exchange.live.reports import position_of
from libs.exchange.live.unified import UnifiedDesk
from libs.exchange.port import Instrument, VenueError
from libs.exchange.trading_outcomes import is_loan_refused
from libs.exchange.trading_values import (
    AccountSettings,
    BalanceReport,
    FeeRates,
    KeyPermissions,
    LedgerRecord,
    MarginMode,
    PositionMode,
    PositionReport,
    RecordKind,
    Wallet,
)
from libs.exchange.units import decimal_of


class DeskCalls(Protocol):
    """What differs from venue to venue."""

    async def verify_layout(self) -> None: ...

    async def balances(self) -> list[BalanceReport]: ...

    async def settings(self, item: Instrument) -> AccountSettings: ...

    async def set_margin_mode(self, item: Instrument, mode: MarginMode) -> None: ...

    async def set_leverage(self, item: Instrument, leverage: int) -> None: ...

    async def set_position_mode(self, item: Instrument, mode: PositionMode) -> None: ...

    def borrow(self, asset: str, amount: Decimal) -> Coroutine[Any, Any, None]: ...

    def repay(self, asset: str, amount: Decimal) -> Coroutine[Any, Any, None]: ...

    async def transfer(self, asset: str, amount: Decimal, source: Wallet, target: Wallet) -> str: ...

    async def permissions(self) -> KeyPermissions: ...

    async def records(self, kind: RecordKind, since_ms: int) -> list[LedgerRecord]: ...


_DESKS: Final[dict[str, Any]] = {"binance": BinanceDesk, "bitget": BitgetDesk}


class Account:
    """One account; every call raises `VenueError` and nothing else."""

    def __init__(self, venue: str, record: TradingRecord, places: Places) -> None:
        self.venue = venue
        self._places = places
        self._calls: DeskCalls = _DESKS.get(record.venue, UnifiedDesk)(record, places)

    async def verify_layout(self) -> None:
        """Raise `VenueError` when the account is not of the kind that is traded here."""
        await self._calls.verify_layout()

    async def balances(self) -> list[BalanceReport]:
        """See trading.Trading."""
        return await self._calls.balances()

    async def positions(self) -> list[PositionReport]:
        """See trading.Trading. A position in an unknown instrument is an error, not nothing."""
        place = self._places.serving(Kind.PERP)
        rows = await place.ask("positions", lambda ex: ex.fetch_positions())
        if not isinstance(rows, list):
            raise VenueError(self.venue, "bad_payload", "positions: no rows in the answer")
        found = [self._position(place, raw) for raw in rows if isinstance(raw, dict)]
        return [one for one in found if one is not None]

    def _position(self, place: Place, raw: dict[str, Any]) -> PositionReport | None:
        item = self._places.find(place, raw.get("symbol"))
        if item is not None:
            return position_of(raw, item)
        if decimal_of(raw.get("contracts")):
            raise VenueError(self.venue, "bad_payload", f"positions: {raw.get('symbol')} is not listed here")
        return None

    async def settings(self, instrument: str) -> AccountSettings:
        """See trading.Trading."""
        return await self._calls.settings(self._contract(instrument))

    async def configure(
        self, instrument: str, *, margin_mode: MarginMode, leverage: int, position_mode: PositionMode
    ) -> AccountSettings:
        """See trading.Trading. The position mode first: on some venues it resets the others."""
        item = self._contract(instrument)
        now = await self._calls.settings(item)
        if now.position_mode is not position_mode:
            await self._calls.set_position_mode(item, position_mode)
        if now.margin_mode is not margin_mode:
            await self._calls.set_margin_mode(item, margin_mode)
        if now.leverage != leverage:
            await self._calls.set_leverage(item, leverage)
        found = await self._calls.settings(item)
        wanted = AccountSettings(
            instrument=instrument, margin_mode=margin_mode, leverage=leverage, position_mode=position_mode
        )
        if found != wanted:
            raise VenueError(self.venue, "exchange", f"configure: {_differences(wanted, found)}")
        return found

    def _contract(self, instrument: str) -> Instrument:
        item = self._places.instrument(instrument)
        if item.kind is SPOT:
            raise VenueError(self.venue, "not_supported", f"{instrument} is spot: it has no margin settings")
        return item

    async def borrow(self, asset: str, amount: Decimal) -> None:
        """See trading.Trading."""
        await self._loan(self._calls.borrow(asset, amount))

    async def repay(self, asset: str, amount: Decimal) -> None:
        """See trading.Trading."""
        await self._loan(self._calls.repay(asset, amount))

    async def _loan(self, work: Coroutine[Any, Any, None]) -> None:
        """What the venue's own code proves was not carried out is `refused`; other errors prove nothing."""
        _, error, call = await noted(work)
        if error is None:
            return
        if is_loan_refused(self.venue, call.failure(error)):
            raise VenueError(self.venue, "refused", str(error).removeprefix(f"{self.venue}: ")) from error
        raise error

    async def transfer(self, asset: str, amount: Decimal, *, source: Wallet, target: Wallet) -> str:
        """See trading.Trading."""
        return await self._calls.transfer(asset, amount, source, target)

    async def permissions(self) -> KeyPermissions:
        """See trading.Trading."""
        return await self._calls.permissions()

    async def fee_rates(self, instrument: str) -> FeeRates:
        """See trading.Trading."""
        item, place = self._places.instrument(instrument), self._places.of(instrument)
        raw = await place.ask("fee_rates", lambda ex: ex.fetch_trading_fee(item.symbol))
        maker, taker = decimal_of(raw.get("maker")), decimal_of(raw.get("taker"))
        if maker is None or taker is None:
            raise VenueError(self.venue, "bad_payload", f"fee_rates: no rates of {instrument} in the answer")
        return FeeRates(maker=maker, taker=taker)

    async def records(self, kind: RecordKind, *, since_ms: int) -> list[LedgerRecord]:
        """See trading.Trading."""
        found = {one.record_id: one for one in await self._calls.records(kind, since_ms)}
        kept = [one for one in found.values() if one.ts_ms >= since_ms]
        return sorted(kept, key=lambda one: (one.ts_ms, len(one.record_id), one.record_id))


def _differences(wanted: AccountSettings, found: AccountSettings) -> str:
    """What is otherwise than asked for, in words."""
    parts = [
        f"{name} is {getattr(found, name)} after it was set to {getattr(wanted, name)}"
        for name in ("margin_mode", "leverage", "position_mode")
        if getattr(found, name) != getattr(wanted, name)
    ]
    return "; ".join(parts)
