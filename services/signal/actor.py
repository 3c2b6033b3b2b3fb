"""Receives market data, answers with opportunities: on each tick for its pairs, and in rounds for all.

Pure. A tick evaluates the pairs that it concerns, once each; a round evaluates all of them, ranks them and
allocates capital. Where an executor runs, what is held is its word and what is wanted goes out as intents
(`trading`); in observer mode what would be held is followed by the same rules, and nothing is ever asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from libs.common import subjects
from libs.common.commands import Asked
from libs.common.config.legs import pair_specs
from libs.common.config.schema import Config, Mode
from libs.common.effects import (
    Alert,
    Answered,
    Draining,
    Effect,
    Event,
    Forget,
    Measure,
    Note,
    Persisted,
    Publish,
    Received,
    Reloaded,
    SetTimer,
    Started,
    TimerFired,
)
from libs.common.instant import US_PER_SEC, Now
from libs.common.messages import AlertLevel, Command, Evaluation, Funding, Opportunity, Want
from libs.common.messages_exec import AccountStatus
from services.signal import notebook
from services.signal.commands import SignalCommands
from services.signal.decide import Held, decide, evaluate_pair, follow, told
from services.signal.notebook import Notebook, Problems
from services.signal.selection import LoadSelection
from services.signal.standing import Standing
from services.signal.status import status_of
from services.signal.trading import decide_trades
from services.signal.view import MarketView
from services.signal.wishes import Memory

ROUND, SWEEP = "round", "sweep"
SWEEP_US: Final = US_PER_SEC
WANT_US: Final = 5 * US_PER_SEC
SILENCE_US: Final = 10 * US_PER_SEC
# How long a pair may pass before its polled quotes are judged by the second: the feed must hear of it first.
HOT_AFTER_US: Final = 5 * US_PER_SEC
# What must move before an unchanged verdict is published between rounds.
NET_STEP_SHARE: Final = 0.01
NET_STEP_USD: Final = 0.01
DAILY_STEP: Final = 1e-6
BASIS_STEP: Final = 5e-5


class SignalActor:
    """All pairs of one config."""

    def __init__(self, config: Config, *, build: str = "") -> None:
        """`build` is this process's own: permits of another one do not count."""
        self._config = config
        self._view = MarketView(config, pair_specs(config))
        self._interval_us = int(config.monitor.interval_sec * US_PER_SEC)
        self._problems = Problems()
        self._notebook = Notebook(self._problems)
        # Where nobody executes nothing is asked for: without a standing there are no intents (ADR 0005).
        trades = config.mode is not Mode.OBSERVER
        self._standing = Standing(self._view.specs.values(), build=build) if trades else None
        self.commands = SignalCommands(self._view.specs.values(), observes=not trades)
        self._memory = Memory()
        self._waiting: dict[str, dict[str, str]] = {}
        self._count = 0
        self._counted = 0
        self._said: dict[str, Opportunity] = {}
        self._notes: dict[str, dict[str, str]] = {}
        self._ranks: dict[str, int | None] = {}
        self._passing_us: dict[str, int] = {}
        self._wanted_us = 0
        self._heard_us = 0

    def handle(self, event: Event, now: Now) -> Iterable[Effect]:
        """One event; effects in the order in which they are to be done."""
        match event:
            case Received():
                yield from self._received(event, now)
            case TimerFired():
                yield from self._timer(event.name, now)
            case Answered():
                yield from self._notebook.answered(event)
            case Started():
                self._heard_us = now.mono_us
                yield LoadSelection()
                yield from self._want(now)
                yield SetTimer(name=ROUND, after_us=min(self._interval_us, US_PER_SEC))
                yield SetTimer(name=SWEEP, after_us=SWEEP_US)
            case Reloaded(config=config):
                self._config = config
                self._view.reload(config)
            case Draining() | Persisted():
                pass
            case _:
                fields = {"event": type(event).__name__}
                yield Note(text="an event that signal does not know", level=AlertLevel.WARNING, fields=fields)

    # --- ticks ----------------------------------------------------------------------------------

    def _received(self, event: Received, now: Now) -> Iterable[Effect]:
        message = event.message
        if isinstance(message, Command):
            yield from self._command(event, now)
            return
        if self._standing is not None:
            self._standing.apply(message, now)
        pairs = self._view.apply(message)
        if isinstance(message, AccountStatus):
            for pair in pairs:
                yield from self._tick(pair, now, None)
        if not event.subject.startswith("md."):
            return
        self._heard_us = now.mono_us
        tick_us: int | None = getattr(message, "recv_us", None)
        for pair in pairs:
            yield from self._tick(pair, now, tick_us)
            if isinstance(message, Funding):
                self._follow(pair, now)
        if pairs and tick_us is not None:
            seconds = max(0.0, (now.wall_us - tick_us) / US_PER_SEC)
            yield Measure(metric="fundarb_tick_to_evaluation_seconds", value=seconds)
        if pairs and isinstance(message, Funding) and message.kind == "current":
            daily = message.rate * 24.0 / message.interval_hours
            labels = {"venue": message.venue, "symbol": message.instrument}
            yield Measure(metric="fundarb_funding_rate_daily", value=daily, labels=labels)

    def _tick(self, pair: str, now: Now, tick_us: int | None) -> Iterable[Effect]:
        """Evaluate one pair; say so when it matters, or when the last word is an interval old."""
        opportunity = evaluate_pair(self._view, pair, now, tick_us=tick_us, hot=self._is_hot(pair, now))
        self._count += 1
        self._warm(opportunity, now)
        former = self._said.get(pair)
        young = former is not None and now.wall_us - former.eval_us < self._interval_us
        if former is not None and young and not material(former, opportunity):
            return
        held = (self._notebook.held or {}).get(pair)
        rank = self._ranks.get(pair) if opportunity.passes else None
        usd = held.notional_usd if held else 0.0
        yield from self._say(told(opportunity, usd=usd, notes=self._notes.get(pair, {}), rank=rank))

    def _follow(self, pair: str, now: Now) -> None:
        """The flip rules read the current rate at each update, not only in rounds."""
        book = self._notebook.held
        if book is None or (held := book.get(pair)) is None:
            return
        seen = evaluate_pair(self._view, pair, now, direction=held.direction)
        book[pair] = follow(self._view, pair, held, seen=seen, config=self._config, now=now)

    def _say(self, opportunity: Opportunity) -> Iterable[Effect]:
        self._said[opportunity.pair] = opportunity
        yield Publish(subject=subjects.opportunity(opportunity.pair), message=opportunity)
        labels = {"pair": opportunity.pair}
        if opportunity.net_daily_usd is None:
            yield Forget(metric="fundarb_opportunity_net_daily_usd", labels=labels)
        else:
            yield Measure(
                metric="fundarb_opportunity_net_daily_usd", value=opportunity.net_daily_usd, labels=labels
            )

    def _warm(self, opportunity: Opportunity, now: Now) -> None:
        """Since when a pair has passed every gate but, perhaps, the age of its quotes."""
        if set(opportunity.refusals) <= {"stale_quote"}:
            self._passing_us.setdefault(opportunity.pair, now.mono_us)
        else:
            self._passing_us.pop(opportunity.pair, None)

    def _is_hot(self, pair: str, now: Now) -> bool:
        since_us = self._passing_us.get(pair)
        return since_us is not None and now.mono_us - since_us >= HOT_AFTER_US

    # --- timers ---------------------------------------------------------------------------------

    def _timer(self, name: str, now: Now) -> Iterable[Effect]:
        match name:
            case "round":
                yield SetTimer(name=ROUND, after_us=self._interval_us)
                yield from self._round(now)
            case "sweep":
                yield SetTimer(name=SWEEP, after_us=SWEEP_US)
                yield from self._sweep(now)
                if self._standing is not None:
                    yield self._standing.permits.measured(now)
            case notebook.RELOAD:
                yield LoadSelection()
            case _:
                yield Note(text="a timer that signal does not know", fields={"timer": name})

    def _sweep(self, now: Now) -> Iterable[Effect]:
        """Each second: what passes must not outlive its data, and what is missing is asked for again."""
        for pair, said in list(self._said.items()):
            if said.passes:
                yield from self._tick(pair, now, None)
        if self._view.missing() and now.mono_us - self._wanted_us >= WANT_US:
            yield from self._want(now)
        silent_us = now.mono_us - self._heard_us
        problem = ""
        if silent_us >= SILENCE_US:
            problem = f"no market data for {silent_us // US_PER_SEC} s: is the feed running?"
        yield from self._problems.say("feed", problem)

    def _want(self, now: Now) -> Iterable[Effect]:
        self._wanted_us = now.mono_us
        yield Publish(subject=subjects.want("feed"), message=Want(service="signal"))

    def _round(self, now: Now) -> Iterable[Effect]:
        hot = frozenset(pair for pair in self._passing_us if self._is_hot(pair, now))
        if self._standing is None or self._notebook.held is None:
            yield from self._observe(now, hot)
        else:
            yield from self._trade(self._standing, self._notebook.held, now, hot)

    def _publish(
        self, opportunities: Iterable[Opportunity], evaluation: Evaluation, now: Now
    ) -> Iterable[Effect]:
        """Everything that a round found."""
        self._count = evaluation.evaluations_total
        for item in opportunities:
            self._ranks[item.pair] = item.rank
            self._notes[item.pair] = {
                code: text for code, text in item.reasons.items() if code not in item.refusals
            }
            self._warm(item, now)
            yield from self._say(item)
        yield Publish(subject=subjects.EVALUATION, message=evaluation)
        yield Measure(metric="fundarb_opportunities_passing", value=float(evaluation.passing))
        yield Measure(metric="fundarb_evaluations_total", value=float(self._count - self._counted))
        self._counted = self._count
        for reason, count in evaluation.refusals.items():
            yield Measure(metric="fundarb_refusals_total", value=float(count), labels={"reason": reason})

    def _observe(self, now: Now, hot: frozenset[str]) -> Iterable[Effect]:
        """What would be done; where an executor runs, only until it is known what is remembered."""
        held = self._notebook.held
        result = decide(self._view, self._config, now, held, evaluations_before=self._count, hot=hot)
        yield from self._publish(result.opportunities, result.evaluation, now)
        if held is None:
            return
        self._notebook.held = result.held
        for pair, why in result.closed.items():
            yield _changed("would close", pair, why)
        for pair, why in result.opened.items():
            yield _changed("would open", pair, why)
        yield from self._notebook.save()

    def _trade(
        self, standing: Standing, held: dict[str, Held], now: Now, hot: frozenset[str]
    ) -> Iterable[Effect]:
        """Follow what the executor holds, and ask it for what the rules want."""
        memory = msgspec.structs.replace(self._memory, held=held, left=self._notebook.left)
        result = decide_trades(
            self._view, self._config, now, memory, standing, evaluations_before=self._count, hot=hot
        )
        yield from self._publish(result.opportunities, result.evaluation, now)
        self._memory, self._waiting = result.memory, result.waiting
        self._notebook.held, self._notebook.left = result.memory.held, result.memory.left
        for intent in result.intents:
            yield Publish(subject=subjects.intent(intent.pair), message=intent)
            yield Measure(metric="fundarb_intents_total", value=1.0, labels={"action": intent.action})
            if intent.pair in result.fresh:
                yield _changed(f"asks to {intent.action}", intent.pair, intent.reason)
        strangers = ", ".join(sorted(standing.strangers_held()))
        text = f"the executor holds {strangers}, which this config does not name" if strangers else ""
        yield from self._problems.say("strangers", text)
        yield from self._notebook.save()

    # --- people ---------------------------------------------------------------------------------

    def _command(self, event: Received, now: Now) -> Iterable[Effect]:
        """`status` is every service's to answer; what trades is answered by those who trade."""
        asked = self.commands.take(event, now)
        if not isinstance(asked, Asked):
            return asked
        said, held = self._said.values(), self._notebook.held
        return asked.done(
            status_of(said, held, self._problems.texts, now, standing=self._standing, waiting=self._waiting)
        )


def _changed(what: str, pair: str, why: str) -> Alert:
    return Alert(level=AlertLevel.INFO, key=f"signal:{pair}", text=f"{what} {pair}: {why}")


def material(former: Opportunity, opportunity: Opportunity) -> bool:
    """Whether the new figures say something that the ones published last do not."""
    if (
        former.passes != opportunity.passes
        or former.direction != opportunity.direction
        or former.refusals != opportunity.refusals
    ):
        return True
    return (
        _moved(former.daily, opportunity.daily, DAILY_STEP)
        or _moved(former.basis_entry, opportunity.basis_entry, BASIS_STEP)
        or _moved(former.net_daily_usd, opportunity.net_daily_usd, _net_step(former.net_daily_usd))
        or _moved(former.expected_net_usd, opportunity.expected_net_usd, _net_step(former.expected_net_usd))
    )


def _net_step(net_usd: float | None) -> float:
    return max(NET_STEP_USD, NET_STEP_SHARE * abs(net_usd or 0.0))


def _moved(former: float | None, value: float | None, step: float) -> bool:
    if former is None or value is None:
        return (former is None) != (value is None)
    return abs(value - former) >= step
