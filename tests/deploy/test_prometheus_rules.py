"""Alert rules: committed as made, valid, complete, and each fires when it must and only then (promtool)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import yaml

from deploy.alerts import __main__ as made
from deploy.alerts import controls
from deploy.alerts.rules import GRAFANA, PAGE, RULES_EVERY_SEC, Case, Rule, promtool_cases
from deploy.dashboards import __main__ as boards
from deploy.dashboards import runbook
from libs.common.metrics import METRICS
from tests.deploy.tools import PROMETHEUS, ROOT, needs, tell

FOREIGN: Final = {"up", "ALERTS"}
OTHERS: Final = ("prometheus_", "alertmanager_")
"""Metrics of Prometheus and Alertmanager themselves; their names are theirs."""


def rules_of(text: str) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


COMMITTED: Final = [rule for text in made.files().values() for rule in rules_of(text)]
ALERTS: Final = [rule for rule in COMMITTED if "alert" in rule]
RECORDED: Final = {rule["record"] for rule in COMMITTED if "record" in rule}


@pytest.mark.parametrize("name", sorted(made.files()))
def test_the_committed_rules_are_the_generators(name: str) -> None:
    text = (made.FOLDER / name).read_text(encoding="utf-8")
    assert text == made.files()[name], "run `make dashboards` and commit what it wrote"


def test_no_file_is_left_over() -> None:
    assert {path.name for path in made.FOLDER.iterdir()} == set(made.files())


def test_every_alert_has_a_name_of_its_own_and_says_what_to_do() -> None:
    assert max(Counter(rule["alert"] for rule in ALERTS).values()) == 1
    for rule in ALERTS:
        assert rule["labels"]["severity"] in ("critical", "warning", "info"), rule["alert"]
        said = rule["annotations"]
        assert len(said["summary"]) >= 15, rule["alert"]
        assert said["description"].startswith(said["summary"]), rule["alert"]
        assert len(said["description"]) >= len(said["summary"]) + 15, rule["alert"]


def test_links_lead_to_a_heading_and_to_its_panel_in_grafana() -> None:
    text = runbook.PAGE.read_text(encoding="utf-8")
    assert runbook.PAGE == ROOT / PAGE
    headings = {runbook.anchor(heading): heading for heading in runbook.sections(text)}
    board = yaml.safe_load(boards.files()["runbook.json"])
    panels = {panel["id"]: panel["title"] for panel in board["panels"]}
    for rule in ALERTS:
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert page == PAGE
        assert anchor in headings, rule["alert"]
        address = re.fullmatch(
            rf"{re.escape(GRAFANA)}/d/([\w-]+)\?viewPanel=panel-(\d+)", rule["annotations"]["runbook_url"]
        )
        assert address is not None, rule["alert"]
        assert address[1] == board["uid"]
        assert panels[int(address[2])] == headings[anchor], rule["alert"]


def test_the_runbook_names_each_alert_under_its_heading() -> None:
    """Who was told a name searches the page for it: the link of the message leads to this machine alone."""
    wanted: dict[str, list[str]] = {}
    for rule in made.RULES:
        wanted.setdefault(rule.runbook, []).append(rule.name)
    found = {
        runbook.anchor(heading): re.findall(r"`(\w+)`", body.partition("\n")[0])
        for heading, body in runbook.sections(runbook.PAGE.read_text(encoding="utf-8")).items()
        if body.startswith("Alerts of Prometheus: ")
    }
    assert {anchor: sorted(names) for anchor, names in found.items()} == {
        anchor: sorted(names) for anchor, names in wanted.items()
    }


def test_grafana_is_published_where_the_links_point() -> None:
    text = (ROOT / "deploy" / "compose" / "watch.yaml").read_text(encoding="utf-8")
    assert "127.0.0.1:${FUNDARB_GRAFANA_PORT:-3000}:3000" in text
    assert GRAFANA == "http://127.0.0.1:3000"


def test_expressions_name_metrics_that_there_are() -> None:
    for rule in COMMITTED:
        bare = re.sub(r'"[^"]*"', "", rule["expr"])
        for name in re.findall(
            r"\b[a-z_]+:[a-z0-9_:]+|\b(?:fundarb|prometheus|alertmanager)_\w+|\bup\b", bare
        ):
            plain = re.sub(r"_(bucket|sum|count)$", "", name)
            known = plain in METRICS or name in RECORDED | FOREIGN or name.startswith(OTHERS)
            assert known, (rule.get("alert", rule.get("record")), name)


def test_every_recorded_expression_is_used() -> None:
    for name in RECORDED:
        assert [rule for rule in ALERTS if name in rule["expr"]], name


def test_every_control_of_risk_has_its_alert() -> None:
    page = (ROOT / "docs" / "risk.md").read_text(encoding="utf-8")
    table = page[page.index("| control |") :].split("\n\n")[0]
    names: set[str] = set()
    for line in table.splitlines()[2:]:
        stem = ""
        for name in re.findall(r"`([a-z_]+)`", line.split("|")[1]):
            names.add(stem + name if name.startswith("_") else name)
            stem = stem or re.sub(r"_(warn|pause)$", "", name)
    patterns = [
        re.search(r'control=~?"([^"]+)"', rule["expr"])
        for rule in ALERTS
        if "fundarb_control_level" in rule["expr"]
    ]
    told = {name for name in names if any(one and re.fullmatch(one[1], name) for one in patterns)}
    assert len(names) >= 25
    assert names - told == set(controls.UNTOLD)


@pytest.mark.parametrize("rule", made.RULES, ids=lambda rule: rule.name)
def test_a_case_is_no_case_of_nothing(rule: Rule) -> None:
    assert rule.case.fires
    assert rule.case.quiet
    assert rule.case.fires != rule.case.quiet


@needs("promtool")
def test_prometheus_takes_the_rules() -> None:
    said = tell("promtool", "check", "rules", *sorted(made.FOLDER.iterdir()))
    assert said.count("SUCCESS") == len(made.files())


@needs("promtool")
def test_prometheus_takes_the_config_as_it_stands() -> None:
    """Also what the test with the demo replaces: how the services are found by their names."""
    said = tell("promtool", "check", "config", PROMETHEUS / "prometheus.yml")
    assert f"{len(made.files())} rule files found" in said


@needs("promtool")
def test_a_config_that_prometheus_does_not_take_is_noticed(tmp_path: Path) -> None:
    wrong = (PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8").replace("type: A", "type: B")
    (tmp_path / "prometheus.yml").write_text(wrong, encoding="utf-8")
    with pytest.raises(pytest.fail.Exception, match="DNS-SD"):
        tell("promtool", "check", "config", tmp_path / "prometheus.yml")


def judged(group: str, rules: Iterable[Rule], folder: Path) -> str:
    cases = folder / "cases.yml"
    cases.write_text(promtool_cases([str(made.FOLDER / f"{group}.yml")], rules), encoding="utf-8")
    return tell("promtool", "test", "rules", cases)


@needs("promtool")
@pytest.mark.parametrize("group", made.GROUPS)
def test_each_alert_fires_when_it_must_and_only_then(group: str, tmp_path: Path) -> None:
    assert "SUCCESS" in judged(group, made.GROUPS[group][1], tmp_path)


@needs("promtool")
@pytest.mark.parametrize("group", made.GROUPS)
def test_with_the_cases_exchanged_every_one_is_refused(group: str, tmp_path: Path) -> None:
    rules = [
        msgspec.structs.replace(rule, case=Case(fires=rule.case.quiet, quiet=rule.case.fires))
        for rule in made.GROUPS[group][1]
    ]
    with pytest.raises(pytest.fail.Exception) as failed:
        judged(group, rules, tmp_path)
    assert str(failed.value).count("got:") == 2 * len(rules)


def test_the_config_reads_the_rules() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    assert config["rule_files"] == ["rules/*.yml"]
    assert config["global"]["evaluation_interval"] == f"{RULES_EVERY_SEC}s"


def test_alerts_of_up_say_whose_they_are_by_the_name_that_the_services_have() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    assert config["global"]["external_labels"] == {"deployment": "${FUNDARB_DEPLOYMENT}"}
    folder = ROOT / "deploy" / "compose"
    watch = yaml.safe_load((folder / "watch.yaml").read_text(encoding="utf-8"))
    services = yaml.safe_load((folder / "services.yaml").read_text(encoding="utf-8"))
    given = watch["services"]["prometheus"]["environment"]["FUNDARB_DEPLOYMENT"]
    assert given == services["x-env"]["FUNDARB__DEPLOYMENT"]
