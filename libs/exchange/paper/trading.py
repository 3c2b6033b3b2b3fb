"""`Trading` on paper: the asynchronous half around a `PaperVenue`. Nothing here waits for anybody.

Whoever receives the bus hands its market data on by `on_message`; an order is carried out in the turn of the
event loop in which it is released, at the instant that the clock shows then. With a `Keep` nothing is told,
neither as an answer nor on a stream, before it is durable: what was told is never forgotten.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from libs.common.instant import Clock, Now
from libs.exchange.paper.venue import PaperVenue
from libs.exchange.port import Instrument, VenueError
from libs.exchange.trading import Prepared, send_together
from libs.exchange.trading_values import (
    AccountSettings,
    BalanceReport,
    Done,
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
    Room,
    TradingEvent,
    Unknown,
    Urgency,
    Wallet,
)

Answered = TypeVar("Answered")


class NotKept(Exception):
    """What has happened is not known to be durable; the text says why."""


class Keep(Protocol):
    """Makes an account durable."""

    def noted(self) -> bool:
        """Whether all that has happened is durable; else it will be, and `tell` is called then."""
        ...

    async def kept(self) -> None:
        """Wait until all that has happened by now is durable. Raises `NotKept`."""
        ...


class PaperOrder:
    """See trading.Prepared. `confirm` waits until an outcome may be told."""

    def __init__(
        self,
        request: OrderRequest,
        send: Callable[[OrderRequest], Outcome],
        confirm: Callable[[Outcome], Awaitable[Outcome]],
    ) -> None:
        self.request = request
        self._send = send
        self._confirm = confirm
        self._released = False
        self._outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def release(self) -> None:
        """See trading.Prepared. RuntimeError after `abandon` and for a second time."""
        if self._released or self._outcome.done():
            raise RuntimeError(f"order {self.request.client_id} was released or abandoned before")
        self._released = True
        self._outcome.set_result(self._send(self.request))

    async def outcome(self) -> Outcome:
        """See trading.Prepared."""
        return await self._confirm(await asyncio.shield(self._outcome))

    async def abandon(self, why: str) -> NeverSent:
        """See trading.Prepared. RuntimeError once it is released."""
        if self._released:
            raise RuntimeError(f"order {self.request.client_id} was released before")
        never = NeverSent(why=why)
        if not self._outcome.done():
            self._outcome.set_result(never)
        return never


class PaperTrading:
    """See trading.Trading for the contract."""

    def __init__(self, venue: PaperVenue, *, clock: Clock, keep: Keep | None = None) -> None:
        """`keep` None: nobody wants the account back after a restart."""
        self.venue = venue.venue
        self.paper = venue
        self._clock = clock
        self._keep = keep
        self._untold: deque[tuple[int, TradingEvent]] = deque()
        self._listeners: list[asyncio.Queue[TradingEvent]] = []

    def on_message(self, message: object) -> None:
        """Market data of the bus; fills of resting orders and the like go to the streams at once."""
        self.paper.on_message(message, self._clock.now())
        self._spread()

    def snapshot(self) -> bytes:
        """See PaperVenue.snapshot."""
        return self.paper.snapshot()

    async def load(self) -> dict[str, Instrument]:
        """What the bus has told of so far: instruments that come later are found in `paper.instruments`."""
        return dict(self.paper.instruments)

    # --- orders ---------------------------------------------------------------------------------------------

    async def prepare(self, request: OrderRequest) -> Prepared | NeverSent:
        """See trading.Trading."""
        return self.paper.check(request) or PaperOrder(request, self._submit, self._confirm)

    def _submit(self, request: OrderRequest) -> Outcome:
        outcome = self.paper.submit(request, self._clock.now())
        self._spread()
        return outcome

    async def _confirm(self, outcome: Outcome) -> Outcome:
        """An order that was taken is told of when it is durable; until then nobody knows what it will be."""
        if not isinstance(outcome, Done):
            return outcome
        try:
            await self._kept()
        except NotKept as error:
            return Unknown(why=str(error))
        return outcome

    async def submit(self, request: OrderRequest) -> Outcome:
        """See trading.Trading."""
        return (await self.submit_all([request]))[0]

    async def submit_all(self, requests: Sequence[OrderRequest]) -> list[Outcome]:
        """See trading.Trading."""
        return await send_together([await self.prepare(request) for request in requests])

    async def query(self, instrument: str, client_id: str, *, margin: bool = False) -> QueryOutcome:
        """See trading.Trading."""
        return await self._found(self.paper.query(instrument, client_id, self._now(), margin=margin))

    async def cancel(self, instrument: str, client_id: str, *, margin: bool = False) -> QueryOutcome:
        """See trading.Trading."""
        return await self._found(self.paper.cancel(instrument, client_id, self._now(), margin=margin))

    async def open_orders(self, instrument: str = "", *, margin: bool = False) -> list[OrderReport]:
        """See trading.Trading."""
        return await self._told(self.paper.open_orders(self._now(), instrument, margin=margin))

    async def fills(self, instrument: str, *, since_ms: int, margin: bool = False) -> list[FillReport]:
        """See trading.Trading."""
        return await self._told(self.paper.fills(instrument, self._now(), since_ms=since_ms, margin=margin))

    # --- account --------------------------------------------------------------------------------------------

    async def positions(self) -> list[PositionReport]:
        """See trading.Trading."""
        return await self._told(self.paper.positions(self._now()))

    async def balances(self) -> list[BalanceReport]:
        """See trading.Trading."""
        return await self._told(self.paper.balances(self._now()))

    async def settings(self, instrument: str) -> AccountSettings:
        """See trading.Trading."""
        return await self._told(self.paper.settings(instrument))

    async def configure(
        self, instrument: str, *, margin_mode: MarginMode, leverage: int, position_mode: PositionMode
    ) -> AccountSettings:
        """See trading.Trading."""
        return await self._told(
            self.paper.configure(
                instrument,
                self._now(),
                margin_mode=margin_mode,
                leverage=leverage,
                position_mode=position_mode,
            )
        )

    async def borrow(self, asset: str, amount: Decimal) -> None:
        """See trading.Trading."""
        self.paper.borrow(asset, amount, self._now())
        await self._told(None)

    async def repay(self, asset: str, amount: Decimal) -> None:
        """See trading.Trading."""
        self.paper.repay(asset, amount, self._now())
        await self._told(None)

    async def transfer(self, asset: str, amount: Decimal, *, source: Wallet, target: Wallet) -> str:
        """See trading.Trading."""
        return await self._told(self.paper.transfer(asset, amount, self._now(), source=source, target=target))

    async def permissions(self) -> KeyPermissions:
        """See trading.Trading."""
        return self.paper.permissions()

    async def fee_rates(self, instrument: str) -> FeeRates:
        """See trading.Trading."""
        return self.paper.fee_rates(instrument)

    async def records(self, kind: RecordKind, *, since_ms: int) -> list[LedgerRecord]:
        """See trading.Trading."""
        return await self._told(self.paper.records(kind, self._now(), since_ms=since_ms))

    # --- connection -----------------------------------------------------------------------------------------

    def clock_offset_ms(self) -> float | None:
        """One clock for both."""
        return 0.0

    def room(self, instrument: str, *, urgency: Urgency, orders: int = 1) -> Room:
        """See trading.Trading. Nobody counts."""
        del instrument, urgency, orders
        return Room(allowed=True, weight_used=0.0, orders_used=0.0)

    async def keep_warm(self) -> None:
        """See trading.Trading: there is nothing to keep warm."""
        await asyncio.Event().wait()

    async def stream(self, sink: Callable[[TradingEvent], Any]) -> None:
        """See trading.Trading. Nothing is lost on the way, so there is never a `GapSeen`."""
        queue: asyncio.Queue[TradingEvent] = asyncio.Queue()
        self._listeners.append(queue)
        try:
            while True:
                sink(await queue.get())
        finally:
            self._listeners.remove(queue)

    async def close(self) -> None:
        """Nothing is open. The account lives on in `paper`."""

    def _now(self) -> Now:
        return self._clock.now()

    async def _told(self, answer: Answered) -> Answered:
        """An answer, once what it follows from is durable and the streams have heard of it."""
        self._spread()
        try:
            await self._kept()
        except NotKept as error:
            raise VenueError(self.venue, "network", str(error)) from error
        return answer

    async def _found(self, answer: QueryOutcome) -> QueryOutcome:
        """As `_told`, for what never raises."""
        try:
            return await self._told(answer)
        except VenueError as error:
            return QueryFailed(why=str(error))

    async def _kept(self) -> None:
        if self._keep is not None:
            await self._keep.kept()

    def _spread(self) -> None:
        """Note what has happened, and tell it if it is durable."""
        self._untold.extend((self.paper.changes, event) for event in self.paper.take_events())
        if self._keep is None or self._keep.noted():
            self.tell(self.paper.changes)

    def tell(self, changes: int) -> None:
        """Tell the streams what happened up to this count of changes. Events nobody listens to are gone, as
        on a real stream.
        """
        while self._untold and self._untold[0][0] <= changes:
            _, event = self._untold.popleft()
            for queue in self._listeners:
                queue.put_nowait(event)
