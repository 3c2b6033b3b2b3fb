"""What the feed asks of its shell, and what its shell tells it: plain values.

Every request names the venue whose market data it needs (never a sub-account) and is answered with
its own result type or with a `Failure`; an answer with an `error` is a bug of ours.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from libs.common.effects import Event, Request
from libs.exchange.port import Instrument, Observation

StreamKind = Literal["quote", "mark"]


class Key(NamedTuple):
    """A task: its kind, and the instrument where it has one."""

    kind: str
    slug: str = ""


LOAD, RECALL, QUOTES, FUNDING, CLOCK = Key("load"), Key("recall"), Key("quotes"), Key("funding"), Key("clock")


class Observed(Event, frozen=True, kw_only=True):
    """Something that a stream pushed."""

    observation: Observation


class VenueRequest(Request, frozen=True, kw_only=True):
    """Work at one venue; `key` is the task that it belongs to."""

    venue: str

    @property
    def key(self) -> Key:
        raise ValueError(f"{type(self).__name__} names no task")


class LoadVenue(VenueRequest, frozen=True, kw_only=True):
    """Answered with `Loaded`."""

    @property
    def key(self) -> Key:
        return LOAD


class RecallWatermarks(VenueRequest, frozen=True, kw_only=True):
    """Which print of each instrument was said last, in a former life: answered with `{slug: settled_ms}`."""

    @property
    def key(self) -> Key:
        return RECALL


class PollFunding(VenueRequest, frozen=True, kw_only=True):
    """Current rates: answered with a list of `FundingSeen`."""

    slugs: tuple[str, ...]

    @property
    def key(self) -> Key:
        return FUNDING


class PollQuotes(VenueRequest, frozen=True, kw_only=True):
    """Best bids and asks: answered with a list of `QuoteSeen`."""

    slugs: tuple[str, ...]

    @property
    def key(self) -> Key:
        return QUOTES


class PollBook(VenueRequest, frozen=True, kw_only=True):
    """One book: answered with `BookSeen`."""

    slug: str

    @property
    def key(self) -> Key:
        return Key("book", self.slug)


class FetchSettled(VenueRequest, frozen=True, kw_only=True):
    """Prints of [since_ms, until_ms]: answered with a list of `SettledSeen`."""

    slug: str
    since_ms: int
    until_ms: int

    @property
    def key(self) -> Key:
        return Key("settled", self.slug)


class MeasureClock(VenueRequest, frozen=True, kw_only=True):
    """Answered with the venue's offset in ms."""

    @property
    def key(self) -> Key:
        return CLOCK


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """The instruments that were asked for and exist, and what this venue streams."""

    instruments: dict[str, Instrument]
    streams: frozenset[StreamKind] = frozenset()


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A venue's call failed; classes and `retry_after_sec` as in `libs.exchange.port.VenueError`."""

    error_class: str
    text: str
    retry_after_sec: float | None = None
