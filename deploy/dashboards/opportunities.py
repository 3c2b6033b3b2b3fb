"""What each pair would earn, and the rates behind it."""

from __future__ import annotations

from typing import Final

from deploy.dashboards.board import DEPLOYMENT, SCORED, VENUE, Board, Row
from deploy.dashboards.panels import Panel, Query
from deploy.dashboards.terms import D, P, V

OPPORTUNITIES: Final = Board(
    uid="fundarb-opportunities",
    title="fundarb / Opportunities",
    description="What each pair would earn a day after every cost, and the rates behind it.",
    variables=(DEPLOYMENT, VENUE, SCORED),
    since="now-24h",
    rows=(
        Row(
            "Worth doing?",
            (
                Panel(
                    title="Net a day, best pairs now",
                    description="USD a day after fees, slippage, borrow and transfer, at the configured notional.",
                    kind="table",
                    unit="currencyUSD",
                    queries=(Query(f"topk(15, fundarb_opportunity_net_daily_usd{{{P}}})", instant=True),),
                    columns={"pair": "Pair", "Value": "Net a day"},
                    decimals=2,
                    width=10,
                    height=11,
                    runbook="what-would-be-earned",
                ),
                Panel(
                    title="Net a day, over time",
                    description="The five best at each moment. Below zero costs eat the funding.",
                    unit="currencyUSD",
                    queries=(Query(f"topk(5, fundarb_opportunity_net_daily_usd{{{P}}})", "{{pair}}"),),
                    width=14,
                    height=11,
                    runbook="what-would-be-earned",
                ),
            ),
        ),
        Row(
            "Funding",
            (
                Panel(
                    title="Rate a day, the highest",
                    description="As a fraction a day: rate x 24 / interval in hours. Longs pay shorts above zero.",
                    unit="percentunit",
                    queries=(Query(f"topk(8, fundarb_funding_rate_daily{{{V}}})", "{{venue}} {{symbol}}"),),
                    decimals=3,
                    width=12,
                    runbook="what-would-be-earned",
                ),
                Panel(
                    title="Rate a day, the lowest",
                    description="Shorts pay longs: a pair in reverse earns these where coins can be borrowed.",
                    unit="percentunit",
                    queries=(
                        Query(f"bottomk(8, fundarb_funding_rate_daily{{{V}}})", "{{venue}} {{symbol}}"),
                    ),
                    decimals=3,
                    width=12,
                    runbook="what-would-be-earned",
                ),
            ),
        ),
        Row(
            "The work behind it",
            (
                Panel(
                    title="Evaluations a second",
                    description="Every tick of a leg evaluates its pairs.",
                    unit="cps",
                    queries=(Query(f"sum(rate(fundarb_evaluations_total{{{D}}}[1m]))", "evaluations"),),
                    zero=True,
                    width=8,
                    runbook="how-fast-it-is",
                ),
                Panel(
                    title="From tick to evaluation",
                    description="99 of 100 evaluations are done within this time after the tick's arrival.",
                    unit="s",
                    queries=(
                        Query(
                            f"histogram_quantile(0.99, sum by (le) (rate(fundarb_tick_to_evaluation_seconds_bucket{{{D}}}[5m])))",
                            "p99",
                        ),
                        Query(
                            f"histogram_quantile(0.5, sum by (le) (rate(fundarb_tick_to_evaluation_seconds_bucket{{{D}}}[5m])))",
                            "p50",
                        ),
                    ),
                    zero=True,
                    width=8,
                    runbook="how-fast-it-is",
                ),
                Panel(
                    title="Intents a minute",
                    description="What signal asks the executor to do, repetitions included.",
                    queries=(
                        Query(f"sum by (action) (increase(fundarb_intents_total{{{D}}}[1m]))", "{{action}}"),
                    ),
                    zero=True,
                    width=8,
                    runbook="why-nothing-is-opened",
                ),
            ),
        ),
    ),
)
