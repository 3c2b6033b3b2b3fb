"""The notifier under virtual time: a real actor, a memory store, channels that a test answers for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from zoneinfo import ZoneInfo

from libs.common.commands import CommandDesk
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
    Reply,
    Request,
    SetTimer,
    Started,
    TimerFired,
)
from libs.common.instant import US_PER_SEC, ManualClock
from libs.common.memory_store import MemoryStore
from libs.common.messages import AlertLevel, AlertRaised, Message
from libs.common.metrics import check_effects
from libs.common.notices import ALERTS, alert_entry
from libs.common.persisting import write
from libs.common.store import StoreUnavailable
from services.notifier.actor import Notifier
from services.notifier.keeping import Keeping
from services.notifier.model import Route, Setting
from services.notifier.settings import setting_of
from services.notifier.work import LoadState, NotDelivered, PingHeartbeat, ReadAlerts, Send, TrimAlerts

Sender = Callable[[Send], Awaitable[None]]


def setting(*names: str, **more: object) -> Setting:
    """Channels that want everything, unless `more` says otherwise."""
    routes = {name: Route(name=name, min_level=AlertLevel.INFO) for name in names}
    return Setting(**{"deployment": "test", "routes": routes, "daily_digest": False, **more})  # type: ignore[arg-type]


class Rig:
    """`sent` holds what channels have confirmed, in order; `tried` every attempt."""

    def __init__(
        self, settings: Setting, *, store: MemoryStore | None = None, sender: Sender | None = None
    ) -> None:
        self.clock = store.clock if store is not None else ManualClock()
        assert isinstance(self.clock, ManualClock)
        self.time: ManualClock = self.clock
        self.store = store or MemoryStore(clock=self.clock)
        self.actor = Notifier(
            settings,
            zone=ZoneInfo("UTC"),
            commands=CommandDesk("notifier", verbs=("ack", "status"), pairs={}),
            setting_of=setting_of,
        )
        self.keeping = Keeping(self.store)
        self.sender = sender
        self.down: set[str] = set()
        self.refuses: Callable[[Send], bool] = lambda _send: False
        self.sent: list[Send] = []
        self.tried: list[Send] = []
        self.replies: list[Reply] = []
        self.alerts: list[Alert] = []
        self.health: dict[str, str] = {}
        self.notes: list[Note] = []
        self.measured: list[Measure] = []
        self.trimmed: list[str] = []
        self.pings = 0
        self._timers: dict[str, int] = {}

    async def start(self) -> Rig:
        await self.give(Started())
        return self

    async def give(self, event: Event) -> None:
        """One event, and all that follows from it at once."""
        events = [event]
        while events:
            effects = list(self.actor.handle(events.pop(0), self.time.now()))
            check_effects(effects)
            events += await self._carry_out(effects)

    async def run(self, seconds: int) -> None:
        """So much time passes, timer by timer."""
        until_us = self.time.now().mono_us + seconds * US_PER_SEC
        while True:
            name, at_us = min(self._timers.items(), key=lambda timer: timer[1])
            now_us = self.time.now().mono_us
            if at_us > until_us:
                self.time.advance(us=until_us - now_us)
                return
            self.time.advance(us=max(0, at_us - now_us))
            del self._timers[name]
            await self.give(TimerFired(name=name))

    async def raise_(self, key: str, level: str = "warning", text: str = "", **context: str) -> AlertRaised:
        """An alert as a service raises it, durable in the stream."""
        raised = AlertRaised(
            level=AlertLevel(level),
            key=key,
            text=text or f"about {key}",
            service="executor",
            context=context,
            wall_us=self.time.now().wall_us,
        )
        await self.store.append(ALERTS, alert_entry(raised))
        return raised

    async def hear(self, message: Message, subject: str, reply: str = "") -> None:
        await self.give(Received(subject=subject, message=message, reply=reply))

    def counted(self, metric: str, **labels: str) -> float:
        """The sum of what a counter was given."""
        return sum(one.value for one in self.measured if one.metric == metric and one.labels == labels)

    def texts(self, channel: str) -> list[str]:
        """Every line that a channel has confirmed."""
        return [line for send in self.sent if send.channel == channel for line in send.notice.lines]

    def ids(self, channel: str) -> list[str]:
        return [one for send in self.sent if send.channel == channel for one in send.ids]

    async def _carry_out(self, effects: list[Effect]) -> list[Event]:
        events: list[Event] = []
        for effect in effects:
            match effect:
                case Persist():
                    written = await write(self.store, effect)
                    events.append(Persisted(token=effect.token, **written._asdict()))
                    if not written.ok:
                        return events
                case SetTimer():
                    self._timers[effect.name] = self.time.now().mono_us + effect.after_us
                case Request():
                    events.append(await self._request(effect))
                case Reply():
                    self.replies.append(effect)
                case Health():
                    self.health[effect.key] = effect.problem
                case Alert():
                    self.alerts.append(effect)
                case Note():
                    self.notes.append(effect)
                case Measure():
                    self.measured.append(effect)
                case _:
                    pass
        return events

    async def _request(self, request: Request) -> Answered:
        try:
            match request:
                case LoadState():
                    return Answered(request=request, result=await self.keeping.load(request))
                case ReadAlerts():
                    return Answered(request=request, result=await self.keeping.read(request))
                case TrimAlerts():
                    self.trimmed.append(request.before)
                    return Answered(request=request, result=await self.keeping.trim(request))
                case Send():
                    await self._send(request)
                case PingHeartbeat():
                    self.pings += 1
            return Answered(request=request)
        except (StoreUnavailable, NotDelivered, OSError) as error:
            kind = str(getattr(error, "error_class", type(error).__name__))
            return Answered(request=request, error=str(error), error_class=kind)

    async def _send(self, send: Send) -> None:
        self.tried.append(send)
        if self.sender is not None:
            await self.sender(send)
        elif send.channel in self.down:
            raise NotDelivered("no way out")
        elif self.refuses(send):
            raise NotDelivered("not this one", refused=True)
        self.sent.append(send)
