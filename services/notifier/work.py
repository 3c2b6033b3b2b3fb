"""What the notifier asks its shell to do, and what it gets: plain values."""

from __future__ import annotations

import msgspec

from libs.common.effects import Request
from libs.common.messages import AlertRaised
from services.notifier.model import Item, Notice, Position


class LoadState(Request, frozen=True, kw_only=True):
    """Read position and items. Answered with `Kept`."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What the store `store_id` holds; `position` None is a deployment that never had a notifier."""

    position: Position | None
    version: int
    store_id: str
    items: tuple[Item, ...]


class ReadAlerts(Request, frozen=True, kw_only=True):
    """The next `count` entries of the stream after `after`. Answered with `Entries`."""

    after: str
    count: int


class Entries(msgspec.Struct, frozen=True, kw_only=True):
    """(Entry id, alert) in the order of the stream; None is an entry that cannot be read."""

    alerts: tuple[tuple[str, AlertRaised | None], ...]


class TrimAlerts(Request, frozen=True, kw_only=True):
    """Drop entries of the stream older than the id `before`."""

    before: str


class Send(Request, frozen=True, kw_only=True):
    """Deliver a notice. Answered without an error only when the channel has confirmed it."""

    channel: str
    notice: Notice
    ids: tuple[str, ...]
    token: int


class PingHeartbeat(Request, frozen=True, kw_only=True):
    """Tell the outer watchdog that alerts still reach people."""


class NotDelivered(Exception):
    """A channel did not take a message. `refused`: it will not take this message the next time either."""

    def __init__(self, text: str, *, refused: bool = False) -> None:
        super().__init__(text)
        self.error_class = "refused" if refused else "failed"
