"""How well each venue is seen, and how it answers."""

from __future__ import annotations

from typing import Final

from deploy.dashboards.board import DEPLOYMENT, VENUE, Board, Row
from deploy.dashboards.panels import Panel, Query
from deploy.dashboards.terms import V, quantile

OR_NONE: Final = f"or on (venue) 0 * max by (venue) (fundarb_data_age_seconds{{{V}}})"
"""A venue of which nothing was counted is shown at 0: no line could also mean that nobody looks."""

VENUES: Final = Board(
    uid="fundarb-venues",
    title="fundarb / Venues",
    description="How well each venue is seen and answers: errors, ages, gaps, clock, quarantine, latency.",
    variables=(DEPLOYMENT, VENUE),
    since="now-6h",
    rows=(
        Row(
            "Errors",
            (
                Panel(
                    title="Failed calls a minute",
                    description="By class. More than a fifth of 50 calls stops openings at the venue.",
                    queries=(
                        Query(
                            f"sum by (venue, class) (increase(fundarb_venue_errors_total{{{V}}}[1m])) {OR_NONE}",
                            "{{venue}} {{class}}",
                        ),
                    ),
                    zero=True,
                    width=12,
                    runbook="a-venue-fails",
                ),
                Panel(
                    title="Streams that broke",
                    description="Gaps an hour; after each the state is read again by REST.",
                    queries=(
                        Query(
                            f"sum by (venue) (increase(fundarb_data_gaps_total{{{V}}}[1h])) {OR_NONE}",
                            "{{venue}}",
                        ),
                    ),
                    zero=True,
                    width=6,
                    runbook="data-is-old",
                ),
                Panel(
                    title="Shut out",
                    description="Instruments in quarantine for nonsense, and why they are is in `fundarb status`.",
                    queries=(Query(f"fundarb_quarantined{{{V}}}", "{{venue}}"),),
                    zero=True,
                    width=6,
                    runbook="an-instrument-is-shut-out",
                ),
            ),
        ),
        Row(
            "Freshness",
            (
                Panel(
                    title="Age of quotes",
                    description="2 s when streamed; 2.5 times its interval when polled.",
                    unit="s",
                    queries=(
                        Query(f'max by (venue) (fundarb_data_age_seconds{{{V}, kind="quote"}})', "{{venue}}"),
                    ),
                    zero=True,
                    width=8,
                    runbook="data-is-old",
                ),
                Panel(
                    title="Age of funding",
                    description="120 s stops openings of the symbol.",
                    unit="s",
                    queries=(
                        Query(
                            f'max by (venue) (fundarb_data_age_seconds{{{V}, kind="funding"}})', "{{venue}}"
                        ),
                    ),
                    zero=True,
                    width=8,
                    runbook="data-is-old",
                ),
                Panel(
                    title="Clock offset",
                    description="The venue's clock minus ours.",
                    unit="s",
                    queries=(Query(f"fundarb_clock_offset_seconds{{{V}}}", "{{venue}}"),),
                    decimals=3,
                    width=8,
                    runbook="a-clock-is-wrong",
                ),
            ),
        ),
        Row(
            "Orders and money",
            (
                Panel(
                    title="Orders a minute, by outcome",
                    description="Done, rejected, unknown, never sent.",
                    queries=(
                        Query(
                            f"sum by (venue, outcome) (increase(fundarb_orders_total{{{V}}}[1m]))",
                            "{{venue}} {{outcome}}",
                        ),
                    ),
                    zero=True,
                    width=8,
                    runbook="unknown-orders",
                ),
                Panel(
                    title="Answer of an order",
                    description="From the release of an order to the venue's answer. Calls whose p99 is above 3 s stop openings there.",
                    unit="s",
                    queries=(
                        Query(quantile("fundarb_order_latency_seconds", "venue", V), "{{venue}} p99"),
                        Query(
                            quantile("fundarb_order_latency_seconds", "venue", V, share=0.5), "{{venue}} p50"
                        ),
                    ),
                    zero=True,
                    width=8,
                    runbook="a-venue-fails",
                ),
                Panel(
                    title="Equity",
                    description="Without price changes of coins that are the user's own.",
                    unit="currencyUSD",
                    queries=(Query(f"fundarb_equity_usd{{{V}}}", "{{venue}}"),),
                    width=8,
                    runbook="what-was-earned",
                ),
            ),
        ),
    ),
)
