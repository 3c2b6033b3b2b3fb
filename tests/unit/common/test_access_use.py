"""The access table against what services do: all that they say is granted, and no more than they use.

What a service says is read from its code (`Publish`, `tell`, `bus.publish`), what it hears from its assembly
in every mode. Rows are those of the subject table (docs/subjects.md).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from libs.common import subjects
from libs.common.access import BUS, OPERATOR, STORE, bus_grant
from libs.common.config.schema import Mode
from libs.common.messages import SUBJECT_TYPES
from services.executor import paper
from tests.unit.common.test_access_table import RUNTIME, SERVICES, config_of, context, covers

ROOT: Final = Path(__file__).parents[3]
ROWS: Final = frozenset(SUBJECT_TYPES)
SAYS: Final = ("source.tell", "source.tell_health", "bus.publish")
"""Calls that say something and name the subject first; `Publish` names it as `subject`."""

PASSED_ON: Final = {
    ("services/feed/source.py", "subject"),  # what `tell` was given
    ("services/feed/marks.py", "effect.subject"),  # a message that is said anyway, marked
}
BY_THE_RUNTIME: Final = {"alert.*", "sys.health.*"}
"""What the runtime says for every service: alerts (actor.py in libs/common) and its pulse (beat.py)."""

HEARD_BESIDES: Final = {
    "executor": (*paper.HEARD, subjects.PERMIT),  # on paper, and the gate's own ear
    "venue": (),
}
MODES: Final = (Mode.OBSERVER, Mode.PAPER, Mode.LIVE)
NOT_FOR: Final = {("risk", Mode.OBSERVER), ("executor", Mode.OBSERVER)}


def rows_within(pattern: str) -> set[str]:
    """The rows of the subject table that have something in common with a pattern."""
    return {row for row in ROWS if covers(pattern, row) or covers(row, pattern)}


def said_by(service: str) -> dict[str, str]:
    """Subject -> where the code says it; variable tokens are `*`."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "services" / service).rglob("*.py")):
        name = str(path.relative_to(ROOT))
        for expression in named_subjects(ast.parse(path.read_text(encoding="utf-8"))):
            made = expression.func if isinstance(expression, ast.Call) else expression
            if (name, ast.unparse(made)) not in PASSED_ON:
                found[resolved(made, expression)] = f"{name}:{expression.lineno}"
    return found


def named_subjects(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called == "Publish":
            yield next(one.value for one in node.keywords if one.arg == "subject")
        elif called.endswith(SAYS):
            yield node.args[0]


def resolved(made: ast.expr, expression: ast.expr) -> str:
    """A subject's pattern out of `subjects.NAME`, `NAME`, `builder(...)` or `builder`."""
    known = getattr(subjects, ast.unparse(made).rpartition(".")[2])
    if isinstance(known, str):
        return known
    args = expression.args if isinstance(expression, ast.Call) else []
    given = [one.value for one in args if isinstance(one, ast.Constant)]
    return pattern_of(known, given if len(given) == len(args) else [])


def pattern_of(builder: object, given: list[Any]) -> str:
    """What a builder of libs/common/subjects.py makes, with `*` for what is not written out."""
    assert callable(builder)
    if given:
        return str(builder(*given))
    count = builder.__code__.co_argcount  # type: ignore[attr-defined]
    return str(builder(*(["x0x"] * count))).replace("x0x", "*")


async def heard_by(service: str, folder: Path) -> set[str]:
    """All patterns that a service subscribes to in any mode."""
    heard = {*RUNTIME, *HEARD_BESIDES.get(service, ())}
    if service == "venue":
        return heard - {subjects.CLOCK}  # it makes the time
    for mode in MODES:
        if (service, mode) in NOT_FOR:
            continue
        assembly = await SERVICES[service](context(service, config_of(mode, folder)))
        heard |= {*assembly.subscriptions}
        if assembly.close is not None:
            await assembly.close()
    return heard


def services() -> list[str]:
    return sorted(BUS.keys() - {OPERATOR})


@pytest.mark.parametrize("service", services())
def test_a_service_may_say_all_that_its_code_says(service: str) -> None:
    granted = bus_grant(service).publish
    refused = {
        subject: where
        for subject, where in said_by(service).items()
        if not any(covers(grant, subject) for grant in granted)
    }
    assert not refused, f"{service} may say {granted}"


@pytest.mark.parametrize("service", services())
def test_it_may_say_nothing_else(service: str) -> None:
    """Each row of a grant is said somewhere; the runtime says two rows for all."""
    said = {row for subject in said_by(service) for row in rows_within(subject)}
    granted = {row for grant in bus_grant(service).publish for row in rows_within(grant)}
    assert granted - said == BY_THE_RUNTIME
    own = [grant for grant in bus_grant(service).publish if grant.startswith("sys.health.")]
    assert own == [f"sys.health.{service}"]


@pytest.mark.parametrize("service", services())
async def test_it_may_hear_what_it_hears_and_nothing_else(service: str, tmp_path: Path) -> None:
    heard = await heard_by(service, tmp_path)
    granted = bus_grant(service).subscribe
    refused = {one for one in heard if not any(covers(grant, one) for grant in granted)}
    assert not refused, f"{service} may hear {granted}"
    used = {row for pattern in heard for row in rows_within(pattern)}
    inbox = {grant for grant in granted if grant.startswith("_INBOX")}
    unused = {(grant, row) for grant in set(granted) - inbox for row in rows_within(grant) if row not in used}
    assert not unused, f"granted to {service}, heard by nobody"
    assert len(inbox) == 1


def test_a_wish_is_granted_to_who_has_it_and_about_the_one_who_grants_it() -> None:
    wishing = {service for service in services() if "sys.want.feed" in bus_grant(service).publish}
    assert wishing == {service for service in services() if "sys.want.feed" in said_by(service)}
    assert {"signal", "risk", "executor", "recorder"} == wishing


def test_every_row_of_the_table_is_said_by_somebody() -> None:
    said = {row for service in services() for subject in said_by(service) for row in rows_within(subject)}
    assert ROWS - said - BY_THE_RUNTIME == {"cmd.*"}, "commands are an operator's"


# --- keys ---------------------------------------------------------------------------------------------------

IN_LIBS: Final = {"alerts", "audit", "store_id", "_versions"}
"""What the runtime and the store write for every service (store_log.py and redis_store.py in libs/common)."""


def words_of(service: str) -> set[str]:
    """The first words of all texts in a service's code: where a key is named, it is one of them."""
    found: set[str] = set()
    for path in sorted((ROOT / "services" / service).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value.partition(":")[0] + ":" * (":" in node.value))
                found.add(node.value)
    return found


@pytest.mark.parametrize("service", services())
def test_no_key_is_granted_that_a_service_does_not_name(service: str) -> None:
    grant = STORE[service]
    assert set(grant.writes) >= IN_LIBS or grant.writes == ("*",)
    assert grant.reads == ()
    assert grant.writes != ("*",) or service == "executor", (
        "pairs, ledger, journal, accounts: it owns the rest"
    )
    own = {one.removesuffix("*") for one in grant.writes if one != "*"} - IN_LIBS
    assert own <= words_of(service)
