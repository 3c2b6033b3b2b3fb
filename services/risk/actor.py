"""Says every 250 ms what is allowed: the permit without which nobody may increase a position.

State, not edges: whoever missed a permit is right again one beat later. The epoch is raised in the store at
each start and each reset, so that no permit of an earlier life counts any more; nothing is said before the
latches of that life have been read. What lasts is stored before it is announced (`keeper`); each row of the
control set is a control (`control_set`); what they find becomes one breaker a scope (`board`). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from libs.common import subjects
from libs.common.config.legs import pair_specs
from libs.common.config.schema import Config
from libs.common.effects import (
    Alert,
    Answered,
    Draining,
    Effect,
    Event,
    Health,
    Measure,
    Note,
    Persist,
    Persisted,
    Publish,
    Received,
    Reloaded,
    Reply,
    Request,
    SetTimer,
    Started,
    TimerFired,
)
from libs.common.instant import US_PER_MS, US_PER_SEC, Now
from libs.common.messages import AlertLevel, Command, Want
from libs.common.messages_exec import Breaker, OrderEvent, PairStatus, Permit
from services.risk import board
from services.risk.commands import RiskCommands
from services.risk.control_set import ControlSet
from services.risk.controls.loss import Day
from services.risk.facts import Facts
from services.risk.finding import Finding, Hold
from services.risk.herald import Herald
from services.risk.keeper import Keeper
from services.risk.latches import Latch, Latches
from services.risk.status import ages_ms, status_of
from services.risk.taken import Situation

BEAT_US: Final = 250 * US_PER_MS
RETRY_US: Final = US_PER_SEC
BEAT, RECALL, KEEP, LOOK = "beat", "recall", "keep", "look"
EARLY_MAX: Final = 64
"""Commands that came before the store was read wait for it; nothing may increase meanwhile in any case."""


class Recall(Request, frozen=True, kw_only=True):
    """Raise the stored epoch by one and read what outlives risk. Answered with `Recalled`."""


class Recalled(msgspec.Struct, frozen=True, kw_only=True):
    """`epoch` is the new one, `version` that of its key in the store `store_id`; `ids` are of commands taken
    before, oldest first.
    """

    epoch: int
    version: int
    store_id: str
    latches: Latches
    day: Day | None = None
    ids: tuple[str, ...] = ()


class RiskActor:
    """One life of the risk service. Silent until the store has given it an epoch."""

    def __init__(self, config: Config, *, build: str) -> None:
        specs = pair_specs(config)
        self.commands = RiskCommands(specs)
        self._build = build
        self._facts = Facts(config, specs)
        self._controls = ControlSet(self._facts, build=build)
        self._keeper = Keeper()
        self._herald = Herald(self._facts.scopes)
        self._revision = 0
        self._breakers: dict[str, Breaker] = {}
        self._ratios: dict[str, float] = {}
        self._early: list[Received] = []
        self._looking = False
        self._problems: dict[str, str] = {}

    def handle(self, event: Event, now: Now) -> Iterable[Effect]:
        """One event; effects in the order in which they are to be done."""
        match event:
            case Received():
                yield from self._received(event, now)
            case TimerFired(name=name):
                yield from self._timer(name, now)
            case Persisted():
                yield from self._persisted(event, now)
            case Answered(request=Recall()):
                yield from self._recalled(event, now)
            case Started():
                self._facts.born_us = now.mono_us
                yield Recall()
                want = Want(service="risk", what=("instruments",))
                yield Publish(subject=subjects.want("feed"), message=want)
            case Reloaded(config=config):
                self._facts.config = config
                yield from self._look(now)
            case Draining():
                pass
            case _:
                fields = {"event": type(event).__name__}
                yield Note(text="an event that risk does not know", level=AlertLevel.WARNING, fields=fields)

    # --- life -------------------------------------------------------------------------------------

    def _timer(self, name: str, now: Now) -> Iterable[Effect]:
        match name:
            case "beat":
                yield SetTimer(name=BEAT, after_us=BEAT_US)  # from here: after a pause no burst of permits
                yield from self._beat(now)
            case "keep":
                day = self._controls.loss.day
                if self._keeper.wants(day):
                    token, change = self._keeper.write(day, now)
                    yield Persist(token=token, change=change, tell=True)
            case "look":
                self._looking = False
                yield from self._look(now)
            case "recall":
                yield Recall()
            case _:
                yield Note(text="a timer that risk does not know", fields={"timer": name})

    def _recalled(self, event: Answered, now: Now) -> Iterable[Effect]:
        if event.error is not None:
            text = f"no latches and no epoch from the store, so nobody may open anything: {event.error}"
            yield from self._problem("store", text)
            yield SetTimer(name=RECALL, after_us=RETRY_US)
            return
        found: Recalled = event.result
        first = self._keeper.epoch == 0
        self._keeper.recalled(
            epoch=found.epoch,
            version=found.version,
            latches=found.latches,
            day=found.day,
            store_id=found.store_id,
        )
        yield from self._problem("store", "")
        self.commands.remember(found.ids)
        if not first:
            self._controls.loss.settle_reset(kept=False)
            yield from self._keeper.deposed()
            return
        self._herald.remember(found.latches)
        self._controls.loss.day = found.day
        yield SetTimer(name=BEAT, after_us=BEAT_US)
        yield from self._beat(now)
        for early in self._early:
            yield from self._command(early, now)
        self._early.clear()

    def _persisted(self, event: Persisted, now: Now) -> Iterable[Effect]:
        """The store's word on latches: they are announced now, whatever it was."""
        resets = self._keeper.resets(event.token)
        yield from self._keeper.written(event, now)
        if resets:
            self._controls.loss.settle_reset(kept=event.ok)
        if event.conflict:
            text = f"another life of risk has written to the store ({event.error}): do two of them run?"
            yield Alert(level=AlertLevel.CRITICAL, key="risk:deposed", text=text)
            yield Recall()
        unkept = f"latches are not durable: {self._keeper.problem}" if self._keeper.problem else ""
        yield from self._problem("latches", unkept)
        if unkept:
            yield SetTimer(name=KEEP, after_us=RETRY_US)
        yield from self._look(now)

    def _problem(self, key: str, text: str) -> Iterator[Effect]:
        if self._problems.get(key, "") != text:
            self._problems[key] = text
            yield Health(key=key, problem=text)

    # --- what comes in ------------------------------------------------------------------------------

    def _received(self, event: Received, now: Now) -> Iterable[Effect]:
        message = event.message
        if isinstance(message, Command):
            yield from self._command(event, now)
            return
        self._controls.observe(message, now)
        urgent = isinstance(message, OrderEvent) or (isinstance(message, PairStatus) and message.from_state)
        if urgent and not self._looking and self._keeper.epoch:
            self._looking = True
            yield SetTimer(name=LOOK, after_us=0)

    def _command(self, event: Received, now: Now) -> Iterable[Effect]:
        """What changes the table waits for the store; everything else is answered at once."""
        if not self._keeper.epoch:
            yield from self._wait(event)
            return
        before = self._keeper.decided
        taken = self.commands.take(event, self._situation(now), now)
        for scope in taken.resets:
            self._controls.reset(scope)
        reads = event.subject == subjects.command("status")
        pending = not reads and before != self._keeper.stored
        obeyed = taken.reply is not None and taken.reply.ok
        if taken.latches != before or taken.resets or (obeyed and pending):
            self._keeper.ask(taken, to=event.reply, now=now)
            yield SetTimer(name=KEEP, after_us=0)
            return
        yield from taken.audits
        if taken.reply is not None:
            yield Reply(to=event.reply, reply=taken.reply)
        yield from taken.alerts

    def _wait(self, event: Received) -> Iterator[Effect]:
        """Keep a command until the store was read. Where there is no room left, who only asks how things are
        makes it; who finds none is told, and has his line.
        """
        if len(self._early) >= EARLY_MAX:
            asking = (one for one in self._early if one.subject == subjects.command("status"))
            if (oldest := next(asking, None)) is not None:
                self._early.remove(oldest)
        if len(self._early) < EARLY_MAX:
            self._early.append(event)
            return
        yield from self.commands.too_early(event, "the store does not answer, and too many commands wait")

    def _situation(self, now: Now) -> Situation:
        return Situation(
            scopes=self._facts.scopes,
            latches=self._keeper.decided,
            breakers=tuple(self._breakers.values()),
            pairs={pair: heard.message for pair, heard in self._facts.pairs.items()},
            status=lambda: self.status(now),
            holding=self._controls.holding(),
        )

    # --- what is found, and said ----------------------------------------------------------------------

    def _beat(self, now: Now) -> Iterable[Effect]:
        self._controls.heartbeat.beat(now)
        yield from self._look(now, beat=True)
        yield from self._keeper.overdue(now)

    def _look(self, now: Now, *, beat: bool = False) -> Iterable[Effect]:
        """Judge everything; say what has changed at once, and the whole of it with each beat."""
        if not self._keeper.epoch:
            return
        findings = self._controls.judge(now)
        self._keeper.add((_latch(one, now) for one in findings if one.hold is Hold.LATCH), now)
        self._keeper.expire(now)
        if self._keeper.wants(self._controls.loss.day) and not self._keeper.problem:
            yield SetTimer(name=KEEP, after_us=0)
        latches = self._keeper.in_force(now)
        causes = [
            board.of_finding(one, self._herald.since_us(one.key, now))
            for one in findings
            if one.hold is Hold.WHILE
        ]
        causes += [board.of_latch(latch, durable=durable) for latch, durable in latches]
        former, ratios = self._breakers, self._controls.collateral.max_ratio()
        self._breakers = {one.scope: one for one in board.fold(causes)}
        told = board.changed(former, self._breakers, wall_us=now.wall_us)
        for breaker in told:
            yield Publish(subject=subjects.breaker(breaker.scope), message=breaker)
        for pair in self._ratios.keys() | ratios.keys():
            yield Measure(metric="fundarb_max_ratio", value=ratios.get(pair, 1.0), labels={"pair": pair})
        if beat or told or ratios != self._ratios:
            self._ratios = ratios
            yield self._permit(now)
        yield from self._herald.tell(findings, [latch for latch, _ in latches], now)
        yield from self._shown(findings)

    def _permit(self, now: Now) -> Publish:
        self._revision += 1
        permit = Permit(
            risk_epoch=self._keeper.epoch,
            revision=self._revision,
            build=self._build,
            wall_us=now.wall_us,
            breakers=tuple(self._breakers.values()),
            max_ratio=self._ratios,
            age_ms=ages_ms(self._facts, now),
        )
        return Publish(subject=subjects.PERMIT, message=board.fitted(permit, self._facts.scopes))

    def _shown(self, findings: Iterable[Finding]) -> Iterator[Effect]:
        blind = [f"{one.scope}: {one.reason}" for one in findings if one.reason.startswith("blind:")]
        yield from self._problem("blind", "; ".join(blind[:3]))
        yield from self._herald.measure(self._breakers)
        if (ratio := self._controls.loss.ratio) is not None:
            yield Measure(metric="fundarb_day_loss_ratio", value=ratio)

    def status(self, now: Now) -> dict[str, Any]:
        """The answer to `cmd.status`."""
        return status_of(
            self._facts,
            epoch=self._keeper.epoch,
            revision=self._revision,
            breakers=self._breakers.values(),
            latches=self._keeper.in_force(now),
            max_ratio=self._ratios,
            loss=self._controls.loss,
            problems=self._problems,
            now=now,
        )


def _latch(finding: Finding, now: Now) -> Latch:
    return Latch(
        scope=finding.scope,
        level=finding.level,
        control=finding.control,
        reason=finding.reason,
        since_us=now.wall_us,
        until_us=finding.until_us,
    )
