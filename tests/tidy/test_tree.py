"""The house stays in order: file sizes, dead modules, machine paths, unfinished marks, the lock."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from tests.tidy.test_docs import ROOT, tracked

LINES_MAX = 350
PYTHON = [path for path in tracked(".py") if "tests" not in path.relative_to(ROOT).parts[:1]]
# What only tests import today: the kernel's fakes pass the same contract suite as the real parts.
FAKES = {"libs.common.memory_bus", "libs.common.memory_store"}
ENTRY_POINTS = re.compile(r"(main|__main__|__init__|compact|credentials|docs|make_sample|launch)\.py$")


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value.startswith(("libs.", "services."))
        ):
            found.add(node.value)  # modules that are named, to be imported lazily or started as a process
    return found


def test_files_fit_their_room() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in tracked(".py")
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > LINES_MAX
    }
    assert not long, f"over {LINES_MAX} lines, would two rooms be better? {long}"


def test_no_module_is_dead() -> None:
    used = {name for path in PYTHON for name in imports(path)}
    dead = [
        module_of(path)
        for path in PYTHON
        if not ENTRY_POINTS.search(path.name)
        and module_of(path) not in used
        and "console/verbs" not in str(path)
        and module_of(path) not in FAKES
    ]
    assert not dead, f"imported by nothing: {dead}"


def test_every_verb_module_is_reachable() -> None:
    from libs.console.main import VERBS  # noqa: PLC0415

    named = {module for module, _ in VERBS.values()}
    there = {path.stem for path in (ROOT / "libs/console/verbs").glob("*.py")} - {"__init__"}
    assert there <= named, f"no verb leads to {there - named}"


def test_every_metric_of_the_table_is_measured() -> None:
    """A row that nothing measures is a promise to dashboards that nobody keeps."""
    from libs.common.metrics import METRICS  # noqa: PLC0415

    table = ROOT / "libs/common/metrics.py"
    code = "\n".join(path.read_text(encoding="utf-8") for path in PYTHON if path != table)
    unmeasured = [name for name in METRICS if f'"{name}"' not in code]
    assert not unmeasured


FORBIDDEN = {
    "machine paths": re.compile(r"(?<![A-Za-z0-9_.}~-])/(?:t[m]p|wor[k]|r[o]ot)/"),
    "registry addresses": re.compile(r"(?:py[p]i|python[h]osted|npm[j]s)\.org", re.IGNORECASE),
    "unfinished marks": re.compile(r"NotImplemented[E]rror|TO[D]O|FIX[M]E|X[X]X"),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_nothing_forbidden_is_tracked(what: str) -> None:
    hits = []
    for path in tracked(".py", ".md", ".toml", ".json", ".yaml", ".yml", ".lock", "Makefile", ".lua"):
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if FORBIDDEN[what].search(line):
                hits.append(f"{path.relative_to(ROOT)}:{number}")
    assert not hits, f"{what}: {hits[:10]}"


def test_the_lock_pins_every_dependency_with_hashes() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = {name.lower() for name in re.findall(r"^([A-Za-z0-9_.-]+)==", lock, re.MULTILINE)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    missing = [name for item in wanted if (name := re.split(r"[<>=\[ ]", item)[0].lower()) not in pinned]
    assert not missing
    blocks = re.split(r"\n(?=[A-Za-z0-9_.-]+==)", lock)
    assert all("--hash=sha256:" in block for block in blocks if "==" in block.split("\n")[0])


def test_every_ignored_lint_rule_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    rules = text.split("ignore = [", 1)[1].split("\n]", 1)[0].strip().splitlines()
    bare = [line.strip() for line in rules if "#" not in line]
    assert not bare, f"ignored without a reason: {bare}"


@pytest.mark.parametrize(
    "main", sorted((ROOT / "services").glob("*/main.py")), ids=lambda path: str(path.parent.name)
)
def test_every_service_runs_behind_the_demo_s_guard(main: Path) -> None:
    """`serve` installs it, `guard_loopback` is it: a main that calls neither could open any socket."""
    text = main.read_text(encoding="utf-8")
    assert "serve(" in text or "guard_loopback()" in text
