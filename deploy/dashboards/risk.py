"""What risk allows, and what it looks at."""

from __future__ import annotations

from typing import Final

from deploy.dashboards.board import DEPLOYMENT, PAIR, VENUE, Board, Row
from deploy.dashboards.panels import LEVELS, Panel, Query
from deploy.dashboards.terms import SHUT, D, P, V

RISK: Final = Board(
    uid="fundarb-risk",
    title="fundarb / Risk",
    description="Breakers, permits, margin, exposure and the ages of what risk looks at.",
    variables=(DEPLOYMENT, VENUE, PAIR),
    since="now-6h",
    rows=(
        Row(
            "Breakers",
            (
                Panel(
                    title="What is shut, and why",
                    description="By control and kind of scope: everything, venue, symbol, pair. A gap is normal.",
                    kind="states",
                    queries=(Query(SHUT, "{{kind}} {{control}}"),),
                    words=LEVELS,
                    width=16,
                    height=9,
                    runbook="a-breaker-is-not-normal",
                ),
                Panel(
                    title="Age of the permit, by service",
                    description="Without a permit for 1 s nothing may increase; after 30 s somebody is paged.",
                    unit="s",
                    queries=(Query(f"fundarb_permit_age_seconds{{{D}}}", "{{service}}"),),
                    steps=((None, "green"), (1, "orange"), (30, "red")),
                    zero=True,
                    width=8,
                    height=9,
                    runbook="no-permit",
                ),
            ),
        ),
        Row(
            "Which scopes?",
            (
                Panel(
                    title="Everything that is shut now",
                    description="Each scope with the control that shuts it, and how far.",
                    kind="table",
                    queries=(Query(f"fundarb_control_level{{{D}}}", instant=True),),
                    words=LEVELS,
                    columns={"scope": "Scope", "control": "Control", "Value": "Level"},
                    width=24,
                    runbook="a-breaker-is-not-normal",
                    may_be_empty="nothing is shut",
                ),
            ),
        ),
        Row(
            "Exposure and margin",
            (
                Panel(
                    title="Unhedged USD",
                    description="The average over the last minute, by pair.",
                    unit="currencyUSD",
                    queries=(Query(f"rate(fundarb_naked_usd_seconds_total{{{P}}}[1m])", "{{pair}}"),),
                    steps=((None, "green"), (50, "orange"), (500, "red")),
                    zero=True,
                    width=8,
                    runbook="naked-exposure",
                ),
                Panel(
                    title="Margin ratio",
                    description="Maintenance margin over equity. 4 % warns, 6 % shrinks, 10 % flattens.",
                    unit="percentunit",
                    queries=(Query(f"fundarb_margin_ratio{{{V}}}", "{{venue}}"),),
                    steps=((None, "green"), (0.04, "yellow"), (0.06, "orange"), (0.10, "red")),
                    zero=True,
                    width=8,
                    runbook="margin-ratio",
                ),
                Panel(
                    title="Loss of the day",
                    description="Of the UTC day's first equity, both legs at one price. 1 % no opens, 2 % halt, 4 % flatten.",
                    unit="percentunit",
                    queries=(Query(f"fundarb_day_loss_ratio{{{D}}}", "lost"),),
                    steps=((None, "green"), (0.01, "yellow"), (0.02, "orange"), (0.04, "red")),
                    width=8,
                    runbook="loss-of-the-day",
                ),
                Panel(
                    title="Share that may be kept",
                    description="Below 1 the executor reduces both legs of the pair to it.",
                    unit="percentunit",
                    queries=(Query(f"fundarb_max_ratio{{{P}}}", "{{pair}}"),),
                    zero=True,
                    width=12,
                    runbook="a-pair-is-shrunk",
                    may_be_empty="nothing is being shrunk",
                ),
                Panel(
                    title="Equity that nothing explains",
                    description="Every balance change must be a fill, fee, funding, interest or transfer.",
                    unit="currencyUSD",
                    queries=(Query(f"fundarb_equity_residual_usd{{{D}}}", "residual"),),
                    decimals=6,
                    width=12,
                    runbook="money-that-no-line-explains",
                ),
            ),
        ),
        Row(
            "Is the data fresh?",
            (
                Panel(
                    title="Age of data",
                    description="Since the last frame or confirming poll, the oldest of each kind.",
                    unit="s",
                    queries=(
                        Query(
                            f"max by (venue, kind) (fundarb_data_age_seconds{{{V}}})", "{{venue}} {{kind}}"
                        ),
                    ),
                    zero=True,
                    width=12,
                    runbook="data-is-old",
                ),
                Panel(
                    title="Clock offset to the venue",
                    description="Over 250 ms is a warning, over 500 ms nothing is opened there.",
                    unit="s",
                    queries=(Query(f"fundarb_clock_offset_seconds{{{V}}}", "{{venue}}"),),
                    width=12,
                    runbook="a-clock-is-wrong",
                ),
            ),
        ),
    ),
)
