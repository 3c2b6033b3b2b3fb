"""How well a venue is seen: ages, gaps, errors, clock offset.

Pure. An age counts from the last frame *or* confirming poll: a quiet symbol is not a stale one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from libs.common.effects import Effect, Forget, Measure
from libs.common.instant import MS_PER_SEC, US_PER_SEC, Now
from libs.common.messages import Quarantine, VenueHealth

# Connected: something was heard within this time, or within 2.5 polling intervals, whichever is longer.
SILENCE_US_MIN: Final = 10 * US_PER_SEC
SILENCE_INTERVALS: Final = 2.5


class Freshness:
    """What is known about one venue's data; times are monotonic."""

    def __init__(self, venue: str, *, interval_us: int) -> None:
        self._venue = venue
        self._silence_us = max(SILENCE_US_MIN, int(SILENCE_INTERVALS * interval_us))
        self._seen_us: dict[str, int] = {}
        self._instrument_us: dict[tuple[str, str], int] = {}
        self._heard_us: int | None = None
        self._gaps = 0
        self._missing: dict[str, int] = {}
        self._errors: dict[str, int] = {}
        self._offset_ms: float | None = None
        self._expected: frozenset[str] = frozenset()
        self._expected_from_us: int | None = None

    def expect(self, kinds: Iterable[str], now: Now) -> None:
        """Kinds that this venue ought to give: they age from the first call on, should nothing ever come."""
        self._expected = frozenset(kinds)
        if self._expected_from_us is None:
            self._expected_from_us = now.mono_us

    def seen(self, kind: str, instrument: str, now: Now) -> None:
        """A frame or a poll's answer that was sound enough to be read."""
        self.heard(now)
        self._seen_us[kind] = now.mono_us
        self._instrument_us[kind, instrument] = now.mono_us

    def heard(self, now: Now) -> None:
        """The venue answered, whatever it said."""
        self._heard_us = now.mono_us

    def quiet_us(self, kind: str, instrument: str, now: Now) -> int | None:
        """Age of an instrument's newest observation, None when there was none."""
        seen = self._instrument_us.get((kind, instrument))
        return None if seen is None else now.mono_us - seen

    def gap(self) -> Iterable[Effect]:
        """A stream broke: what lies between was not seen."""
        self._gaps += 1
        yield Measure(metric="fundarb_data_gaps_total", value=1.0, labels={"venue": self._venue})

    def missing(self, instrument: str, count: int) -> None:
        """Settlements of an instrument that the venue never gave, in all."""
        self._missing[instrument] = count

    def error(self, error_class: str) -> Iterable[Effect]:
        """Count a failed call."""
        self._errors[error_class] = self._errors.get(error_class, 0) + 1
        yield Measure(
            metric="fundarb_venue_errors_total",
            value=1.0,
            labels={"venue": self._venue, "class": error_class},
        )

    def offset(self, offset_ms: float) -> Iterable[Effect]:
        """Venue clock minus ours."""
        self._offset_ms = offset_ms
        yield Measure(
            metric="fundarb_clock_offset_seconds", value=offset_ms / MS_PER_SEC, labels={"venue": self._venue}
        )

    def lost_clock(self) -> Iterable[Effect]:
        """The clock could not be measured: an old offset is not shown as if it stood."""
        if self._offset_ms is None:
            return
        self._offset_ms = None
        yield Forget(metric="fundarb_clock_offset_seconds", labels={"venue": self._venue})

    def ages_sec(self, now: Now) -> dict[str, float]:
        """Seconds since the last sign, by kind; what is expected and never came counts from the start."""
        since_us = dict.fromkeys(self._expected, self._expected_from_us or 0) | self._seen_us
        return {
            kind: round((now.mono_us - at_us) / US_PER_SEC, 3) for kind, at_us in sorted(since_us.items())
        }

    def measures(self, now: Now) -> Iterable[Effect]:
        """The ages as metrics."""
        for kind, age in self.ages_sec(now).items():
            yield Measure(
                metric="fundarb_data_age_seconds", value=age, labels={"venue": self._venue, "kind": kind}
            )

    def connected(self, now: Now) -> bool:
        """Whether anything was heard lately."""
        return self._heard_us is not None and now.mono_us - self._heard_us <= self._silence_us

    def health(self, quarantined: tuple[Quarantine, ...], now: Now, *, loaded: bool = True) -> VenueHealth:
        """`loaded`: its instruments are known.

        `gaps` are broken streams and settlements that the venue never gave, together.
        """
        return VenueHealth(
            venue=self._venue,
            connected=loaded and self.connected(now),
            ages_sec=self.ages_sec(now),
            gaps=self._gaps + sum(self._missing.values()),
            errors=dict(sorted(self._errors.items())),
            clock_offset_ms=self._offset_ms,
            quarantined=quarantined,
            recv_us=now.wall_us,
        )
