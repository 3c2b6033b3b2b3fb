"""The command as a process: exit codes, streams, signals, a terminal, and the simulated venue."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.common.config.load import load_config
from tests.helpers.venue import venue_process
from tests.unit.config.base import GOOD, with_value, write

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "libs.console.main"]


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FUNDARB")}
    return {**kept, "PYTHONSAFEPATH": "1", "FUNDARB_RUNTIME_DIR": str(folder / "run"), **more}


def fundarb(folder: Path, *argv: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *argv],
        cwd=ROOT,
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (json.dumps(with_value(("costs", "makr"), 1)), "costs.makr: unknown key; did you mean costs.maker?"),
        (json.dumps(with_value(("costs", "taker"), 5)), "costs.taker: a fraction is expected"),
        ('{"symbols": ["BTC/USDT"', "never closed"),
        ('{"mode": "observer", "mode": "live"}', "stands twice"),
    ],
)
@pytest.mark.parametrize("verb", ["check", "config show"])
def test_a_broken_config_ends_with_2_and_no_traceback(
    tmp_path: Path, verb: str, text: str, said: str
) -> None:
    path = write(tmp_path, text)
    done = fundarb(tmp_path, *verb.split(), "--config", str(path))
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert all(line.startswith(str(path)) for line in done.stderr.splitlines())


def test_the_blueprints_examples_pass_the_check(tmp_path: Path) -> None:
    for name in ("binance", "bitget"):
        path = ROOT / "tests" / "data" / "blueprint" / f"{name}.json"
        done = fundarb(tmp_path, "check", "--offline", "--json", "--config", str(path))
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert json.loads(done.stdout)["ok"] is True


def test_several_files_by_the_environment(tmp_path: Path) -> None:
    first = write(tmp_path, GOOD, "a.json")
    second = write(tmp_path, "[costs]\ntaker_bps = 4\n", "b.toml")
    done = fundarb(tmp_path, "config", "show", "--json", FUNDARB_CONFIG=f"{first}{os.pathsep}{second}")
    shown = json.loads(done.stdout)
    assert shown["config"]["costs"]["taker"] == 0.0004
    assert shown["sources"]["costs.taker"] == str(second)


def test_the_check_on_the_simulated_venue(tmp_path: Path) -> None:
    config = write(tmp_path, GOOD)
    with venue_process(tmp_path / "run", speed="1"):
        done = fundarb(tmp_path, "check", "--json", "--config", str(config), FUNDARB_MODE="demo")
    answer = json.loads(done.stdout)
    rows = {row["subject"]: row for row in answer["rows"]}
    assert done.returncode == 0, (done.stderr, answer)
    for subject in ("binance", "binance clock", "bitget", "bitget BTC-USDT-PERP funding", "binance ETH-USDT"):
        assert rows[subject]["state"] == "ok", rows[subject]
    assert "per 8 h" in rows["binance BTC-USDT-PERP funding"]["text"]


def test_a_demo_without_its_venue_is_unreachable(tmp_path: Path) -> None:
    done = fundarb(tmp_path, "check", "--config", str(write(tmp_path, GOOD)), FUNDARB_MODE="demo")
    assert done.returncode == 3
    assert "no simulated venue runs here" in done.stdout


def test_no_network_is_unreachable_and_says_so(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{free.getsockname()[1]}"
    done = fundarb(
        tmp_path, "check", "--config", str(write(tmp_path, GOOD)), HTTPS_PROXY=nowhere, NO_PROXY=""
    )
    assert done.returncode == 3
    assert "2 unreachable, 0 refused" in done.stdout
    assert done.stderr == ""


# --- on a terminal -------------------------------------------------------------------------------


class Terminal:
    """The command on a pseudo-terminal, 80 columns wide."""

    def __init__(self, folder: Path, *argv: str) -> None:
        master, slave = pty.openpty()
        self.master = master
        self.seen = ""
        self.process = subprocess.Popen(
            [*COMMAND, *argv],
            cwd=ROOT,
            env=environment(folder, TERM="xterm", COLUMNS="80", LINES="24"),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def until(self, text: str, *, within_sec: float = 60.0) -> None:
        end = time.monotonic() + within_sec
        while text not in self.seen:
            assert time.monotonic() < end, f"{text!r} did not appear in {self.seen!r}"
            if select.select([self.master], [], [], 0.5)[0]:
                self.seen += self._read()

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def interrupt(self) -> None:
        """Ctrl-C until it ends, as a person does: input() notices one just before it reads too late."""
        for _ in range(30):
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                continue
            return

    def end(self) -> int:
        """Exit code, after all that was printed has been read."""
        while select.select([self.master], [], [], 30)[0]:
            said = self._read()
            if not said:
                break
            self.seen += said
        return self.process.wait(timeout=30)

    def _read(self) -> str:
        try:
            return os.read(self.master, 65_536).decode(errors="replace")
        except OSError:  # Linux says EIO when the other side has closed
            return ""


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        if terminal.process.poll() is None:
            terminal.process.kill()
        terminal.process.wait(timeout=10)
        os.close(terminal.master)


def test_the_wizard_on_a_terminal(tmp_path: Path, terminals: list[Terminal]) -> None:
    out = tmp_path / "config.json"
    terminal = Terminal(tmp_path, "init", "--out", str(out))
    terminals.append(terminal)
    answers = (
        ("Exchanges", "okx"),
        ("Symbols", ""),
        ("USD per leg", "750"),
        ("Taker", ""),
        ("Maker", ""),
        ("Slippage", ""),
    )
    for question, answer in answers:
        terminal.until(question)
        terminal.type(answer + "\n")
    assert terminal.end() == 0, terminal.seen
    config = load_config([out], {})
    assert config.position.notional_usd == 750
    assert {exchange.id for exchange in config.exchanges.values()} == {"okx"}


def test_ctrl_c_in_the_wizard_writes_nothing(tmp_path: Path, terminals: list[Terminal]) -> None:
    terminal = Terminal(tmp_path, "init", "--out", str(tmp_path / "config.json"))
    terminals.append(terminal)
    terminal.until("Exchanges")
    terminal.interrupt()
    assert terminal.end() == 130
    assert "Traceback" not in terminal.seen
    assert not list(tmp_path.glob("*.json"))


def test_a_table_fits_80_columns(tmp_path: Path, terminals: list[Terminal]) -> None:
    terminal = Terminal(tmp_path, "calc", "--rate=-0.0003", "--interval=8", "--borrow-daily=0.0001")
    terminals.append(terminal)
    assert terminal.end() == 0
    assert "break-even" in terminal.seen
    assert max(len(line.rstrip("\r")) for line in terminal.seen.split("\n") if "\x1b" not in line) <= 80
