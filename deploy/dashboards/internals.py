"""Does the machine keep up: bus, store, inboxes, memory."""

from __future__ import annotations

from typing import Final

from deploy.dashboards.board import DEPLOYMENT, Board, Row
from deploy.dashboards.panels import UP, Panel, Query
from deploy.dashboards.terms import D, quantile

NO_CHANNEL: Final = "no channel is named in notify.channels, or nothing was to be told"

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
                    runbook="what-the-machine-carries",
                ),
                Panel(
                    title="Build",
                    description="All services must run one build: a permit of another build does not count.",
                    kind="table",
                    queries=(Query(f"count by (build) (fundarb_build_info{{{D}}})", instant=True),),
                    columns={"build": "Build", "Value": "Services"},
                    width=6,
                    runbook="what-the-machine-carries",
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
                    runbook="what-the-machine-carries",
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
                    runbook="the-machine-is-too-small",
                ),
                Panel(
                    title="Longest wait",
                    description="Of an event in the inbox, in the last second.",
                    unit="s",
                    queries=(Query(f"fundarb_inbox_wait_seconds{{{D}}}", "{{service}}"),),
                    zero=True,
                    width=6,
                    runbook="the-machine-is-too-small",
                ),
                Panel(
                    title="Time an event takes",
                    description="99 of 100 are handled within this time.",
                    unit="s",
                    queries=(Query(quantile("fundarb_handle_seconds", "service"), "{{service}}"),),
                    zero=True,
                    width=6,
                    runbook="the-machine-is-too-small",
                ),
                Panel(
                    title="Event loop late",
                    description="At the last beat. A machine that is too small shows here first.",
                    unit="s",
                    queries=(Query(f"fundarb_loop_lag_seconds{{{D}}}", "{{service}}"),),
                    zero=True,
                    width=6,
                    runbook="the-machine-is-too-small",
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
                        Query(quantile("fundarb_persist_seconds", "service"), "{{service}} p99"),
                        Query(quantile("fundarb_persist_seconds", "service", share=0.5), "{{service}} p50"),
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
                Panel(
                    title="Requests under way",
                    description="Calls of venues, files and the store that have no answer yet.",
                    queries=(Query(f"fundarb_requests_running{{{D}}}", "{{service}}"),),
                    zero=True,
                    width=12,
                    runbook="what-the-machine-carries",
                ),
                Panel(
                    title="Rows written to the archive a minute",
                    description="By kind. None for long means that nothing of today can be replayed.",
                    queries=(Query(f"increase(fundarb_recorded_rows_total{{{D}}}[1m])", "{{kind}}"),),
                    zero=True,
                    width=12,
                    runbook="what-the-machine-carries",
                ),
            ),
        ),
        Row(
            "Who is told",
            (
                Panel(
                    title="Matters that wait",
                    description="Not told yet, by channel; quiet hours hold back info.",
                    queries=(Query(f"fundarb_notifications_waiting{{{D}}}", "{{channel}}"),),
                    zero=True,
                    width=6,
                    runbook="a-channel-fails",
                    may_be_empty=NO_CHANNEL,
                ),
                Panel(
                    title="Messages a minute",
                    description="By what became of them: sent, failed (tried again) or refused.",
                    queries=(
                        Query(f"increase(fundarb_notifications_total{{{D}}}[1m])", "{{channel}} {{outcome}}"),
                    ),
                    zero=True,
                    width=6,
                    runbook="a-channel-fails",
                    may_be_empty=NO_CHANNEL,
                ),
                Panel(
                    title="Critical and not acknowledged",
                    description="They escalate until somebody says `fundarb ack`.",
                    queries=(Query(f"fundarb_alerts_unacknowledged{{{D}}}", "{{service}}"),),
                    zero=True,
                    width=6,
                    runbook="the-notifier-is-down",
                ),
                Panel(
                    title="Taken from Alertmanager in 5 minutes",
                    description="By level: the second way to a person works.",
                    queries=(Query(f"increase(fundarb_webhook_alerts_total{{{D}}}[5m])", "{{level}}"),),
                    zero=True,
                    width=6,
                    may_be_empty="Prometheus has found nothing to tell",
                    runbook="a-watcher-is-down",
                ),
            ),
        ),
    ),
)
