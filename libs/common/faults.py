"""How often an actor may raise: remembered for a minute, then forgiven."""

from __future__ import annotations

from collections import deque
from typing import Final

from libs.common.instant import US_PER_SEC

WINDOW_US: Final = 60 * US_PER_SEC


class Faults:
    """Monotonic times of the faults of the last minute."""

    def __init__(self, *, faults_max: int) -> None:
        self._faults_max = faults_max
        self._times: deque[int] = deque()

    def add(self, now_us: int) -> bool:
        """Note a fault; true when there have been too many: state may be half-changed, start afresh."""
        self._times.append(now_us)
        return self.recent(now_us) >= self._faults_max

    def recent(self, now_us: int) -> int:
        """How many happened within the last minute."""
        while self._times and now_us - self._times[0] > WINDOW_US:
            self._times.popleft()
        return len(self._times)
