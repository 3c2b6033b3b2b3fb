"""An alert as a value, with the series on which it must fire and those on which it must not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import msgspec
import yaml

from deploy.dashboards import runbook

GRAFANA: Final = "http://127.0.0.1:3000"
"""Where compose publishes Grafana: an alert's link leads to its remedy there."""

PAGE: Final = "docs/operations/runbook.md"
STEP_SEC: Final = 5
EVAL_SEC: Final = 300
RULES_EVERY_SEC: Final = 15
"""As in prometheus.yml."""

Severity = Literal["critical", "warning", "info"]
Series = Mapping[str, str]
"""Series -> its samples in promtool's notation, one each `STEP_SEC` from 0 on."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """Looked at after `EVAL_SEC`: on `fires` the alert must be there, on `quiet` it must not."""

    fires: dict[str, str]
    quiet: dict[str, str]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One alert. `lasting`: how long the condition must hold; `remedy` ends the description; `direct`:
    the notifier knows already, or cannot: only the second receiver is told.
    """

    name: str
    severity: Severity
    expr: str
    summary: str
    remedy: str
    runbook: str
    case: Case
    lasting: str = "0s"
    direct: bool = False

    def labels_used(self) -> set[str]:
        """Labels that its words name; the expression must leave them."""
        return set(re.findall(r"\$labels\.(\w+)", self.summary + self.remedy))


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """An expression under a name of its own: level:metric:operation."""

    name: str
    expr: str


def steady(value: float, seconds: float = EVAL_SEC) -> str:
    """The same value all the time."""
    return f"{value:g}+0x{int(seconds / STEP_SEC)}"


def then(before: float, after: float, *, at_sec: float) -> str:
    """One value, and from `at_sec` on another."""
    return f"{steady(before, at_sec - STEP_SEC)} {steady(after, EVAL_SEC - at_sec)}"


def rising(per_sec: float, *, until_sec: float = EVAL_SEC) -> str:
    """A counter that rises, and then stands."""
    count, end = int(until_sec / STEP_SEC), per_sec * until_sec
    moving = f"0+{per_sec * STEP_SEC:g}x{count}"
    rest = int((EVAL_SEC - until_sec) / STEP_SEC)
    return moving if rest <= 0 else f"{moving} {end:g}+0x{rest - 1}"


def file_of(group: str, recorded: Iterable[Recorded], rules: Iterable[Rule], links: Mapping[str, str]) -> str:
    """A rule file of Prometheus. KeyError for a runbook heading that there is not."""
    made: list[dict[str, Any]] = [{"record": one.name, "expr": one.expr} for one in recorded]
    made += [alert_of(rule, links) for rule in rules]
    text = yaml.dump(
        {"groups": [{"name": f"fundarb-{group}", "rules": made}]},
        sort_keys=False,
        allow_unicode=True,
        width=110,
    )
    return f"# Made by `make dashboards` from deploy/alerts/{group}.py.\n{text}"


def alert_of(rule: Rule, links: Mapping[str, str]) -> dict[str, Any]:
    """Prometheus's alerting rule."""
    labels = {"severity": rule.severity, **({"told": "direct"} if rule.direct else {})}
    return {
        "alert": rule.name,
        "expr": rule.expr,
        **({"for": rule.lasting} if rule.lasting != "0s" else {}),
        "labels": labels,
        "annotations": {
            "summary": rule.summary,
            "description": f"{rule.summary}. {rule.remedy}",
            "runbook": f"{PAGE}#{rule.runbook}",
            "runbook_url": f"{GRAFANA}{links[rule.runbook]}",
        },
    }


def promtool_cases(files: Iterable[str], rules: Iterable[Rule]) -> str:
    """A test file of promtool: two tests a rule."""
    made = []
    for rule in rules:
        made += [_test(rule, rule.case.fires, 1), _test(rule, rule.case.quiet, 0)]
    return yaml.dump({"rule_files": [*files], "evaluation_interval": f"{RULES_EVERY_SEC}s", "tests": made})


def _test(rule: Rule, series: Series, count: int) -> dict[str, Any]:
    named = "".join(f', {label}!=""' for label in sorted(rule.labels_used()))
    there = f'ALERTS{{alertname="{rule.name}", alertstate="firing", severity="{rule.severity}"{named}}}'
    return {
        "name": f"{rule.name} {'fires' if count else 'is quiet'}",
        "interval": f"{STEP_SEC}s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f"count({there}) or vector(0)",
                "eval_time": f"{EVAL_SEC}s",
                "exp_samples": [{"labels": "{}", "value": count}],
            }
        ],
    }


def links() -> dict[str, str]:
    """Runbook anchor -> where Grafana shows it."""
    return runbook.addresses(runbook.PAGE.read_text(encoding="utf-8"))
