"""What Prometheus is told of messages that wait. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from libs.common.effects import Measure
from libs.common.instant import US_PER_SEC, Now
from services.notifier.desk import Desk
from services.notifier.lane import Lane


def measures(desk: Desk, lanes: Mapping[str, Lane], now: Now) -> Iterator[Measure]:
    """Each second; refusals of items that are gone are forgotten with it."""
    items = list(desk.items.values())
    for name, lane in lanes.items():
        waiting = [item for item in items if name in item.waiting]
        oldest_us = min((item.taken_us for item in waiting), default=now.wall_us)
        labels = {"channel": name}
        yield Measure(metric="fundarb_notifications_waiting", value=len(waiting), labels=labels)
        age_sec = max(0, now.wall_us - oldest_us) / US_PER_SEC
        yield Measure(metric="fundarb_notifications_oldest_seconds", value=age_sec, labels=labels)
        lane.forget(desk.items)
    yield Measure(metric="fundarb_alerts_unacknowledged", value=len(desk.unacknowledged()))
