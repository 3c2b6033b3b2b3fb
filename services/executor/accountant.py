"""The books' part of the executor: reads what the lanes have booked and what the venues say, and adds it up.

It lives in a lane of its own (`books`) and changes no pair. What it knows of fills it reads back from the
ledger stream, so that it shows what is durable and a restart ends where the life before it was.

A round at a venue: look at the account, read its records, look again. When both looks agree and nothing is
under way, the lines must explain the account to the last digit: what they do not is the residual.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from libs.carry.pnl import Key, NoPrice
from libs.common.codec import encode
from libs.common.effects import (
    Alert,
    Answered,
    Effect,
    Event,
    Health,
    Measure,
    Persist,
    Persisted,
    Publish,
    Received,
    SetTimer,
    TimerFired,
)
from libs.common.instant import US_PER_SEC, Now
from libs.common.messages import AlertLevel, Funding
from libs.common.messages_exec import LedgerLine
from libs.common.store import Lease, Transition
from libs.common.subjects import BOOKS, NOBODY, exec_ledger
from services.executor import expect, summary
from services.executor.books import KEY, Books, MarketOf, replace, take_entries
from services.executor.books_work import (
    LANE,
    FetchRecords,
    LoadBooks,
    Rates,
    ReadRates,
    Tail,
    TailStreams,
)
from services.executor.events import AccountSeen, LeaseHeld, LeaseLost, ReadAccount
from services.executor.lane import Lane
from services.executor.ledger import IDS, STREAM
from services.executor.reach import ReachOf, nobody
from services.executor.rounds import Round, VenueBooks
from services.executor.stillness import Stillness
from services.executor.world import World

TICK: Final = f"{LANE}|tick"
TICK_US: Final = US_PER_SEC // 2
SAY_US: Final = 2 * US_PER_SEC
SNAPSHOT_US: Final = 60 * US_PER_SEC
PAGE: Final = 500
STRANGE_ROUNDS: Final = 2
"""A payment may be in a balance seconds before it is in the books of its venue."""

_snapshots = msgspec.json.Decoder(Books)


class Accountant:
    """Books, accounts and their rounds. `records_every_us`: how often a venue's records are read when nothing
    has settled; `market_of`: wall us -> market ms; `reach_of`: how a venue answers.
    """

    def __init__(
        self,
        world: World,
        lanes: Mapping[str, Lane],
        *,
        market_of: MarketOf,
        records_every_us: int = 60 * US_PER_SEC,
        reach_of: ReachOf = nobody,
    ) -> None:
        self.world = world
        self.lanes = lanes
        self.stillness = Stillness(lanes)
        self.books = Books()
        self.announced = expect.Announcements()
        self.market_of, self.reach_of = market_of, reach_of
        keys = dict.fromkeys(key for lane in lanes.values() for key in lane.keys)
        venues = dict.fromkeys(venue for venue, _ in keys)
        self.venues = {
            venue: VenueBooks(venue, tuple(key for key in keys if key[0] == venue), self, records_every_us)
            for venue in venues
        }
        self.lease: Lease | None = None
        self.loaded = False
        self.caught_up = False
        self._tailing = False
        self.tails = 0  # how often the streams were asked for
        self.read_us = self._asked_us = 0  # monotonic: when what has been read to its end was asked for
        self._began_ms = 0
        self._count = 0
        self._booking: dict[str, tuple[LedgerLine, ...]] = {}
        self._keeping: dict[str, tuple[str, ...]] = {}
        self._said_us = self._kept_us = 0
        self._naked: dict[str, tuple[int, float]] = {}
        self._strange = 0  # rounds in a row with a residual

    # --- events -----------------------------------------------------------------------------------

    def start(self) -> Iterator[Effect]:
        """At the start of a life."""
        yield SetTimer(name=TICK, after_us=TICK_US)

    def hear(self, event: Event) -> None:
        """What all may hear: rates are remembered for the settlement that they announce."""
        if isinstance(event, Received) and isinstance(event.message, Funding):
            self.announced.on_funding(event.message)

    def handle(self, event: Event, now: Now) -> Iterable[Effect]:
        """Events of the lane `books`."""
        match event:
            case LeaseHeld(lease=lease):
                self.lease, self.loaded, self.caught_up, self._tailing = lease, False, False, False
                self._began_ms = now.market_ms
                for venue in self.venues.values():
                    venue.give_up()
                yield LoadBooks()
            case LeaseLost():
                self.lease = None
            case TimerFired():
                yield SetTimer(name=TICK, after_us=TICK_US)
                yield from self._tick(now)
            case Answered() if self.lease is not None:
                yield from self._answered(event, now)
            case Persisted():
                yield from self._persisted(event)
            case _:
                pass

    def _tick(self, now: Now) -> Iterator[Effect]:
        for lane in self.lanes.values():
            yield from self.exposed(lane, now)
        if self.lease is None:
            return
        if not self.loaded:
            yield LoadBooks()
            return
        yield from self._tail(now)
        if self.caught_up:
            yield from self._due(now)
            for venue in self.venues.values():
                yield from venue.tick(now)
            if now.mono_us - self._said_us >= SAY_US:
                self._said_us = now.mono_us
                yield from self._say(now)
            if now.mono_us - self._kept_us >= SNAPSHOT_US:
                yield from self.keep(now)

    def _tail(self, now: Now) -> Iterator[Effect]:
        if not self._tailing:
            self._asked_us = now.mono_us
            self._tailing, self.tails = True, self.tails + 1
            yield TailStreams(ledger_at=self.books.ledger_at, journal_at=self.books.journal_at, count=PAGE)

    def _answered(self, event: Answered, now: Now) -> Iterator[Effect]:
        match event.request:
            case LoadBooks() if not self.loaded:  # asked for with each tick: a slow store answers twice
                yield from self._on_loaded(event.result, event.error, now)
            case TailStreams(ledger_at=ledger_at, journal_at=journal_at):
                if (ledger_at, journal_at) != (self.books.ledger_at, self.books.journal_at):
                    return  # asked for in an earlier reign
                self._tailing = False
                yield from self._on_tail(event.result, event.error, now)
            case ReadAccount(venue=venue):
                result = event.result if isinstance(event.result, AccountSeen) else None
                yield from self.venues[venue].on_look(result, event.error, now)
            case FetchRecords(venue=venue):
                yield from self.venues[venue].on_records(event, now)
            case ReadRates(venue=venue) if isinstance(event.result, Rates):
                self.venues[venue].on_rates(event.result)
            case _:
                pass

    # --- streams ----------------------------------------------------------------------------------

    def _on_loaded(self, found: Any, error: str | None, now: Now) -> Iterator[Effect]:
        if error is not None:
            yield Health(key=LANE, problem=f"the books cannot be read: {error}")
            return
        try:
            self.books = Books() if found is None else _snapshots.decode(found)
        except msgspec.DecodeError as broken:
            yield Health(key=LANE, problem=f"the books' snapshot cannot be read: {broken}")
            return
        self.loaded = True
        self._kept_us = now.mono_us
        yield Health(key=LANE, problem="")
        yield from self._tail(now)

    def _on_tail(self, found: Any, error: str | None, now: Now) -> Iterator[Effect]:
        """Add what has come; while pages are full there is more."""
        if error is not None or not isinstance(found, Tail) or not self.loaded:
            yield Health(key=LANE, problem=f"the ledger cannot be read: {error}" if error else "")
            return
        yield Health(key=LANE, problem="")
        before = self.books
        self.books = take_entries(before, found.ledger, found.journal, self.market_of)
        for name, venue in self.venues.items():
            if self.books.explained.get(name) is not before.explained.get(name):
                venue.comparing.booked()
        if len(found.ledger) == PAGE or len(found.journal) == PAGE:
            yield from self._tail(now)
            return
        self.caught_up, self.read_us = True, self._asked_us
        if found.ledger:
            for venue in self.venues.values():
                venue.touch()
        for venue in self.venues.values():
            yield from venue.on_caught_up(now)

    # --- rounds -----------------------------------------------------------------------------------

    def book(self, once: str, lines: tuple[LedgerLine, ...]) -> Iterator[Effect]:
        """Write the lines of one record, once for ever."""
        self._count += 1
        token = f"{LANE}:{self._count}"
        self._booking[token] = lines
        yield Persist(
            token=token,
            change=Transition(
                lease=self.lease,
                once=(IDS, once),
                appends={STREAM: tuple({"json": encode(line)} for line in lines)},
            ),
            tell=True,
        )

    def keep(self, now: Now) -> Iterator[Effect]:
        """Write the snapshot, and with it the ids of records from before the books, which are never booked:
        an opening without them would count its own money again.
        """
        self._kept_us = now.mono_us
        self._count += 1
        opened = (one for venue, one in self.venues.items() if venue in self.books.openings)
        older = tuple(sorted(key for one in opened for key in one.older))
        token = f"{LANE}:{self._count}"
        self._keeping[token] = older
        yield Persist(
            token=token,
            change=Transition(
                lease=self.lease,
                writes={KEY: encode(self.books)},
                set_adds={IDS: older} if older else {},
            ),
            tell=True,
        )

    def _persisted(self, event: Persisted) -> Iterator[Effect]:
        lines = self._booking.pop(event.token, ())
        older = self._keeping.pop(event.token, ())
        if not event.ok:
            self._booking.clear()
            self._keeping.clear()
            for venue in self.venues.values():
                venue.give_up()
            yield Health(key=f"{LANE}:store", problem=f"the store did not take a booking: {event.error}")
            return
        yield Health(key=f"{LANE}:store", problem="")
        for venue in self.venues.values():
            venue.older.difference_update(older)
        if not event.repeated:
            for line in lines:
                yield Publish(subject=exec_ledger(line.pair or NOBODY), message=line)

    def on_round(self, _done: Round, now: Now) -> Iterator[Effect]:
        """A venue's lines have been compared with its account."""
        try:
            found = self._totals(now)
        except NoPrice:
            return
        large = summary.is_large(found.unexplained, self.lanes)
        self._strange = self._strange + 1 if large else 0
        if self._strange == STRANGE_ROUNDS:
            text = ", ".join(f"{venue} {usd:.4f} USD" for venue, usd in found.residual.items())
            yield Alert(
                level=AlertLevel.WARNING,
                key="books:residual",
                text=f"the ledger does not explain the accounts: {text} since the opening",
                context={venue: str(one.comparing.left.units) for venue, one in self.venues.items()},
            )
        yield from self._say(now)

    # --- what is due, said, and naked -------------------------------------------------------------

    def _due(self, now: Now) -> Iterator[Effect]:
        before = self.books
        self.books = expect.settle(before, self.announced, now, since_ms=self._began_ms)
        for one in self.books.due[len(before.due) :]:
            self.venues[one.venue].settled(now)
        self.books, late = expect.overdue(self.books, now)
        for one in late:
            text = (
                f"{one.venue} {one.instrument}: the funding of {one.settles_ms} (market ms) is missing, "
                f"{one.expected:.4f} USD were expected"
            )
            yield Alert(
                level=AlertLevel.WARNING, key=f"books:missing:{one.venue}-{one.instrument}", text=text
            )

    def exposed(self, lane: Lane, now: Now) -> Iterator[Effect]:
        """Integrate a pair's naked value up to now; to be called whenever its legs may have changed."""
        since_us, level = self._naked.get(lane.pair, (now.mono_us, 0.0))
        ours = lane.lease is not None
        self._naked[lane.pair] = (now.mono_us, summary.naked_usd(lane) if ours else 0.0)
        added = level * (now.mono_us - since_us) / US_PER_SEC
        if added > 0:
            whole = self.books.naked.get(lane.pair, 0.0) + added
            self.books = replace(self.books, naked={**self.books.naked, lane.pair: whole})
            labels = {"pair": lane.pair}
            yield Measure(metric="fundarb_naked_usd_seconds_total", value=added, labels=labels)

    def _prices(self, now: Now) -> dict[Key, Any]:
        """The marks of the last look for contracts, mids for coins; mids for both once a look is old, since
        prices of two instants are no basis.
        """
        prices = {}
        for venue in self.venues.values():
            for key in venue.keys:
                mark = venue.marks_at(now).get(key) or self.world.mid(key) or venue.marks.get(key)
                if mark is not None:
                    prices[key] = mark
        return prices

    def _totals(self, now: Now) -> summary.Totals:
        shown = {venue: one.shown(now) for venue, one in self.venues.items()}
        return summary.totals(self.books, self._prices(now), shown, self.world)

    def _say(self, now: Now) -> Iterator[Effect]:
        try:
            found = self._totals(now)
        except NoPrice as unknown:
            yield Health(key=f"{LANE}:price", problem=f"the books wait for a price of {unknown}")
            return
        yield Health(key=f"{LANE}:price", problem="")
        yield Publish(subject=BOOKS, message=summary.summary_of(self.books, found, self.venues, now))
        yield from summary.measures(self.books, found, self.lanes)
