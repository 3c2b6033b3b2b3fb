"""The notifier: from the alerts stream, the bus and opportunities to messages that have arrived. Pure.

The stream is the source. The bus only wakes it, and speaks for the store while that is away: a critical alert
that the stream does not have after a few seconds is told at once, and known again when the entry comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from libs.common.commands import Asked, CommandDesk
from libs.common.config.schema import Config
from libs.common.effects import (
    Alert,
    Answered,
    Effect,
    Event,
    Health,
    Measure,
    Note,
    Persist,
    Persisted,
    Received,
    Reloaded,
    SetTimer,
    Started,
    TimerFired,
)
from libs.common.instant import US_PER_MS, US_PER_SEC, Now
from libs.common.messages import AlertLevel, AlertRaised, Evaluation, Opportunity
from libs.common.messages_exec import BookSummary
from services.notifier.alertmanager import ALERTMANAGER
from services.notifier.desk import Desk
from services.notifier.escalation import due
from services.notifier.lane import Batch, Lane
from services.notifier.meters import measures
from services.notifier.model import Item, Position, Setting, item_of
from services.notifier.news import Recap, Scout
from services.notifier.obeying import obey
from services.notifier.wording import notice_of
from services.notifier.work import Entries, Kept, LoadState, PingHeartbeat, ReadAlerts, Send, TrimAlerts

TICK, BEAT, TRIM = "tick", "beat", "trim"
TICK_US: Final = US_PER_SEC
BEAT_US: Final = 60 * US_PER_SEC
TRIM_US: Final = 3_600 * US_PER_SEC
READ_COUNT: Final = 500
FIRST_US: Final = 3_600 * US_PER_SEC
"""A deployment that never had a notifier begins with the alerts of the last hour."""

KEPT_US: Final = 7 * 24 * 3_600 * US_PER_SEC
"""What has been taken in stays readable in the stream so long."""

HEARD_US_MAX: Final = 5 * US_PER_SEC
HEARD_MAX: Final = 1_000
CONFLICT_TICKS: Final = 30
WRITE: Final = "notifier"
OUTAGE_ALERT_FAILURES: Final = 5


class Notifier:
    """Actor of the notifier service."""

    def __init__(
        self,
        setting: Setting,
        *,
        zone: ZoneInfo,
        commands: CommandDesk,
        setting_of: Callable[[Config], Setting],
    ) -> None:
        self._setting, self._setting_of = setting, setting_of
        self._zone = zone
        self._commands = commands
        self.desk = Desk(setting)
        self.lanes = {
            name: Lane(route, messages_per_min=setting.messages_per_min, zone=zone)
            for name, route in setting.routes.items()
        }
        self._scout = Scout(setting)
        self._recap = Recap(setting)
        self._token = 0
        self._reading = self._loading = False
        self._read_wanted, self._load_wanted, self._pause_ticks = False, True, 0
        self._store_problem = "the alerts stream is not read yet"
        self._heard: dict[tuple[str, str, int], tuple[AlertRaised, int]] = {}
        self._direct: dict[tuple[str, str, int], str] = {}
        self._unsettled: list[tuple[str, Batch]] = []
        self._at_risk: list[Lane] = []

    def handle(self, event: Event, now: Now) -> Iterator[Effect]:
        answers: list[Effect] = []
        match event:
            case Started():
                for name, after_us in ((TICK, TICK_US), (BEAT, US_PER_SEC), (TRIM, TRIM_US)):
                    yield SetTimer(name=name, after_us=after_us)
            case TimerFired(name=name):
                yield from self._timer(name, now)
            case Received():
                answers = list(self._receive(event, now))
            case Answered():
                yield from self._answered(event, now)
            case Persisted():
                yield from self._persisted(event)
            case Reloaded(config=config):
                self._reload(config)
            case _:
                pass  # Draining: what is under way is waited for by the runtime, the rest is durable
        yield from self._go_on(now, answers)

    # --- time -------------------------------------------------------------------------------------

    def _timer(self, name: str, now: Now) -> Iterator[Effect]:
        if name == TICK:
            yield SetTimer(name=TICK, after_us=TICK_US)
            self._pause_ticks = max(0, self._pause_ticks - 1)
            self._read_wanted, self._load_wanted = True, not self._pause_ticks
            self._speak_for_the_store(now)
            self.desk.sweep(now.wall_us)
            for item in list(self.desk.items.values()):
                if why := due(item, self.lanes, self._setting, wall_us=now.wall_us):
                    self.desk.escalate(item, why=why, wall_us=now.wall_us)
            if self.desk.position is not None:
                self._tell_the_day(self.desk.position, now)
            yield from measures(self.desk, self.lanes, now)
        elif name == BEAT:
            yield SetTimer(name=BEAT, after_us=BEAT_US)
            if self._setting.heartbeat and not self._store_problem and not self._mute:
                yield PingHeartbeat()
        elif name == TRIM:
            yield SetTimer(name=TRIM, after_us=TRIM_US)
            if self.desk.position is not None:
                kept_ms = max(0, now.wall_us - KEPT_US) // US_PER_MS
                cursor_ms = int(self.desk.position.cursor.partition("-")[0])
                yield TrimAlerts(before=f"{min(kept_ms, cursor_ms)}-0")

    @property
    def _mute(self) -> bool:
        """Nobody can be reached: the outer watchdog must notice."""
        return bool(self.lanes) and all(lane.down for lane in self.lanes.values())

    def _tell_the_day(self, position: Position, now: Now) -> None:
        report = self._recap.due(position, now)
        if report is not None:
            self.desk.move(msgspec.structs.replace(position, day=report.key.removeprefix("report:")))
            self.desk.add(report)

    # --- what comes in ----------------------------------------------------------------------------

    def _receive(self, event: Received, now: Now) -> Iterable[Effect]:
        match event.message:
            case AlertRaised() as raised:
                return self._hear(raised, now)
            case Opportunity() as opportunity:
                self._recap.see(opportunity)
                if self.desk.position is not None:
                    self._tell_opportunity(self.desk.position, opportunity, now)
            case Evaluation() | BookSummary() as figures:
                self._recap.see(figures)
            case _:
                asked = self._commands.take(event, now)
                return self._obeyed(asked) if isinstance(asked, Asked) else asked
        return ()

    def _hear(self, raised: AlertRaised, now: Now) -> list[Effect]:
        self._read_wanted = True
        self._recap.count(raised.level)
        if raised.level is AlertLevel.CRITICAL and len(self._heard) < HEARD_MAX:
            self._heard.setdefault((raised.service, raised.key, raised.wall_us), (raised, now.mono_us))
        if raised.service != ALERTMANAGER:
            return []
        level = {"level": raised.level.value}
        return [Measure(metric="fundarb_webhook_alerts_total", value=1, labels=level)]

    def _speak_for_the_store(self, now: Now) -> None:
        """Critical alerts that were heard, and are still not in the stream."""
        for known, (raised, heard_us) in list(self._heard.items()):
            if now.mono_us - heard_us >= HEARD_US_MAX:
                del self._heard[known]
                if known in self._direct:
                    continue
                item = item_of(
                    f"bus-{raised.wall_us}-{raised.service}-{raised.key}", raised, taken_us=now.wall_us
                )
                item = self.desk.add(msgspec.structs.replace(item, direct=True))
                self._direct[known] = item.id

    def _tell_opportunity(self, position: Position, opportunity: Opportunity, now: Now) -> None:
        item = self._scout.judge(opportunity, position, now)
        if item is not None:
            told = self._scout.remembered(position.told_us, opportunity.pair, now.wall_us)
            self.desk.move(msgspec.structs.replace(position, told_us=told))
            self.desk.add(item)

    def _obeyed(self, asked: Asked) -> list[Effect]:
        return obey(asked, self.desk, self.lanes, self._store_problem)

    def _reload(self, config: Config) -> None:
        """Channels, zone and servers are as before: `config.reload` lets nothing else through."""
        setting = self._setting = self._setting_of(config)
        self.desk.reload(setting)
        for name, lane in self.lanes.items():
            lane.reload(setting.routes[name], messages_per_min=setting.messages_per_min)
        self._scout.setting = self._recap.setting = setting

    # --- answers ----------------------------------------------------------------------------------

    def _answered(self, event: Answered, now: Now) -> Iterator[Effect]:
        match event.request:
            case Send() as send:
                yield from self._sent(send, event, now)
            case LoadState():
                self._loading = False
                yield from self._store(event)
                if isinstance(event.result, Kept):
                    self._loaded(event.result, now)
            case ReadAlerts():
                self._reading = False
                yield from self._store(event)
                if isinstance(event.result, Entries):
                    yield from self._take(event.result, now)
            case TrimAlerts() if event.error is not None:
                yield Note(text="the alerts stream was not trimmed", fields={"error": event.error})
            case PingHeartbeat():
                problem = f"the heartbeat url does not answer: {event.error}" if event.error else ""
                yield Health(key="heartbeat", problem=problem)
            case _:
                pass

    def _store(self, event: Answered) -> Iterator[Effect]:
        self._store_problem = event.error or ""
        problem = f"the alerts stream cannot be read: {event.error}" if event.error else ""
        yield Health(key="alerts", problem=problem)

    def _loaded(self, kept: Kept, now: Now) -> None:
        first = f"{max(0, now.wall_us - FIRST_US) // US_PER_MS}-0"
        # Of a day before the first start nothing is known: it is not told as if it were. Where it began is
        # durable before the first alert: what is raised while it is down then comes after it.
        position = kept.position or Position(cursor=first, day=self._recap.ended_day(now))
        self.desk.load(position, kept.version, kept.items, store_id=kept.store_id)
        if kept.position is None:
            self.desk.move(position)
        for channel, batch in self._unsettled:  # delivered, while the store did not take the note
            self.desk.delivered(channel, batch.said, wall_us=now.wall_us, left_out=batch.left_out)

    def _take(self, entries: Entries, now: Now) -> Iterator[Effect]:
        self._read_wanted = self._read_wanted or len(entries.alerts) == READ_COUNT
        for entry_id, raised in entries.alerts:
            position = self.desk.position
            if position is None or self.desk.full:
                return
            if raised is None:
                yield Note(
                    text="an alert that cannot be read", level=AlertLevel.WARNING, fields={"id": entry_id}
                )
            else:
                self._take_one(entry_id, raised, now)
            position = self.desk.position or position
            self.desk.move(msgspec.structs.replace(position, cursor=entry_id))

    def _take_one(self, entry_id: str, raised: AlertRaised, now: Now) -> None:
        known = (raised.service, raised.key, raised.wall_us)
        self._heard.pop(known, None)
        direct = self.desk.items.get(self._direct.pop(known, ""))
        if direct is not None:
            self.desk.settle_direct(direct, entry_id)
            for lane in self.lanes.values():
                lane.rename(direct.id, entry_id)
        else:
            self.desk.take(entry_id, raised, wall_us=now.wall_us)

    def _sent(self, send: Send, event: Answered, now: Now) -> Iterator[Effect]:
        lane = self.lanes[send.channel]
        batch = lane.under_way
        if batch is None or batch.token != send.token:
            return
        labels = {"channel": send.channel}
        if event.error is None:
            lane.succeed()
            self.desk.delivered(send.channel, batch.said, wall_us=now.wall_us, left_out=batch.left_out)
            self._unsettled.append((send.channel, batch))
            yield Measure(metric="fundarb_notifications_total", value=1, labels={**labels, "outcome": "sent"})
            yield Health(key=f"channel:{send.channel}", problem="")
            return
        refused = event.error_class == "refused"
        outcome = "refused" if refused else "failed"
        lane.fail(event.error, refused=refused, now=now)
        yield Measure(metric="fundarb_notifications_total", value=1, labels={**labels, "outcome": outcome})
        yield Health(key=f"channel:{send.channel}", problem=f"channel {send.channel} fails: {event.error}")
        if lane.failures == OUTAGE_ALERT_FAILURES:
            text = f"messages do not reach channel {send.channel}: {event.error}"
            yield Alert(level=AlertLevel.WARNING, key=f"notifier:channel:{send.channel}", text=text)

    def _persisted(self, event: Persisted) -> Iterator[Effect]:
        """Not durable, or not known to be: read what is, before anything is built on it."""
        if event.ok:
            self._unsettled.clear()
            yield Health(key="alone", problem="")
        else:
            self._store_problem = event.error or "a write failed"
            self.desk.unload()
            for lane in self._at_risk:  # their sends stood behind the failed barrier and were never started
                lane.under_way = None
        if event.conflict:
            self._pause_ticks, self._load_wanted = CONFLICT_TICKS, False
            yield Health(
                key="alone", problem="another notifier of this deployment runs: one of them must end"
            )
        self._at_risk.clear()

    # --- what goes out ----------------------------------------------------------------------------

    def _go_on(self, now: Now, answers: list[Effect]) -> Iterator[Effect]:
        """Durable first; then answers, messages, and what is to be read next."""
        sends = [effect for name in self.lanes for effect in self._next(name, now)]
        change = self.desk.change()
        if change is not None:
            yield Persist(token=WRITE, change=change, tell=True)
            self._at_risk = [self.lanes[send.channel] for send in sends]
        yield from answers
        yield from sends
        position = self.desk.position
        if position is None:
            if self._load_wanted and not self._loading:
                self._loading, self._load_wanted = True, False
                yield LoadState()
        elif self._read_wanted and not self._reading and not self.desk.full:
            self._reading, self._read_wanted = True, False
            yield ReadAlerts(after=position.cursor, count=READ_COUNT)

    def _next(self, name: str, now: Now) -> Iterator[Send]:
        lane = self.lanes[name]
        waiting = [item for item in self.desk.items.values() if name in item.waiting]
        items: tuple[Item, ...] = lane.pick(waiting, now)
        if not items:
            return
        self._token += 1
        position = self.desk.position
        left_out = position.left_out.get(name, 0) if position is not None else 0
        batch = lane.begin(items, token=self._token, now=now, left_out=left_out)
        zone = self._zone if self._zone.key != "UTC" else UTC
        notice = notice_of(items, deployment=self._setting.deployment, zone=zone, left_out=left_out)
        yield Send(channel=name, notice=notice, ids=batch.ids, token=batch.token)
