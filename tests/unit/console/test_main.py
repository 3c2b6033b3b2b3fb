"""The entry: verbs found, failures in one line, nothing heavy imported."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from libs.common.config.problems import ConfigError, Problem
from libs.console import main as entry
from libs.console.main import VERBS, main
from libs.console.output import UserError

HEAVY = ("ccxt", "pyarrow", "rich", "nats", "redis", "aiohttp", "prometheus_client", "uvloop")


def lines(text: str) -> list[str]:
    return text.rstrip("\n").split("\n")


def test_the_overview_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(verb in said for verb in VERBS)
    assert max(map(len, lines(said))) <= 92
    assert main([]) == 2


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"usage: fundarb {verb}")
    assert said.err == ""


@pytest.mark.parametrize("verb", [verb for verb, (module, _) in VERBS.items() if module == "later"])
def test_trading_verbs_say_that_they_come_later(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--pair", "x", "anything"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(lines(said.err)) == 1
    assert "trading is not part of this version yet" in said.err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["stauts"], "did you mean `fundarb status`?"),
        (["zzz"], "lists the verbs"),
        (["calc", "--rat", "1"], "fundarb calc: "),
        (["config"], "what"),
        (["config", "shwo"], "invalid choice"),
        (["config", "show", "--messages"], "belongs to `fundarb config schema`"),
        (["run", "fed"], "did you mean feed?"),
        (["run", "risk"], "comes with trading"),
        (["run", "executor"], "comes with trading"),
        (["run", "notifier"], "comes with trading"),
        (["check", "--config", "/nowhere/x.json"], "/nowhere/x.json: there is no such file"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(lines(err)) == 1
    assert said in err


class Failing:
    """A verb that fails as it is told."""

    NAME = "status"
    HELP = ""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def add_arguments(self, parser: object) -> None:
        pass

    def run(self, args: object) -> int:
        raise self.error


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UserError("no way", 3), 3, "no way"),
        (ConfigError([Problem(source="a", path="b", reason="c")]), 2, "a: b: c"),
        (KeyboardInterrupt(), 130, ""),
        (
            RuntimeError("secret=hunter2"),
            1,
            "unexpected RuntimeError in `fundarb status`; the details are in ",
        ),
    ],
)
def test_failures_are_told_without_a_traceback(
    *,
    error: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where details would be kept
    monkeypatch.setitem(sys.modules, "libs.console.verbs.status", Failing(error))
    assert main(["status"]) == code
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert "hunter2" not in err
    assert said in err
    kept = [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()]
    assert len(kept) == (1 if "details" in said else 0)
    assert not any("hunter2" in text for text in kept)


def test_a_crash_leaves_its_traceback_in_a_private_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = Path(entry.write_crash(RuntimeError("what happened")))
    assert "what happened" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        ["health", "--help"],
        ["health"],
        ["calc", "--rate", "0.0001", "--interval", "8", "--json"],
        ["run", "risk"],
        ["config", "schema"],
        ["check", "--offline", "--json", "--config", "config/example.json"],
    ],
)
def test_light_verbs_import_nothing_heavy(argv: list[str], tmp_path: Path) -> None:
    program = (
        "import sys; from libs.console.main import main; code = main(sys.argv[1:]);"
        f"heavy = sorted(set({HEAVY!r}) & set(sys.modules));"
        "sys.stderr.write('HEAVY' + repr(heavy)); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *argv],
        cwd=Path(__file__).parents[3],
        env={"FUNDARB_RUNTIME_DIR": str(tmp_path), "PYTHONSAFEPATH": "1", "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr.endswith("HEAVY[]"), done.stderr
    assert done.returncode in (0, 2, 3)


def test_a_reader_that_leaves_is_no_error() -> None:
    program = "import sys; from libs.console.main import main; sys.exit(main(['config', 'schema']))"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0
