"""What the console knows of a running stack, folded from the bus: one source for table and summary."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import msgspec

from libs.common import messages as m
from libs.common.bus import Frame
from libs.common.instant import MS_PER_SEC, US_PER_SEC, MarketClock

PATTERNS: Final = (
    "signal.opportunity.>",
    "signal.evaluation",
    "md.health.>",
    "sys.health.>",
    "sys.clock",
    "alert.>",
)
SILENT_SEC: Final = 4.0  # a service beats every second: four missed beats are no jitter


class Watch:
    """A fold of frames; asks nothing and sends nothing."""

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
        self.refusals: Counter[str] = Counter()
        self.frames = 0
        self.bad: Counter[str] = Counter()
        self._evaluations_before = 0

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
        self._take(message)

    def _take(self, message: m.Message) -> None:
        match message:
            case m.Opportunity():
                self._opportunity(message)
            case m.Evaluation():
                self._round(message)
            case m.VenueHealth():
                self.venues[message.venue] = message
            case m.ServiceHealth():
                self.services[message.service] = message
            case m.ClockState():
                self.clock = MarketClock(
                    market0_ms=message.market0_ms, wall0_ms=message.wall0_ms, speed=message.speed
                )
            case m.AlertRaised():
                self.alerts = [*self.alerts[-19:], message]
            case _:
                self.bad[type(message).__name__] += 1

    def _opportunity(self, message: m.Opportunity) -> None:
        self.opportunities[message.pair] = message
        if message.passes:
            self.passed.add(message.pair)
            known = self.best.get(message.pair)
            if known is None or (message.net_daily_usd or 0.0) > (known.net_daily_usd or 0.0):
                self.best[message.pair] = message

    def _round(self, message: m.Evaluation) -> None:
        last = self.evaluation
        if last is not None and message.evaluations_total < last.evaluations_total:
            self._evaluations_before += last.evaluations_total  # signal was restarted and counts anew
        self.evaluation = message
        if self.market_started_ms is None:
            self.market_started_ms = message.market_ms
        self.refusals.update(message.refusals)

    @property
    def evaluations(self) -> int:
        """Evaluations of all of signal's lives."""
        return self._evaluations_before + (self.evaluation.evaluations_total if self.evaluation else 0)

    @property
    def ready(self) -> bool:
        """There is something to show."""
        return self.evaluation is not None and bool(self.opportunities)

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
        """Why no pair passes, in one line: what is not seen first, then the gates that refuse most."""
        silent = [name for name, venue in sorted(self.venues.items()) if not venue.connected]
        if silent:
            return f"nothing can pass: {', '.join(silent)} cannot be seen"
        refusals = self.evaluation.refusals if self.evaluation else {}
        often = sorted(refusals.items(), key=lambda pair: -pair[1])[:3]
        return "nothing is worth doing: " + ", ".join(f"{reason} {count}" for reason, count in often)

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

        In observer mode nothing is traded: counts of orders are 0 and so is every part of the PnL;
        equity is null, because no account was read. `opportunities` counts the pairs that passed every
        gate at least once, `refusals` the pairs refused, by reason, summed over the rounds.
        """
        market_seconds = 0.0
        if self.market_started_ms is not None:
            market_seconds = max(0.0, (self.market_ms(wall_us) - self.market_started_ms) / MS_PER_SEC)
        parts = ("funding", "fees", "slippage", "basis", "borrow", "transfer", "rebalance", "total")
        top = sorted(self.best.values(), key=lambda item: -(item.net_daily_usd or 0.0))
        return {
            "seconds": round((wall_us - self.started_us) / US_PER_SEC, 3),
            "market_seconds": round(market_seconds, 3),
            "evaluations": self.evaluations,
            "opportunities": len(self.passed),
            "pairs": len(self.opportunities),
            "symbols": sorted({item.symbol for item in self.opportunities.values()}),
            "venues": sorted(self.venues),
            "pairs_opened": 0,
            "pairs_closed": 0,
            "orders": 0,
            "unwinds": 0,
            "funding_expected_usd": 0.0,
            "funding_received_usd": 0.0,
            "pnl": dict.fromkeys(parts, 0.0),
            "equity_start_usd": None,
            "equity_end_usd": None,
            "equity_residual_usd": None,
            "naked_usd_seconds": 0.0,
            "refusals": dict(sorted(self.refusals.items())),
            "services": services,
            "best": [msgspec.to_builtins(item) for item in top[:10]],
            "malformed_messages": sum(self.bad.values()),
            **extra,
        }
