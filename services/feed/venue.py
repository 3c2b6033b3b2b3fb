"""One venue as the feed keeps it: what is due, what an answer means, how well it is seen.

Pure. Whatever goes wrong here stays here: an error holds this venue's calls back, nonsense shuts out
one instrument, and the other venues never notice.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from libs.common import subjects
from libs.common.config.schema import Monitor
from libs.common.effects import Answered, Effect, Measure, Note
from libs.common.instant import US_PER_SEC, MarketClock, Now
from libs.common.messages import AlertLevel, InstrumentInfo
from libs.common.subjects import Kind, kind_of
from libs.exchange.port import Observation
from services.feed.freshness import Freshness
from services.feed.intake import Intake, Prices
from services.feed.listing import NOT_LISTED, listing_of, unlisted
from services.feed.normalize import Aspect, Nonsense, roll_tolerance_ms
from services.feed.prints import Prints
from services.feed.quarantine import Ward
from services.feed.schedule import Schedule
from services.feed.source import Source
from services.feed.work import (
    CLOCK,
    FUNDING,
    LOAD,
    QUOTES,
    RECALL,
    Failure,
    FetchSettled,
    Key,
    Loaded,
    LoadVenue,
    MeasureClock,
    PollBook,
    PollFunding,
    PollQuotes,
    RecallWatermarks,
    VenueRequest,
)

FUNDING_SEC_MAX: Final = 30.0
HOT_US: Final = US_PER_SEC
DOUBTED_US: Final = 5 * US_PER_SEC
RELOAD_US: Final = 3_600 * US_PER_SEC
CLOCK_US: Final = 60 * US_PER_SEC
# A clock that is off keeps its venue from opening until it was right for 60 s: it is looked at more often.
CLOCK_OFF_MS, CLOCK_OFF_US = 250.0, 10 * US_PER_SEC
PLAIN: Final[dict[Key, type[VenueRequest]]] = {LOAD: LoadVenue, RECALL: RecallWatermarks, CLOCK: MeasureClock}
# One lost call is weather; three in a row and the venue's figures are not to be relied on.
FAILURES_MAX: Final = 3


class VenueFeed:
    """State of one venue."""

    def __init__(self, source: Source, *, monitor: Monitor, prices: Prices) -> None:
        self.source = source
        self._interval_us = int(monitor.interval_sec * US_PER_SEC)
        self._book_us = int(monitor.book_interval_sec * US_PER_SEC)
        self._ward = Ward()
        self._schedule = Schedule()
        self._fresh = Freshness(source.venue, interval_us=self._interval_us)
        self._prints = Prints(
            source,
            history_days=monitor.history_days,
            ward=self._ward,
            fresh=self._fresh,
            schedule=self._schedule,
        )
        self._intake = Intake(
            source,
            prices=prices,
            prints=self._prints,
            ward=self._ward,
            fresh=self._fresh,
            schedule=self._schedule,
        )
        self._instruments: dict[str, InstrumentInfo] = {}
        self._usable: tuple[str, ...] = ()
        self._asked_us: dict[str, int] = {}
        self._hot: frozenset[str] = frozenset()
        self._recalled: dict[str, int] | None = None
        self._begun = False
        self._shown = self._ward.listed()

    def start(self, now: Now) -> None:
        """First the instruments, and the last words of a former life."""
        kinds = ["quote", "book", *(["funding", "mark", "settled"] if self.source.perps else [])]
        self._fresh.expect(kinds, now)
        self._schedule.add(LOAD, period_us=RELOAD_US, due_us=now.mono_us)
        self._schedule.add(CLOCK, period_us=CLOCK_US, due_us=now.mono_us)
        if self.source.perps:
            self._schedule.add(RECALL, period_us=None, due_us=now.mono_us)

    def beat(self, now: Now) -> Iterable[Effect]:
        """Start what is due; a settlement that has passed makes rates and prints due at once."""
        if self._prints.watch(now):
            self._schedule.ask(FUNDING, at_us=now.mono_us)
        for key in self._schedule.take(now.mono_us):
            request = self._request(key, now)
            if request is None:
                self._schedule.release(key, now_us=now.mono_us)
            else:
                yield request

    def heat(self, hot: frozenset[str]) -> None:
        """Instruments of pairs that pass or are held: polled each second where no stream confirms them."""
        self._hot = hot & frozenset(self.source.instruments)

    def observed(self, seen: Observation, market: MarketClock, now: Now) -> Iterable[Effect]:
        """A stream pushed something."""
        self._fresh.heard(now)
        yield from self._intake.take(seen, market, now)
        if self._intake.asks(now):
            yield from self.beat(now)
        yield from self._changed(now)

    def answered(
        self, request: VenueRequest, event: Answered, market: MarketClock, now: Now
    ) -> Iterable[Effect]:
        """What became of a request."""
        key = request.key
        failure = event.result
        if event.error is not None:
            failure = Failure(error_class="internal", text=f"{event.error_class}: {event.error}")
        if isinstance(failure, Failure):
            yield from self._failed(key, failure, now)
        else:
            self._schedule.done(key)
            if key != RECALL:
                self._fresh.heard(now)
                yield from self._intake.clean(None, "venue", now)
            yield from self._result(request, event.result, market, now)
        yield from self._changed(now)

    def persisted(self, token: str, *, ok: bool) -> Iterable[Effect]:
        """The store's answer about prints that wait to be said."""
        yield from self._prints.persisted(token, ok=ok)

    def second(self, now: Now) -> Iterable[Effect]:
        """Health and ages, each second."""
        yield from self._fresh.measures(now)
        shut_out = float(len({case.instrument for case in self._ward.listed()}))
        yield Measure(metric="fundarb_quarantined", value=shut_out, labels={"venue": self.source.venue})
        yield from self._health(now)

    def retry(self) -> Iterable[Effect]:
        """What the store has refused, once more."""
        yield from self._prints.retry()

    def resend(self, what: tuple[str, ...], now: Now) -> Iterable[Effect]:
        """Slow state again; an empty `what` is all of it."""
        if not what or "instruments" in what:
            for info in self._instruments.values():
                yield from self.source.tell(subjects.instrument, info)
        if not what or "history" in what:
            for slug in self.source.perps:
                yield from self._prints.history(slug, now)
        yield from self._health(now)

    def _health(self, now: Now) -> Iterable[Effect]:
        self._shown = self._ward.listed()
        health = self._fresh.health(self._shown, now, loaded=bool(self._instruments))
        yield from self.source.tell_health(subjects.md_health, health)

    def _changed(self, now: Now) -> Iterable[Effect]:
        """Quarantine is news: nobody waits a second for it."""
        if self._ward.listed() != self._shown:
            yield from self._health(now)

    def _request(self, key: Key, now: Now) -> VenueRequest | None:
        if key.kind == "settled":
            return self._prints.request(key.slug, now)
        if key.kind == "book":
            return PollBook(venue=self.source.venue, slug=key.slug)
        if key == FUNDING:
            return PollFunding(venue=self.source.venue, slugs=self._usable_perps())
        if key == QUOTES:
            return self._quotes(now)
        return PLAIN[key](venue=self.source.venue)

    def _quotes(self, now: Now) -> PollQuotes | None:
        slugs = tuple(slug for slug in self._usable if self._is_due(slug, now))
        self._asked_us.update(dict.fromkeys(slugs, now.mono_us))
        return PollQuotes(venue=self.source.venue, slugs=slugs) if slugs else None

    def _is_due(self, slug: str, now: Now) -> bool:
        """Quiet, and not asked about, for as long as its cadence: one rule for streamed and polled venues."""
        cadence_us = self._interval_us
        if self._intake.doubts(slug):
            asked_us = self._asked_us.get(slug)
            return asked_us is None or now.mono_us - asked_us >= HOT_US
        if slug in self._hot:
            cadence_us = min(cadence_us, HOT_US)
        elif self._ward.holds(slug):
            cadence_us = min(cadence_us, DOUBTED_US)
        quiet_us = self._fresh.quiet_us("quote", slug, now)
        asked_us = self._asked_us.get(slug)
        heard = quiet_us is not None and quiet_us < cadence_us and not self._wants_mark(slug, now)
        return not heard and (asked_us is None or now.mono_us - asked_us >= cadence_us)

    def _wants_mark(self, slug: str, now: Now) -> bool:
        """Where only tickers tell marks they are polled at the polling cadence, however the quotes stream."""
        age_us = self._intake.ticker_mark_age_us(slug, now)
        asked_us = self._asked_us.get(slug)
        asked_lately = asked_us is not None and now.mono_us - asked_us < self._interval_us
        return age_us is not None and age_us >= self._interval_us and not asked_lately

    def _usable_perps(self) -> tuple[str, ...]:
        return tuple(slug for slug in self._usable if kind_of(slug) is Kind.PERP)

    def _failed(self, key: Key, failure: Failure, now: Now) -> Iterable[Effect]:
        delay_us = self._schedule.failed(
            key, failure.error_class, now_us=now.mono_us, retry_after_sec=failure.retry_after_sec
        )
        fields = {
            "venue": self.source.venue,
            "what": " ".join(filter(None, key)),
            "class": failure.error_class,
            "text": failure.text,
            "again_in_sec": delay_us / US_PER_SEC,
        }
        yield Note(text="a call failed", level=AlertLevel.WARNING, fields=fields)
        if key == RECALL:  # the store's trouble, not the venue's
            return
        yield from self._fresh.error(failure.error_class)
        if key == CLOCK:
            yield from self._fresh.lost_clock()
        text = f"{key.kind}: {failure.text}"
        if self._schedule.failures >= FAILURES_MAX or (key == LOAD and not self._instruments):
            nonsense = Nonsense(aspect="venue", reason=f"venue_{failure.error_class}", text=text)
            yield from self._intake.bad(None, nonsense, now)
        elif key.slug and self._schedule.failures_of(key) >= FAILURES_MAX:
            aspect: Aspect = "book" if key.kind == "book" else "settled"
            nonsense = Nonsense(aspect=aspect, reason=f"{key.kind}_{failure.error_class}", text=text)
            yield from self._intake.bad(key.slug, nonsense, now)

    def _result(self, request: VenueRequest, result: Any, market: MarketClock, now: Now) -> Iterable[Effect]:
        match request:
            case LoadVenue():
                yield from self._loaded(result, now)
            case RecallWatermarks():
                self._recalled = result
                self._begin_prints(now)
            case MeasureClock():
                yield from self._fresh.offset(result)
                if not abs(result) < CLOCK_OFF_MS:
                    self._schedule.ask(CLOCK, at_us=now.mono_us + CLOCK_OFF_US)
            case FetchSettled():
                tolerance_ms = roll_tolerance_ms(market.speed)
                yield from self._prints.answered(request, result, now, tolerance_ms=tolerance_ms)
            case PollBook():
                yield from self._intake.take(result, market, now)
            case _:
                for seen in result:
                    yield from self._intake.take(seen, market, now)
        if isinstance(request, PollFunding):
            yield from self._unanswered(request.slugs, {seen.instrument for seen in result}, now)

    def _unanswered(self, asked: tuple[str, ...], answered: set[str], now: Now) -> Iterable[Effect]:
        for slug in asked:
            if slug not in answered:
                text = "the venue's answer leaves it out"
                nonsense = Nonsense(aspect="funding", reason="funding_missing", text=text)
                yield from self._intake.bad(slug, nonsense, now)
        if any(self._ward.holds(slug, "funding") for slug in asked):
            self._schedule.ask(FUNDING, at_us=now.mono_us + DOUBTED_US)

    def _loaded(self, loaded: Loaded, now: Now) -> Iterable[Effect]:
        for slug in self.source.slugs:
            instrument = loaded.instruments.get(slug)
            info = listing_of(instrument, now) if instrument else unlisted(self.source.venue, slug, now)
            self._instruments[slug] = info
            if info.refused == NOT_LISTED:
                text = f"{self.source.venue} has no {slug}"
                yield from self._intake.bad(
                    slug, Nonsense(aspect="listing", reason=NOT_LISTED, text=text), now
                )
            else:
                self._ward.lift(slug, "listing")
            yield from self.source.tell(subjects.instrument, info)
        self._usable = tuple(slug for slug, info in self._instruments.items() if info.refused is None)
        perps = self._usable_perps()
        if self._usable:
            self._schedule.add(QUOTES, period_us=min(HOT_US, self._interval_us), due_us=now.mono_us)
            books = [Key("book", slug) for slug in self._usable]
            self._schedule.spread(books, period_us=self._book_us, from_us=now.mono_us)
        if perps:
            funding_us = min(self._interval_us, int(FUNDING_SEC_MAX * US_PER_SEC))
            self._schedule.add(FUNDING, period_us=funding_us, due_us=now.mono_us)
        self._begin_prints(now)

    def _begin_prints(self, now: Now) -> None:
        """Once both the instruments and the former life's watermarks are known; again at every load, for
        what was not listed or did not trade before.
        """
        if self._recalled is None or not self._instruments:
            return
        if not self._begun:
            self._prints.recalled(self._recalled)
            self._begun = True
        self._prints.begin(self._usable_perps(), now)
