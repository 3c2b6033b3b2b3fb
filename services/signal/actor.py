"""Receives market data, answers with opportunities: on each tick for its pairs, and in rounds for all.

Pure. A tick evaluates the pairs that it concerns, once each; a round evaluates all of them, ranks them and
allocates capital. In observer mode what would be held is followed by the same rules and kept in the store;
nothing is ever sent to trade.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from libs.common import subjects
from libs.common.config.legs import pair_specs
from libs.common.config.schema import Config
from libs.common.effects import (
    Alert,
    Answered,
    Draining,
    Effect,
    Event,
    Forget,
    Health,
    Measure,
    Note,
    Persisted,
    Publish,
    Received,
    Reply,
    SetTimer,
    Started,
    TimerFired,
)
from libs.common.instant import US_PER_SEC, Now
from libs.common.messages import AlertLevel, Command, CommandReply, Funding, Opportunity, Want
from services.signal.decide import Held, decide, evaluate_pair, follow, told
from services.signal.selection import BadSelection, LoadSelection, SaveSelection, Stored, decode, encode
from services.signal.status import status_of
from services.signal.view import MarketView

ROUND, SWEEP, RELOAD = "round", "sweep", "reload"
SWEEP_US: Final = US_PER_SEC
RELOAD_US: Final = 5 * US_PER_SEC
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

    def __init__(self, config: Config) -> None:
        self._config = config
        self._view = MarketView(config, pair_specs(config))
        self._interval_us = int(config.monitor.interval_sec * US_PER_SEC)
        self._held: dict[str, Held] | None = None
        self._version = 0
        self._saved = b""
        self._saving: bytes | None = None
        self._rereading = False
        self._tried: bytes | None = None
        self._count = 0
        self._counted = 0
        self._said: dict[str, Opportunity] = {}
        self._notes: dict[str, dict[str, str]] = {}
        self._ranks: dict[str, int | None] = {}
        self._passing_us: dict[str, int] = {}
        self._wanted_us = 0
        self._heard_us = 0
        self._problems: dict[str, str] = {}

    def handle(self, event: Event, now: Now) -> Iterable[Effect]:
        """One event; effects in the order in which they are to be done."""
        match event:
            case Received():
                yield from self._received(event, now)
            case TimerFired():
                yield from self._timer(event.name, now)
            case Answered():
                yield from self._answered(event)
            case Started():
                self._heard_us = now.mono_us
                yield LoadSelection()
                yield from self._want(now)
                yield SetTimer(name=ROUND, after_us=min(self._interval_us, US_PER_SEC))
                yield SetTimer(name=SWEEP, after_us=SWEEP_US)
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
        pairs = self._view.apply(message)
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
        held = (self._held or {}).get(pair)
        rank = self._ranks.get(pair) if opportunity.passes else None
        usd = held.notional_usd if held else 0.0
        yield from self._say(told(opportunity, usd=usd, notes=self._notes.get(pair, {}), rank=rank))

    def _follow(self, pair: str, now: Now) -> None:
        """The flip rules read the current rate at each update, not only in rounds."""
        held = (self._held or {}).get(pair)
        if held is None or self._held is None:
            return
        seen = evaluate_pair(self._view, pair, now, direction=held.direction)
        self._held[pair] = follow(self._view, pair, held, seen=seen, config=self._config, now=now)

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
            case "reload":
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
        yield from self._problem("feed", problem)

    def _want(self, now: Now) -> Iterable[Effect]:
        self._wanted_us = now.mono_us
        yield Publish(subject=subjects.want("feed"), message=Want(service="signal"))

    def _round(self, now: Now) -> Iterable[Effect]:
        hot = frozenset(pair for pair in self._passing_us if self._is_hot(pair, now))
        result = decide(self._view, self._config, now, self._held, evaluations_before=self._count, hot=hot)
        self._count = result.evaluation.evaluations_total
        self._ranks = {item.pair: item.rank for item in result.opportunities}
        self._notes = {
            item.pair: {code: text for code, text in item.reasons.items() if code not in item.refusals}
            for item in result.opportunities
        }
        for item in result.opportunities:
            self._warm(item, now)
            yield from self._say(item)
        yield Publish(subject=subjects.EVALUATION, message=result.evaluation)
        yield Measure(metric="fundarb_opportunities_passing", value=float(result.evaluation.passing))
        yield Measure(metric="fundarb_evaluations_total", value=float(self._count - self._counted))
        self._counted = self._count
        for reason, count in result.evaluation.refusals.items():
            yield Measure(metric="fundarb_refusals_total", value=float(count), labels={"reason": reason})
        if self._held is None:
            return
        self._held = result.held
        for pair, why in result.closed.items():
            yield _changed("would close", pair, why)
        for pair, why in result.opened.items():
            yield _changed("would open", pair, why)
        yield from self._save()

    # --- what would be held, in the store -------------------------------------------------------

    def _save(self) -> Iterable[Effect]:
        """Write the selection when it differs from what lies there; one write at a time."""
        if self._held is None or self._saving is not None or self._rereading:
            return
        value = encode(self._held)
        if value != self._saved:
            self._saving = value
            yield SaveSelection(value=value, expect=self._version)

    def _answered(self, event: Answered) -> Iterable[Effect]:
        match event.request:
            case LoadSelection() if isinstance(event.result, Stored):
                yield from self._loaded(event.result)
            case LoadSelection():
                yield from self._problem("selection", f"what was held is not known: {event.error}")
                yield SetTimer(name=RELOAD, after_us=RELOAD_US)
            case SaveSelection() if isinstance(event.result, int):
                self._version, self._saved, self._saving = event.result, event.request.value, None
                yield from self._problem("selection", "")
            case SaveSelection():
                self._tried, self._saving = self._saving, None
                yield from self._not_saved(event)
            case _:
                fields = {"request": type(event.request).__name__}
                yield Note(
                    text="an answer that signal did not ask for", level=AlertLevel.WARNING, fields=fields
                )

    def _loaded(self, stored: Stored) -> Iterable[Effect]:
        """Take over what lies there, unless it is what we know or were writing: then ours is newer.

        A version that fell is a store that was lost and begins anew: what we know is all there is.
        """
        ours = self._held is not None and (stored.version <= self._version or stored.value == self._tried)
        self._version, self._saved, self._rereading = stored.version, stored.value or b"", False
        yield from self._problem("selection", "")
        if ours:
            return
        try:
            held = decode(stored.value)
        except BadSelection as error:
            # It is an observer's notebook: starting a new page is right, and saying so is too.
            held = {}
            text = f"the stored selection cannot be read and is begun anew: {error}"
            yield Alert(level=AlertLevel.WARNING, key="signal:selection", text=text)
        self._held = held
        if held:
            yield Note(text="going on with what was held", fields={"pairs": sorted(held)})

    def _not_saved(self, event: Answered) -> Iterable[Effect]:
        """Another version lies there, or nobody knows what does: what the store holds is the truth."""
        if event.error_class == "StoreConflict":
            text = "the stored selection is not ours: run one signal service only (or the store was lost)"
            yield Alert(level=AlertLevel.WARNING, key="signal:conflict", text=text)
        else:
            text = f"what would be held is not saved: {event.error}"
        yield from self._problem("selection", text)
        self._rereading = True  # nothing is written on top of what we have not read
        yield SetTimer(name=RELOAD, after_us=RELOAD_US)

    # --- people ---------------------------------------------------------------------------------

    def _command(self, event: Received, now: Now) -> Iterable[Effect]:
        """`status` is every service's to answer; what trades is answered by those who trade."""
        if event.subject != subjects.command("status") or not event.reply:
            return
        result = status_of(self._said.values(), self._held, self._problems, now)
        yield Reply(to=event.reply, reply=CommandReply(service="signal", ok=True, result=result))

    def _problem(self, key: str, text: str) -> Iterable[Effect]:
        """Say a problem when it changes, and its end once."""
        if self._problems.get(key, "") == text:
            return
        self._problems[key] = text
        yield Health(key=key, problem=text)


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
