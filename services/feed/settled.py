"""Settled prints of one instrument: each once, with the interval that it was paid for.

Pure. A print that the venue never gave stays missing: nothing is filled in, holes are counted.
"""

from __future__ import annotations

import bisect
from itertools import pairwise
from typing import Final

import msgspec

from libs.carry.intervals import IntervalUnknown, derive_intervals
from libs.common.instant import MS_PER_HOUR
from libs.common.messages import Settlement
from libs.exchange.port import SettledSeen
from services.feed.normalize import Interval

# Venues stamp a settlement up to 999 ms after its instant; all settle on whole minutes.
GRID_MS: Final = 60_000
# 1200 prints of at most 46 bytes stay below NATS' 64 KB; an hourly instrument has 744 in 31 days.
PRINTS_MAX: Final = 1_200
_SLACK: Final = 1.01


def on_grid(stamp_ms: int) -> int:
    """The settlement instant that a stamp means.

    >>> on_grid(1_698_768_000_999)
    1698768000000
    """
    return (stamp_ms + GRID_MS // 2) // GRID_MS * GRID_MS


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A print as last heard; the latest arrival wins, which makes a venue's correction count."""

    rate: float
    recv_us: int


class Ledger:
    """The prints of one instrument within `history_ms`, and the intervals that were current at their time."""

    def __init__(self, *, history_ms: int) -> None:
        self._history_ms = history_ms
        self._seen: dict[int, Seen] = {}
        self._times: list[int] = []
        self._recorded: dict[int, Interval] = {}
        self._current: Interval | None = None
        self._since_ms: int | None = None
        self._cache: tuple[Settlement, ...] | None = None

    @property
    def last_ms(self) -> int | None:
        """The newest print's instant."""
        return self._times[-1] if self._times else None

    @property
    def covered_since_ms(self) -> int | None:
        """From when on the venue was asked and answered."""
        return self._since_ms

    def covered(self, since_ms: int) -> None:
        """The venue answered for everything from `since_ms` on."""
        self._since_ms = since_ms if self._since_ms is None else min(self._since_ms, since_ms)

    def record(self, next_ms: int, interval: Interval) -> Interval | None:
        """The current interval of the settlement at `next_ms`; answers the former one when it changed."""
        self._recorded[on_grid(next_ms)] = interval
        former, self._current = self._current, interval
        if former is not None and former.hours == interval.hours:
            return None
        self._cache = None
        return former

    def interval_for(self, next_ms: int | None) -> Interval | None:
        """What was learnt for that settlement, else the current interval: for frames that carry none."""
        if next_ms is not None and (recorded := self._recorded.get(on_grid(next_ms))) is not None:
            return recorded
        return self._current

    def add(self, seen: SettledSeen) -> int | None:
        """Take a print; answers its instant when it is new or corrected, None when it says nothing new."""
        if seen.rate is None:
            raise ValueError("a print without a rate is no print")
        instant = on_grid(seen.settled_ms)
        known = self._seen.get(instant)
        # Equal stamps are ordered by rate, so that every order of arrival ends at the same history.
        if known is not None and (known.recv_us, known.rate) >= (seen.recv_us, seen.rate):
            return None
        self._seen[instant] = Seen(rate=seen.rate, recv_us=seen.recv_us)
        if known is None:
            bisect.insort(self._times, instant)
        self._cache = None
        return None if known is not None and known.rate == seen.rate else instant

    def trim(self, market_ms: int) -> bool:
        """Forget what is older than the history; True when something went."""
        oldest = market_ms - self._history_ms
        cut = bisect.bisect_left(self._times, oldest)
        for instant in self._times[:cut]:
            del self._seen[instant]
        self._times = self._times[cut:]
        self._recorded = {at: interval for at, interval in self._recorded.items() if at >= oldest}
        if self._since_ms is not None:
            self._since_ms = max(self._since_ms, oldest)
        if cut:
            self._cache = None
        return cut > 0

    def prints(self) -> tuple[Settlement, ...]:
        """Oldest first. A lone print of unknown interval is left out: a rate never stands without one."""
        if self._cache is None:
            self._cache = self._derive()
        return self._cache

    def page(self) -> tuple[tuple[Settlement, ...], int | None]:
        """The newest prints that fit into one message, and from when on they are complete."""
        prints = self.prints()
        if len(prints) <= PRINTS_MAX:
            return prints, self._since_ms
        newest = prints[-PRINTS_MAX:]
        return newest, newest[0].settled_ms

    def at(self, instant: int) -> Settlement | None:
        """One print."""
        prints = self.prints()
        where = bisect.bisect_left(prints, instant, key=lambda one: one.settled_ms)
        return prints[where] if where < len(prints) and prints[where].settled_ms == instant else None

    def source_at(self, instant: int) -> Interval | None:
        """The interval that was current before that settlement, when it was seen."""
        return self._recorded.get(instant)

    def missing(self) -> int:
        """How many settlements between the first and the last print were never given."""
        prints = self.prints()
        count = 0
        for before, after in pairwise(prints):
            step = (after.settled_ms - before.settled_ms) / MS_PER_HOUR
            if step > after.interval_hours * _SLACK:
                count += max(1, round(step / after.interval_hours) - 1)
        return count

    def _derive(self) -> tuple[Settlement, ...]:
        hints = {at: interval.hours for at, interval in self._recorded.items()}
        current_hours = None if self._current is None else self._current.hours
        try:
            hours = derive_intervals(self._times, hints=hints, current_hours=current_hours)
        except IntervalUnknown:
            return ()
        return tuple(
            Settlement(settled_ms=instant, rate=self._seen[instant].rate, interval_hours=length)
            for instant, length in zip(self._times, hours, strict=True)
        )
