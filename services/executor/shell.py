"""What runs beside the executor's actor: accounts kept open, leases kept held, permits taken at once.

Nothing is decided here about pairs. An account that cannot be opened is told and tried again; meanwhile its
orders are refused before they are signed, and the pairs of other venues go on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final

from libs.common.assembly import CannotStart, Offer
from libs.common.bus import Bus, Frame
from libs.common.clock import wall_us
from libs.common.effects import Received
from libs.common.instant import US_PER_MS, Clock
from libs.common.log import RateLimit
from libs.common.messages import BadMessage, decode
from libs.common.messages_exec import Permit
from libs.common.store import Lease, Store, StoreUnavailable
from libs.common.subjects import PERMIT
from libs.exchange.errors import is_local
from libs.exchange.permissions import KeyRules
from libs.exchange.port import VenueError
from libs.exchange.trading import Trading
from libs.exchange.trading_values import TradingEvent
from libs.exchange.urgency import reading
from services.executor.desk import Desk
from services.executor.events import LeaseHeld, LeaseLost, VenueTold
from services.executor.key_reading import permissions_of
from services.executor.keys import KeysDoubted
from services.executor.leases import TTL_MS, Due, Leases
from services.executor.streams import Books, events_of

log = logging.getLogger(__name__)

REOPEN_SEC: Final = (1.0, 2.0, 5.0, 15.0, 60.0)
LOCAL_SEC_MAX: Final = 5.0
"""Between two tries that our own limiter holds back: they cost the venue nothing, and a count of requests is
gone in one moment, when the venue's minute is over.
"""
REFUSED_SEC: Final = 60.0
"""Between two looks at a key that was refused: a person is changing it on the venue's site."""

LEASE_ROUND_SEC: Final = 0.1
LEASE_CALL_SEC: Final = 1.0
GIVE_BACK_SEC: Final = 1.0
SAY_EVERY_US: Final = 10_000_000

Opener = Callable[[str], Awaitable[Trading]]
"""Venue slug -> its trading port, before anything was asked of it."""


class Account:
    """One venue's account: opened, listened to, kept warm."""

    def __init__(
        self,
        venue: str,
        *,
        opener: Opener,
        desk: Desk,
        books: Mapping[str, Books],
        rules: KeyRules | None = None,
    ) -> None:
        """`rules`: how strictly the key is looked at; None as outside of live."""
        self.venue = venue
        self._rules = rules or KeyRules()
        self._opener = opener
        self._desk = desk
        self._books = books
        self._trading: Trading | None = None
        self._works = False

    @property
    def is_open(self) -> bool:
        """Whether orders go out here."""
        return self.venue in self._desk.tradings

    async def open(self) -> None:
        """Load, and look at the key's rights. Raises VenueError; CannotStart for a key that is refused.

        Orders may be unknown there and positions open: it draws on the reserve of REDUCE. The rights are
        needed by what increases only: while they cannot be read the rest goes on, and so it does with a key
        that turns out to be refused when others are at work already.
        """
        if self._trading is None:
            self._trading = await self._opener(self.venue)
        with reading(urgent=True):
            await self._trading.load()
        try:
            await self._look_at_key(self._trading)
        except VenueError as error:
            self._desk.unproven[self.venue] = f"{self.venue}: what its key may do is not known yet: {error}"
            log.warning("%s: nothing is opened there yet: %s", self.venue, error)
        except CannotStart as refused:
            if not self._works:
                raise
            self._desk.unproven[self.venue] = str(refused)
        self._desk.tradings[self.venue] = self._trading

    async def _look_at_key(self, trading: Trading) -> None:
        may, why = await permissions_of(trading)
        now_ms = wall_us() // US_PER_MS
        if refused := self._rules.refusal(self.venue, may, now_ms=now_ms, why=why):
            raise CannotStart(refused, code=2)
        for found in self._rules.findings(self.venue, may, now_ms=now_ms):
            if found.state == "warning":
                log.warning("%s: %s: %s", self.venue, found.text, found.remedy)
        self._desk.unproven.pop(self.venue, None)

    async def _prove(self, trading: Trading, offer: Offer) -> None:
        """Look at the key's rights until they are known and good. One that is refused by now pages and halts
        as one that is found later (`keys`): somebody must still close what is open.
        """
        tries = 0
        while why := self._desk.unproven.get(self.venue):
            offer(VenueTold(venue=self.venue, problem=why))
            try:
                await self._look_at_key(trading)
            except VenueError as error:
                await asyncio.sleep(pause_sec(error, tries))
                tries += 1
            except CannotStart as refused:
                self._desk.unproven[self.venue] = str(refused)
                offer(KeysDoubted())
                offer(VenueTold(venue=self.venue, problem=str(refused)))
                await asyncio.sleep(REFUSED_SEC)
        offer(VenueTold(venue=self.venue, problem=""))

    async def run(self, offer: Offer) -> None:
        """Open it if that has not been done, then stream and stay warm until cancelled."""
        self._works, tries = True, 0
        while not self.is_open:
            try:
                await self.open()
            except VenueError as error:
                offer(VenueTold(venue=self.venue, problem=f"{self.venue} cannot be traded on: {error}"))
                await asyncio.sleep(pause_sec(error, tries))
                tries += 1
        trading = self._desk.tradings[self.venue]

        def sink(event: TradingEvent) -> None:
            for told in events_of(self.venue, event, self._books):
                offer(told)

        async with asyncio.TaskGroup() as group:
            group.create_task(trading.stream(sink))
            group.create_task(trading.keep_warm())
            group.create_task(self._prove(trading, offer))

    async def close(self) -> None:
        """Leave the venue."""
        if self._trading is not None:
            await self._trading.close()


def pause_sec(error: VenueError, tries: int) -> float:
    """How long the next try waits: never longer than the venue, or our own limiter, has said."""
    hint_sec = error.retry_after_sec
    if hint_sec is None:
        return REOPEN_SEC[min(tries, len(REOPEN_SEC) - 1)]
    if is_local(error):
        hint_sec = min(hint_sec, LOCAL_SEC_MAX)
    return max(REOPEN_SEC[0], hint_sec)


class LeaseKeeper:
    """Asks the store for the leases of all pairs, and gives them back at an orderly end."""

    def __init__(self, leases: Leases, *, store: Store, clock: Clock, owner: str) -> None:
        self._leases = leases
        self._store = store
        self._clock = clock
        self._owner = owner

    async def run(self, offer: Offer) -> None:
        """Until cancelled."""
        while True:
            await self.round(offer)
            await asyncio.sleep(LEASE_ROUND_SEC)

    async def round(self, offer: Offer) -> None:
        """Do what is due now, all of it at once: one group never waits for another."""
        due = self._leases.due(self._clock.now().mono_us)
        for one in due:
            if one.what == "lost":
                self._lost(one.group, "the lease could not be renewed in time", offer)
        await asyncio.gather(*(self._ask(one, offer) for one in due if one.what != "lost"))

    async def _ask(self, due: Due, offer: Offer) -> None:
        try:
            async with asyncio.timeout(LEASE_CALL_SEC):
                got, store_id = await self._asked(due)
        except (StoreUnavailable, TimeoutError) as error:
            log.debug("lease %s: %s", due.group, error)
            return  # tried again soon; a held one is given up by the clock
        if got is None:
            if self._leases.lost(due.group, self._clock.now().mono_us):
                self._lost(due.group, "another executor has taken it", offer, taken=True)
            return
        self._leases.took(due.group, got, self._clock.now().mono_us)
        if due.lease is None:
            for pair in self._leases.pairs(due.group):
                offer(LeaseHeld(pair=pair, lease=got, store_id=store_id))

    async def _asked(self, due: Due) -> tuple[Lease | None, str]:
        if due.lease is not None:
            return await self._store.renew(due.lease, ttl_ms=TTL_MS), ""
        got = await self._store.acquire(due.group, owner=self._owner, ttl_ms=TTL_MS)
        return got, await self._store.store_id() if got is not None else ""

    def _lost(self, group: str, text: str, offer: Offer, *, taken: bool = False) -> None:
        for pair in self._leases.pairs(group):
            offer(LeaseLost(pair=pair, text=text, taken=taken))

    async def give_back(self) -> None:
        """Let another executor have them at once instead of after their time."""
        with suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(GIVE_BACK_SEC):
                await asyncio.gather(*(self._store.release(lease) for lease in self._leases.all_held()))


class PermitEar:
    """Hears permits past the inbox: the gate reads the newest one even while events wait in line."""

    def __init__(self, bus: Bus, desk: Desk, clock: Clock) -> None:
        self._bus = bus
        self._desk = desk
        self._clock = clock
        self._limit = RateLimit(every_us=SAY_EVERY_US)

    async def run(self, offer: Offer) -> None:
        """Until cancelled."""

        def take(frame: Frame) -> None:
            try:
                permit = decode(frame.payload, Permit)
            except BadMessage as error:
                if (silenced := self._limit.allow("bad", self._clock.now().mono_us)) is not None:
                    log.warning("a permit cannot be read (%d before it neither): %s", silenced, error)
                return
            self._desk.permits.apply(permit, self._clock.now())
            offer(Received(subject=frame.subject, message=permit, reply=frame.reply))

        subscription = await self._bus.subscribe(PERMIT, take)
        try:
            await asyncio.Event().wait()
        finally:
            await subscription.close()
