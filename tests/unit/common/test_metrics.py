"""The table of metrics, and the values as Prometheus and a health check see them."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Iterator

import pytest
from prometheus_client import generate_latest

from libs.common.effects import Forget, Measure
from libs.common.messages import ServiceHealth
from libs.common.metrics import METRICS, Metrics, UnknownMetric, check_effects
from libs.common.metrics_http import BadSetting, MetricsServer, Pulse, wanted_port

# contract.md, "Metrics": those that concern watching, with their labels after deployment and service.
CONTRACT = {
    "fundarb_funding_rate_daily": ("venue", "symbol"),
    "fundarb_opportunity_net_daily_usd": ("pair",),
    "fundarb_refusals_total": ("reason",),
    "fundarb_data_age_seconds": ("venue", "kind"),
    "fundarb_clock_offset_seconds": ("venue",),
    "fundarb_venue_errors_total": ("venue", "class"),
    "fundarb_bus_lag_seconds": (),
}


def metrics() -> Metrics:
    return Metrics(deployment="d", service="s")


def text(of: Metrics) -> str:
    return generate_latest(of.registry).decode()


@pytest.mark.parametrize(("name", "labels"), CONTRACT.items())
def test_the_contract_names_are_exact(name: str, labels: tuple[str, ...]) -> None:
    assert METRICS[name].labels == labels


def test_every_metric_appears_under_its_own_name_with_the_common_labels() -> None:
    made = metrics()
    for name, metric in METRICS.items():
        made.measure(name, 1, dict.fromkeys(metric.labels, "x"))
    page = text(made)
    for name, metric in METRICS.items():
        series = f"{name}_count" if metric.kind == "histogram" else name
        assert re.search(
            rf"^{series}\{{[^}}]*deployment=\"d\"[^}}]*service=\"s\"[^}}]*\}} 1\.0$", page, re.MULTILINE
        )
    assert "_created" not in page


def test_units_and_kinds_follow_the_rules() -> None:
    for name, metric in METRICS.items():
        assert name.startswith("fundarb_")
        assert (metric.kind == "counter") == name.endswith("_total"), name
        assert metric.kind != "histogram" or name.endswith("_seconds"), name
        assert not {"deployment", "service"} & set(metric.labels)


@pytest.mark.parametrize(
    "effect",
    [
        Measure(metric="fundarb_nonsense", value=1),
        Measure(metric="fundarb_funding_rate_daily", value=1, labels={"venue": "x"}),
        Measure(metric="fundarb_funding_rate_daily", value=1, labels={"venue": "x", "pair": "y"}),
        Measure(metric="fundarb_bus_lag_seconds", value=1, labels={"venue": "x"}),
        Forget(metric="fundarb_nonsense"),
        Forget(metric="fundarb_funding_rate_daily", labels={"pair": "y"}),
    ],
)
def test_wrong_names_and_labels_are_errors_in_the_check_and_at_run_time(effect: Measure | Forget) -> None:
    with pytest.raises(UnknownMetric):
        check_effects([effect])
    with pytest.raises(UnknownMetric):
        metrics().apply(effect)


def test_gauges_are_set_counters_add_up_histograms_observe() -> None:
    made = metrics()
    for value in (3, 2):
        made.measure("fundarb_inbox_depth", value)
        made.measure("fundarb_refusals_total", value, {"reason": "stale"})
        made.measure("fundarb_handle_seconds", value)
    page = text(made)
    assert 'fundarb_inbox_depth{deployment="d",service="s"} 2.0' in page
    assert 'fundarb_refusals_total{deployment="d",reason="stale",service="s"} 5.0' in page
    assert 'fundarb_handle_seconds_count{deployment="d",service="s"} 2.0' in page


def test_a_counter_does_not_fall() -> None:
    with pytest.raises(ValueError, match="non-negative"):
        metrics().measure("fundarb_refusals_total", -1, {"reason": "x"})


def test_what_is_forgotten_is_shown_no_more_and_can_come_back() -> None:
    made = metrics()
    for venue, symbol in (("a", "x"), ("a", "y"), ("b", "x")):
        made.measure("fundarb_funding_rate_daily", 1, {"venue": venue, "symbol": symbol})
    made.forget("fundarb_funding_rate_daily", {"venue": "a"})
    made.forget("fundarb_funding_rate_daily", {"venue": "never seen"})
    assert re.findall(r'symbol="(.)",venue="(.)"', text(made)) == [("x", "b")]
    made.measure("fundarb_funding_rate_daily", 7, {"symbol": "x", "venue": "a"})
    assert 'symbol="x",venue="a"} 7.0' in text(made)
    made.forget("fundarb_funding_rate_daily")
    assert "venue" not in text(made)


def health(*, ok: bool) -> ServiceHealth:
    return ServiceHealth(
        service="s",
        ok=ok,
        problems=() if ok else ("data is old",),
        build="b",
        pid=1,
        uptime_sec=1,
        lag_ms=0,
        inbox_depth=0,
        wall_us=0,
    )


@pytest.fixture
def pulse() -> Pulse:
    return Pulse()


@pytest.fixture
def server(pulse: Pulse) -> Iterator[MetricsServer]:
    made = metrics()
    made.measure("fundarb_inbox_depth", 3)
    serving = MetricsServer(registry=made.registry, pulse=pulse, host="127.0.0.1", port=0)
    yield serving
    serving.close()


def get(server: MetricsServer, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_metrics_are_served(server: MetricsServer) -> None:
    status, body = get(server, "/metrics")
    assert status == 200
    assert b'fundarb_inbox_depth{deployment="d",service="s"} 3.0' in body
    assert get(server, "/nothing")[0] == 404


def test_health_says_starting_then_well_then_unwell(server: MetricsServer, pulse: Pulse) -> None:
    status, body = get(server, "/health")
    assert (status, json.loads(body)["problems"]) == (503, ["starting"])
    pulse.beat(health(ok=True))
    status, body = get(server, "/health")
    assert (status, json.loads(body)["ok"], json.loads(body)["service"]) == (200, True, "s")
    pulse.beat(health(ok=False))
    status, body = get(server, "/health")
    assert (status, json.loads(body)["problems"]) == (503, ["data is old"])
    assert get(server, "/live")[0] == 200


def test_a_pulse_that_stops_is_seen_although_the_last_word_was_ok(
    server: MetricsServer, pulse: Pulse, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulse.beat(health(ok=True))
    monkeypatch.setattr("libs.common.metrics_http.FROZEN_SEC", -1.0)
    status, body = get(server, "/health")
    assert status == 503
    assert "frozen" in json.loads(body)["problems"][0]
    assert get(server, "/live")[0] == 503


def test_a_taken_port_is_replaced_by_a_free_one(pulse: Pulse) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        serving = MetricsServer(registry=metrics().registry, pulse=pulse, host="127.0.0.1", port=port)
        assert serving.port != port
        assert get(serving, "/live")[0] == 200
        serving.close()


def test_ports_by_service_and_by_environment() -> None:
    assert wanted_port("feed", {}) == 9101
    assert wanted_port("signal", {}) == 9102
    assert wanted_port("something", {}) == 0
    assert wanted_port("feed", {"FUNDARB_METRICS_PORT": "0"}) == 0
    for nonsense in ("x", "-1", "70000", ""):
        with pytest.raises(BadSetting, match="FUNDARB_METRICS_PORT"):
            wanted_port("feed", {"FUNDARB_METRICS_PORT": nonsense})
