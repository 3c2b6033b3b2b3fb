"""What is shut out of decisions, and when it comes back: bad at once, good only after a while.

Pure. Each aspect of an instrument (its funding, its quotes, ...) is judged apart: good quotes do not
excuse a nonsense rate.
"""

from __future__ import annotations

from typing import Final

import msgspec

from libs.common.instant import US_PER_MS, US_PER_SEC, Now
from libs.common.messages import Quarantine
from services.feed.normalize import Aspect, Nonsense

CLEAN_COUNT_MIN: Final = 3
CLEAN_SPAN_US_MIN: Final = 10 * US_PER_SEC


class Case(msgspec.Struct, kw_only=True):
    """One reason to stay away. `clean_count` clean observations since `clean_from_us` (monotonic)."""

    nonsense: Nonsense
    since_ms: int
    clean_count: int = 0
    clean_from_us: int = 0


class Ward:
    """The open cases of one venue; instrument None is the venue itself."""

    def __init__(self) -> None:
        self._cases: dict[tuple[str | None, Aspect], Case] = {}

    def bad(self, instrument: str | None, nonsense: Nonsense, now: Now) -> bool:
        """Shut it out; True when that is news (a new case, or another reason)."""
        key = (instrument, nonsense.aspect)
        case = self._cases.get(key)
        since_ms = now.wall_us // US_PER_MS if case is None else case.since_ms
        self._cases[key] = Case(nonsense=nonsense, since_ms=since_ms)
        return case is None or case.nonsense.reason != nonsense.reason

    def clean(self, instrument: str | None, aspect: Aspect, now: Now) -> bool:
        """A clean observation; True when it ends the case: the third one at least, over 10 s."""
        case = self._cases.get((instrument, aspect))
        if case is None:
            return False
        if case.clean_count == 0:
            case.clean_from_us = now.mono_us
        case.clean_count += 1
        served = case.clean_count >= CLEAN_COUNT_MIN and now.mono_us - case.clean_from_us >= CLEAN_SPAN_US_MIN
        if served:
            del self._cases[instrument, aspect]
        return served

    def lift(self, instrument: str | None, aspect: Aspect) -> bool:
        """End a case whose cause is a fact that has changed (a listing), not a run of observations."""
        return self._cases.pop((instrument, aspect), None) is not None

    def holds(self, instrument: str | None, aspect: Aspect | None = None) -> bool:
        """Whether there is a case (of that aspect, or of any)."""
        if aspect is not None:
            return (instrument, aspect) in self._cases
        return any(held == instrument for held, _ in self._cases)

    def listed(self) -> tuple[Quarantine, ...]:
        """All cases, the venue's first; `since_ms` is wall time."""
        ordered = sorted(self._cases.items(), key=lambda item: (item[0][0] or "", item[0][1]))
        return tuple(
            Quarantine(
                instrument=instrument,
                reason=case.nonsense.reason,
                text=case.nonsense.text,
                since_ms=case.since_ms,
            )
            for (instrument, _), case in ordered
        )
