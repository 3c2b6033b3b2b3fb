"""Does everything run: services that are down, frozen, unwell or gone, and those who watch them."""

from __future__ import annotations

from typing import Final

from deploy.alerts.rules import Case, Rule, rising, steady, then

MAIN: Final = 'deployment="main"'


def up(service: str, job: str = "fundarb") -> str:
    """The series of a target."""
    return f'up{{job="{job}",service="{service}"}}'


def gone_or_down(services: str) -> str:
    """Not scraped, or not there any more though it was within a day (its name leaves with its container)."""
    there = f'job="fundarb",service=~"{services}"'
    return (
        f"max by (service) (up{{{there}}}) == 0 or"
        f" max by (service) (max_over_time(up{{{there}}}[1d])) unless on (service) up{{{there}}}"
    )


WAITS: Final = f'fundarb_notifications_oldest_seconds{{{MAIN},service="notifier",channel="team"}}'
GONE: Final = f"{steady(1, 120)} stale"

RULES: Final = (
    Rule(
        name="ServiceDown",
        severity="critical",
        expr=gone_or_down("feed|signal|risk|executor"),
        lasting="30s",
        summary="{{ $labels.service }} does not answer",
        remedy="Its log says why; a service that refuses its config waits for you.",
        runbook="a-service-is-down",
        case=Case(
            fires={up("feed"): steady(1), up("risk"): GONE},
            quiet={up("feed"): steady(1), up("risk"): then(1, 0, at_sec=280)},
        ),
    ),
    Rule(
        name="HelperDown",
        severity="warning",
        expr=gone_or_down("recorder|venue"),
        lasting="1m",
        summary="{{ $labels.service }} does not answer; trading goes on without it",
        remedy="Its log says why.",
        runbook="a-service-is-down",
        case=Case(
            fires={up("recorder"): then(1, 0, at_sec=200)},
            quiet={up("recorder"): steady(1), up("feed"): steady(0)},
        ),
    ),
    Rule(
        name="NotifierDown",
        severity="critical",
        expr=gone_or_down("notifier"),
        lasting="30s",
        summary="The notifier does not answer: alerts wait in the store",
        remedy="Start it again; nothing is lost, critical alerts come this way meanwhile.",
        runbook="the-notifier-is-down",
        case=Case(
            fires={up("notifier"): then(1, 0, at_sec=250)},
            quiet={up("notifier"): steady(1), up("risk"): steady(0)},
        ),
    ),
    Rule(
        name="ExecutorSilent",
        severity="critical",
        expr='up{job="fundarb",service="risk"} == 1 unless on () up{job="fundarb",service="executor"} == 1',
        lasting="30s",
        summary="Risk runs and the executor does not: nobody looks after what is held",
        remedy="Start the executor: it treats every open order as unknown and resolves it first.",
        runbook="the-executor-is-silent",
        case=Case(
            fires={up("risk"): steady(1)},
            quiet={up("risk"): steady(1), up("executor"): then(1, 0, at_sec=280)},
        ),
    ),
    Rule(
        name="RiskSilent",
        severity="critical",
        expr='up{job="fundarb",service="executor"} == 1 unless on () up{job="fundarb",service="risk"} == 1',
        lasting="30s",
        summary="The executor runs and risk does not: nothing is opened, nobody sees limits and losses",
        remedy="Start risk; pairs stay hedged meanwhile.",
        runbook="no-permit",
        case=Case(
            fires={up("executor"): steady(1), up("risk"): steady(0)},
            quiet={up("executor"): steady(1), up("risk"): steady(1)},
        ),
    ),
    Rule(
        name="ServiceFrozen",
        severity="critical",
        expr=(
            "sum by (deployment, service)"
            ' (increase(fundarb_events_total{service=~"feed|signal|risk|executor"}[1m])) == 0'
        ),
        lasting="30s",
        summary="{{ $labels.service }} answers and handles nothing",
        remedy="Its supervisor should have started it again; do it by hand, keep the log.",
        runbook="a-service-is-down",
        case=Case(
            fires={f'fundarb_events_total{{{MAIN},service="risk",event="x"}}': rising(4, until_sec=120)},
            quiet={
                f'fundarb_events_total{{{MAIN},service="risk",event="x"}}': rising(4, until_sec=120),
                f'fundarb_events_total{{{MAIN},service="risk",event="y"}}': rising(4),
            },
        ),
    ),
    Rule(
        name="ServiceUnwell",
        severity="warning",
        expr="min by (deployment, service) (fundarb_service_up) == 0",
        lasting="2m",
        summary="{{ $labels.service }} says that something is wrong",
        remedy="fundarb health prints it in words.",
        runbook="a-service-is-down",
        case=Case(
            fires={f'fundarb_service_up{{{MAIN},service="feed"}}': steady(0)},
            quiet={f'fundarb_service_up{{{MAIN},service="feed"}}': then(0, 1, at_sec=295)},
        ),
    ),
    Rule(
        name="ServiceRestarts",
        severity="warning",
        expr="max by (deployment, service) (resets(fundarb_bus_published_total[15m])) >= 2",
        summary="{{ $labels.service }} starts again and again",
        remedy="Its log says why it ended.",
        runbook="a-service-is-down",
        case=Case(
            fires={f'fundarb_bus_published_total{{{MAIN},service="feed"}}': "0+9x20 0+9x20 0+9x20"},
            quiet={f'fundarb_bus_published_total{{{MAIN},service="feed"}}': "0+9x30 0+9x30"},
        ),
    ),
    Rule(
        name="BuildsMixed",
        severity="warning",
        expr="count by (deployment) (count by (deployment, build) (fundarb_build_info)) > 1",
        lasting="2m",
        summary="Services run different builds: a permit of another build does not count",
        remedy="Restart all services after an update, not some.",
        runbook="no-permit",
        case=Case(
            fires={
                f'fundarb_build_info{{{MAIN},service="feed",build="a"}}': steady(1),
                f'fundarb_build_info{{{MAIN},service="risk",build="b"}}': steady(1),
            },
            quiet={
                f'fundarb_build_info{{{MAIN},service="feed",build="a"}}': steady(1),
                f'fundarb_build_info{{{MAIN},service="risk",build="a"}}': steady(1),
                'fundarb_build_info{deployment="second",service="risk",build="b"}': steady(1),
            },
        ),
    ),
    Rule(
        name="CriticalRaised",
        severity="critical",
        expr=(
            'sum by (deployment, service) (fundarb_alerts_total{level="critical"})'
            ' - sum by (deployment, service) (fundarb_alerts_total{level="critical"} offset 1m) > 0'
            ' or sum by (deployment, service) (fundarb_alerts_total{level="critical"}) > 0'
            ' unless on (deployment, service) fundarb_alerts_total{level="critical"} offset 1m'
        ),
        summary="{{ $labels.service }} has raised a critical alert",
        remedy="The notifier tells it in words; this word comes past it, should it fail.",
        runbook="something-critical-was-raised",
        direct=True,
        case=Case(
            fires={
                f'fundarb_alerts_total{{{MAIN},service="executor",level="critical"}}': then(1, 2, at_sec=270)
            },
            quiet={
                f'fundarb_alerts_total{{{MAIN},service="executor",level="critical"}}': then(1, 2, at_sec=100),
                f'fundarb_alerts_total{{{MAIN},service="risk",level="warning"}}': then(1, 2, at_sec=270),
                f'fundarb_alerts_total{{{MAIN},service="risk",level="critical"}}': "_x55 0+0x5",
            },
        ),
    ),
    Rule(
        name="MessagesWait",
        severity="critical",
        expr="max by (deployment, channel) (fundarb_notifications_oldest_seconds) > 300",
        summary="Channel {{ $labels.channel }} has not been told of something for five minutes",
        remedy="Mend the channel (token, address); what waits arrives, critical ones first.",
        runbook="the-notifier-is-down",
        direct=True,
        case=Case(
            fires={WAITS: "200+5x60"},
            quiet={WAITS: "0+5x60"},
        ),
    ),
    Rule(
        name="WatcherDown",
        severity="warning",
        expr='up{job=~"prometheus|alertmanager"} == 0',
        lasting="1m",
        summary="{{ $labels.job }} does not answer",
        remedy="Its log says why; alerts of the services themselves go on without it.",
        runbook="a-watcher-is-down",
        case=Case(
            fires={'up{job="alertmanager",service="alertmanager"}': then(1, 0, at_sec=200)},
            quiet={'up{job="alertmanager",service="alertmanager"}': steady(1), up("feed"): steady(0)},
        ),
    ),
    Rule(
        name="RulesFail",
        severity="warning",
        expr="sum(increase(prometheus_rule_evaluation_failures_total[5m])) > 0",
        summary="Prometheus could not evaluate a rule",
        remedy="Its page /rules names it.",
        runbook="a-watcher-is-down",
        case=Case(
            fires={'prometheus_rule_evaluation_failures_total{rule_group="x"}': then(0, 3, at_sec=250)},
            quiet={'prometheus_rule_evaluation_failures_total{rule_group="x"}': steady(3)},
        ),
    ),
    Rule(
        name="SecondReceiverFails",
        severity="warning",
        expr='sum(increase(alertmanager_notifications_failed_total{integration="slack"}[10m])) > 0',
        summary="A critical alert could not be told past the notifier",
        remedy="Set up the second receiver (docs/operations/alerting.md), or mend its address.",
        runbook="the-notifier-is-down",
        case=Case(
            fires={'alertmanager_notifications_failed_total{integration="slack"}': then(0, 1, at_sec=250)},
            quiet={
                'alertmanager_notifications_failed_total{integration="slack"}': steady(4),
                'alertmanager_notifications_failed_total{integration="webhook"}': rising(1),
            },
        ),
    ),
    Rule(
        name="NotifierUnreachable",
        severity="critical",
        expr='sum(increase(alertmanager_notifications_failed_total{integration="webhook"}[2m])) > 0',
        lasting="1m",
        summary="Alertmanager cannot give alerts to the notifier",
        remedy="See notify.webhook_listen and the notifier's health.",
        runbook="the-notifier-is-down",
        direct=True,
        case=Case(
            fires={'alertmanager_notifications_failed_total{integration="webhook"}': rising(0.2)},
            quiet={
                'alertmanager_notifications_failed_total{integration="webhook"}': steady(4),
                'alertmanager_notifications_failed_total{integration="slack"}': rising(1),
            },
        ),
    ),
)
