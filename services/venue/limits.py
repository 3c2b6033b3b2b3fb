"""Request limits as the real venues keep them, per IP in fixed windows of wall time. Pure."""

from __future__ import annotations

from typing import Final

# A client that goes on calling this often after its first 429 is banned with 418.
CALLS_AFTER_429_MAX: Final = 20
BAN_MS: Final = 120_000


class Window:
    """Counts weight in a window of `length_ms`; forgets it when the next one begins."""

    def __init__(self, *, limit: int, length_ms: int) -> None:
        self.limit = limit
        self.length_ms = length_ms
        self.used = 0
        self.refused = 0
        self._number = -1

    def spend(self, weight: int, wall_ms: int) -> bool:
        """Count `weight`; False when the window's limit is exceeded."""
        number = wall_ms // self.length_ms
        if number != self._number:
            self._number, self.used, self.refused = number, 0, 0
        self.used += weight
        if self.used <= self.limit or weight == 0:
            return True
        self.refused += 1
        return False

    def ends_in_sec(self, wall_ms: int) -> int:
        """Seconds until the window ends, at least 1: the value for Retry-After."""
        return max(1, -(-(self.length_ms - wall_ms % self.length_ms) // 1_000))


class Bans:
    """Who goes on after a 429 gets 418 until the ban ends."""

    def __init__(self) -> None:
        self.until_ms = 0

    def consider(self, window: Window, wall_ms: int) -> None:
        """Ban when the window was overrun too often."""
        if window.refused > CALLS_AFTER_429_MAX:
            self.until_ms = wall_ms + BAN_MS

    def active(self, wall_ms: int) -> bool:
        """Whether the ban holds."""
        return wall_ms < self.until_ms
