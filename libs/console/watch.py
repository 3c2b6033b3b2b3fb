"""What the console knows of a running stack, folded from the bus: one source for table and summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from libs.common import messages as m
from libs.common.bus import Frame
from libs.common.instant import MS_PER_SEC, US_PER_SEC, MarketClock
from libs.common.messages_exec import BookSummary, PairStatus, Permit
from libs.console.trades import Trades

PATTERNS: Final = (
    "signal.opportunity.>",
    "signal.evaluation",
    "md.health.>",
    "sys.health.>",
    "sys.clock",
    "alert.>",
    "exec.pair.>",
    "exec.books",
    "risk.permit",
)
SILENT_SEC: Final = 4.0  # a service beats every second: four missed beats are no jitter


class Watch:
    """A fold of frames; asks nothing and sends nothing.

    Signal says an opportunity whenever it matters, and goes over all pairs (`Evaluation`) only each
    `monitor.interval_sec`. What passes now, what refuses and what is nearest are therefore counted from
    the last opportunity of each pair; the last round counts alone while some of its pairs were not heard.
    """

    def __init__(self, *, started_us: int) -> None:
        self.started_us = started_us
        self.clock: MarketClock | None = None
        self.market_started_ms: int | None = None
        self.opportunities: dict[str, m.Opportunity] = {}
        self.evaluation: m.Evaluation | None = None
        self.venues: dict[str, m.VenueHealth] = {}
        self.services: dict[str, m.ServiceHealth] = {}
        self.alerts: list[m.AlertRaised] = []
        self.passed: set[str] = set()
        self.best: dict[str, m.Opportunity] = {}
        self.trades = Trades()
        self.permit: Permit | None = None
        self.permit_us: int | None = None
        self.frames = 0
        self.bad: Counter[str] = Counter()
        self._heard = 0
        self._evaluations_before = 0
        self._round_refusals: Counter[str] = Counter()
        self._since_round: dict[str, m.Opportunity] = {}

    def feed(self, frame: Frame) -> None:
        """Take one frame; what does not fit its subject is counted, never raised."""
        kind = m.type_of(frame.subject)
        if kind is None:
            self.bad[frame.subject] += 1
            return
        try:
            message = m.decode(frame.payload, kind)
        except m.BadMessage as error:
            self.bad[str(error)] += 1
            return
        self.frames += 1
        if isinstance(message, Permit):
            self._permit(message, frame.recv_us)
        else:
            self._take(message)

    def _take(self, message: m.Message) -> None:
        match message:
            case m.Opportunity():
                self._opportunity(message)
            case m.Evaluation():
                self._ended_round(message)
            case m.VenueHealth():
                self.venues[message.venue] = message
            case m.ServiceHealth():
                self.services[message.service] = message
            case m.ClockState():
                self.clock = MarketClock(
                    market0_ms=message.market0_ms, wall0_ms=message.wall0_ms, speed=message.speed
                )
            case PairStatus():
                self.trades.take_pair(message)
            case BookSummary():
                self.trades.take_books(message)
            case m.AlertRaised():
                self.alerts = [*self.alerts[-19:], message]
            case _:
                self.bad[type(message).__name__] += 1

    def _permit(self, permit: Permit, recv_us: int) -> None:
        """The newest by its order, and when it came."""
        newest = self.permit
        if newest is None or (permit.risk_epoch, permit.revision) > (newest.risk_epoch, newest.revision):
            self.permit, self.permit_us = permit, recv_us

    def _opportunity(self, message: m.Opportunity) -> None:
        self._heard += 1
        self.opportunities[message.pair] = self._since_round[message.pair] = message
        if self.market_started_ms is None:
            self.market_started_ms = message.market_ms
        if message.passes:
            self.passed.add(message.pair)
            known = self.best.get(message.pair)
            if known is None or (message.net_daily_usd or 0.0) > (known.net_daily_usd or 0.0):
                self.best[message.pair] = message

    def _ended_round(self, message: m.Evaluation) -> None:
        last = self.evaluation
        if last is not None and message.evaluations_total < last.evaluations_total:
            self._evaluations_before += last.evaluations_total  # signal was restarted and counts anew
        self.evaluation = message
        if self.market_started_ms is None:
            self.market_started_ms = message.market_ms
        self._round_refusals.update(message.refusals)
        self._since_round.clear()
        if len(self.opportunities) > message.pairs:  # signal came back with fewer pairs
            self.opportunities = {
                pair: item for pair, item in self.opportunities.items() if item.eval_us >= message.eval_us
            }

    @property
    def evaluations(self) -> int:
        """At least so many, in all of signal's lives: its own count of the last round, or what was heard.

        Between rounds only those are known whose opportunity was published.
        """
        counted = self.evaluation.evaluations_total if self.evaluation else 0
        return max(self._evaluations_before + counted, self._heard)

    @property
    def ready(self) -> bool:
        """There is something to show."""
        return self.evaluation is not None or bool(self.opportunities)

    @property
    def _partly(self) -> m.Evaluation | None:
        """The last round, while it knows of pairs that were not heard yet."""
        last = self.evaluation
        return last if last is not None and last.pairs > len(self.opportunities) else None

    @property
    def pairs(self) -> int:
        """Pairs that signal evaluates."""
        return self._partly.pairs if self._partly else len(self.opportunities)

    @property
    def passing(self) -> int:
        """Pairs that pass every gate now."""
        if self._partly:
            return self._partly.passing
        return sum(item.passes for item in self.opportunities.values())

    @property
    def refusals_now(self) -> dict[str, int]:
        """Reason -> pairs that it keeps out now, most frequent first."""
        if self._partly:
            return dict(Counter(self._partly.refusals).most_common())
        return dict(_reasons(self.opportunities).most_common())

    @property
    def refusals(self) -> dict[str, int]:
        """Reason -> pairs refused, summed over the rounds.

        The pairs heard since the last round are added as they stand: for the round that is to come.
        """
        return dict(sorted((self._round_refusals + _reasons(self._since_round)).items()))

    @property
    def nearest(self) -> m.Opportunity | None:
        """The pair with the fewest reasons against it, then the best net; None when none is kept out."""

        def order(item: m.Opportunity) -> tuple[int, float, str]:
            net = item.net_daily_usd if item.net_daily_usd is not None else float("-inf")
            return (len(item.refusals), -net, item.pair)

        kept_out = (item for item in self.opportunities.values() if not item.passes)
        return min(kept_out, key=order, default=None)

    def market_ms(self, wall_us: int) -> int:
        """Market time as the stack sees it."""
        return (self.clock or MarketClock()).at(wall_us)

    def ranked(self) -> list[m.Opportunity]:
        """Ranked ones first, then by net per day; unknown figures last."""

        def order(item: m.Opportunity) -> tuple[bool, int, float, str]:
            net = item.net_daily_usd if item.net_daily_usd is not None else float("-inf")
            return (not item.passes, item.rank if item.rank is not None else 1 << 30, -net, item.pair)

        return sorted(self.opportunities.values(), key=order)

    def why_nothing(self) -> str:
        """Why no pair passes, in one line: what is not seen first, else the gates that refuse most."""
        silent = [name for name, venue in sorted(self.venues.items()) if not venue.connected]
        if silent:
            return f"nothing can pass: {', '.join(silent)} cannot be seen"
        often = list(self.refusals_now.items())[:3]
        near = f"; nearest is {self.nearest.pair}" if self.nearest else ""
        return f"nothing is worth doing: {', '.join(f'{reason} {count}' for reason, count in often)}{near}"

    def service_states(self, expected: tuple[str, ...], wall_us: int) -> dict[str, str]:
        """`ok`, the first problem in words, or how long nothing has been heard."""
        states: dict[str, str] = {}
        for name in expected:
            beat = self.services.get(name)
            if beat is None:
                states[name] = "not heard yet"
                continue
            age_sec = (wall_us - beat.wall_us) / US_PER_SEC
            if age_sec > SILENT_SEC:
                states[name] = f"silent for {age_sec:.0f} s"
            else:
                states[name] = "ok" if beat.ok else "; ".join(beat.problems) or "unwell"
        return states

    def summary(self, *, wall_us: int, services: dict[str, str], extra: dict[str, Any]) -> dict[str, Any]:
        """The object that `demo --json` and `up --duration S --json` end with.

        What was traded is the executor's last word (its books are told every two seconds). In observer mode
        nothing is: counts of orders are 0 and so is every part of the PnL; equity is null, because no account
        was read. `opportunities` counts the pairs that passed every gate at least once; `evaluations` and
        `refusals` are the properties of these names.
        """
        market_seconds = 0.0
        if self.market_started_ms is not None:
            market_seconds = max(0.0, (self.market_ms(wall_us) - self.market_started_ms) / MS_PER_SEC)
        top = sorted(self.best.values(), key=lambda item: -(item.net_daily_usd or 0.0))
        return {
            "seconds": round((wall_us - self.started_us) / US_PER_SEC, 3),
            "market_seconds": round(market_seconds, 3),
            "evaluations": self.evaluations,
            "opportunities": len(self.passed),
            "pairs": self.pairs,
            "symbols": sorted({item.symbol for item in self.opportunities.values()}),
            "venues": sorted(self.venues),
            **self.trades.summary(),
            "refusals": self.refusals,
            "services": services,
            "best": [msgspec.to_builtins(item) for item in top[:10]],
            "malformed_messages": sum(self.bad.values()),
            **extra,
        }


def _reasons(opportunities: Mapping[str, m.Opportunity]) -> Counter[str]:
    """Reason -> pairs that it keeps out."""
    return Counter(reason for item in opportunities.values() for reason in item.refusals)
