"""Docs are tests: links resolve, pages made from the code are current, README commands exist and run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from libs.console.docs import PAGES

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"```(?:sh|bash|console)\n(.*?)```", re.DOTALL)
READMES = ("README.md", "README.zh-CN.md")


def tracked(*suffixes: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\n")
    return [ROOT / name for name in listed if name.endswith(suffixes) and (ROOT / name).exists()]


def anchors(page: Path) -> set[str]:
    found = set()
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            title = line.lstrip("#").strip().lower()
            found.add(re.sub(r"[^\w\- ]", "", title).replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", tracked(".md"), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_resolves(page: Path) -> None:
    broken = []
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in LINK.findall(text):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
            broken.append(target)
    assert not broken, f"{page.relative_to(ROOT)} links to nothing: {broken}"


@pytest.mark.parametrize("name", PAGES)
def test_pages_made_from_the_code_are_current(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == PAGES[name](), f"{name} is old: run `make docs`"


def commands(readme: str) -> list[str]:
    text = (ROOT / readme).read_text(encoding="utf-8")
    lines = [line.strip() for block in FENCE.findall(text) for line in block.splitlines()]
    return [re.split(r"\s#\s", line)[0].strip() for line in lines if line and not line.startswith("#")]


def test_both_readmes_show_the_same_commands() -> None:
    english, chinese = (commands(name) for name in READMES)
    assert english == chinese


def test_make_targets_in_the_readme_exist() -> None:
    known = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    used = {shlex.split(line)[1] for line in commands(READMES[0]) if line.startswith("make ")}
    assert used
    assert used <= known


def test_make_finds_the_benches() -> None:
    done = subprocess.run(
        ["make", "-s", "bench", "ARGS=--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "--only" in done.stdout


# Exit codes that are an answer in a room without network; anything else (2: wrong usage) is a wrong README.
ANSWERS = {
    "scan": {0, 1, 3},
    "check": {0, 1, 3},
    "status": {0, 3},
    "positions": {0, 1, 3},
    "up": {0, 3},
    "demo": {0},
    "health": {0, 1, 3},
    # nothing runs where a reader's commands are tried, and they must reach nothing that runs elsewhere
    **{verb: {3} for verb in ("halt", "reset", "pause", "resume", "flatten", "close", "open", "rebalance")},
}


@pytest.mark.parametrize("line", [c for c in dict.fromkeys(commands(READMES[0])) if "fundarb " in c])
def test_readme_commands_run(line: str, tmp_path: Path) -> None:
    """As a reader would type them, in a folder of their own; long runs are given an end."""
    words = shlex.split(line)
    words = words[words.index(next(w for w in words if w.endswith("fundarb"))) :]
    words[0] = str(ROOT / ".venv/bin/fundarb")
    verb = words[1]
    if verb in ("demo", "up"):
        if "--duration" in words:
            del words[words.index("--duration") : words.index("--duration") + 2]
        words += ["--duration", "5"]
    if verb == "status" and "--watch" in words:
        words.remove("--watch")
    (tmp_path / "config").mkdir()
    (tmp_path / "config/example.json").write_bytes((ROOT / "config/example.json").read_bytes())
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FUNDARB")}
    environment["FUNDARB_RUNTIME_DIR"] = str(tmp_path / "run")
    done = subprocess.run(
        words,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode in ANSWERS.get(verb, {0}), f"{line}: exit {done.returncode}\n{done.stderr[-2000:]}"
    assert "Traceback" not in done.stderr
