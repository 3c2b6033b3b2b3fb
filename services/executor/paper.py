"""Mode paper: every venue's account is a `PaperTrading` that lives on the bus's market data and in the store.

One executor of a deployment has the paper accounts (lease `paper`), from its start to its end. Another one
waits at its start until it may have them, and reads them then. Who has lost the lease ends, and its
supervisor starts it anew from what was written.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from libs.common import subjects
from libs.common.assembly import Background, CannotStart, Offer, ServiceContext
from libs.common.bus import Frame, Subscription
from libs.common.log import RateLimit
from libs.common.messages import BadMessage, Want, decode, encode, type_of
from libs.common.store import Lease, StoreUnavailable
from libs.exchange.engine.commands import Refused
from libs.exchange.engine.snapshot import BadSnapshot
from libs.exchange.paper.keeping import Deposed, Keeper, key_of, recall
from libs.exchange.paper.layout import layout_of
from libs.exchange.paper.opening import start_balances
from libs.exchange.paper.trading import NotKept, PaperTrading
from libs.exchange.paper.venue import PaperVenue
from libs.exchange.trading import Trading
from services.executor.leases import TTL_MS

log = logging.getLogger(__name__)

LEASE: Final = "paper"
RENEW_SEC: Final = TTL_MS / 3_000
ACQUIRE_SEC: Final = 0.5
SAY_EVERY_US: Final = 10_000_000
USAGE: Final = 2
HEARD: Final = (
    subjects.ALL_INSTRUMENTS,
    subjects.ALL_QUOTES,
    subjects.ALL_BOOKS,
    subjects.ALL_FUNDING,
    subjects.ALL_HISTORY,
)


class PaperHouse:
    """The paper accounts of all venues. `open` first; `background` beside the executor; `close` last."""

    def __init__(self, context: ServiceContext, venues: Iterable[str]) -> None:
        self._context = context
        self._venues = tuple(venues)
        self._lease: Lease | None = None
        self._owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._tradings: dict[str, PaperTrading] = {}
        self._keepers: dict[str, Keeper] = {}
        self._ears: list[Subscription] = []
        self._limit = RateLimit(every_us=SAY_EVERY_US)

    # --- opening ------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Wait for the lease, read or begin every account, and listen to the market. Raises CannotStart and
        StoreUnavailable.
        """
        self._lease = await self._acquired()
        for venue in self._venues:
            await self._begin(venue)
        for pattern in HEARD:
            self._ears.append(await self._context.bus.subscribe(pattern, self._hear))

    async def _acquired(self) -> Lease:
        """Until it is ours: who was killed keeps it for the rest of its time."""
        said = False
        while True:
            got = await self._context.store.acquire(LEASE, owner=self._owner, ttl_ms=TTL_MS)
            if got is not None:
                return got
            if not said:
                log.info("another executor has the paper accounts, or had them a moment ago: waiting")
                said = True
            await asyncio.sleep(ACQUIRE_SEC)

    async def _begin(self, venue: str) -> None:
        """An account as it was written, else a new one, which is written before anybody sees it."""
        context, costs = self._context, self._context.config.costs
        try:
            store_id = await context.store.store_id()  # first: should it be lost from here on, nothing fits
            known = await recall(context.store, venue, costs=costs)
            paper, version = known or (self._new(venue), 0)
        except BadSnapshot as error:
            text = f"{key_of(venue)} in the store is no paper account of this version: {error}"
            raise CannotStart(f"{text}; another `deployment` begins with new accounts", code=USAGE) from None
        patience_sec = context.config.timeouts.request_timeout_sec
        keeper = Keeper(
            paper,
            store=context.store,
            lease=self._held,
            store_id=store_id,
            version=version,
            patience_sec=patience_sec,
        )
        trading = PaperTrading(paper, clock=context.clock, keep=keeper)
        keeper.tell = trading.tell
        if not version:
            try:
                await keeper.write()
            except Deposed as error:
                raise CannotStart(f"the paper accounts are another executor's: {error}") from None
        self._tradings[venue], self._keepers[venue] = trading, keeper
        log.info("%s on paper: %s", venue, "as it was" if version else "a new account")

    def _new(self, venue: str) -> PaperVenue:
        config, now = self._context.config, self._context.clock.now()
        try:
            return PaperVenue(
                venue, costs=config.costs, balances=start_balances(config, venue), now=now,
                layout=layout_of(venue),
            )  # fmt: skip
        except (ValueError, Refused) as error:
            raise CannotStart(f"paper.balances.{venue}: {error}", code=USAGE) from None

    def _held(self) -> Lease:
        if self._lease is None:
            raise Deposed(f"lease {LEASE}: not held")
        return self._lease

    async def opener(self, venue: str) -> Trading:
        """As `shell.Opener` wants it."""
        return self._tradings[venue]

    # --- while it runs ------------------------------------------------------------------------------------

    @property
    def background(self) -> tuple[Background, ...]:
        """Lease, writers and the question for what settled while nobody listened."""
        return (self._run,)

    async def _run(self, offer: Offer) -> None:
        """Until cancelled; ends with `Deposed` when the accounts are not ours any more."""
        del offer
        want = Want(service="executor", what=("history",))
        self._context.bus.publish(subjects.want("feed"), encode(want))
        tasks = [self._renew(), *(keeper.run() for keeper in self._keepers.values())]
        try:
            async with asyncio.TaskGroup() as group:
                for task in tasks:
                    group.create_task(task)
        except* Deposed as error:
            raise error.exceptions[0] from None

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SEC)
            try:
                renewed = await self._context.store.renew(self._held(), ttl_ms=TTL_MS)
            except StoreUnavailable as error:
                log.warning("the lease of the paper accounts is not renewed yet: %s", error)
                continue
            if renewed is None:
                raise Deposed(f"lease {LEASE}: its time ran out before it could be renewed")
            self._lease = renewed

    def _hear(self, frame: Frame) -> None:
        """Market data of the venues that are traded on. Never raises: one message that makes no sense must
        not keep back the next.
        """
        trading = self._tradings.get(frame.subject.split(".")[2])
        kind = type_of(frame.subject)
        if trading is None or kind is None:
            return
        try:
            trading.on_message(decode(frame.payload, kind))
        except BadMessage as error:
            self._say(frame.subject, str(error))
        except Exception as error:
            if self._say(frame.subject, f"{type(error).__name__}: {error}"):
                log.exception("%s", frame.subject)

    def _say(self, subject: str, why: str) -> bool:
        silenced = self._limit.allow("bad", self._context.clock.now().mono_us)
        if silenced is not None:
            log.warning(
                "%s does not reach the paper account (%d before it neither): %s", subject, silenced, why
            )
        return silenced is not None

    # --- the end ------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Write what is not written, and let another executor have the accounts at once."""
        for ear in self._ears:
            await ear.close()
        for keeper in self._keepers.values():
            with suppress(Deposed, StoreUnavailable, NotKept, TimeoutError):
                async with asyncio.timeout(RENEW_SEC):
                    await keeper.write()
        if self._lease is not None:
            with suppress(StoreUnavailable, TimeoutError):
                async with asyncio.timeout(ACQUIRE_SEC):
                    await self._context.store.release(self._lease)
