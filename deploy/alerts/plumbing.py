"""Does the machine keep up, and is what it sees fresh: bus, store, inboxes, data, venues."""

from __future__ import annotations

from typing import Final

from deploy.alerts.rules import Case, Recorded, Rule, rising, steady, then

MAIN: Final = 'deployment="main"'
FEED: Final = f'{MAIN},service="feed"'
SIGNAL: Final = f'{MAIN},service="signal"'
EXECUTOR: Final = f'{MAIN},service="executor"'

PERSIST_P99: Final = "deployment_service:fundarb_persist_seconds:p99_5m"
EVALUATIONS: Final = "deployment:fundarb_evaluations:rate1m"
VENUE_ERRORS: Final = "deployment_venue:fundarb_venue_errors:rate5m"

RECORDED: Final = (
    Recorded(
        name=PERSIST_P99,
        expr=(
            "histogram_quantile(0.99, sum by (deployment, service, le)"
            " (rate(fundarb_persist_seconds_bucket[5m])))"
        ),
    ),
    Recorded(name=EVALUATIONS, expr="sum by (deployment) (rate(fundarb_evaluations_total[1m]))"),
    Recorded(name=VENUE_ERRORS, expr="sum by (deployment, venue) (rate(fundarb_venue_errors_total[5m]))"),
)


def _old(name: str, kind: str, seconds: float, what: str) -> Rule:
    """Data of a kind is old at a venue: also where no risk runs."""
    series = f'fundarb_data_age_seconds{{{FEED},venue="binance",kind="{kind}"}}'
    return Rule(
        name=name,
        severity="warning",
        expr=f'max by (deployment, venue) (fundarb_data_age_seconds{{kind="{kind}"}}) > {seconds:g}',
        lasting="1m",
        summary=f"{{{{ $labels.venue }}}}: no {what} for {seconds:g} s",
        remedy="Its status page, then the network, then the machine (Event loop late).",
        runbook="data-is-old",
        case=Case(fires={series: steady(seconds * 2)}, quiet={series: then(seconds / 2, 999, at_sec=270)}),
    )


RULES: Final = (
    _old("QuotesOld", "quote", 15, "quote"),
    _old("FundingOld", "funding", 300, "funding rate"),
    Rule(
        name="NothingEvaluated",
        severity="warning",
        expr=f"{EVALUATIONS} == 0",
        lasting="1m",
        summary="No pair has been evaluated for a minute",
        remedy="See Age of data; without fresh quotes nothing is evaluated.",
        runbook="data-is-old",
        case=Case(
            fires={f"fundarb_evaluations_total{{{SIGNAL}}}": rising(5, until_sec=100)},
            quiet={f"fundarb_evaluations_total{{{SIGNAL}}}": rising(5)},
        ),
    ),
    Rule(
        name="VenueErrorsMany",
        severity="warning",
        expr=f"{VENUE_ERRORS} > 0.2",
        lasting="1m",
        summary="{{ $labels.venue }}: more than twelve calls a minute fail",
        remedy="Failed calls a minute, by class, tells whether it is a rate limit, the network or the venue.",
        runbook="a-venue-fails",
        case=Case(
            fires={f'fundarb_venue_errors_total{{{FEED},venue="bitget",class="network"}}': rising(0.5)},
            quiet={f'fundarb_venue_errors_total{{{FEED},venue="bitget",class="network"}}': rising(0.1)},
        ),
    ),
    Rule(
        name="ClockOff",
        severity="warning",
        expr="max by (deployment, venue) (abs(fundarb_clock_offset_seconds)) > 0.25",
        lasting="1m",
        summary="{{ $labels.venue }}: its clock and ours differ by more than 250 ms",
        remedy="Run chrony or systemd-timesyncd; from 500 ms on nothing is opened there.",
        runbook="a-clock-is-wrong",
        case=Case(
            fires={f'fundarb_clock_offset_seconds{{{FEED},venue="binance"}}': steady(-0.4)},
            quiet={f'fundarb_clock_offset_seconds{{{FEED},venue="binance"}}': then(0.1, 0.4, at_sec=280)},
        ),
    ),
    Rule(
        name="StreamsBreak",
        severity="warning",
        expr="sum by (deployment, venue) (increase(fundarb_data_gaps_total[15m])) > 5",
        summary="{{ $labels.venue }}: its streams break again and again",
        remedy="The network, or a machine that reads too slowly.",
        runbook="data-is-old",
        case=Case(
            fires={f'fundarb_data_gaps_total{{{FEED},venue="binance"}}': rising(0.1)},
            quiet={f'fundarb_data_gaps_total{{{FEED},venue="binance"}}': rising(0.005)},
        ),
    ),
    Rule(
        name="InstrumentShutOut",
        severity="info",
        expr="max by (deployment, venue) (fundarb_quarantined) > 0",
        lasting="4m",
        summary="{{ $labels.venue }}: an instrument is not used, because nonsense came for it",
        remedy="fundarb status says what; it returns by itself when it makes sense again.",
        runbook="an-instrument-is-shut-out",
        case=Case(
            fires={f'fundarb_quarantined{{{FEED},venue="binance"}}': steady(2)},
            quiet={f'fundarb_quarantined{{{FEED},venue="binance"}}': then(0, 2, at_sec=100)},
        ),
    ),
    Rule(
        name="BusLate",
        severity="warning",
        expr="max by (deployment, service) (fundarb_bus_lag_seconds) > 0.5",
        lasting="1m",
        summary="Messages reach {{ $labels.service }} late",
        remedy="Give the machine more room; see Event loop late.",
        runbook="the-bus-is-behind",
        case=Case(
            fires={f"fundarb_bus_lag_seconds{{{SIGNAL}}}": steady(0.8)},
            quiet={f"fundarb_bus_lag_seconds{{{SIGNAL}}}": then(0.01, 0.8, at_sec=260)},
        ),
    ),
    Rule(
        name="BusLoses",
        severity="warning",
        expr="sum by (deployment, service) (increase(fundarb_bus_lost_total[5m])) > 0",
        summary="{{ $labels.service }} could not publish: the broker was away, or a message was too large",
        remedy="See whether the broker runs; who missed something is right again with the next message.",
        runbook="the-bus-is-behind",
        case=Case(
            fires={f"fundarb_bus_lost_total{{{FEED}}}": then(0, 40, at_sec=200)},
            quiet={f"fundarb_bus_lost_total{{{FEED}}}": steady(40)},
        ),
    ),
    Rule(
        name="BusNonsense",
        severity="warning",
        expr="sum by (deployment, service) (increase(fundarb_bus_bad_messages_total[5m])) > 0",
        summary="{{ $labels.service }} hears messages that are not what their subject promises",
        remedy="Find the foreign publisher, or the service of another build.",
        runbook="the-bus-is-behind",
        case=Case(
            fires={f"fundarb_bus_bad_messages_total{{{SIGNAL}}}": then(0, 1, at_sec=200)},
            quiet={f"fundarb_bus_bad_messages_total{{{SIGNAL}}}": steady(1)},
        ),
    ),
    Rule(
        name="StoreFails",
        severity="critical",
        expr="sum by (deployment, service) (increase(fundarb_store_failures_total[1m])) > 0",
        lasting="30s",
        summary="Writes of {{ $labels.service }} are not known to be durable: nothing is sent behind them",
        remedy="See whether the store runs and has room (memory, disk).",
        runbook="the-store-is-slow-or-full",
        case=Case(
            fires={f"fundarb_store_failures_total{{{EXECUTOR}}}": rising(0.4)},
            quiet={f"fundarb_store_failures_total{{{EXECUTOR}}}": rising(0.4, until_sec=200)},
        ),
    ),
    Rule(
        name="StoreSlow",
        severity="warning",
        expr=f"{PERSIST_P99} > 0.25",
        lasting="1m",
        summary="One of a hundred writes of {{ $labels.service }} takes longer than 250 ms",
        remedy="The disk is busy or slow; orders wait for it.",
        runbook="the-store-is-slow-or-full",
        case=Case(
            fires={
                f'fundarb_persist_seconds_bucket{{{EXECUTOR},le="0.1"}}': rising(1),
                f'fundarb_persist_seconds_bucket{{{EXECUTOR},le="1"}}': rising(2),
                f'fundarb_persist_seconds_bucket{{{EXECUTOR},le="+Inf"}}': rising(2),
            },
            quiet={
                f'fundarb_persist_seconds_bucket{{{EXECUTOR},le="0.1"}}': rising(2),
                f'fundarb_persist_seconds_bucket{{{EXECUTOR},le="1"}}': rising(2),
                f'fundarb_persist_seconds_bucket{{{EXECUTOR},le="+Inf"}}': rising(2),
            },
        ),
    ),
    Rule(
        name="AlertsNotStored",
        severity="critical",
        expr="max by (deployment, service) (fundarb_alerts_waiting) > 0",
        lasting="1m",
        summary="Alerts of {{ $labels.service }} have not reached the store for a minute",
        remedy="See whether the store runs; critical ones are told without it while the bus works.",
        runbook="the-store-is-slow-or-full",
        case=Case(
            fires={f"fundarb_alerts_waiting{{{EXECUTOR}}}": steady(2)},
            quiet={f"fundarb_alerts_waiting{{{EXECUTOR}}}": then(0, 2, at_sec=270)},
        ),
    ),
    Rule(
        name="EventLoopLate",
        severity="warning",
        expr="max by (deployment, service) (avg_over_time(fundarb_loop_lag_seconds[1m])) > 0.25",
        lasting="1m",
        summary="{{ $labels.service }} does not get to its work in time",
        remedy="The machine is too small, or something else takes its time.",
        runbook="the-machine-is-too-small",
        case=Case(
            fires={f"fundarb_loop_lag_seconds{{{SIGNAL}}}": steady(0.4)},
            quiet={f"fundarb_loop_lag_seconds{{{SIGNAL}}}": steady(0.05)},
        ),
    ),
    Rule(
        name="InboxOverflows",
        severity="warning",
        expr="sum by (deployment, service) (increase(fundarb_inbox_dropped_total[5m])) > 0",
        lasting="30s",
        summary="{{ $labels.service }} gives up market data because it cannot follow",
        remedy="Watch fewer pairs, or give the machine more room; orders and commands are never given up.",
        runbook="the-machine-is-too-small",
        case=Case(
            fires={f"fundarb_inbox_dropped_total{{{SIGNAL}}}": then(0, 9, at_sec=200)},
            quiet={f"fundarb_inbox_dropped_total{{{SIGNAL}}}": steady(9)},
        ),
    ),
    Rule(
        name="ActorFaults",
        severity="critical",
        expr="sum by (deployment, service) (increase(fundarb_actor_faults_total[5m])) > 0",
        summary="{{ $labels.service }} could not handle an event: a defect of ours",
        remedy="Keep the log and report it; if it returns at each start, go back to the build before.",
        runbook="an-actor-has-faults",
        case=Case(
            fires={f"fundarb_actor_faults_total{{{EXECUTOR}}}": then(0, 1, at_sec=200)},
            quiet={f"fundarb_actor_faults_total{{{EXECUTOR}}}": steady(1)},
        ),
    ),
)
