"""Ports whose private calls are counted. An order's time runs from its release.

A failure is a call without a venue's reasoned word: network, time-out, 5xx, 429, a page in place of JSON. A
rejection for a reason (funds, filters) is an answer like any other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from libs.common.instant import US_PER_MS, Clock
from libs.exchange import wire_times
from libs.exchange.errors import is_local, is_outage
from libs.exchange.port import Instrument, VenueError
from libs.exchange.trading import Prepared, Trading, send_together
from libs.exchange.trading_values import (
    AccountSettings,
    BalanceReport,
    FeeRates,
    FillReport,
    KeyPermissions,
    LedgerRecord,
    MarginMode,
    NeverSent,
    OrderReport,
    OrderRequest,
    Outcome,
    PositionMode,
    PositionReport,
    QueryFailed,
    QueryOutcome,
    RecordKind,
    Rejected,
    Room,
    TradingEvent,
    Unknown,
    Urgency,
    Wallet,
)
from services.executor.ahead import Droppable
from services.executor.reach import Reach, Tally

T = TypeVar("T")


class CountedOrder:
    """A prepared order whose time runs from its release to its outcome."""

    def __init__(self, held: Prepared, tally: Tally, clock: Clock) -> None:
        self.request = held.request
        self._held = held
        self._tally = tally
        self._clock = clock
        self._sent_us = 0

    def release(self) -> None:
        """See trading.Prepared."""
        self._held.release()
        self._sent_us = self._clock.now().mono_us

    async def outcome(self) -> Outcome:
        """See trading.Prepared."""
        outcome = await self._held.outcome()
        if not isinstance(outcome, NeverSent):
            limited = isinstance(outcome, Rejected) and outcome.reason == "rate_limit"
            ms = (self._clock.now().mono_us - self._sent_us) / US_PER_MS
            self._tally.note(failed=limited or isinstance(outcome, Unknown), ms=ms)
        return outcome

    async def abandon(self, why: str) -> NeverSent:
        """See trading.Prepared."""
        return await self._held.abandon(why)


class CountedReady(CountedOrder):
    """An order that was made ready at once. See ahead.Droppable."""

    def __init__(self, held: Droppable, tally: Tally, clock: Clock) -> None:
        super().__init__(held, tally, clock)
        self._ready = held

    @property
    def alive(self) -> bool:
        """See ahead.Droppable."""
        return self._ready.alive

    def drop(self, why: str) -> NeverSent:
        """See ahead.Droppable."""
        return self._ready.drop(why)


class CountedTrading:
    """A venue's port whose calls are counted. See trading.Trading for what they do."""

    def __init__(self, port: Trading, clock: Clock) -> None:
        self.venue = port.venue
        self.tally = Tally()
        self._port = port
        self._clock = clock

    def reach(self) -> Reach:
        """How the venue answers, and how far its clock is off."""
        return self.tally.reach(self._port.clock_offset_ms())

    async def _counted(self, work: Awaitable[T], *, paged: bool = False) -> T:
        began_us = self._clock.now().mono_us
        with wire_times.measured() as requests:
            try:
                answer = await work
            except VenueError as error:
                if not is_local(error):
                    failed = is_outage(error) or requests.broke
                    self._note(began_us, requests.times_us, failed=failed, paged=paged)
                raise
        self._note(began_us, requests.times_us, failed=isinstance(answer, QueryFailed), paged=paged)
        return answer

    def _note(self, began_us: int, times_us: Sequence[int], *, failed: bool, paged: bool) -> None:
        """The slowest request counts; the whole call where the port does not tell of its requests."""
        took_us = max(times_us, default=self._clock.now().mono_us - began_us)
        self.tally.note(failed=failed, ms=None if paged else took_us / US_PER_MS)

    # --- orders ---------------------------------------------------------------------------------------------

    async def prepare(self, request: OrderRequest) -> Prepared | NeverSent:
        """Nothing is written yet, so that nothing is counted."""
        held = await self._port.prepare(request)
        return held if isinstance(held, NeverSent) else CountedOrder(held, self.tally, self._clock)

    def at_once(self, request: OrderRequest) -> CountedReady | None:
        """`prepare` without a wait, where the port can; nothing is written yet."""
        at_once: Callable[[OrderRequest], Droppable | None] | None = getattr(self._port, "at_once", None)
        held = None if at_once is None else at_once(request)
        return None if held is None else CountedReady(held, self.tally, self._clock)

    async def submit(self, request: OrderRequest) -> Outcome:
        """Counted as what it is made of."""
        return (await self.submit_all([request]))[0]

    async def submit_all(self, requests: Sequence[OrderRequest]) -> list[Outcome]:
        """Counted one by one."""
        return await send_together([await self.prepare(one) for one in requests])

    async def query(self, instrument: str, client_id: str, *, margin: bool = False) -> QueryOutcome:
        """Counted."""
        return await self._counted(self._port.query(instrument, client_id, margin=margin))

    async def cancel(self, instrument: str, client_id: str, *, margin: bool = False) -> QueryOutcome:
        """Counted; it asks for the order afterwards."""
        return await self._counted(self._port.cancel(instrument, client_id, margin=margin), paged=True)

    async def open_orders(self, instrument: str = "", *, margin: bool = False) -> list[OrderReport]:
        """Counted."""
        return await self._counted(self._port.open_orders(instrument, margin=margin), paged=True)

    async def fills(self, instrument: str, *, since_ms: int, margin: bool = False) -> list[FillReport]:
        """Counted."""
        work = self._port.fills(instrument, since_ms=since_ms, margin=margin)
        return await self._counted(work, paged=True)

    # --- account --------------------------------------------------------------------------------------------

    async def load(self) -> dict[str, Instrument]:
        """Counted: several calls in one."""
        return await self._counted(self._port.load(), paged=True)

    async def positions(self) -> list[PositionReport]:
        """Counted."""
        return await self._counted(self._port.positions())

    async def balances(self) -> list[BalanceReport]:
        """Counted."""
        return await self._counted(self._port.balances())

    async def settings(self, instrument: str) -> AccountSettings:
        """Counted."""
        return await self._counted(self._port.settings(instrument))

    async def configure(
        self, instrument: str, *, margin_mode: MarginMode, leverage: int, position_mode: PositionMode
    ) -> AccountSettings:
        """Counted: several calls in one."""
        work = self._port.configure(
            instrument, margin_mode=margin_mode, leverage=leverage, position_mode=position_mode
        )
        return await self._counted(work, paged=True)

    async def borrow(self, asset: str, amount: Decimal) -> None:
        """Counted."""
        await self._counted(self._port.borrow(asset, amount))

    async def repay(self, asset: str, amount: Decimal) -> None:
        """Counted."""
        await self._counted(self._port.repay(asset, amount))

    async def transfer(self, asset: str, amount: Decimal, *, source: Wallet, target: Wallet) -> str:
        """Counted."""
        return await self._counted(self._port.transfer(asset, amount, source=source, target=target))

    async def permissions(self) -> KeyPermissions:
        """Counted."""
        return await self._counted(self._port.permissions())

    async def fee_rates(self, instrument: str) -> FeeRates:
        """Counted."""
        return await self._counted(self._port.fee_rates(instrument))

    async def records(self, kind: RecordKind, *, since_ms: int) -> list[LedgerRecord]:
        """Counted: as many calls as pages."""
        return await self._counted(self._port.records(kind, since_ms=since_ms), paged=True)

    # --- connection -----------------------------------------------------------------------------------------

    def clock_offset_ms(self) -> float | None:
        """Asks nobody."""
        return self._port.clock_offset_ms()

    def room(self, instrument: str, *, urgency: Urgency, orders: int = 1) -> Room:
        """Asks nobody."""
        return self._port.room(instrument, urgency=urgency, orders=orders)

    async def keep_warm(self) -> None:
        """Not counted: pings are public."""
        await self._port.keep_warm()

    async def stream(self, sink: Callable[[TradingEvent], Any]) -> None:
        """Not counted: a socket."""
        await self._port.stream(sink)

    async def close(self) -> None:
        """See trading.Trading."""
        await self._port.close()


class Counting:
    """Opens ports whose calls are counted. `opener`: venue -> its port."""

    def __init__(self, opener: Callable[[str], Awaitable[Trading]], clock: Clock) -> None:
        self._opener = opener
        self._clock = clock
        self._ports: dict[str, CountedTrading] = {}

    async def open(self, venue: str) -> Trading:
        """Raises what the opener raises."""
        port = CountedTrading(await self._opener(venue), self._clock)
        self._ports[venue] = port
        return port

    def reach_of(self, venue: str) -> Reach:
        """How a venue answers; nothing is known before it is open."""
        return self._ports[venue].reach() if venue in self._ports else Reach()
