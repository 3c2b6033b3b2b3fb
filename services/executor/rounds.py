"""One venue's part of the books: looks, records, and what remains when they are compared. Pure.

    look -> records of every kind, booked -> look again -> read the ledger back -> compare

Nothing moved between two equal looks, so the records that were read in between explain just that account.
Nothing of ours was under way from the first look until the ledger was read back (`Stillness`): both show one
instant. What is left is a figure when the next comparison agrees (`Twice`).
Shortly after a settlement only funding is read, until the payment is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from libs.carry.identity import in_usd, opening_of
from libs.carry.pnl import Key
from libs.common.effects import Answered, Effect, Health, Measure, Publish
from libs.common.instant import MS_PER_HOUR, US_PER_MS, US_PER_SEC, Now
from libs.common.subjects import exec_account
from libs.exchange.trading_values import IN_MARKET_TIME, FeeRates, LedgerRecord, RecordKind
from services.executor import cursors, early, records
from services.executor.account import Look, look_of, prices_of, status_of
from services.executor.books import Opening, holders, replace
from services.executor.books_work import FetchRecords, Rates, ReadRates
from services.executor.comparing import BY_ITSELF, Comparing, Shown
from services.executor.events import AccountSeen, ReadAccount
from services.executor.expect import matched
from services.executor.unexplained import Unexplained, in_dollars

if TYPE_CHECKING:
    from services.executor.round_owner import Owner

LOOK_US: Final = 5 * US_PER_SEC
SOON_US: Final = 3 * US_PER_SEC
"""After a trade was booked: a look costs a venue's budget about as much as ten orders."""

AGAIN_US: Final = 2 * US_PER_SEC
"""Before it is compared again because something moved; then only what moves by itself is read."""
APART_US: Final = 10 * US_PER_SEC
"""From the records of one round to those of funding that a look asks for: they are the dearest part of it."""
STALE_US: Final = 15 * US_PER_SEC  # an account that was not read for so long is not to be trusted
RATES_US: Final = 30 * US_PER_SEC
RATES_FIRST_US: Final = 3 * US_PER_SEC  # set-ups go before, and read the fees of their legs
AFTER_US: Final = (US_PER_SEC // 2, 3 * US_PER_SEC, 15 * US_PER_SEC, 60 * US_PER_SEC, 300 * US_PER_SEC)
"""When funding is read after a settlement, while it is not there."""

OVERLAP_MS: Final = MS_PER_HOUR  # records are read again from so long before the last: some come late

Phase = Literal["rest", "first", "records", "second", "compare"]


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison: asset -> units that no line explains."""

    venue: str
    residual: dict[str, Decimal]


class VenueBooks:
    """`comparing`: the account against its lines, and the figure of what they do not explain."""

    def __init__(self, venue: str, keys: tuple[Key, ...], owner: Owner, records_every_us: int) -> None:
        self.venue = venue
        self.keys = keys
        self.marks: dict[Key, Decimal] = {}
        self._owner = owner
        self._every_us = records_every_us
        self._phase: Phase = "rest"
        self._look_us: int | None = None  # monotonic: when it was asked for last
        self._read_us: int | None = None  # when an answer came last
        self._records_us: int | None = None  # when all kinds were asked for last
        self._asked_us: int | None = None  # when any were
        self._whole = False
        self._rates_due_us: int | None = None
        self._settled_us: int | None = None
        self._asks = 0
        self._touched = False
        self._born: Now | None = None  # when records were asked for first
        self._again_us: int | None = None  # when a comparison that failed is tried again
        self._waiting: set[RecordKind] = set()
        self._without: set[RecordKind] = set()
        self._seen_ids: set[str] = set()
        self._cursors: dict[str, int] | None = None  # when this round's records were asked for
        self.older: set[str] = set()  # ids of records from before the books, until they are written
        self._first: Look | None = None
        self._second: Look | None = None
        self._began: Now | None = None  # when the first look was asked for
        self._tails = 0  # of the owner, when the second look came
        self._seen: AccountSeen | None = None
        self._unexplained = Unexplained()
        self.comparing = Comparing(venue, keys, owner)
        self._fees: dict[str, FeeRates] = {}
        self._borrow_daily: dict[str, float] = {}

    def marks_at(self, now: Now) -> Mapping[Key, Decimal]:
        """Of the last look, while it is not old."""
        return self.marks if self.is_fresh(now) else {}

    def is_fresh(self, now: Now) -> bool:
        """Whether the last look is not old."""
        return self._read_us is not None and now.mono_us - self._read_us <= LOOK_US + SOON_US

    def shown(self, now: Now) -> Shown:
        """The account and what no line explains of it."""
        return self.comparing.shown(fresh=self.is_fresh(now))

    # --- when -------------------------------------------------------------------------------------

    def touch(self) -> None:
        """Something was booked: say soon how the account stands now."""
        self._touched = True

    def on_rates(self, found: Rates) -> None:
        """What the account really pays."""
        self._fees = dict(found.fees)

    def settled(self, now: Now) -> None:
        """A payment is due here from now on."""
        self._settled_us, self._asks = now.mono_us, 0

    def give_up(self) -> None:
        """The store did not take a booking: begin the round anew, records are booked once in any case."""
        self._phase = "rest"
        self._records_us = None
        self._owner.books = cursors.put_back(self._owner.books, self.venue, self._cursors)
        self.comparing.begin_anew()
        self._seen_ids.clear()

    def tick(self, now: Now) -> Iterator[Effect]:
        """Begin what is due."""
        if self._phase == "rest" and self._is_due(now):
            self._touched = False
            self._phase, self._began = "first", now
            yield from self._look(now)
        stale = self._read_us is not None and now.mono_us - self._read_us > STALE_US
        if stale and self._seen is not None and self._phase != "rest":
            yield from self._publish(now, trusted=False)
        if self._rates_due_us is None:
            self._rates_due_us = now.mono_us + RATES_FIRST_US
        elif now.mono_us >= self._rates_due_us:
            self._rates_due_us = now.mono_us + RATES_US
            yield ReadRates(venue=self.venue, instruments=tuple(name for _, name in self.keys))

    def _is_due(self, now: Now) -> bool:
        if self._look_us is None or self._settlement_due(now) or self._again_due(now):
            return True
        age_us = now.mono_us - self._look_us
        return age_us >= (SOON_US if self._touched else LOOK_US)

    def _again_due(self, now: Now) -> bool:
        if self._again_us is None or now.mono_us < self._again_us:
            return False
        return self._owner.stillness.is_calm(self.venue, now)  # else it would be in vain

    def _settlement_due(self, now: Now) -> bool:
        if self._settled_us is None or self._asks >= len(AFTER_US):
            return False
        waited = now.mono_us - self._settled_us >= AFTER_US[self._asks]
        return waited and any(one.venue == self.venue for one in self._owner.books.due)

    def _look(self, now: Now) -> Iterator[Effect]:
        self._look_us = now.mono_us
        yield ReadAccount(venue=self.venue, pair="books")

    # --- answers ----------------------------------------------------------------------------------

    def on_look(self, seen: AccountSeen | None, error: str | None, now: Now) -> Iterator[Effect]:
        """The account, or why it could not be read."""
        if seen is None:
            self._phase = "rest"
            self._asks += 1  # or a payment that is due would have it looked at with every tick
            self._again_us = None if self._again_us is None else now.mono_us + SOON_US
            yield from self._failed(f"{self.venue}: the account cannot be read: {error}", now)
            return
        self._seen, self._read_us = seen, now.mono_us
        look = look_of(seen, self._owner.world)
        self.marks = look.marks
        found = self.comparing.left_in(look, self._began or now, now)
        self._unexplained.look(in_dollars(found))
        yield Health(key=f"books:{self.venue}", problem=early.problem_of(self.comparing, self._born, now))
        yield from self._publish(now, trusted=True)
        if self._phase == "second":
            same = self._first is not None and look.is_as(self._first)
            self._second = look
            self._phase = "compare" if same else "rest"
            if not same:
                self._again_us = now.mono_us + AGAIN_US
            self._tails = self._owner.tails
            self.comparing.saw(look, None)  # what was booked in this round has yet to be read back
        elif self._phase == "first":
            self._first = look
            explained = self.comparing.saw(look, found)
            if explained:
                self._again_us = None
            elif explained is False and self._again_us is None:
                dear, asked_us = "funding" in self.comparing.by_itself, self._asked_us or 0
                self._again_us = max(now.mono_us + AGAIN_US, asked_us + APART_US) if dear else now.mono_us
            yield from self._ask(now)

    def _ask(self, now: Now) -> Iterator[Effect]:
        """The records that are due, or rest."""
        whole = self._records_us is None or now.mono_us - self._records_us >= self._every_us
        whole = self._unexplained.wants_records(now.mono_us) or whole
        again, settles = self._again_due(now), self._settlement_due(now)
        if again and not self.comparing.sees:
            again, self._again_us = False, now.mono_us + AGAIN_US
        if not (whole or again or settles):
            self._phase = "rest"
            return
        kinds = records.KINDS if whole else BY_ITSELF if settles else self.comparing.by_itself
        if whole:
            self._records_us = now.mono_us
        self._asks += 1
        self._cursors = cursors.of_venue(self._owner.books, self.venue)
        self._again_us, self._asked_us = None, now.mono_us
        self._whole = whole
        self._phase = "records"
        self._waiting = {kind for kind in kinds if kind not in self._without}
        for kind in sorted(self._waiting):
            yield FetchRecords(venue=self.venue, kind=kind, since_ms=self._since_ms(kind, now))

    def _since_ms(self, kind: RecordKind, now: Now) -> int:
        """From the last record of its kind; while there was none, from the opening of the books."""
        if self._born is None:
            self._born = now
        opening = self._owner.books.openings.get(self.venue)
        if kind in IN_MARKET_TIME:
            own_ms = self._born.market_ms if opening is None else opening.market_ms
        else:
            own_ms = cursors.opened_ms(opening, self._born, self._owner.market_of)
        return self._owner.books.cursors.get(cursors.name_of(self.venue, kind), own_ms) - OVERLAP_MS

    def on_records(self, event: Answered, now: Now) -> Iterator[Effect]:
        """One kind's records: what is new is booked; after the last kind the second look begins."""
        request = event.request
        if self._phase != "records" or not isinstance(request, FetchRecords):
            return
        if event.error is not None:
            self._phase = "rest"
            self._records_us = None if self._whole else self._records_us
            self._again_us = now.mono_us + APART_US
            yield from self._failed(f"{self.venue}: its books cannot be read: {event.error}", now)
            return
        self._waiting.discard(request.kind)
        if event.result is None:
            self._without.add(request.kind)
        done = not self._waiting
        if done:
            self._phase = "second"
            yield from self._look(now)
        yield from self._book(event.result or [], now)

    def _book(self, found: list[LedgerRecord], now: Now) -> Iterator[Effect]:
        owner = self._owner
        for record in found:
            key = records.key_of(self.venue, record)
            owner.books = cursors.moved(owner.books, self.venue, record)
            if key in self._seen_ids or key in self.older:
                continue
            self._seen_ids.add(key)
            if self._is_older(record):
                self.older.add(key)
                continue
            lines = records.lines_of(
                self.venue,
                record,
                books=owner.books,
                world=owner.world,
                announced=owner.announced,
                market_of=owner.market_of,
                split_wallets=self._first is not None and self._first.split,
                now=now,
            )
            if record.kind == "funding" and record.instrument:
                owner.books = matched(owner.books, self.venue, record.instrument, record.ts_ms)
            if record.kind == "interest":
                self._borrow_daily |= records.interest_daily(record, self._seen, now)
            yield from owner.book(key, tuple(lines))

    def _is_older(self, record: LedgerRecord) -> bool:
        """Whether a record is of the time before the books: its money is in the opening."""
        if self.venue in self._owner.books.openings:
            return False
        if record.kind != "funding" or not record.instrument:
            return True
        return not holders(self._owner.books, (self.venue, record.instrument), record.ts_ms)

    # --- comparing --------------------------------------------------------------------------------

    def on_caught_up(self, now: Now) -> Iterator[Effect]:
        """The ledger has been read back: compare, if it was asked for after the looks and nothing moves."""
        if self._phase != "compare" or self._owner.tails <= self._tails or self._second is None:
            return
        self._phase = "rest"
        owner, look, comparing = self._owner, self._second, self.comparing
        began = self._began or now
        units = comparing.units(look) if comparing.is_still(began.mono_us, began, now) else None
        opens = comparing.opening is None
        if units is None or (opens and comparing.is_early(look, self._seen, now)):
            self._again_us = now.mono_us + AGAIN_US
        elif opens and not self._whole:  # a line of what has just come in would be booked on top of it
            self._records_us, self._again_us = None, (self._asked_us or now.mono_us) + APART_US
        elif opens:
            yield from self._open(opening_of(look.units, units), now)
            comparing.take(look, {})
        else:
            found = comparing.found_in(look) or {}
            pause_us = comparing.take(look, found)
            self._again_us = None if pause_us is None else now.mono_us + pause_us
            yield from owner.on_round(Round(venue=self.venue, residual=found), now)

    def _open(self, units: dict[str, Decimal], now: Now) -> Iterator[Effect]:
        """The account as it was before the first line is where everything is counted from."""
        owner = self._owner
        usd, _ = in_usd(units, prices_of(owner.world, self.venue, units))
        opening = Opening(units=units, usd=usd, market_ms=now.market_ms, wall_ms=now.wall_us // US_PER_MS)
        owner.books = replace(owner.books, openings={**owner.books.openings, self.venue: opening})
        yield from owner.keep(now)

    # --- what is said -----------------------------------------------------------------------------

    def _failed(self, problem: str, now: Now) -> Iterator[Effect]:
        yield Health(key=f"books:{self.venue}", problem=problem)
        stale = self._read_us is None or now.mono_us - self._read_us > STALE_US
        if stale and self._seen is not None:
            yield from self._publish(now, trusted=False, problems=(problem,))

    def _publish(self, now: Now, *, trusted: bool, problems: tuple[str, ...] = ()) -> Iterator[Effect]:
        if self._seen is None:
            raise AssertionError("an account that was never read has nothing to say")
        status = status_of(
            self._seen,
            self._owner.world,
            rates=self._fees,
            borrow_daily=self._borrow_daily,
            reach=self._owner.reach_of(self.venue),
            problems=problems,
            trusted=trusted,
            unexplained=self._unexplained.usd,
            now=now,
        )
        self._owner.world.on_account(status, now)
        yield Publish(subject=exec_account(self.venue), message=status)
        if status.margin_ratio is not None:
            labels = {"venue": self.venue}
            yield Measure(metric="fundarb_margin_ratio", value=status.margin_ratio, labels=labels)
