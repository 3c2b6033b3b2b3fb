"""Each alert that a service raises has its key in the runbook's table, and each key there is raised."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deploy.dashboards import runbook

ROOT: Final = Path(__file__).resolve().parents[2]
TEXT: Final = runbook.PAGE.read_text(encoding="utf-8")
TABLE: Final = TEXT[TEXT.index("| key |") : TEXT.index("\n## ")]
PLACES: Final = {"{}:fault": "SERVICE:fault", "{}:ended": "SERVICE:ended"}
"""Keys of the runtime begin with the service."""

NO_ACT: Final = {
    "signal:X": "info: what signal has chosen or given up",
    "risk:X:X": "a control of risk: its heading is its plain name (docs/risk.md)",
}


def keys() -> Iterator[str]:
    """Keys of all alerts in the code, `{}` for what is filled in; those of a lane begin with the pair."""
    for path in sorted([*(ROOT / "services").rglob("*.py"), *(ROOT / "libs").rglob("*.py")]):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            ast.unparse(node.target): ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Constant)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            if called == "draft.alert":
                yield f"PAIR:{written(node.args[1], constants)}"
            elif called == "Alert" and path.name != "lane.py":  # what `draft.alert` makes
                named = next(one.value for one in node.keywords if one.arg == "key")
                yield written(named, constants)


def written(key: ast.expr, constants: dict[str, object]) -> str:
    if isinstance(key, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in key.values)
    return str(key.value if isinstance(key, ast.Constant) else constants[ast.unparse(key)])


def shape(key: str) -> str:
    """Places of a key that are filled in: `X`."""
    return re.sub(r"\{\}(-\{\})?|(?<=:)[A-Z][A-Z-]*", "X", key)


RAISED: Final = {shape(PLACES.get(key, key)) for key in keys()}
LISTED: Final = {shape(key) for row in TABLE.splitlines()[2:] for key in re.findall(r"`([^`]+)`", row)}


def test_what_is_raised_is_in_the_table_and_what_is_there_is_raised() -> None:
    assert len(RAISED) >= 30
    assert set(NO_ACT) == RAISED - LISTED
    assert LISTED <= RAISED


def test_each_row_leads_to_a_heading() -> None:
    anchors = {runbook.anchor(heading) for heading in runbook.sections(TEXT)}
    for row in TABLE.splitlines()[2:]:
        links = re.findall(r"\]\(#([^)]+)\)", row)
        if row.strip():
            assert links, row
        assert set(links) <= anchors, row
