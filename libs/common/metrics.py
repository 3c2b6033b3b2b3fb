"""Every metric we show, in one table, and the registry that holds their values.

Names are public (dashboards, alerts): units in names, what can fall is a gauge, labels `deployment` and
`service` first. A metric or label that is not in the table raises `UnknownMetric`, so that a wrong name
fails in a test and not in a dashboard.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.metrics import MetricWrapperBase

from libs.common.effects import Effect, Forget, Measure

COMMON_LABELS: Final = ("deployment", "service")
FAST_SEC: Final = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)


class UnknownMetric(ValueError):
    """Not in the table, or with other labels than it has there."""


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One metric: `labels` come after `deployment` and `service`."""

    kind: Literal["gauge", "counter", "histogram"]
    text: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = FAST_SEC


def _gauge(text: str, *labels: str) -> Metric:
    return Metric(kind="gauge", text=text, labels=labels)


def _counter(text: str, *labels: str) -> Metric:
    return Metric(kind="counter", text=text, labels=labels)


def _histogram(text: str, *labels: str) -> Metric:
    return Metric(kind="histogram", text=text, labels=labels)


METRICS: Final[dict[str, Metric]] = {
    # What is watched.
    "fundarb_funding_rate_daily": _gauge("Funding rate as a fraction a day", "venue", "symbol"),
    "fundarb_opportunity_net_daily_usd": _gauge("Net carry of a pair in USD a day after costs", "pair"),
    "fundarb_opportunities_passing": _gauge("Pairs that pass every gate"),
    "fundarb_evaluations_total": _counter("Pairs evaluated"),
    "fundarb_tick_to_evaluation_seconds": _histogram("From the arrival of a tick to its evaluation"),
    "fundarb_refusals_total": _counter("Evaluations that were refused, by reason", "reason"),
    "fundarb_intents_total": _counter("Intents published, repetitions included", "action"),
    "fundarb_data_age_seconds": _gauge("Age of the last frame or confirming poll", "venue", "kind"),
    "fundarb_data_gaps_total": _counter("Streams that broke and were restored", "venue"),
    "fundarb_quarantined": _gauge("Instruments shut out of decisions (a whole venue counts one)", "venue"),
    "fundarb_clock_offset_seconds": _gauge("Venue clock minus ours", "venue"),
    "fundarb_venue_errors_total": _counter("Failed venue calls", "venue", "class"),
    "fundarb_recorded_rows_total": _counter("Rows written to the archive", "kind"),
    # What is traded.
    "fundarb_pair_state": _gauge("1 for the state that a pair is in, 0 for the others", "pair", "state"),
    "fundarb_leg_usd": _gauge("Value of one leg of a pair (< 0: short)", "pair", "venue", "instrument"),
    "fundarb_orders_total": _counter("Orders by what came of them", "pair", "venue", "outcome"),
    "fundarb_tick_to_order_seconds": _histogram("From the arrival of a tick to the order that it led to"),
    "fundarb_order_latency_seconds": _histogram("From the release of an order to its answer", "venue"),
    "fundarb_unwinds_total": _counter("Positions that had to be unwound, by reason", "pair", "reason"),
    "fundarb_pair_notional_usd": _gauge("Value of a pair's larger leg", "pair"),
    "fundarb_naked_usd_seconds_total": _counter("Unhedged value of a pair, summed over time", "pair"),
    "fundarb_funding_received_usd": _gauge("Funding received since the opening (< 0: paid)", "pair"),
    "fundarb_fees_usd": _gauge("Fees paid since the opening (< 0: rebates)", "pair", "liquidity"),
    "fundarb_rebalance_cost_usd": _gauge("Fees and slippage of rebalance trades, > 0 is a cost", "pair"),
    "fundarb_equity_usd": _gauge("Equity without price changes of the user's own coins", "venue"),
    "fundarb_equity_residual_usd": _gauge("What no ledger line explains of the accounts' change"),
    "fundarb_margin_ratio": _gauge("Maintenance margin over equity", "venue"),
    "fundarb_pair_delta_ratio": _gauge("Difference of a pair's legs over the larger one", "pair"),
    # What risk allows.
    "fundarb_permit_age_seconds": _gauge("Since risk was heard last, by who obeys it"),
    "fundarb_breaker_level": _gauge("0 normal, 1 no opens, 2 reduce only, 3 flatten", "scope"),
    "fundarb_control_level": _gauge("Level that one control of risk asks for", "scope", "control"),
    "fundarb_max_ratio": _gauge("Share of its size that a pair may keep", "pair"),
    "fundarb_day_loss_ratio": _gauge("Lost of the UTC day's first equity (< 0: won)"),
    # Who is told.
    "fundarb_notifications_total": _counter("Messages by what became of them", "channel", "outcome"),
    "fundarb_notifications_waiting": _gauge("Matters that a channel was not told of yet", "channel"),
    "fundarb_notifications_oldest_seconds": _gauge("How long the oldest of them waits", "channel"),
    "fundarb_webhook_alerts_total": _counter("Alerts taken from Alertmanager, by their level", "level"),
    "fundarb_alerts_unacknowledged": _gauge("Critical alerts that nobody has acknowledged"),
    # The service itself.
    "fundarb_bus_lag_seconds": _gauge("Oldest age on arrival of a bus message in the last second"),
    "fundarb_bus_published_total": _counter("Messages given to the bus"),
    "fundarb_bus_lost_total": _counter("Messages not published: disconnected or too large"),
    "fundarb_bus_bad_messages_total": _counter("Bus messages that are not what their subject promises"),
    "fundarb_events_total": _counter("Events handled", "event"),
    "fundarb_handle_seconds": _histogram("Time the actor takes for one event"),
    "fundarb_inbox_depth": _gauge("Events that wait"),
    "fundarb_inbox_wait_seconds": _gauge("Longest wait in the inbox in the last second"),
    "fundarb_inbox_dropped_total": _counter("Market data given up because the inbox was full"),
    "fundarb_loop_lag_seconds": _gauge("How late the event loop was at the last beat"),
    "fundarb_actor_faults_total": _counter("Events on which the actor raised"),
    "fundarb_requests_running": _gauge("Requests under way"),
    "fundarb_alerts_total": _counter("Alerts raised", "level"),
    "fundarb_alerts_waiting": _gauge("Alerts not yet in the store"),
    "fundarb_persist_seconds": _histogram("Time until a write was durable"),
    "fundarb_store_failures_total": _counter("Writes whose outcome is not known to be durable"),
    "fundarb_resident_bytes": _gauge("Memory of the process"),
    "fundarb_service_up": _gauge("1 while the service has no problem"),
    "fundarb_build_info": _gauge("1, with the build as a label", "build"),
}


def check(metric: str, labels: Mapping[str, str]) -> Metric:
    """The table's row for a metric; `UnknownMetric` for a wrong name or other labels than the table's."""
    known = METRICS.get(metric)
    if known is None:
        raise UnknownMetric(f"{metric} is not in the table of libs/common/metrics.py")
    if set(labels) != set(known.labels):
        raise UnknownMetric(f"{metric} has the labels {known.labels}, not {tuple(labels)}")
    return known


def check_effects(effects: Iterable[Effect]) -> None:
    """What tests of an actor call on its effects: names and labels of every `Measure` and `Forget`."""
    for effect in effects:
        match effect:
            case Measure():
                check(effect.metric, effect.labels)
            case Forget() if effect.metric not in METRICS:
                raise UnknownMetric(f"{effect.metric} is not in the table of libs/common/metrics.py")
            case Forget() if extra := set(effect.labels) - set(METRICS[effect.metric].labels):
                raise UnknownMetric(f"{effect.metric} has no labels {sorted(extra)}")
            case _:
                pass


class Metrics:
    """Values of one service; metrics appear when they are first measured."""

    def __init__(self, *, deployment: str, service: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry(auto_describe=False)
        self._common = (deployment, service)
        self._families: dict[str, MetricWrapperBase] = {}
        self._series: dict[tuple[str, tuple[str, ...]], Counter | Gauge | Histogram] = {}

    def measure(self, metric: str, value: float, labels: Mapping[str, str] | None = None) -> None:
        """Set a gauge, increase a counter, observe in a histogram; `UnknownMetric` when not in the table."""
        known = METRICS.get(metric)
        given = labels or {}
        if known is None or len(given) != len(known.labels):
            known = check(metric, given)  # raises: this way the usual case needs no sets
        try:
            values = tuple([given[name] for name in known.labels])
        except KeyError:
            check(metric, given)
            raise
        series = self._series.get((metric, values))
        if series is None:
            series = self._series[metric, values] = self._new_series(metric, known, values)
        match series:
            case Gauge():
                series.set(value)
            case Counter():
                series.inc(value)
            case Histogram():
                series.observe(value)

    def forget(self, metric: str, labels: Mapping[str, str] | None = None) -> None:
        """Drop the series that have these labels (all of the metric without any)."""
        wanted = labels or {}
        check_effects([Forget(metric=metric, labels=dict(wanted))])
        names = METRICS[metric].labels
        gone = [
            key
            for key in self._series
            if key[0] == metric
            and all(wanted.get(name, value) == value for name, value in zip(names, key[1], strict=True))
        ]
        for key in gone:
            del self._series[key]
            self._families[metric].remove(*self._common, *key[1])

    def apply(self, effect: Measure | Forget) -> None:
        """Carry out an actor's effect."""
        if isinstance(effect, Measure):
            self.measure(effect.metric, effect.value, effect.labels)
        else:
            self.forget(effect.metric, effect.labels)

    def _new_series(self, metric: str, known: Metric, values: tuple[str, ...]) -> Counter | Gauge | Histogram:
        family = self._families.get(metric)
        if family is None:
            family = self._families[metric] = self._new_family(metric, known)
        series = family.labels(*self._common, *values)
        assert isinstance(series, Counter | Gauge | Histogram)  # noqa: S101 - what _new_family makes
        return series

    def _new_family(self, metric: str, known: Metric) -> MetricWrapperBase:
        labels = (*COMMON_LABELS, *known.labels)
        match known.kind:
            case "gauge":
                return Gauge(metric, known.text, labels, registry=self.registry)
            case "counter":
                return Counter(metric, known.text, labels, registry=self.registry)
            case "histogram":
                return Histogram(metric, known.text, labels, registry=self.registry, buckets=known.buckets)


def resident_bytes() -> int:
    """Memory of this process in RAM; 0 where /proc does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * 4_096
