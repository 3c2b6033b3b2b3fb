"""What do I hold, what did it earn, is it safe, and why is nothing happening?"""

from __future__ import annotations

from typing import Final

from deploy.dashboards.board import DEPLOYMENT, Board, Row
from deploy.dashboards.panels import LEVELS, Panel, Query
from deploy.dashboards.terms import HELD_ALONE, SHUT, D

_LOST: Final = f"max(fundarb_day_loss_ratio{{{D}}})"
EARNED_TODAY: Final = f"-{_LOST} / (1 - {_LOST}) * sum(fundarb_equity_usd{{{D}}})"
"""The ratio is of the day's first equity, which is today's over (1 - ratio)."""

OVERVIEW: Final = Board(
    uid="fundarb-overview",
    title="fundarb / Overview",
    description="What do I hold, what did it earn today, is it safe, and why is nothing happening?",
    variables=(DEPLOYMENT,),
    since="now-24h",
    rows=(
        Row(
            "Is it safe?",
            (
                Panel(
                    title="Strictest breaker",
                    description="Of everything, a venue or a pair. Above normal nothing is opened there.",
                    kind="stat",
                    queries=(Query(f'max(fundarb_breaker_level{{{D}, scope!~"symbol:.*"}})'),),
                    words=LEVELS,
                    width=4,
                    height=5,
                    runbook="a-breaker-is-not-normal",
                ),
                Panel(
                    title="Unhedged now",
                    description="USD that price moves can reach because a leg is missing, all pairs together.",
                    kind="stat",
                    unit="currencyUSD",
                    queries=(Query(f"sum(rate(fundarb_naked_usd_seconds_total{{{D}}}[1m])) or vector(0)"),),
                    steps=((None, "green"), (50, "orange"), (500, "red")),
                    decimals=0,
                    width=4,
                    height=5,
                    runbook="naked-exposure",
                ),
                Panel(
                    title="Worst margin ratio",
                    description="Maintenance margin over equity, the worst venue. 1 is liquidation.",
                    kind="stat",
                    unit="percentunit",
                    queries=(Query(f"max(fundarb_margin_ratio{{{D}}})"),),
                    steps=((None, "green"), (0.04, "yellow"), (0.06, "orange"), (0.10, "red")),
                    decimals=1,
                    width=4,
                    height=5,
                    runbook="margin-ratio",
                ),
                Panel(
                    title="Services up",
                    description="Services without a problem, of those that run.",
                    kind="stat",
                    queries=(
                        Query(f"sum(fundarb_service_up{{{D}}})", "well"),
                        Query(f"count(fundarb_service_up{{{D}}})", "of"),
                    ),
                    width=4,
                    height=5,
                    runbook="a-service-is-down",
                ),
                Panel(
                    title="Age of the permit",
                    description="Since risk's last word, as each service that obeys it sees it. Over 1 s opens nothing.",
                    kind="stat",
                    unit="s",
                    queries=(Query(f"max(fundarb_permit_age_seconds{{{D}}})"),),
                    steps=((None, "green"), (1, "orange"), (30, "red")),
                    decimals=1,
                    width=4,
                    height=5,
                    runbook="no-permit",
                ),
                Panel(
                    title="Unexplained money",
                    description="Change of equity that no ledger line explains. More than 1 bp of notional is an alert.",
                    kind="stat",
                    unit="currencyUSD",
                    queries=(Query(f"fundarb_equity_residual_usd{{{D}}}"),),
                    steps=((None, "red"), (-1, "orange"), (-0.1, "green"), (0.1, "orange"), (1, "red")),
                    decimals=4,
                    width=4,
                    height=5,
                    runbook="money-that-no-line-explains",
                ),
            ),
        ),
        Row(
            "What do I hold, and what did it earn?",
            (
                Panel(
                    title="Pairs held",
                    description="Pairs that hold something now.",
                    kind="stat",
                    queries=(Query(f"count(fundarb_pair_notional_usd{{{D}}} > 0) or vector(0)"),),
                    width=6,
                    height=4,
                    runbook="what-is-held",
                ),
                Panel(
                    title="Value held",
                    description="Of the larger leg of each pair, all pairs together.",
                    kind="stat",
                    unit="currencyUSD",
                    queries=(Query(f"sum(fundarb_pair_notional_usd{{{D}}})"),),
                    decimals=0,
                    width=6,
                    height=4,
                    runbook="what-is-held",
                ),
                Panel(
                    title="Earned today",
                    description="Change of equity since the UTC day began, both legs at one price; fees are paid from it.",
                    kind="stat",
                    unit="currencyUSD",
                    queries=(Query(EARNED_TODAY),),
                    steps=((None, "red"), (-1, "text"), (0, "green")),
                    decimals=2,
                    width=6,
                    height=4,
                    runbook="loss-of-the-day",
                ),
                Panel(
                    title="Funding of what is held",
                    description="Received since each pair was opened, all that are held together; below zero was paid.",
                    kind="stat",
                    unit="currencyUSD",
                    queries=(Query(f"sum(fundarb_funding_received_usd{{{D}}} {HELD_ALONE}) or vector(0)"),),
                    decimals=2,
                    width=6,
                    height=4,
                    runbook="what-was-earned",
                ),
                Panel(
                    title="Held",
                    description="Value of each pair's larger leg.",
                    unit="currencyUSD",
                    queries=(Query(f"fundarb_pair_notional_usd{{{D}}} > 0", "{{pair}}"),),
                    stacked=True,
                    zero=True,
                    width=8,
                    runbook="what-is-held",
                ),
                Panel(
                    title="Equity",
                    description="By venue, without price changes of coins that are the user's own.",
                    unit="currencyUSD",
                    queries=(
                        Query(f"fundarb_equity_usd{{{D}}}", "{{venue}}"),
                        Query(f"sum(fundarb_equity_usd{{{D}}})", "all"),
                    ),
                    width=8,
                    runbook="what-was-earned",
                ),
                Panel(
                    title="Funding received, by pair",
                    description="Since each pair was opened; below zero was paid.",
                    unit="currencyUSD",
                    queries=(Query(f"fundarb_funding_received_usd{{{D}}} != 0", "{{pair}}"),),
                    width=8,
                    runbook="what-was-earned",
                ),
            ),
        ),
        Row(
            "Why is nothing happening?",
            (
                Panel(
                    title="Refused, by reason",
                    description="Evaluations a second that each rule refused. The tallest is what stands in the way.",
                    unit="cps",
                    queries=(
                        Query(
                            f"topk(8, sum by (reason) (rate(fundarb_refusals_total{{{D}}}[5m])))",
                            "{{reason}}",
                        ),
                    ),
                    stacked=True,
                    zero=True,
                    width=12,
                    runbook="why-nothing-is-opened",
                ),
                Panel(
                    title="What is shut, and why",
                    description="By control and kind of scope: everything, venue, symbol, pair. Risk shows which.",
                    kind="states",
                    queries=(Query(SHUT, "{{kind}} {{control}}"),),
                    words=LEVELS,
                    width=12,
                    runbook="a-breaker-is-not-normal",
                ),
                Panel(
                    title="Pairs that pass every rule",
                    description="None is a normal answer: then nothing is worth doing after costs.",
                    queries=(Query(f"fundarb_opportunities_passing{{{D}}}", "passing"),),
                    zero=True,
                    width=12,
                    runbook="why-nothing-is-opened",
                ),
                Panel(
                    title="Alerts a minute",
                    description="By level. Critical ones page.",
                    queries=(
                        Query(f"sum by (level) (increase(fundarb_alerts_total{{{D}}}[1m]))", "{{level}}"),
                    ),
                    zero=True,
                    width=12,
                    runbook="something-critical-was-raised",
                ),
            ),
        ),
    ),
)
