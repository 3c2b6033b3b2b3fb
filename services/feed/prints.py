"""The settled prints of one venue: fetched after each settlement, said once, kept as history.

Pure. A backfill is state and comes as `md.history` alone. What settles later (or while the feed was
down) is an event as well: `md.funding` of kind settled, once in a deployment's life. For that the
newest instant that was said is durable *before* it is said; what a crash in between would lose is in
the history.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from libs.common import subjects
from libs.common.effects import Effect, Health, Persist
from libs.common.instant import MS_PER_DAY, MS_PER_HOUR, US_PER_SEC, Now
from libs.common.messages import Funding, FundingHistory
from libs.exchange.port import SettledSeen
from services.feed.freshness import Freshness
from services.feed.normalize import Interval, settled_fault
from services.feed.quarantine import Ward
from services.feed.schedule import Schedule, retry_delay_us
from services.feed.settled import Ledger, on_grid
from services.feed.source import Source
from services.feed.work import FetchSettled, Key

RECHECK_US: Final = 600 * US_PER_SEC
DOUBTED_US: Final = 30 * US_PER_SEC
# Corrections come within hours; a page that begins a day back finds them.
OVERLAP_MS: Final = MS_PER_DAY


class Chase(msgspec.Struct, kw_only=True):
    """A settlement that has happened and whose print is not here yet."""

    settles_ms: int
    attempt: int = 0


class Prints:
    """Ledgers by instrument, the chase after what has just settled, and what was said already."""

    def __init__(
        self, source: Source, *, history_days: float, ward: Ward, fresh: Freshness, schedule: Schedule
    ) -> None:
        self._source = source
        self._ward = ward
        self._fresh = fresh
        self._schedule = schedule
        self._history_ms = int(history_days * MS_PER_DAY)
        self._ledgers = {slug: Ledger(history_ms=self._history_ms) for slug in source.perps}
        self._next_ms: dict[str, int] = {}
        self._chases: dict[str, Chase] = {}
        self._said_ms: dict[str, int] = {}
        self._unsaid: dict[str, set[int]] = {slug: set() for slug in source.perps}
        self._backfilled: set[str] = set()
        self._pending: dict[str, tuple[Funding, ...]] = {}
        self._failed: set[str] = set()
        self._turn = 0

    def recalled(self, said_ms: dict[str, int]) -> None:
        """A former life's last words are known: fetching may begin."""
        self._said_ms = {slug: at for slug, at in said_ms.items() if slug in self._ledgers}

    def begin(self, slugs: Sequence[str], now: Now) -> None:
        """Fetch the settled prints of these; those that are fetched already go on as they do."""
        keys = [Key("settled", slug) for slug in slugs]
        # The first round at once, in order; from then on evenly over the period.
        for place, key in enumerate(keys):
            self._schedule.add(key, period_us=RECHECK_US, due_us=now.mono_us + place)

    def interval_for(self, slug: str, next_ms: int | None) -> Interval | None:
        """What is known about an interval apart from the frame at hand."""
        return self._ledgers[slug].interval_for(next_ms)

    def current(self, funding: Funding, now: Now) -> Interval | None:
        """A sound current rate: remember its settlement. Answers the former interval when it changed."""
        if funding.next_ms is None:
            return None
        # A stream may roll over before our next beat: what it has just settled must not be forgotten.
        self._pursue(funding.instrument, now)
        self._next_ms[funding.instrument] = funding.next_ms
        interval = Interval(hours=funding.interval_hours, source=funding.interval_source)
        return self._ledgers[funding.instrument].record(funding.next_ms, interval)

    def watch(self, now: Now) -> bool:
        """Go after every settlement that has passed; True when there is a new one (rates rolled over)."""
        rolled = [slug for slug in self._next_ms if self._pursue(slug, now)]
        return bool(rolled)

    def request(self, slug: str, now: Now) -> FetchSettled:
        """The next page of an instrument: all of the history first, then a day's overlap."""
        oldest = now.market_ms - self._history_ms
        last_ms = self._ledgers[slug].last_ms if slug in self._backfilled else None
        since_ms = oldest if last_ms is None else max(oldest, last_ms - OVERLAP_MS)
        return FetchSettled(
            venue=self._source.venue, slug=slug, since_ms=since_ms, until_ms=now.market_ms + MS_PER_HOUR
        )

    def answered(
        self, request: FetchSettled, page: Sequence[SettledSeen], now: Now, *, tolerance_ms: int
    ) -> Iterable[Effect]:
        """Take a page: history when it changed, events for what is new since the last words."""
        slug = request.slug
        ledger = self._ledgers[slug]
        news: list[int] = []
        clean = True
        for seen in page:
            fault = settled_fault(seen, market_ms=now.market_ms, tolerance_ms=tolerance_ms)
            if fault is not None:
                clean = False
                self._ward.bad(slug, fault, now)
            elif (instant := ledger.add(seen)) is not None:
                news.append(instant)
        if clean:
            self._ward.clean(slug, "settled", now)
        if self._ward.holds(slug, "settled"):
            self._schedule.ask(request.key, at_us=now.mono_us + DOUBTED_US)
        ledger.covered(request.since_ms)
        ledger.trim(now.market_ms)
        self._fresh.seen("settled", slug, now)
        self._fresh.missing(slug, ledger.missing())
        first = slug not in self._backfilled
        self._backfilled.add(slug)
        self._chase_on(slug, now)
        if first or news:
            yield from self.history(slug, now)
        if first and slug not in self._said_ms:  # the first life ever: what is there already is no event
            self._said_ms[slug] = ledger.last_ms or 0
            yield self._promise(())
        if first:
            news = [instant for instant in news if instant > self._said_ms[slug]]
        self._unsaid[slug].update(news)
        yield from self._say(slug, now)

    def history(self, slug: str, now: Now) -> Iterable[Effect]:
        """An instrument's history, once it was asked for."""
        if slug not in self._backfilled:
            return
        prints, since_ms = self._ledgers[slug].page()
        yield from self._source.tell(
            subjects.history,
            FundingHistory(
                venue=self._source.venue,
                instrument=slug,
                prints=prints,
                complete_since_ms=since_ms,
                recv_us=now.wall_us,
            ),
        )

    def persisted(self, token: str, *, ok: bool) -> Iterable[Effect]:
        """Durable: say it. Not durable: keep it, `retry` tries again."""
        if not ok:
            self._failed.add(token)
            yield Health(key="store", problem="the store does not take the feed's watermarks: prints wait")
            return
        self._failed.discard(token)
        if not self._failed:
            yield Health(key="store", problem="")
        for message in self._pending.pop(token, ()):
            yield from self._source.tell(subjects.funding, message)

    def retry(self) -> Iterable[Effect]:
        """Persist again what the store refused."""
        for token in sorted(self._failed):
            yield self._persist(token)

    def _pursue(self, slug: str, now: Now) -> bool:
        """Chase the settlement that was to come next, when it has passed; True when that is new."""
        next_ms, chase = self._next_ms.get(slug), self._chases.get(slug)
        if next_ms is None or next_ms > now.market_ms or (chase is not None and chase.settles_ms >= next_ms):
            return False
        last_ms = self._ledgers[slug].last_ms
        if last_ms is not None and last_ms >= on_grid(next_ms):
            return False
        self._chases[slug] = Chase(settles_ms=on_grid(next_ms))
        if slug in self._backfilled:
            self._schedule.ask(Key("settled", slug), at_us=now.mono_us)
        return True

    def _chase_on(self, slug: str, now: Now) -> None:
        chase = self._chases.get(slug)
        last_ms = self._ledgers[slug].last_ms
        if chase is None:
            return
        if last_ms is not None and last_ms >= chase.settles_ms:
            del self._chases[slug]
            return
        self._schedule.ask(Key("settled", slug), at_us=now.mono_us + retry_delay_us(chase.attempt))
        chase.attempt += 1

    def _say(self, slug: str, now: Now) -> Iterable[Effect]:
        ledger = self._ledgers[slug]
        messages: list[Funding] = []
        for instant in sorted(self._unsaid[slug]):
            one = ledger.at(instant)
            if one is None:  # without an interval it is not said; the next print gives it one
                continue
            recorded = ledger.source_at(instant)
            told_so = recorded is not None and recorded.hours == one.interval_hours
            messages.append(
                Funding(
                    venue=self._source.venue,
                    instrument=slug,
                    kind="settled",
                    rate=one.rate,
                    interval_hours=one.interval_hours,
                    interval_source=recorded.source if recorded is not None and told_so else "settlements",
                    settled_ms=instant,
                    ts_ms=instant,
                    recv_us=now.wall_us,
                )
            )
        if not messages:
            return
        instants = [message.ts_ms for message in messages]
        self._unsaid[slug].difference_update(instants)
        self._said_ms[slug] = max(self._said_ms.get(slug, 0), *instants)
        yield self._promise(tuple(messages))

    def _promise(self, messages: tuple[Funding, ...]) -> Persist:
        self._turn += 1
        token = f"{self._source.venue}:{self._turn}"
        self._pending[token] = messages
        return self._persist(token)

    def _persist(self, token: str) -> Persist:
        return Persist(
            token=token,
            writes={watermark_key(self._source.venue): msgspec.json.encode(self._said_ms)},
            tell=True,
        )


def watermark_key(venue: str) -> str:
    """Store key of `{instrument: settled_ms}`, the newest print of each that was said."""
    return f"feed:settled:{venue}"
