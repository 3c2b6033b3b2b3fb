"""Is it safe, and does the machine work: risk, venues, internals."""

from __future__ import annotations

from typing import Final

from deploy.dashboards.board import DEPLOYMENT, VENUE, Board, Row
from deploy.dashboards.money import NOTHING_HELD, D
from deploy.dashboards.panels import LEVELS, UP, Panel, Query

V: Final = f'{D}, venue=~"$venue"'


def p99(metric: str, by: str = "", where: str = D, *, share: float = 0.99) -> str:
    """The quantile of a histogram over 5 minutes, apart by one label."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{{{where}}}[5m])))"


RISK: Final = Board(
    uid="fundarb-risk",
    title="fundarb / Risk",
    description="Breakers, permits, margin, exposure and the ages of what risk looks at.",
    variables=(DEPLOYMENT,),
    since="now-6h",
    rows=(
        Row(
            "Breakers",
            (
                Panel(
                    title="Level of every scope",
                    description="0 normal, 1 no opens, 2 reduce only, 3 flatten; a scope that is normal again goes green.",
                    kind="states",
                    queries=(Query(f"fundarb_breaker_level{{{D}}}", "{{scope}}"),),
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
            "Exposure and margin",
            (
                Panel(
                    title="Unhedged USD",
                    description="The average over the last minute, by pair.",
                    unit="currencyUSD",
                    queries=(Query(f"rate(fundarb_naked_usd_seconds_total{{{D}}}[1m])", "{{pair}}"),),
                    steps=((None, "green"), (50, "orange"), (500, "red")),
                    zero=True,
                    width=8,
                    runbook="naked-exposure",
                    may_be_empty="nothing was ever unhedged",
                ),
                Panel(
                    title="Margin ratio",
                    description="Maintenance margin over equity. 4 % warns, 6 % shrinks, 10 % flattens.",
                    unit="percentunit",
                    queries=(Query(f"fundarb_margin_ratio{{{D}}}", "{{venue}}"),),
                    steps=((None, "green"), (0.04, "yellow"), (0.06, "orange"), (0.10, "red")),
                    zero=True,
                    width=8,
                    runbook="margin-ratio",
                    may_be_empty=NOTHING_HELD,
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
                    queries=(Query(f"fundarb_max_ratio{{{D}}}", "{{pair}}"),),
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
                            f"max by (venue, kind) (fundarb_data_age_seconds{{{D}}})", "{{venue}} {{kind}}"
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
                    queries=(Query(f"fundarb_clock_offset_seconds{{{D}}}", "{{venue}}"),),
                    width=12,
                    runbook="a-clock-is-wrong",
                ),
            ),
        ),
    ),
)

VENUES: Final = Board(
    uid="fundarb-venues",
    title="fundarb / Venues",
    description="How well each venue is seen and answers: errors, ages, gaps, clock, quarantine.",
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
                            f"sum by (venue, class) (increase(fundarb_venue_errors_total{{{V}}}[1m]))",
                            "{{venue}} {{class}}",
                        ),
                    ),
                    zero=True,
                    width=12,
                    runbook="a-venue-fails",
                    may_be_empty="no call has failed",
                ),
                Panel(
                    title="Streams that broke",
                    description="Gaps an hour; after each the state is read again by REST.",
                    queries=(Query(f"increase(fundarb_data_gaps_total{{{V}}}[1h])", "{{venue}}"),),
                    zero=True,
                    width=6,
                    may_be_empty="no stream broke",
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
                    width=12,
                    runbook="unknown-orders",
                    may_be_empty="no order was sent",
                ),
                Panel(
                    title="Equity",
                    description="Without price changes of coins that are the user's own.",
                    unit="currencyUSD",
                    queries=(Query(f"fundarb_equity_usd{{{V}}}", "{{venue}}"),),
                    width=12,
                ),
            ),
        ),
    ),
)

INTERNALS: Final = Board(
    uid="fundarb-internals",
    title="fundarb / Internals",
    description="Bus, store, inboxes, fsync, memory: does the machine keep up?",
    variables=(DEPLOYMENT,),
    since="now-1h",
    rows=(
        Row(
            "Services",
            (
                Panel(
                    title="Well",
                    description="1 while the service has no problem. `fundarb health` says what it is.",
                    kind="states",
                    queries=(Query(f"fundarb_service_up{{{D}}}", "{{service}}"),),
                    words=UP,
                    width=12,
                    runbook="a-service-is-down",
                ),
                Panel(
                    title="Memory",
                    description="Resident, by service.",
                    unit="bytes",
                    queries=(Query(f"fundarb_resident_bytes{{{D}}}", "{{service}}"),),
                    stacked=True,
                    zero=True,
                    width=6,
                ),
                Panel(
                    title="Build",
                    description="All services must run one build: a permit of another build does not count.",
                    kind="table",
                    queries=(Query(f"count by (build) (fundarb_build_info{{{D}}})", instant=True),),
                    columns={"build": "Build", "Value": "Services"},
                    width=6,
                ),
            ),
        ),
        Row(
            "Bus",
            (
                Panel(
                    title="Age on arrival",
                    description="The oldest message of the last second.",
                    unit="s",
                    queries=(Query(f"fundarb_bus_lag_seconds{{{D}}}", "{{service}}"),),
                    zero=True,
                    width=8,
                    runbook="the-bus-is-behind",
                ),
                Panel(
                    title="Published a second",
                    description="Messages given to the bus.",
                    unit="cps",
                    queries=(Query(f"rate(fundarb_bus_published_total{{{D}}}[1m])", "{{service}}"),),
                    zero=True,
                    width=8,
                ),
                Panel(
                    title="Lost or malformed a minute",
                    description="Not published while disconnected, or not what the subject promises.",
                    queries=(
                        Query(f"increase(fundarb_bus_lost_total{{{D}}}[1m])", "{{service}} lost"),
                        Query(
                            f"increase(fundarb_bus_bad_messages_total{{{D}}}[1m])", "{{service}} malformed"
                        ),
                    ),
                    zero=True,
                    width=8,
                    runbook="the-bus-is-behind",
                ),
            ),
        ),
        Row(
            "Inboxes and the event loop",
            (
                Panel(
                    title="Events that wait",
                    description="Bounded: market data is conflated first.",
                    queries=(Query(f"fundarb_inbox_depth{{{D}}}", "{{service}}"),),
                    zero=True,
                    width=6,
                ),
                Panel(
                    title="Longest wait",
                    description="Of an event in the inbox, in the last second.",
                    unit="s",
                    queries=(Query(f"fundarb_inbox_wait_seconds{{{D}}}", "{{service}}"),),
                    zero=True,
                    width=6,
                ),
                Panel(
                    title="Time an event takes",
                    description="99 of 100 are handled within this time.",
                    unit="s",
                    queries=(Query(p99("fundarb_handle_seconds", "service"), "{{service}}"),),
                    zero=True,
                    width=6,
                ),
                Panel(
                    title="Event loop late",
                    description="At the last beat. A machine that is too small shows here first.",
                    unit="s",
                    queries=(Query(f"fundarb_loop_lag_seconds{{{D}}}", "{{service}}"),),
                    zero=True,
                    width=6,
                ),
            ),
        ),
        Row(
            "Store",
            (
                Panel(
                    title="Until a write is durable",
                    description="With appendfsync always, the way to the disk included.",
                    unit="s",
                    queries=(
                        Query(p99("fundarb_persist_seconds", "service"), "{{service}} p99"),
                        Query(p99("fundarb_persist_seconds", "service", share=0.5), "{{service}} p50"),
                    ),
                    zero=True,
                    width=8,
                    runbook="the-store-is-slow-or-full",
                ),
                Panel(
                    title="Writes of unknown outcome a minute",
                    description="Nothing is sent behind them; state is read again first.",
                    queries=(Query(f"increase(fundarb_store_failures_total{{{D}}}[1m])", "{{service}}"),),
                    zero=True,
                    width=8,
                    runbook="the-store-is-slow-or-full",
                ),
                Panel(
                    title="Faults a minute",
                    description="Events on which an actor raised. Any is a defect: its log has the trace.",
                    queries=(Query(f"increase(fundarb_actor_faults_total{{{D}}}[1m])", "{{service}}"),),
                    zero=True,
                    width=8,
                    runbook="an-actor-has-faults",
                ),
            ),
        ),
    ),
)
