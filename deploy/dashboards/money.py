"""What do I hold, what did it earn, is it safe, why is nothing happening: overview, opportunities, pair."""

from __future__ import annotations

from typing import Final

from deploy.dashboards.board import DEPLOYMENT, PAIR, Board, Row
from deploy.dashboards.panels import LEVELS, Panel, Query

D: Final = 'deployment=~"$deployment"'
P: Final = f'{D}, pair=~"$pair"'
NOTHING_HELD: Final = "nothing is held, which is a normal answer"
NOTHING_UNWOUND: Final = "nothing had to be unwound"
STATES: Final = {
    "1": ("idle", "text"),
    "2": ("opening", "blue"),
    "3": ("active", "green"),
    "4": ("closing", "purple"),
    "5": ("unwinding", "orange"),
    "6": ("stuck", "red"),
}
RANKED: Final = " or ".join(
    f'({number} * (fundarb_pair_state{{{P}, state="{word}"}} == 1))'
    for number, (word, _) in ((int(key), value) for key, value in STATES.items())
)
"""One number a pair, so that a timeline can show which state is the true one."""

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
                    description="The strictest level of any scope. Anything above normal stops openings.",
                    kind="stat",
                    queries=(Query(f"max(fundarb_breaker_level{{{D}}})"),),
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
                    may_be_empty=NOTHING_HELD,
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
                    title="Held",
                    description="Value of each pair's larger leg.",
                    unit="currencyUSD",
                    queries=(Query(f"fundarb_pair_notional_usd{{{D}}} > 0", "{{pair}}"),),
                    stacked=True,
                    zero=True,
                    width=8,
                    may_be_empty=NOTHING_HELD,
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
                ),
                Panel(
                    title="Funding received, by pair",
                    description="Since each pair was opened; below zero was paid.",
                    unit="currencyUSD",
                    queries=(Query(f"fundarb_funding_received_usd{{{D}}} != 0", "{{pair}}"),),
                    width=8,
                    may_be_empty="no settlement yet",
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
                ),
                Panel(
                    title="Breakers that are not normal",
                    description="Scope and level: 1 no opens, 2 reduce only, 3 flatten.",
                    kind="states",
                    queries=(Query(f"fundarb_breaker_level{{{D}}}", "{{scope}}"),),
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
                ),
                Panel(
                    title="Alerts a minute",
                    description="By level. Critical ones page.",
                    queries=(
                        Query(f"sum by (level) (increase(fundarb_alerts_total{{{D}}}[1m]))", "{{level}}"),
                    ),
                    zero=True,
                    width=12,
                ),
            ),
        ),
    ),
)

OPPORTUNITIES: Final = Board(
    uid="fundarb-opportunities",
    title="fundarb / Opportunities",
    description="What each pair would earn a day after every cost, and the rates behind it.",
    variables=(DEPLOYMENT, PAIR),
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
                    queries=(Query(f"topk(15, fundarb_opportunity_net_daily_usd{{{D}}})", instant=True),),
                    columns={"pair": "Pair", "Value": "Net a day"},
                    decimals=2,
                    width=10,
                    height=11,
                ),
                Panel(
                    title="Net a day, over time",
                    description="The five best of the window. Below zero costs eat the funding.",
                    unit="currencyUSD",
                    queries=(Query(f"topk(5, fundarb_opportunity_net_daily_usd{{{D}}})", "{{pair}}"),),
                    width=14,
                    height=11,
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
                    queries=(Query(f"topk(8, fundarb_funding_rate_daily{{{D}}})", "{{venue}} {{symbol}}"),),
                    decimals=3,
                    width=12,
                ),
                Panel(
                    title="Rate a day, the lowest",
                    description="Shorts pay longs: a pair in reverse earns these where coins can be borrowed.",
                    unit="percentunit",
                    queries=(
                        Query(f"bottomk(8, fundarb_funding_rate_daily{{{D}}})", "{{venue}} {{symbol}}"),
                    ),
                    decimals=3,
                    width=12,
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
                ),
                Panel(
                    title="Intents a minute",
                    description="What signal asks the executor to do, repetitions included.",
                    queries=(
                        Query(f"sum by (action) (increase(fundarb_intents_total{{{D}}}[1m]))", "{{action}}"),
                    ),
                    zero=True,
                    width=8,
                    may_be_empty="in observer mode nothing is asked",
                ),
            ),
        ),
    ),
)

PAIR_BOARD: Final = Board(
    uid="fundarb-pair",
    title="fundarb / Pair",
    description="One pair from near: its states, legs, delta, funding, orders and costs.",
    variables=(DEPLOYMENT, PAIR),
    since="now-3h",
    rows=(
        Row(
            "State",
            (
                Panel(
                    title="State over time",
                    description="Idle, opening, active, closing, unwinding, stuck. Only a person leaves stuck.",
                    kind="states",
                    queries=(Query(RANKED, "{{pair}}"),),
                    words=STATES,
                    width=24,
                    height=9,
                    runbook="a-pair-is-stuck",
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
                    queries=(Query(f"fundarb_pair_notional_usd{{{P}}}", "{{pair}}"),),
                    zero=True,
                    width=8,
                ),
                Panel(
                    title="Delta",
                    description="Difference of the legs over the larger one. Above the rebalance threshold it is trimmed.",
                    unit="percentunit",
                    queries=(Query(f"fundarb_pair_delta_ratio{{{P}}}", "{{pair}}"),),
                    steps=((None, "green"), (0.002, "orange"), (0.05, "red")),
                    decimals=2,
                    width=8,
                    runbook="naked-exposure",
                ),
                Panel(
                    title="Unhedged USD x seconds",
                    description="Added up a minute: how much was open, and for how long.",
                    queries=(Query(f"increase(fundarb_naked_usd_seconds_total{{{P}}}[1m])", "{{pair}}"),),
                    zero=True,
                    width=8,
                    runbook="naked-exposure",
                    may_be_empty="nothing was ever unhedged",
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
                    may_be_empty=NOTHING_HELD,
                ),
                Panel(
                    title="Fees paid",
                    description="By liquidity: taker or maker. Below zero is a rebate.",
                    unit="currencyUSD",
                    queries=(Query(f"fundarb_fees_usd{{{P}}}", "{{pair}} {{liquidity}}"),),
                    width=8,
                    may_be_empty=NOTHING_HELD,
                ),
                Panel(
                    title="Cost of rebalancing",
                    description="Fees and slippage of trims. 30 % of what is earned suggests a higher threshold.",
                    unit="currencyUSD",
                    queries=(Query(f"fundarb_rebalance_cost_usd{{{P}}}", "{{pair}}"),),
                    width=8,
                    may_be_empty="nothing was rebalanced",
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
                            f"sum by (venue, outcome) (increase(fundarb_orders_total{{{D}}}[1m]))",
                            "{{venue}} {{outcome}}",
                        ),
                    ),
                    zero=True,
                    width=8,
                    runbook="unknown-orders",
                    may_be_empty="no order was sent",
                ),
                Panel(
                    title="Answer of an order",
                    description="From the release of an order to its answer.",
                    unit="s",
                    queries=(
                        Query(
                            f"histogram_quantile(0.99, sum by (le) (rate(fundarb_order_latency_seconds_bucket{{{D}}}[5m])))",
                            "p99",
                        ),
                        Query(
                            f"histogram_quantile(0.5, sum by (le) (rate(fundarb_order_latency_seconds_bucket{{{D}}}[5m])))",
                            "p50",
                        ),
                    ),
                    zero=True,
                    width=8,
                    may_be_empty="no order was sent",
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
                    width=8,
                    runbook="unwinds",
                    may_be_empty=NOTHING_UNWOUND,
                ),
            ),
        ),
    ),
)
