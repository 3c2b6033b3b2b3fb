"""One pair from near: state, hedge, money, orders."""

from __future__ import annotations

from typing import Final

from deploy.dashboards.board import DEPLOYMENT, LEG_VENUE, PAIR, Board, Row
from deploy.dashboards.panels import Panel, Query
from deploy.dashboards.terms import AT, P, V, quantile

NOTHING_UNWOUND: Final = "nothing had to be unwound"
STATES: Final = {
    "1": ("idle", "text"),
    "2": ("opening", "blue"),
    "3": ("active", "green"),
    "4": ("closing", "purple"),
    "5": ("unwinding", "orange"),
    "6": ("stuck", "red"),
}
_RANKED: Final = " + ".join(
    f'{number} * sum by (deployment, pair) (fundarb_pair_state{{{P}, state="{word}"}})'
    for number, (word, _) in STATES.items()
)
STATE: Final = f"({_RANKED}) > 1"
"""One number a pair, so that a timeline shows which state is the true one; idle is a gap."""

HELD: Final = f"and on (deployment, pair) (fundarb_pair_notional_usd{{{P}}} > 0)"
"""Ends an expression of pairs: those that hold nothing have no line."""

NET: Final = f"sum by (deployment, pair) (fundarb_leg_usd{{{P}}}) {HELD}"
"""Of both legs, whatever venue is chosen: a part of a hedge is no net."""

PAIR_BOARD: Final = Board(
    uid="fundarb-pair",
    title="fundarb / Pair",
    description="One pair from near: its states, legs, delta, funding, orders and costs.",
    variables=(DEPLOYMENT, PAIR, LEG_VENUE),
    since="now-3h",
    rows=(
        Row(
            "State",
            (
                Panel(
                    title="State over time",
                    description="Opening, active, closing, unwinding, stuck; a gap is idle. Only a person leaves stuck.",
                    kind="states",
                    queries=(Query(STATE, "{{pair}}"),),
                    words=STATES,
                    width=24,
                    height=9,
                    runbook="a-pair-is-stuck",
                ),
            ),
        ),
        Row(
            "Legs",
            (
                Panel(
                    title="Legs",
                    description="USD of each leg at its own mid: long above zero, short below. Hedged is a mirror image.",
                    unit="currencyUSD",
                    queries=(
                        Query(f"fundarb_leg_usd{{{P}, {AT}}} != 0", "{{pair}} {{venue}} {{instrument}}"),
                    ),
                    width=16,
                    height=9,
                    runbook="what-is-held",
                ),
                Panel(
                    title="Legs now",
                    description="The same as a table; empty while nothing is held.",
                    kind="table",
                    unit="currencyUSD",
                    queries=(Query(f"fundarb_leg_usd{{{P}, {AT}}} != 0", instant=True),),
                    columns={"pair": "Pair", "venue": "Venue", "instrument": "Instrument", "Value": "USD"},
                    decimals=2,
                    width=8,
                    height=9,
                    runbook="what-is-held",
                ),
            ),
        ),
        Row(
            "Hedge",
            (
                Panel(
                    title="Value held",
                    description="Of the larger leg.",
                    unit="currencyUSD",
                    queries=(Query(f"fundarb_pair_notional_usd{{{P}}} > 0", "{{pair}}"),),
                    zero=True,
                    width=6,
                    runbook="what-is-held",
                ),
                Panel(
                    title="Net of the legs",
                    description="Their USD added up: what a price move reaches, and the basis. Near zero while hedged.",
                    unit="currencyUSD",
                    queries=(Query(NET, "{{pair}}"),),
                    width=6,
                    runbook="what-is-held",
                ),
                Panel(
                    title="Delta",
                    description="Difference of the legs over the larger one. Above the rebalance threshold it is trimmed.",
                    unit="percentunit",
                    queries=(Query(f"fundarb_pair_delta_ratio{{{P}}} {HELD}", "{{pair}}"),),
                    steps=((None, "green"), (0.002, "orange"), (0.05, "red")),
                    decimals=2,
                    width=6,
                    runbook="naked-exposure",
                ),
                Panel(
                    title="Unhedged USD x seconds",
                    description="Added up a minute: how much was open, and for how long.",
                    queries=(Query(f"increase(fundarb_naked_usd_seconds_total{{{P}}}[1m])", "{{pair}}"),),
                    zero=True,
                    width=6,
                    runbook="naked-exposure",
                ),
            ),
        ),
        Row(
            "Money",
            (
                Panel(
                    title="Funding received",
                    description="Since the opening; below zero was paid.",
                    unit="currencyUSD",
                    queries=(Query(f"fundarb_funding_received_usd{{{P}}}", "{{pair}}"),),
                    width=8,
                    runbook="what-was-earned",
                ),
                Panel(
                    title="Fees paid",
                    description="By liquidity: taker or maker. Below zero is a rebate.",
                    unit="currencyUSD",
                    queries=(Query(f"fundarb_fees_usd{{{P}}}", "{{pair}} {{liquidity}}"),),
                    width=8,
                    runbook="what-was-earned",
                ),
                Panel(
                    title="Cost of rebalancing",
                    description="Fees and slippage of trims. 30 % of what is earned suggests a higher threshold.",
                    unit="currencyUSD",
                    queries=(Query(f"fundarb_rebalance_cost_usd{{{P}}}", "{{pair}}"),),
                    width=8,
                    runbook="what-was-earned",
                ),
            ),
        ),
        Row(
            "Orders",
            (
                Panel(
                    title="Orders a minute, by outcome",
                    description="Unknown means: sent, and not answered clearly. It is resolved before anything else is sent.",
                    queries=(
                        Query(
                            f"sum by (venue, outcome) (increase(fundarb_orders_total{{{P}, {AT}}}[1m]))",
                            "{{venue}} {{outcome}}",
                        ),
                    ),
                    zero=True,
                    width=6,
                    runbook="unknown-orders",
                ),
                Panel(
                    title="From tick to order, all pairs",
                    description="From the arrival of the tick that led to it to the order on the wire.",
                    unit="s",
                    queries=(
                        Query(quantile("fundarb_tick_to_order_seconds"), "p99"),
                        Query(quantile("fundarb_tick_to_order_seconds", share=0.5), "p50"),
                    ),
                    zero=True,
                    width=6,
                    runbook="how-fast-it-is",
                ),
                Panel(
                    title="Answer of an order, all pairs",
                    description="From the release of an order to its answer.",
                    unit="s",
                    queries=(
                        Query(quantile("fundarb_order_latency_seconds", where=V), "p99"),
                        Query(quantile("fundarb_order_latency_seconds", where=V, share=0.5), "p50"),
                    ),
                    zero=True,
                    width=6,
                    runbook="how-fast-it-is",
                ),
                Panel(
                    title="Unwinds an hour",
                    description="Legs that had to be taken back, by reason. Three within an hour quarantine the symbol.",
                    queries=(
                        Query(
                            f"sum by (pair, reason) (increase(fundarb_unwinds_total{{{P}}}[1h]))",
                            "{{pair}} {{reason}}",
                        ),
                    ),
                    zero=True,
                    width=6,
                    runbook="unwinds",
                    may_be_empty=NOTHING_UNWOUND,
                ),
            ),
        ),
    ),
)
