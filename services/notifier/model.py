"""What the notifier keeps: items (one matter that a person should know), its position, its settings. Pure.

Times are wall microseconds: they go on over restarts.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from libs.common.instant import US_PER_SEC
from libs.common.messages import AlertLevel, AlertRaised

POSITION_KEY: Final = "notifier:position"
ITEMS_KEY: Final = "notifier:items"

RANK: Final = {AlertLevel.CRITICAL: 0, AlertLevel.WARNING: 1, AlertLevel.INFO: 2}
TEXT_CHARS_MAX: Final = 1_500
CONTEXT_MAX: Final = 12
CONTEXT_CHARS_MAX: Final = 200

Kind = Literal["alert", "resolved", "opportunity", "report"]


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One matter. `waiting`: channels that it must still reach.

    `repeats` were raised again within the window, `said` of them have been told. `stage` is how far
    a critical one has come along the escalation, since `stage_us`; `reminders` were said at its end.
    `direct`: heard on the bus while the store did not have it, so not written there.
    """

    id: str
    kind: Kind = "alert"
    level: AlertLevel
    key: str
    text: str
    service: str
    context: dict[str, str] = {}
    raised_us: int
    taken_us: int
    waiting: tuple[str, ...] = ()
    reached: tuple[str, ...] = ()
    repeats: int = 0
    said: int = 0
    last_text: str = ""
    stage: int = 0
    stage_us: int = 0
    reminders: int = 0
    why: str = ""
    acknowledged_by: str = ""
    direct: bool = False

    @property
    def unsaid(self) -> int:
        """Repeats after a channel was told of it."""
        return self.repeats - self.said if self.reached else 0

    @property
    def urgent(self) -> bool:
        """Goes before everything else, and escalates."""
        return self.kind == "alert" and self.level is AlertLevel.CRITICAL

    @property
    def order(self) -> tuple[int, int, str]:
        """Critical ones first, then as they were raised."""
        rank = RANK[self.level] if self.kind == "alert" else RANK[AlertLevel.INFO]
        return rank, self.raised_us, self.id

    @property
    def print(self) -> tuple[str, str, int]:
        """By this an alert heard twice (bus and stream, or a repeated append) is known as one."""
        return self.service, self.key, self.raised_us


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """What must survive besides the items.

    `cursor`: the last entry of the stream taken in. `told_us`: pair -> when its opportunity was told.
    `day`: the last daily digest. `left_out`: channel -> how many items found no room since it was last told.
    """

    cursor: str
    told_us: dict[str, int] = {}
    day: str = ""
    left_out: dict[str, int] = {}


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A channel as far as decisions need it; `quiet` in minutes of the day, local."""

    name: str
    min_level: AlertLevel
    quiet: tuple[int, int] | None = None
    daily_digest: bool = True

    def wants(self, item: Item) -> bool:
        """Whether it asks for such an item at all."""
        if item.kind == "report":
            return self.daily_digest
        return RANK[item.level] <= RANK[self.min_level]


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What the decisions need of the config."""

    deployment: str
    routes: dict[str, Route]
    chain: tuple[str, ...] = ()
    acknowledge_us: int = 300 * US_PER_SEC
    repeat_us: int = 600 * US_PER_SEC
    messages_per_min: float = 10.0
    opportunities: bool = False
    opportunity_net_daily_usd: float = 1.0
    opportunity_every_us: int = 6 * 3_600 * US_PER_SEC
    daily_digest: bool = True
    digest_hour_utc: int = 0
    heartbeat: bool = False


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A message as any channel can show it: a title, paragraphs, and named facts."""

    level: AlertLevel
    title: str
    lines: tuple[str, ...]
    facts: tuple[tuple[str, str], ...] = ()
    footer: str = ""


def item_of(entry_id: str, raised: AlertRaised, *, taken_us: int) -> Item:
    """An alert as an item that nobody waits for yet; what is long is cut."""
    context = {
        _fit(name, CONTEXT_CHARS_MAX): _fit(value, CONTEXT_CHARS_MAX)
        for name, value in list(raised.context.items())[:CONTEXT_MAX]
    }
    return Item(
        id=entry_id,
        kind="resolved" if raised.context.get("status") == "resolved" else "alert",
        level=raised.level,
        key=_fit(raised.key, CONTEXT_CHARS_MAX),
        text=_fit(raised.text, TEXT_CHARS_MAX),
        service=_fit(raised.service, CONTEXT_CHARS_MAX),
        context=context,
        raised_us=raised.wall_us,
        taken_us=taken_us,
    )


def _fit(text: str, chars_max: int) -> str:
    """Cut, and without signs that nobody sees: in JSON each of them would be six bytes."""
    return "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in shortened(text, chars_max))


def shortened(text: str, chars_max: int) -> str:
    """`text`, cut where it is longer."""
    return text if len(text) <= chars_max else text[: chars_max - 1] + "…"
