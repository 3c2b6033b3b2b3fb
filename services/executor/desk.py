"""The executor's hands: requests of the actor become calls of the exchange port, answers become events.

Nothing is decided here. The gate is asked between signing and writing, with the permit and the lease of that
very moment; whatever fails after that leaves the order unknown.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from libs.common.effects import Event, Request
from libs.common.instant import Clock, Now
from libs.common.store import Store
from libs.common.subjects import SPOT, kind_of
from libs.exchange.port import VenueError
from libs.exchange.trading import Prepared, Trading
from libs.exchange.trading_values import (
    FeeRates,
    FillReport,
    LedgerRecord,
    NeverSent,
    Outcome,
    QueryFailed,
    QueryOutcome,
    Unknown,
)
from libs.exchange.urgency import reading
from services.executor.ahead import Ahead
from services.executor.books_work import LANE
from services.executor.events import (
    AccountLooked,
    AccountSeen,
    CancelOrder,
    FetchFills,
    FindTaken,
    LegName,
    ListOrders,
    LoadPair,
    MoveLoan,
    OrderAnswered,
    PairLoaded,
    QueryOrder,
    ReadAccount,
    SendOrders,
    SetUp,
    SetUpDone,
)
from services.executor.failpoints import Failpoints
from services.executor.gate import Bounds, LeaseView, Refusal, verdict
from services.executor.leases import Leases
from services.executor.listing import Listing
from services.executor.loading import load_pair
from services.executor.looking import Looking
from services.executor.model import Intent, OrderClass
from services.executor.permit import PermitView
from services.executor.setup import Terms, differences
from services.executor.streams import taken
from services.executor.translate import request_of

log = logging.getLogger(__name__)

_NO_LEASE: Final = LeaseView()


class Desk:
    """Carries out requests on `tradings` (venue -> open port); `offer` takes answers back to the actor."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        permits: PermitView,
        leases: Leases,
        bounds: Bounds,
        terms: Terms,
        failpoints: Failpoints | None = None,
        pairs: Mapping[str, tuple[LegName, ...]] | None = None,
    ) -> None:
        """`pairs`: who is told of the books' looks, by their legs."""
        self.tradings: dict[str, Trading] = {}
        self.offer: Callable[[Event], None] = _nobody
        self.bad_key: Callable[[], str] = str
        """Why an API key is not to be used any more, asked before each order."""
        self.unproven: dict[str, str] = {}
        """Venue -> why it is not known yet what its key may do: nothing increases there."""
        self._store = store
        self._clock = clock
        self.permits = permits
        self._leases, self._bounds, self._terms = leases, bounds, terms
        self._failpoints = failpoints or Failpoints()
        self.pairs = pairs or {}
        self._loads: dict[str, int] = {}  # pair -> its newest reading
        self._ahead = Ahead(self.tradings, clock)
        self._looks = Looking(self.trading, clock)
        self._settings: dict[str, asyncio.Lock] = {}
        self.fees: dict[tuple[str, str], FeeRates] = {}
        """What set-ups have read; the books take it from here rather than ask again."""

    def trading(self, venue: str) -> Trading:
        """A venue's port; `VenueError` while it is not open."""
        found = self.tradings.get(venue)
        if found is None:
            raise VenueError(venue, "network", "the account is not open yet")
        return found

    def handlers(self) -> dict[type[Request], Callable[[Any], Awaitable[Any]]]:
        """Who carries out which request."""
        return {
            SendOrders: self.send,
            QueryOrder: self.query,
            CancelOrder: self.cancel,
            FetchFills: self.fills,
            FindTaken: self.taken,
            ListOrders: Listing(self.trading).of,
            MoveLoan: self.loan,
            ReadAccount: self.account,
            SetUp: self.set_up,
            LoadPair: self.load,
        }

    # --- orders -----------------------------------------------------------------------------------

    async def send(self, request: SendOrders) -> None:
        """Prepare, ask the gate, release: all of them or none. Each answer is offered as it comes."""
        self._failpoints.hit("after_persist")
        prepared = await asyncio.gather(*(self._prepare(request, intent) for intent in request.intents))
        await self._go(request, prepared)

    def ahead(self, request: SendOrders) -> None:
        """Its orders may be made ready: what makes them durable is on its way to the store."""
        self._ahead.make(request)

    def at_once(self, request: SendOrders) -> Awaitable[None] | None:
        """`send` up to the release within this turn of the loop; None where that would have to wait."""
        prepared = self._ahead.take(request)
        if prepared is None:
            return None
        self._failpoints.hit("after_persist")
        return self._go(request, prepared)

    def _go(self, request: SendOrders, prepared: Sequence[Prepared | NeverSent]) -> Awaitable[None]:
        """The gate, and right behind it the release, of all or none; what is left to await."""
        self._failpoints.hit("after_prepare")
        refusal = self.gate(request, self._clock.now())
        unready = next((leg.why for leg in prepared if isinstance(leg, NeverSent)), None)
        if refusal is not None or unready is not None:
            return self._hold_back(request, prepared, refusal, unready or "")
        ready = [leg for leg in prepared if not isinstance(leg, NeverSent)]
        sent_us = self._clock.now().mono_us
        failed = [_released(leg) for leg in ready]
        self._failpoints.hit("after_release")
        return self._answers(request, ready, failed, sent_us)

    async def _answers(
        self, request: SendOrders, ready: list[Prepared], failed: list[str], sent_us: int
    ) -> None:
        legs = zip(request.intents, ready, failed, strict=True)
        await asyncio.gather(*(self._await(intent, leg, sent_us, why) for intent, leg, why in legs))

    async def _prepare(self, request: SendOrders, intent: Intent) -> Prepared | NeverSent:
        """A leg that is not ready for whatever reason keeps back the others: nothing of it was written."""
        venue, instrument = request.legs[intent.leg]
        try:
            return await self.trading(venue).prepare(request_of(intent, instrument))
        except VenueError as error:
            return NeverSent(why=str(error))
        except Exception as error:
            log.exception("%s: an order could not be prepared", venue)
            return NeverSent(why=f"{type(error).__name__}: {error}")

    def gate(self, request: SendOrders, now: Now) -> Refusal | None:
        """The verdict over a whole request, at this instant."""
        view, lease = _NO_LEASE, self._leases.held(request.pair, now.mono_us)
        if lease is not None:
            view = LeaseView(fence=lease.fence, until_mono_us=lease.until_mono_us)
        return verdict(
            request.intents,
            legs=request.legs,
            permits=self.permits,
            lease=view,
            bounds=self._bounds,
            rate=self._rate(request),
            now=now,
            bad_key=self.bad_key() or self._unproven(request),
            standing=request.standing,
            loads=(request.load, self._loads.get(request.pair, 0)),
        )

    def _unproven(self, request: SendOrders) -> str:
        return next((why for venue, _ in request.legs if (why := self.unproven.get(venue))), "")

    def _rate(self, request: SendOrders) -> str:
        """Why a venue's request budget has no room for what increases; what reduces has a reserve."""
        increases = [one for one in request.intents if one.order_class is OrderClass.INCREASE]
        legs: dict[LegName, int] = {}
        for intent in increases:
            leg = request.legs[intent.leg]
            legs[leg] = legs.get(leg, 0) + 1
        for (venue, instrument), orders in legs.items():
            try:
                room = self.trading(venue).room(instrument, urgency="increase", orders=orders)
            except VenueError as error:
                return str(error)
            if not room.allowed:
                return f"{venue}: {room.why}"
        return ""

    async def _hold_back(
        self,
        request: SendOrders,
        prepared: Sequence[Prepared | NeverSent],
        refusal: Refusal | None,
        unready: str,
    ) -> None:
        for intent, leg in zip(request.intents, prepared, strict=True):
            why = refusal.text if refusal is not None else unready
            never = leg if isinstance(leg, NeverSent) else await leg.abandon(why)
            outcome = never if refusal is None else None
            self.offer(OrderAnswered(pair=request.pair, id=intent.id, outcome=outcome, refusal=refusal))

    async def _await(self, intent: Intent, leg: Prepared, sent_us: int, why: str) -> None:
        """Wait for one answer. What fails after the release leaves the order unknown, never the other leg."""
        outcome: Outcome = Unknown(why=why)
        if not why:
            try:
                outcome = await leg.outcome()
            except Exception as error:
                log.exception("%s: the answer to an order was lost", intent.pair)
                outcome = Unknown(why=f"{type(error).__name__}: {error}")
        latency_us = self._clock.now().mono_us - sent_us
        self._failpoints.hit("before_answer")
        self.offer(
            OrderAnswered(
                pair=intent.pair, id=intent.id, outcome=outcome, latency_us=latency_us, sent_mono_us=sent_us
            )
        )

    async def query(self, request: QueryOrder) -> QueryOutcome:
        """Ask for one order."""
        try:
            trading = self.trading(request.venue)
        except VenueError as error:
            return QueryFailed(why=str(error))
        return await trading.query(request.instrument, request.id, margin=request.margin)

    async def cancel(self, request: CancelOrder) -> QueryOutcome:
        """Cancel one order."""
        try:
            trading = self.trading(request.venue)
        except VenueError as error:
            return QueryFailed(why=str(error))
        return await trading.cancel(request.instrument, request.id, margin=request.margin)

    async def fills(self, request: FetchFills) -> list[FillReport]:
        """Trades of an instrument."""
        trading = self.trading(request.venue)
        with reading(urgent=request.urgent):
            return await trading.fills(request.instrument, since_ms=request.since_ms, margin=request.margin)

    async def loan(self, request: MoveLoan) -> Refusal | None:
        """Borrow or repay, if the gate lets it pass."""
        trading = self.trading(request.venue)
        asked = SendOrders(pair=request.pair, intents=(request.intent,), legs=request.legs, load=request.load)
        if (refusal := self.gate(asked, self._clock.now())) is not None:
            return refusal
        move = trading.borrow if request.amount > 0 else trading.repay
        await move(request.asset, abs(request.amount))
        return None

    # --- state ------------------------------------------------------------------------------------

    async def account(self, request: ReadAccount) -> AccountSeen:
        """Positions and balances. What the books see is told to all pairs of the venue, so that they need not
        look themselves.
        """
        seen = await self._looks.of(request)
        if request.pair == LANE:
            for pair, legs in self.pairs.items():
                if request.venue in (leg[0] for leg in legs):
                    self.offer(AccountLooked(pair=pair, seen=seen))
        return seen

    async def taken(self, request: FindTaken) -> list[FillReport]:
        """Trades that the venue made by itself. Where it keeps no such books its trades must tell."""
        trading = self.trading(request.venue)
        records: list[LedgerRecord] = []
        with reading(urgent=True):  # a leg is not what we hold: the other one stands alone meanwhile
            fills = await trading.fills(request.instrument, since_ms=request.since_ms, margin=request.margin)
            try:
                records = await trading.records("liquidation", since_ms=request.since_ms)
            except VenueError as error:
                if error.error_class != "not_supported" and not taken(fills, ()):
                    raise  # no trade names its cause, and these books might
        return taken(fills, records)

    async def set_up(self, request: SetUp) -> SetUpDone:
        """Fees and settings of a leg, one leg of a venue at a time; what differs is set and read back."""
        lock = self._settings.setdefault(request.venue, asyncio.Lock())
        async with lock:
            trading = self.trading(request.venue)
            fees = await trading.fee_rates(request.instrument)
            self.fees[request.venue, request.instrument] = fees
            if kind_of(request.instrument) is SPOT:
                return SetUpDone(settings=None, fees=fees)
            found = await trading.settings(request.instrument)
            if request.change and differences(self._terms, found):
                found = await trading.configure(
                    request.instrument,
                    margin_mode=self._terms.margin_mode,
                    leverage=self._terms.leverage,
                    position_mode=self._terms.position_mode,
                )
            return SetUpDone(settings=found, fees=fees)

    async def load(self, request: LoadPair) -> PairLoaded:
        """A pair as it lies in the store. What was decided before this reading is never sent after it."""
        self._loads[request.pair] = max(request.number, self._loads.get(request.pair, 0))
        return await load_pair(self._store, request.pair)


def _nobody(event: Event) -> None:
    log.error("an answer came before anybody listened: %s", type(event).__name__)


def _released(leg: Prepared) -> str:
    """Let a leg go; why it could not be, which leaves it unknown: the legs beside it must go all the same."""
    try:
        leg.release()
    except Exception as error:
        log.exception("an order could not be released")
        return f"{type(error).__name__}: {error}"
    return ""
