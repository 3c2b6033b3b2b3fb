"""One channel: what goes out next, how fast, and how long it waits after a failure. Pure.

One message at a time is under way. Critical items go first and wait for no rate; of the rest, what does not
fit into the rate goes out together as one digest. Times are monotonic microseconds, quiet hours wall time.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from libs.common.instant import US_PER_SEC, Now
from libs.common.messages import AlertLevel
from services.notifier.model import Item, Route

BACKOFF_SEC: Final = (1, 2, 5, 10, 30, 60, 120, 300)
URGENT_BACKOFF_SEC_MAX: Final = 30
"""While something critical waits, a channel that is down is tried at least this often."""

FAILURES_DOWN: Final = 3
"""So many failures in a row, and the channel counts as down: critical items go to the next one."""

REFUSED_MAX: Final = 3
"""A message refused so often comes after all others: it must not stand in their way."""

BURST: Final = 5.0
GAP_US: Final = US_PER_SEC // 4  # Feishu: 5 a second and 100 a minute for one bot
DIGEST_ITEMS: Final = 20
SINGLES_MAX: Final = 3


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What goes out as one message: id -> repeats that it tells of, and how many found no room."""

    token: int
    said: dict[str, int]
    left_out: int = 0

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self.said)


class Lane:
    """The state of one channel in this life; what waits for it is the desk's."""

    def __init__(self, route: Route, *, messages_per_min: float, zone: ZoneInfo) -> None:
        self.route = route
        self._per_us = messages_per_min / (60 * US_PER_SEC)
        self._zone = zone
        self._tokens, self._counted_us = BURST, 0
        self._not_before_us = 0
        self._singles = 0
        self._refused: dict[str, int] = {}
        self._failed_us = 0
        self.under_way: Batch | None = None
        self.failures = 0
        self.error = ""
        self.down_since_us: int | None = None

    def reload(self, route: Route, *, messages_per_min: float) -> None:
        """Other hours, levels and pace from now on."""
        self.route = route
        self._per_us = messages_per_min / (60 * US_PER_SEC)

    @property
    def down(self) -> bool:
        return self.failures >= FAILURES_DOWN

    def pick(self, waiting: Iterable[Item], now: Now) -> tuple[Item, ...]:
        """The items of the next message, none when nothing is due. `waiting`: what it must still deliver."""
        if self.under_way is not None:
            return ()
        ready = tuple(sorted((item for item in waiting if self._may(item, now)), key=self._order))
        if not ready or now.mono_us < self._due_us(ready[0]):
            return ()
        self._refill(now.mono_us)
        if self._singles or self._is_refused(ready[0]):
            return ready[:1]  # refused ones come last of all: when one is the first, only such are left
        urgent = tuple(item for item in ready if item.urgent and not self._is_refused(item))
        if urgent:
            return urgent[:1] if len(urgent) <= SINGLES_MAX else urgent[:DIGEST_ITEMS]
        if self._tokens < 1:
            return ()
        good = tuple(item for item in ready if not self._is_refused(item))
        return good[:1] if len(good) <= self._tokens else good[:DIGEST_ITEMS]

    def begin(self, items: tuple[Item, ...], *, token: int, now: Now, left_out: int = 0) -> Batch:
        """These are under way."""
        said = {item.id: item.repeats for item in items}
        self.under_way = Batch(token=token, said=said, left_out=left_out)
        self._tokens = max(0.0, self._tokens - 1)
        self._not_before_us = now.mono_us + GAP_US
        return self.under_way

    def succeed(self) -> None:
        """The message has arrived."""
        if self.under_way is not None:
            for one in self.under_way.said:
                self._refused.pop(one, None)
        self._singles = max(0, self._singles - 1)
        self.failures, self.error, self.down_since_us = 0, "", None
        self.under_way = None

    def fail(self, error: str, *, refused: bool, now: Now) -> None:
        """It has not. A refused digest is tried again item by item: one of them may be at fault."""
        batch, self.under_way = self.under_way, None
        if refused and batch is not None:
            if len(batch.said) > 1:
                self._singles = len(batch.said)
            else:
                self._singles = max(0, self._singles - 1)
                for one in batch.said:
                    self._refused[one] = self._refused.get(one, 0) + 1
        self.failures += 1
        self.error = error
        self._failed_us = now.mono_us
        if self.down_since_us is None:
            self.down_since_us = now.mono_us

    def forget(self, known: Iterable[str]) -> None:
        """Refusals of items that are gone."""
        alive = set(known)
        self._refused = {one: count for one, count in self._refused.items() if one in alive}

    def rename(self, old: str, new: str) -> None:
        """An item has another id from now on: what is under way confirms it under that one."""
        batch = self.under_way
        if batch is not None and old in batch.said:
            said = {new if one == old else one: repeats for one, repeats in batch.said.items()}
            self.under_way = msgspec.structs.replace(batch, said=said)

    def quiet(self, wall_us: int) -> bool:
        """Whether it is night there."""
        if self.route.quiet is None:
            return False
        local = datetime.fromtimestamp(wall_us / US_PER_SEC, tz=self._zone)
        minute, (first, last) = local.hour * 60 + local.minute, self.route.quiet
        return first <= minute < last if first < last else minute >= first or minute < last

    def _may(self, item: Item, now: Now) -> bool:
        calm = item.level is AlertLevel.INFO or item.kind in ("opportunity", "report")
        return not (calm and self.quiet(now.wall_us))

    def _due_us(self, first: Item) -> int:
        if not self.failures:
            return self._not_before_us
        pause_sec = BACKOFF_SEC[min(self.failures, len(BACKOFF_SEC)) - 1]
        if first.urgent:
            pause_sec = min(pause_sec, URGENT_BACKOFF_SEC_MAX)
        return self._failed_us + pause_sec * US_PER_SEC

    def _is_refused(self, item: Item) -> bool:
        return self._refused.get(item.id, 0) >= REFUSED_MAX

    def _order(self, item: Item) -> tuple[bool, tuple[int, int, str]]:
        return self._is_refused(item), item.order

    def _refill(self, mono_us: int) -> None:
        if self._counted_us:
            self._tokens = min(BURST, self._tokens + (mono_us - self._counted_us) * self._per_us)
        self._counted_us = mono_us
