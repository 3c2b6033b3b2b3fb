"""The executor's hands: requests of the actor become calls of the exchange port, answers become events.

Nothing is decided here. The gate is asked between signing and writing, with the permit and the lease of that
very moment; whatever fails after that leaves the order unknown.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from libs.common.effects import Event
from libs.common.instant import Clock, Now
from libs.common.store import Store
from libs.exchange.trading import Prepared, Trading
from libs.exchange.trading_values import FillReport, NeverSent, OrderReport, QueryOutcome
from services.executor.events import (
    AccountSeen,
    CancelOrder,
    FetchFills,
    LoadPair,
    MoveLoan,
    OrderAnswered,
    PairLoaded,
    QueryOrder,
    ReadAccount,
    SendOrders,
)
from services.executor.gate import Bounds, LeaseView, Refusal, verdict
from services.executor.lane import intents_key, pair_key
from services.executor.leases import Leases
from services.executor.model import Intent, OrderClass
from services.executor.permit import PermitView
from services.executor.translate import request_of

log = logging.getLogger(__name__)

_NO_LEASE: Final = LeaseView()


class Desk:
    """Carries out requests on `tradings` (venue slug -> port); `offer` takes answers back to the actor."""

    def __init__(
        self,
        tradings: Mapping[str, Trading],
        *,
        store: Store,
        clock: Clock,
        permits: PermitView,
        leases: Leases,
        bounds: Bounds,
    ) -> None:
        self.tradings = tradings
        self.offer: Callable[[Event], None] = _nobody
        self._store = store
        self._clock = clock
        self._permits = permits
        self._leases = leases
        self._bounds = bounds

    # --- orders -----------------------------------------------------------------------------------

    async def send(self, request: SendOrders) -> None:
        """Prepare, ask the gate, release: all of them or none. Each answer is offered as it comes."""
        prepared = await asyncio.gather(
            *(
                self.tradings[request.legs[intent.leg][0]].prepare(
                    request_of(intent, request.legs[intent.leg][1])
                )
                for intent in request.intents
            )
        )
        refusal = self.gate(request, self._clock.now())
        unready = next((leg.why for leg in prepared if isinstance(leg, NeverSent)), None)
        if refusal is not None or unready is not None:
            await self._hold_back(request, prepared, refusal, unready or "")
            return
        ready = [leg for leg in prepared if not isinstance(leg, NeverSent)]
        sent_us = self._clock.now().mono_us
        for leg in ready:
            leg.release()
        pairs = zip(request.intents, ready, strict=True)
        await asyncio.gather(*(self._await(intent, leg, sent_us) for intent, leg in pairs))

    def gate(self, request: SendOrders, now: Now) -> Refusal | None:
        """The verdict over a whole request, at this instant."""
        lease = self._leases.held(request.pair, now.mono_us)
        view = _NO_LEASE
        if lease is not None:
            view = LeaseView(fence=lease.fence, until_mono_us=lease.until_mono_us)
        return verdict(
            request.intents,
            legs=request.legs,
            permits=self._permits,
            lease=view,
            bounds=self._bounds,
            rate=self._rate(request),
            now=now,
        )

    def _rate(self, request: SendOrders) -> str:
        """Why a venue's request budget has no room; REDUCE has a reserve of its own."""
        for intent in request.intents:
            venue, instrument = request.legs[intent.leg]
            urgency = "increase" if intent.order_class is OrderClass.INCREASE else "reduce"
            room = self.tradings[venue].room(instrument, urgency=urgency)  # type: ignore[arg-type]
            if not room.allowed and intent.order_class is OrderClass.INCREASE:
                return f"{venue}: {room.why}"
        return ""

    async def _hold_back(
        self,
        request: SendOrders,
        prepared: list[Prepared | NeverSent],
        refusal: Refusal | None,
        unready: str,
    ) -> None:
        for intent, leg in zip(request.intents, prepared, strict=True):
            why = refusal.text if refusal is not None else unready
            never = leg if isinstance(leg, NeverSent) else await leg.abandon(why)
            outcome = never if refusal is None else None
            self.offer(OrderAnswered(pair=request.pair, id=intent.id, outcome=outcome, refusal=refusal))

    async def _await(self, intent: Intent, leg: Prepared, sent_us: int) -> None:
        outcome = await leg.outcome()
        latency_us = self._clock.now().mono_us - sent_us
        self.offer(
            OrderAnswered(
                pair=intent.pair, id=intent.id, outcome=outcome, latency_us=latency_us, sent_mono_us=sent_us
            )
        )

    async def query(self, request: QueryOrder) -> QueryOutcome:
        """Ask for one order."""
        trading = self.tradings[request.venue]
        return await trading.query(request.instrument, request.id, margin=request.margin)

    async def cancel(self, request: CancelOrder) -> QueryOutcome:
        """Cancel one order."""
        trading = self.tradings[request.venue]
        return await trading.cancel(request.instrument, request.id, margin=request.margin)

    async def fills(self, request: FetchFills) -> list[FillReport]:
        """Trades of an instrument."""
        trading = self.tradings[request.venue]
        return await trading.fills(request.instrument, since_ms=request.since_ms, margin=request.margin)

    async def loan(self, request: MoveLoan) -> None:
        """Borrow or repay."""
        trading = self.tradings[request.venue]
        if request.amount > 0:
            await trading.borrow(request.asset, request.amount)
        else:
            await trading.repay(request.asset, -request.amount)

    # --- state ------------------------------------------------------------------------------------

    async def account(self, request: ReadAccount) -> AccountSeen:
        """Positions, balances and open orders, all read after `asked_mono_us`."""
        trading = self.tradings[request.venue]
        asked_us = self._clock.now().mono_us
        positions, balances, orders = await asyncio.gather(
            trading.positions(), trading.balances(), trading.open_orders()
        )
        found: list[OrderReport] = orders
        return AccountSeen(
            venue=request.venue,
            positions=tuple(positions),
            balances=tuple(balances),
            open_orders=tuple(found),
            asked_mono_us=asked_us,
        )

    async def load(self, request: LoadPair) -> PairLoaded:
        """A pair as it lies in the store."""
        state = await self._store.get(pair_key(request.pair))
        intents = await self._store.hash_all(intents_key(request.pair))
        dust = await self._store.hash_all("dust")
        amounts = [dust.get(f"{request.pair}|{leg}", b"0").decode() for leg in (0, 1)]
        return PairLoaded(
            state=None if state is None else state.value,
            version=0 if state is None else state.version,
            intents=intents,
            dust=(Decimal(amounts[0]), Decimal(amounts[1])),
        )


def _nobody(event: Event) -> None:
    log.error("an answer came before anybody listened: %s", type(event).__name__)
