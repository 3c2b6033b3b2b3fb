"""A demo that a real Prometheus watches: every query of every panel finds data, every rule evaluates, a halt
arrives at both receivers. Loading the dashboards in Grafana itself is not tested: there is none here.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
import pytest
import pytest_asyncio
import yaml

from deploy.dashboards import __main__ as made
from deploy.dashboards.board import Board, placed
from deploy.dashboards.panels import Query
from libs.common import subjects
from libs.common.clock import wall_us
from libs.common.messages import Command, encode
from libs.console.demo_config import DEPLOYMENT
from tests.deploy.tools import needs
from tests.deploy.watched import Watched, watched_demo
from tests.deploy.watchers import until

pytestmark = [needs("prometheus", "alertmanager"), pytest.mark.asyncio(loop_scope="module")]

PAGE_SEC_MAX: Final = 60.0
STEP_SEC: Final = 5
LOOKED_AT_SEC: Final = 60
ALL: Final = re.compile(r"\$(deployment|pair|venue)\b")
EMPTY_WHILE_WELL: Final = {
    "deployment_pair:fundarb_naked_usd:avg1m": "nothing was unhedged",
    "deployment_venue:fundarb_venue_errors:rate5m": "no call has failed",
}
QUIET: Final = {
    ("fundarb-pair", "Unwinds an hour"),
    ("fundarb-risk", "Everything that is shut now"),
    ("fundarb-risk", "Share that may be kept"),
    ("fundarb-internals", "Matters that wait"),
    ("fundarb-internals", "Messages a minute"),
    ("fundarb-internals", "Taken from Alertmanager in 5 minutes"),
}
"""Panels of what goes wrong, or of channels that a demo does not have. All others have data: it trades."""

EXPECTED: Final = {"venue", "feed", "signal", "recorder", "risk", "executor", "notifier"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched() -> AsyncIterator[Watched]:
    async with watched_demo() as one:
        yield one


async def answer(watched: Watched, query: Query) -> list[Any]:
    """What Grafana would show; fails with Prometheus's words on an expression that it refuses."""
    expr, now = ALL.sub(".*", query.expr), wall_us() / 1e6
    path, when = "/api/v1/query", {"time": f"{now}"}
    if not query.instant:
        path += "_range"
        when = {"start": f"{now - LOOKED_AT_SEC}", "end": f"{now}", "step": f"{STEP_SEC}"}
    said = await watched.prometheus.get(path, query=expr, **when)
    assert said["status"] == "success", f"{expr}: {said.get('error')}"
    found = said["data"]["result"]
    assert isinstance(found, list)
    return found


async def firing(watched: Watched) -> dict[str, dict[str, Any]]:
    alerts = (await watched.prometheus.get("/api/v1/alerts"))["data"]["alerts"]
    return {one["labels"]["alertname"]: one for one in alerts if one["state"] == "firing"}


async def test_every_target_is_up(watched: Watched) -> None:
    targets = (await watched.prometheus.get("/api/v1/targets"))["data"]["activeTargets"]
    assert {one["labels"].get("service") for one in targets} >= EXPECTED
    assert {one["health"] for one in targets} == {"up"}, [one["lastError"] for one in targets]


async def test_only_the_quiet_panels_have_a_reason_to_be_empty() -> None:
    reasons = {
        (board.uid, panel.title) for board in made.BOARDS for panel, *_ in placed(board) if panel.may_be_empty
    }
    assert reasons == QUIET


@pytest.mark.parametrize("board", made.BOARDS, ids=lambda board: board.uid)
async def test_every_query_of_a_dashboard_finds_data(watched: Watched, board: Board) -> None:
    empty = {
        (panel.title, query.expr)
        for panel, *_ in placed(board)
        for query in panel.queries
        if not await answer(watched, query) and (board.uid, panel.title) not in QUIET
    }
    assert not empty


async def test_a_held_pair_shows_a_long_and_a_short_leg_and_their_venues(watched: Watched) -> None:
    held = 'and on (deployment, pair) (fundarb_pair_state{state="active"} == 1)'
    found = await answer(watched, Query(f"fundarb_leg_usd {held}", instant=True))
    legs: dict[str, list[float]] = {}
    for one in found:
        assert one["metric"]["venue"]
        assert one["metric"]["instrument"]
        legs.setdefault(one["metric"]["pair"], []).append(float(one["value"][1]))
    assert legs
    for pair, (first, second) in legs.items():
        assert first * second < 0, pair
        assert abs(first + second) < 0.05 * max(abs(first), abs(second)), pair


async def test_what_may_be_chosen_above_a_dashboard_is_found(watched: Watched) -> None:
    for variable in {one.query: one for board in made.BOARDS for one in board.variables}.values():
        asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable.query)
        assert asked is not None, variable.query
        said = await watched.prometheus.get(
            f"/api/v1/label/{asked[2]}/values", **{"match[]": ALL.sub(".*", asked[1])}
        )
        assert said["data"], variable.query


async def test_every_rule_evaluates(watched: Watched) -> None:
    groups = (await watched.prometheus.get("/api/v1/rules"))["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) > 60
    assert {(rule["name"], rule["health"], rule.get("lastError", "")) for rule in rules} == {
        (rule["name"], "ok", "") for rule in rules
    }
    for rule in rules:
        if rule["type"] == "recording" and rule["name"] not in EMPTY_WHILE_WELL:
            assert await answer(watched, Query(rule["name"], instant=True)), rule["name"]


async def test_prometheus_knows_whose_the_alerts_of_up_are(watched: Watched) -> None:
    """An alert that has no deployment of its own is sent with this one."""
    said = (await watched.prometheus.get("/api/v1/status/config"))["data"]["yaml"]
    assert yaml.safe_load(said)["global"]["external_labels"] == {"deployment": DEPLOYMENT}


async def test_nothing_critical_fires_while_all_is_well(watched: Watched) -> None:
    found = await firing(watched)
    critical = {name: one for name, one in found.items() if one["labels"]["severity"] == "critical"}
    assert not critical, critical
    assert not watched.second


async def test_a_halt_reaches_the_notifier_and_the_second_receiver(watched: Watched) -> None:
    assert watched.stack.bus is not None
    halt = encode(Command(reason="a drill", actor="test"))
    frame = await watched.stack.bus.request(subjects.command("halt"), halt, timeout_sec=5)
    assert msgspec.json.decode(frame.payload)["ok"] is True

    async def taken() -> bool:
        query = 'sum(fundarb_webhook_alerts_total{level="critical"}) > 0'
        return bool(await answer(watched, Query(query, instant=True)))

    await until("the notifier's web hook has taken it", taken, within_sec=PAGE_SEC_MAX)

    async def told() -> bool:
        return any("Halted" in str(body) for body in watched.second)

    await until("the second receiver is told", told, within_sec=PAGE_SEC_MAX)
    fired = await firing(watched)
    assert fired["Halted"]["value"] == "2e+00"
    said = fired["Halted"]["annotations"]
    assert "no value" not in str(said)
    assert said["runbook_url"].startswith("http://127.0.0.1:3000/d/fundarb-runbook?viewPanel=panel-")
