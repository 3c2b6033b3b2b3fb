"""`observer.log`: what happened, in lines for people. Pure.

2026-01-31T10:00:00.000Z appeared     BTC-USDT_binance-spot_binance-perp forward: 0.0300 % a day, ...
"""

from __future__ import annotations

from typing import Final

from libs.common.instant import US_PER_MS, Now
from libs.common.messages import Evaluation, Opportunity, Quarantine
from services.recorder.columns import iso_ms, iso_us, one_line

SAME_TIME_MS: Final = 2_000
REFUSALS_SHOWN: Final = 6


def say(now: Now, what: str, text: str) -> str:
    """One line with its end; market time is named where it is not the wall's (demo)."""
    stamp = iso_us(now.wall_us)
    if abs(now.market_ms - now.wall_us // US_PER_MS) > SAME_TIME_MS:
        stamp += f" (market {iso_ms(now.market_ms)})"
    return f"{stamp} {what:<12} {one_line(text)}\n"


def figures(opportunity: Opportunity) -> str:
    """What a pair earns and costs, in one line."""
    long, short = opportunity.long, opportunity.short
    return (
        f"{opportunity.pair} {opportunity.direction} "
        f"(long {long.venue} {long.instrument}, short {short.venue} {short.instrument}): "
        f"{_percent(opportunity.daily)} a day, "
        f"net {_usd(opportunity.net_daily_usd)} a day on {opportunity.notional_usd:g} USD, "
        f"round trip {opportunity.round_trip_usd:.2f} USD, "
        f"break-even {_days(opportunity.breakeven_days)} flat, "
        f"{_days(opportunity.expected_breakeven_days)} expected"
    )


def why_refused(opportunity: Opportunity) -> str:
    """Every refusal with its reason."""
    reasons = (
        f"{name} ({opportunity.reasons[name]})" if name in opportunity.reasons else name
        for name in opportunity.refusals
    )
    return ", ".join(reasons) or "no reason given"


def round_up(evaluation: Evaluation) -> str:
    """The state of all pairs: what passes, and what stands in the way of the others."""
    common = sorted(evaluation.refusals.items(), key=lambda item: (-item[1], item[0]))[:REFUSALS_SHOWN]
    refused = ", ".join(f"{name} {count}" for name, count in common)
    chosen = ", ".join(evaluation.selected) or "none"
    return (
        f"{evaluation.passing} of {evaluation.pairs} pairs pass, selected: {chosen}; "
        f"refusals: {refused or 'none'}; {evaluation.evaluations_total} evaluations so far"
    )


def quarantine(venue: str, shut: Quarantine) -> str:
    """What is shut out and why."""
    return f"{venue} {shut.instrument or '(whole venue)'}: {shut.reason}, {shut.text}"


def _percent(fraction: float | None) -> str:
    return "unknown" if fraction is None else f"{fraction * 100:.4f} %"


def _usd(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f} USD"


def _days(value: float | None) -> str:
    return "never" if value is None else f"{max(0.0, value):.1f} days"
