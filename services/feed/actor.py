"""Receives what venues, timers and the bus say, and answers with market data and work to be done.

Pure: the shell (`main`) does the network, and offers stream frames as `Observed`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from libs.common.config.schema import Monitor
from libs.common.effects import (
    Answered,
    Draining,
    Effect,
    Event,
    Note,
    Persisted,
    Received,
    Reloaded,
    SetTimer,
    Started,
    TimerFired,
)
from libs.common.inbox import conflation_key as by_subject
from libs.common.instant import US_PER_MS, US_PER_SEC, MarketClock, Now
from libs.common.messages import AlertLevel, ClockState, Message, Opportunity, Want
from libs.common.messages_exec import Permit
from libs.exchange.port import GapSeen
from services.feed.intake import Prices
from services.feed.marks import Marks
from services.feed.source import Source
from services.feed.venue import VenueFeed
from services.feed.work import FetchSettled, Observed, VenueRequest

BEAT, SECOND, RESEND, RETRY = "beat", "second", "resend", "retry"
# A settlement is noticed within one beat: at 2880 times the speed that is 12 minutes of market time.
BEAT_US: Final = 250 * US_PER_MS
PERIOD_US: Final = {BEAT: BEAT_US, SECOND: US_PER_SEC, RESEND: 30 * US_PER_SEC, RETRY: US_PER_SEC}
# Whoever asks in a loop gets an answer a second.
RESEND_GAP_US: Final = US_PER_SEC
LATER: Final = "resend:"
"""And what is to be said again: kinds by commas, "" is all of them."""

SLOW: Final = frozenset({"instruments", "history"})

PRINTS_LANE: Final = "prints"

Leg = tuple[str, str]


def lane_of(event: Event) -> str:
    """Prints wait for the store in a lane of their own: quotes go on while it is slow or down."""
    if isinstance(event, Answered) and isinstance(event.request, FetchSettled):
        return PRINTS_LANE
    return PRINTS_LANE if isinstance(event, TimerFired) and event.name == RETRY else ""


def conflation_key(event: Event) -> str | None:
    """In a full inbox the newest observation of an instrument replaces the older ones; a gap never goes."""
    if not isinstance(event, Observed):
        return by_subject(event)
    seen = event.observation
    return None if isinstance(seen, GapSeen) else f"{type(seen).__name__} {seen.venue} {seen.instrument}"


class FeedActor:
    """All venues of a config; each keeps to itself."""

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        monitor: Monitor,
        market: MarketClock | None = None,
        build: str = "",
    ) -> None:
        self._marks = Marks(build=build)
        prices = Prices()
        self._venues = {source.venue: VenueFeed(source, monitor=monitor, prices=prices) for source in sources}
        self._market = market or MarketClock()
        self._parent_of: dict[Leg, str] = {
            (name, slug): source.venue
            for source in sources
            for slug, names in source.instruments.items()
            for name in names
        }
        self._hot: dict[str, frozenset[Leg]] = {}
        self._resent_us: dict[str, int] = {}

    def handle(self, event: Event, now: Now) -> Iterable[Effect]:
        """One event; effects in the order in which they are to be done."""
        return self._marks.marked(self._handle(event, now), now)

    def _handle(self, event: Event, now: Now) -> Iterable[Effect]:
        match event:
            case Started():
                yield from self._start(now)
            case Observed():
                venue = self._venues.get(event.observation.venue)
                if venue is not None:
                    yield from venue.observed(event.observation, self._market, now)
            case TimerFired():
                yield from self._timer(event.name, now)
            case Answered():
                yield from self._answered(event, now)
            case Received():
                yield from self._received(event.message, now)
            case Persisted():
                venue = self._venues.get(event.token.split(":", 1)[0])
                if venue is not None:
                    yield from venue.persisted(event.token, ok=event.ok)
            case Draining() | Reloaded():  # of what may change nothing is the feed's
                pass
            case _:
                fields = {"event": type(event).__name__}
                yield Note(
                    text="an event that the feed does not know", level=AlertLevel.WARNING, fields=fields
                )

    def _start(self, now: Now) -> Iterable[Effect]:
        for venue in self._venues.values():
            venue.start(now)
        for name, period_us in PERIOD_US.items():
            yield SetTimer(name=name, after_us=period_us)
        yield from self._beat(now)

    def _timer(self, name: str, now: Now) -> Iterable[Effect]:
        if name.startswith(LATER):
            yield from self._resend(name.removeprefix(LATER), now)
            return
        yield SetTimer(name=name, after_us=PERIOD_US[name])
        match name:
            case "beat":
                yield from self._beat(now)
            case "second":
                for venue in self._venues.values():
                    yield from venue.second(now)
            case "retry":
                for venue in self._venues.values():
                    yield from venue.retry()
            case _:
                yield from self._resend("", now)

    def _beat(self, now: Now) -> Iterable[Effect]:
        for venue in self._venues.values():
            yield from venue.beat(now)

    def _answered(self, event: Answered, now: Now) -> Iterable[Effect]:
        if not isinstance(event.request, VenueRequest):
            return
        venue = self._venues[event.request.venue]
        yield from venue.answered(event.request, event, self._market, now)
        yield from venue.beat(now)  # a place is free: what waits for it starts at once

    def _received(self, message: Message, now: Now) -> Iterable[Effect]:
        match message:
            case ClockState():
                self._market = MarketClock(
                    market0_ms=message.market0_ms, wall0_ms=message.wall0_ms, speed=message.speed
                )
            case Want():
                known = SLOW.intersection(message.what)
                if known or not message.what:
                    yield from self._resend(",".join(sorted(known)), now)
            case Opportunity():
                self._heat(message)
            case Permit():
                self._marks.apply(message, now)
            case _:
                pass

    def _resend(self, what: str, now: Now) -> Iterable[Effect]:
        """At most once a second. Who asks in between hears it at its end: it may have subscribed only now."""
        last_us = self._resent_us.get(what)
        if last_us is not None and (early_us := last_us + RESEND_GAP_US - now.mono_us) > 0:
            yield SetTimer(name=f"{LATER}{what}", after_us=early_us)
            return
        self._resent_us[what] = now.mono_us
        for venue in self._venues.values():
            yield from venue.resend(tuple(filter(None, what.split(","))), now)

    def _heat(self, message: Opportunity) -> None:
        """Both legs of a pair that passes, would with younger quotes, or is held are watched each second."""
        legs = frozenset((leg.venue, leg.instrument) for leg in (message.long, message.short))
        warm = set(message.refusals) <= {"stale_quote"} or message.allocated_usd > 0
        if warm == (message.pair in self._hot) and self._hot.get(message.pair, legs) == legs:
            return
        if warm:
            self._hot[message.pair] = legs
        else:
            self._hot.pop(message.pair, None)
        hot = {leg for pair in self._hot.values() for leg in pair}
        for name, venue in self._venues.items():
            venue.heat(
                frozenset(slug for (account, slug) in hot if self._parent_of.get((account, slug)) == name)
            )
