"""Enter late, leave later: what every control needs so that a figure at its bound does not flap. Pure.

Times are of whatever base the caller counts in (monotonic us for ages, market ms for prices), never mixed.
"""

from __future__ import annotations

from collections import deque
from typing import Final

_NEVER: Final = -(10**18)


class Switch:
    """On once `over` has held without a break for `enter`; off once `calm` has held for `leave`.

    Between over and calm it stays what it is: the band of the hysteresis. `over` and `calm` together count as
    over: doubt is never calm.
    """

    def __init__(self, *, enter: int = 0, leave: int = 0, on: bool = False) -> None:
        self._enter, self._leave = enter, leave
        self._over_since: int | None = None
        self._calm_since: int | None = None
        self.on = on

    def judge(self, at: int, *, over: bool, calm: bool | None = None) -> bool:
        """Fold one look in (`calm` None: not over) and answer whether it is on."""
        calm = not over if calm is None else calm and not over
        if over:
            self._calm_since = None
            if self._over_since is None:
                self._over_since = at
            if at - self._over_since >= self._enter:
                self.on = True
            return self.on
        self._over_since = None
        if not calm:
            self._calm_since = None
            return self.on
        if self._calm_since is None:
            self._calm_since = at
        if at - self._calm_since >= self._leave:
            self.on = False
        return self.on

    def left(self, at: int) -> int | None:
        """How much calm is missing until it goes off; None while it is not calm, or off."""
        if not self.on or self._calm_since is None:
            return None
        return max(0, self._leave - (at - self._calm_since))

    def reset(self) -> None:
        """Off, and everything forgotten."""
        self.on, self._over_since, self._calm_since = False, None, None


class Window:
    """How many events lie within the last `span`. `many`: more are not kept, it is enough to know of them."""

    def __init__(self, span: int, *, many: int = 1_000) -> None:
        self._span = span
        self._at: deque[int] = deque(maxlen=many)

    def add(self, at: int) -> None:
        """One more."""
        self._at.append(at)

    def count(self, at: int) -> int:
        """How many in (at - span, at]."""
        while self._at and at - self._at[0] >= self._span:
            self._at.popleft()
        return len(self._at)

    def clear(self) -> None:
        """None any more."""
        self._at.clear()


class Extremes:
    """The least and the greatest of what came within the last `span`; each is amortised O(1)."""

    def __init__(self, span: int) -> None:
        self._span = span
        self._low: deque[tuple[int, float]] = deque()
        self._high: deque[tuple[int, float]] = deque()

    def add(self, at: int, value: float) -> None:
        """A new value, later than those before; of an earlier instant it counts as of the latest known."""
        at = max(at, self._low[-1][0] if self._low else _NEVER)
        while self._low and self._low[-1][1] >= value:
            self._low.pop()
        self._low.append((at, value))
        while self._high and self._high[-1][1] <= value:
            self._high.pop()
        self._high.append((at, value))

    def spread(self, at: int) -> float:
        """(greatest - least) / least within the window; 0 with less than two values."""
        for line in (self._low, self._high):
            while len(line) > 1 and at - line[0][0] > self._span:
                line.popleft()
        if not self._low:
            return 0.0
        low, high = self._low[0][1], self._high[0][1]
        return (high - low) / low if low > 0 else 0.0
