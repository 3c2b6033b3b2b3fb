"""When which work is due at one venue, and how long to leave it alone after an error.

Pure. No randomness: tasks of one kind are spread evenly over their period, in order, so that a restart
does the same again and no two venues need to be lucky.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

import msgspec

from libs.common.instant import US_PER_SEC
from services.feed.work import Key

# A venue answers a few calls at once; more would only wait in ccxt's limiter, in front of what is urgent.
IN_FLIGHT_MAX: Final = 4
# What is slow (a month of prints, forty books) never takes all of them: quotes and rates go first.
IN_FLIGHT_MAX_OF: Final = {"settled": 2, "book": 2}
ORDER: Final = {"load": 0, "recall": 0, "quotes": 1, "funding": 2, "settled": 3, "clock": 4, "book": 5}
# A settlement that a venue has not shown yet is asked for again after 1, 2, 4, ... 30 s.
RETRY_FIRST_US: Final = US_PER_SEC
RETRY_MAX_US: Final = 30 * US_PER_SEC


class BackOff(NamedTuple):
    """First delay, doubled with each failure in a row up to the longest; for the venue or that task alone."""

    first_sec: float
    longest_sec: float
    whole_venue: bool


BACK_OFF: Final[dict[str, BackOff]] = {
    "network": BackOff(1, 30, whole_venue=True),
    "timeout": BackOff(1, 30, whole_venue=True),
    # Going on after a 429 makes a ban of it (Binance: 418, 2 minutes to 3 days).
    "rate_limit": BackOff(15, 300, whole_venue=True),
    "maintenance": BackOff(30, 300, whole_venue=True),
    "auth": BackOff(60, 600, whole_venue=True),
    "bad_payload": BackOff(2, 60, whole_venue=False),
    "exchange": BackOff(2, 60, whole_venue=False),
    "not_supported": BackOff(3_600, 3_600, whole_venue=False),
}
# What a venue says itself is waited out, up to the longest ban that is known (Binance, three days).
RETRY_AFTER_SEC_MAX: Final = 3 * 86_400.0
OTHER_ERRORS: Final = BackOff(5, 60, whole_venue=False)


class Task(msgspec.Struct, kw_only=True):
    """Work that comes round each `period_us` (None: only when asked for). Times are monotonic."""

    key: Key
    period_us: int | None
    due_us: int | None
    in_flight: bool = False
    failures: int = 0
    held_until_us: int = 0


class Schedule:
    """The tasks of one venue."""

    def __init__(self) -> None:
        self._tasks: dict[Key, Task] = {}
        self._held_until_us = 0
        self._failures = 0

    def add(self, key: Key, *, period_us: int | None, due_us: int | None) -> None:
        """A new task; one that exists keeps its place and takes the new period."""
        task = self._tasks.get(key)
        if task is None:
            self._tasks[key] = Task(key=key, period_us=period_us, due_us=due_us)
        else:
            task.period_us = period_us

    def spread(self, keys: list[Key], *, period_us: int, from_us: int) -> None:
        """Tasks of one period, evenly apart."""
        for place, key in enumerate(keys):
            self.add(key, period_us=period_us, due_us=from_us + place * period_us // len(keys))

    def ask(self, key: Key, *, at_us: int) -> None:
        """Do it at that time at the latest; a back-off after a failure is kept all the same."""
        task = self._tasks.get(key)
        if task is None:
            self._tasks[key] = Task(key=key, period_us=None, due_us=at_us)
        elif task.due_us is None or task.due_us > at_us:
            task.due_us = max(at_us, task.held_until_us)

    def take(self, now_us: int) -> list[Key]:
        """What starts now, the most urgent first; they count as in flight until `done` or `failed`."""
        if now_us < self._held_until_us:
            return []
        busy = Counter(task.key.kind for task in self._tasks.values() if task.in_flight)
        due = [
            (ORDER.get(task.key.kind, len(ORDER)), task.due_us, task.key)
            for task in self._tasks.values()
            if task.due_us is not None and task.due_us <= now_us and not task.in_flight
        ]
        started: list[Key] = []
        for _, _, key in sorted(due):
            if busy.total() >= IN_FLIGHT_MAX:
                break
            if busy[key.kind] < IN_FLIGHT_MAX_OF.get(key.kind, IN_FLIGHT_MAX):
                busy[key.kind] += 1
                started.append(key)
        for key in started:
            task = self._tasks[key]
            task.in_flight = True
            task.due_us = None if task.period_us is None else now_us + task.period_us
        return started

    def release(self, key: Key, *, now_us: int) -> None:
        """It was taken and there was nothing to do."""
        task = self._tasks[key]
        task.in_flight = False
        if task.period_us is not None:
            task.due_us = now_us + task.period_us

    def done(self, key: Key) -> None:
        """It succeeded: the venue is well."""
        if (task := self._tasks.get(key)) is not None:
            task.in_flight = False
            task.failures = task.held_until_us = 0
        self._failures = 0

    def failed(self, key: Key, error_class: str, *, now_us: int, retry_after_sec: float | None = None) -> int:
        """It failed; answers for how long (us) the task, or the whole venue, is left alone: at least as long
        as the venue itself said (`retry_after_sec`).
        """
        rule = BACK_OFF.get(error_class, OTHER_ERRORS)
        task = self._tasks.get(key)
        if task is not None:
            task.in_flight = False
            task.failures += 1
        self._failures += 1
        in_a_row = 1 if task is None else task.failures
        if rule.whole_venue:
            in_a_row = max(in_a_row, self._failures)
        delay_sec = min(rule.longest_sec, rule.first_sec * 2 ** min(in_a_row - 1, 20))
        if retry_after_sec is not None:
            delay_sec = max(delay_sec, min(retry_after_sec, RETRY_AFTER_SEC_MAX))
        delay_us = int(delay_sec * US_PER_SEC)
        until_us = now_us + delay_us
        if rule.whole_venue:
            self._held_until_us = max(self._held_until_us, until_us)
        if task is not None:
            task.due_us = task.held_until_us = until_us
        return delay_us

    def failures_of(self, key: Key) -> int:
        """Failures in a row of one task."""
        task = self._tasks.get(key)
        return 0 if task is None else task.failures

    @property
    def failures(self) -> int:
        """Failed calls since the last one that succeeded."""
        return self._failures


def retry_delay_us(attempt: int) -> int:
    """Wait before the `attempt`-th (from 0) look for a settlement that was not there yet."""
    return int(min(RETRY_MAX_US, RETRY_FIRST_US * 2**attempt))
