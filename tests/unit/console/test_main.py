"""The entry: verbs found, failures in one line, nothing heavy imported."""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from libs.common.config.problems import ConfigError, Problem
from libs.console import main as entry
from libs.console.main import VERBS, Parser, main
from libs.console.options import add_config, load
from libs.console.output import UserError

HEAVY = ("ccxt", "pyarrow", "rich", "nats", "redis", "aiohttp", "prometheus_client", "uvloop")


def lines(text: str) -> list[str]:
    return text.rstrip("\n").split("\n")


def test_the_overview_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(verb in said for verb in VERBS)
    assert max(map(len, lines(said))) <= 92
    assert "later: backtest report\n" in said  # which need no trading
    assert main([]) == 2


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"usage: fundarb {verb}")
    assert said.err == ""


LATER_WORDS = {
    "backtest": "`fundarb scan --history DIR`",
    "report": "`fundarb status`",
}


@pytest.mark.parametrize("verb", [verb for verb, (module, _) in VERBS.items() if module == "later"])
def test_verbs_of_later_versions_say_so_in_a_sentence_of_their_own(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([verb, "--pair", "x", "anything"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(lines(said.err)) == 1
    assert said.err.startswith(f"fundarb {verb}: ")
    assert LATER_WORDS[verb] in said.err
    assert "not part of this version" in said.err
    assert "nothing to" not in said.err


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


NUMERIC = [
    ("up", ["--duration"]),
    ("demo", ["--duration", "--speed", "--seed"]),
    ("scan", ["--top", "--timeout"]),
    ("data import --kind funding --out x", ["--interval-hours"]),
    ("calc", ["--rate", "--interval", "--notional", "--taker", "--maker", "--slippage-bps"]),
    ("calc", ["--borrow-daily", "--transfer", "--hold-days"]),
]


@pytest.mark.parametrize(
    ("verb", "flag"), [(verb, flag) for verb, flags in NUMERIC for flag in flags], ids=str
)
@pytest.mark.parametrize("value", ["-3e-4", "-5E+05", "-.5e-3"])
def test_every_numeric_flag_takes_a_number_in_scientific_notation(
    verb: str, flag: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is read as a number: none of these fits its flag, but none is "no argument" either."""
    assert main([*verb.split(), flag, value]) == 2
    assert "expected one argument" not in capsys.readouterr().err


def test_the_list_of_numeric_flags_is_complete() -> None:
    listed = {(verb.split()[0], flag) for verb, flags in NUMERIC for flag in flags}
    assert {pair for pair in numeric_flags() if pair not in listed} == set()


def numeric_flags() -> set[tuple[str, str]]:
    """(verb, flag) of every option whose values are numbers."""
    found: set[tuple[str, str]] = set()
    for verb in ("up", "demo", "scan", "data", "status", "check", "init", "health", "config", "run"):
        parser = Parser(prog=verb)
        importlib.import_module(f"libs.console.verbs.{verb}").add_arguments(parser)
        parsers = [parser]
        while parsers:
            for action in parsers.pop()._actions:
                if isinstance(action, argparse._SubParsersAction):
                    parsers += action.choices.values()
                elif action.type in (int, float):
                    found.add((verb, action.option_strings[0]))
    return found


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


def test_the_keys_of_the_config_are_in_no_message_and_no_crash_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """They look like nothing in particular, so that only who has read the config can know them."""
    keys = ("aB3kQ9zLw0plain", "zz-Secret.of+mine", "phrase of mine")
    file = tmp_path / "config.json"
    perp = dict(zip(("api_key", "secret", "password"), keys, strict=True)) | {"id": "bitget", "type": "swap"}
    spot = {"id": "binance", "type": "spot"}
    file.write_text(json.dumps({"symbols": ["BTC/USDT"], "exchanges": {"spot": spot, "perp": perp}}))
    file.chmod(0o600)
    crashes = tmp_path / "crashes"
    crashes.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(crashes))

    class Leaking:
        """Fails with the keys in its hands, once in a way nobody foresaw and once in one's own words."""

        NAME = "status"
        HELP = ""

        def __init__(self, kind: type[Exception]) -> None:
            self.kind = kind

        def add_arguments(self, parser: argparse.ArgumentParser) -> None:
            add_config(parser)

        def run(self, args: argparse.Namespace) -> int:
            exchange = load(args).config.exchanges["perp"]
            raise self.kind(f"{exchange.api_key} | {exchange.secret} | {exchange.password}")

    said = ""
    for kind in (RuntimeError, UserError):
        monkeypatch.setitem(sys.modules, "libs.console.verbs.status", Leaking(kind))
        assert main(["status", "--config", str(file)]) == 1
        said += capsys.readouterr().err
    (crash,) = crashes.iterdir()
    assert "*** | *** | ***" in crash.read_text(encoding="utf-8")
    assert "*** | *** | ***" in said
    assert not [key for key in keys if key in said + crash.read_text(encoding="utf-8")]


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
        ["run", "nobody"],
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
