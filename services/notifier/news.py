"""News that are no alerts: a pair that newly passes, and the day in a few lines. Pure."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Final

from libs.common.instant import US_PER_SEC, Now
from libs.common.messages import AlertLevel, Evaluation, Opportunity
from libs.common.messages_exec import BookSummary
from services.notifier.model import Item, Position, Setting

PAIRS_MAX: Final = 2_000
BEST_SHOWN: Final = 3


class Scout:
    """Which opportunities are worth a message: pairs that pass and did not before, not too often."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._passing: dict[str, bool] = {}

    def judge(self, opportunity: Opportunity, position: Position, now: Now) -> Item | None:
        """An item when this one is news."""
        pair, net_usd = opportunity.pair, opportunity.net_daily_usd
        passed = self._passing.get(pair, False)
        passes = opportunity.passes and net_usd is not None
        if len(self._passing) < PAIRS_MAX or pair in self._passing:
            self._passing[pair] = passes
        if not (self.setting.opportunities and passes) or passed or net_usd is None:
            return None
        told_us = position.told_us.get(pair)
        if told_us is not None and now.wall_us - told_us < self.setting.opportunity_every_us:
            return None
        if net_usd < self.setting.opportunity_net_daily_usd:
            self._passing[pair] = False  # it may grow
            return None
        return _item_of(opportunity, net_usd, now)

    def remembered(self, told_us: dict[str, int], pair: str, wall_us: int) -> dict[str, int]:
        """When what was told, without what may be told again anyway."""
        since_us = wall_us - self.setting.opportunity_every_us
        kept = {name: at_us for name, at_us in told_us.items() if at_us > since_us}
        return {**kept, pair: wall_us}


def _item_of(opportunity: Opportunity, net_usd: float, now: Now) -> Item:
    context = {
        "long": f"{opportunity.long.venue} {opportunity.long.instrument}",
        "short": f"{opportunity.short.venue} {opportunity.short.instrument}",
        "notional": f"{opportunity.notional_usd:,.0f} USD per leg",
    }
    if opportunity.apr is not None:
        context["apr"] = f"{100 * opportunity.apr:.1f} % before costs"
    if opportunity.breakeven_days is not None:
        context["costs earned back"] = f"in {opportunity.breakeven_days:.1f} days"
    return Item(
        id=f"pair-{opportunity.pair}-{now.wall_us}",
        kind="opportunity",
        level=AlertLevel.INFO,
        key=f"opportunity:{opportunity.pair}",
        text=f"{opportunity.symbol} {opportunity.pair} passes: {net_usd:+.2f} USD a day after costs",
        service="signal",
        context=context,
        raised_us=now.wall_us,
        taken_us=now.wall_us,
    )


class Recap:
    """The day in a few lines: what is on the bus when the day ends."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._books: BookSummary | None = None
        self._evaluation: Evaluation | None = None
        self._best: dict[str, float] = {}
        self._alerts: Counter[AlertLevel] = Counter()

    def see(self, figures: Opportunity | Evaluation | BookSummary) -> None:
        match figures:
            case Opportunity():
                net_usd = figures.net_daily_usd
                self._best.pop(figures.pair, None)
                if figures.passes and net_usd is not None and len(self._best) < PAIRS_MAX:
                    self._best[figures.pair] = net_usd
            case Evaluation():
                self._evaluation = figures
            case BookSummary():
                self._books = figures

    def count(self, level: AlertLevel) -> None:
        """One more alert of the day."""
        self._alerts[level] += 1

    def ended_day(self, now: Now) -> str:
        """The last day whose hour of report (UTC) has come."""
        moment = datetime.fromtimestamp(now.wall_us / US_PER_SEC, tz=UTC)
        return (moment - timedelta(hours=self.setting.digest_hour_utc, days=1)).date().isoformat()

    def due(self, position: Position, now: Now) -> Item | None:
        """The report of the day that ended at the configured hour (UTC), once, when anything is known."""
        if not self.setting.daily_digest or (self._evaluation is None and self._books is None):
            return None
        day = self.ended_day(now)
        if position.day >= day:
            return None
        item = Item(
            id=f"report-{day}",
            kind="report",
            level=AlertLevel.INFO,
            key=f"report:{day}",
            text=f"Day {day}\n" + "\n".join(self._lines()),
            service="notifier",
            raised_us=now.wall_us,
            taken_us=now.wall_us,
        )
        self._alerts.clear()
        return item

    def _lines(self) -> list[str]:
        lines = []
        if (books := self._books) is not None:
            pnl = books.pnl
            equity = f", equity {books.equity_usd:,.2f} USD" if books.equity_usd is not None else ""
            lines.append(
                f"PnL since the start {pnl.total:+,.2f} USD, funding {pnl.funding:+,.2f} USD{equity}"
            )
            lines.append(
                f"pairs opened {books.pairs_opened}, closed {books.pairs_closed}, orders {books.orders}"
            )
        if (evaluation := self._evaluation) is not None:
            lines.append(f"{evaluation.passing} of {evaluation.pairs} pairs pass every gate")
        best = sorted(self._best.items(), key=lambda pair: -pair[1])[:BEST_SHOWN]
        lines += [f"  {pair}: {net_usd:+.2f} USD a day after costs" for pair, net_usd in best]
        alerts = ", ".join(f"{count} {level.value}" for level, count in self._alerts.items())
        lines.append(f"alerts heard: {alerts or 'none'}")
        return lines
