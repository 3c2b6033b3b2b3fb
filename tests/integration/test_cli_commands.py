"""The operator's verbs over a real NATS server: what is sent, what is answered, and the exit codes."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from libs.common import messages as m
from libs.common import subjects
from libs.common.bus import Frame
from libs.common.clock import wall_us
from libs.common.nats_bus import NatsBus
from libs.common.runtime_file import ENV_DIR, Deployment, deployment_path, write
from libs.console.commanding import actor
from libs.console.main import main
from tests.helpers.servers import RealServer, real_nats
from tests.integration.test_cli import Terminal
from tests.integration.test_cli_status import PAIR, pulse

Answer = m.CommandReply | bytes


@pytest.fixture
def nats() -> Iterator[RealServer]:
    with real_nats() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(ENV_DIR, str(tmp_path / "run"))
    return tmp_path


def running(folder: Path, url: str, *services: str) -> None:
    known = Deployment(nats_url=url, pids=dict.fromkeys(services, 999_999), started_us=wall_us())
    write(deployment_path(folder / "run", "main"), known)


def ok(service: str, **result: Any) -> m.CommandReply:
    return m.CommandReply(service=service, ok=True, result=result)


def no(service: str, code: str, message: str) -> m.CommandReply:
    return m.CommandReply(service=service, ok=False, error=m.CommandError(code=code, message=message))


class Heard:
    """What reached the services."""

    def __init__(self) -> None:
        self.subjects: list[str] = []
        self.said: list[m.Command] = []


@asynccontextmanager
async def services(url: str, *answers: Answer, beats: tuple[str, ...] = ()) -> AsyncIterator[Heard]:
    """On the bus: who answers every command so, and who beats."""
    bus = NatsBus(url, name="services")
    await bus.connect()
    heard = Heard()

    def take(frame: Frame) -> None:
        heard.subjects.append(frame.subject)
        heard.said.append(m.decode(frame.payload, m.Command))
        for answer in answers:
            bus.publish(frame.reply, answer if isinstance(answer, bytes) else m.encode(answer))

    async def beat() -> None:
        while True:
            for service in beats:
                bus.publish(subjects.health(service), m.encode(pulse(service)))
            await asyncio.sleep(0.1)

    await bus.subscribe("cmd.*", take)
    task = asyncio.create_task(beat())
    try:
        yield heard
    finally:
        task.cancel()
        await bus.close()


async def fundarb(*argv: str) -> int:
    return await asyncio.to_thread(main, list(argv))


async def test_a_halt_is_one_request_with_all_that_it_needs(
    folder: Path, nats: RealServer, capsys: pytest.CaptureFixture[str]
) -> None:
    await nats.ready()
    running(folder, nats.url, "risk")
    async with services(nats.url, ok("risk", text="global is at reduce_only")) as heard:
        assert await fundarb("halt", "--reason", "weekend") == 0
        assert await fundarb("halt", "--scope", "venue:binance") == 0
        assert await fundarb("pause", "--pair", PAIR) == 0
    assert capsys.readouterr().out == "risk: ok: global is at reduce_only\n" * 3
    assert heard.subjects == ["cmd.halt", "cmd.halt", "cmd.pause"]
    first, second, third = heard.said
    assert (first.reason, first.scope, first.pair, first.confirm) == ("weekend", None, None, False)
    assert (first.actor, second.scope, third.pair) == (actor(), "venue:binance", PAIR)
    assert first.ts_ms is not None
    assert abs(first.ts_ms - wall_us() // 1_000) < 30_000
    assert len({one.id for one in heard.said}) == 3


async def test_what_belongs_to_open_and_close_travels_with_them(folder: Path, nats: RealServer) -> None:
    await nats.ready()
    running(folder, nats.url, "executor")
    async with services(nats.url, ok("executor", state="opening")) as heard:
        assert await fundarb("open", PAIR, "--direction", "reverse", "--notional", "250.50") == 0
        assert await fundarb("close", PAIR, "--hard") == 0
        assert await fundarb("rebalance", PAIR) == 0
    opened, closed, _ = heard.said
    assert (opened.pair, opened.direction, opened.notional_usd) == (PAIR, "reverse", "250.50")
    assert (closed.pair, closed.hard) == (PAIR, True)


@pytest.mark.parametrize("named", [PAIR, "BTC-USDT_spot_perp"])
async def test_an_open_without_a_direction_goes_the_way_that_signal_has_evaluated(
    folder: Path, nats: RealServer, capsys: pytest.CaptureFixture[str], named: str
) -> None:
    await nats.ready()
    running(folder, nats.url, "signal", "executor")
    pairs = {PAIR: {"passes": True, "direction": "reverse", "daily": 0.0012, "reasons": {}}}
    told = ok("signal", scope=f"pair:{PAIR}", pairs=pairs)
    other = ok("executor", scope=f"pair:{PAIR}", pairs={PAIR: {"state": "idle"}})
    async with services(nats.url, other, told) as heard:
        assert await fundarb("open", named) == 0
        assert await fundarb("open", named, "--direction", "forward") == 0
        assert await fundarb("open", named, "--json") == 0
    assert heard.subjects == ["cmd.status", "cmd.open", "cmd.open", "cmd.status", "cmd.open"]
    assert [one.direction for one in heard.said] == [None, "reverse", "forward", None, "reverse"]
    first, *_, report = capsys.readouterr().out.splitlines()
    assert first == (f"{PAIR}: direction reverse, as last evaluated (passes every gate, +0.1200 % a day)")
    assert json.loads(report)["direction"] == "reverse"


async def test_an_open_of_a_pair_that_signal_does_not_know_is_the_executors_to_refuse(
    folder: Path, nats: RealServer, capsys: pytest.CaptureFixture[str]
) -> None:
    await nats.ready()
    running(folder, nats.url, "signal", "executor")
    answers = (no("signal", "unknown_pair", "no such pair"), no("executor", "bad_request", "which way?"))
    async with services(nats.url, *answers) as heard:
        assert await fundarb("open", "XYZ") == 1
    assert [one.direction for one in heard.said] == [None, None]
    assert "executor: refused: which way? (bad_request)" in capsys.readouterr().out


async def test_a_raised_limit_is_confirmed_by_yes(folder: Path, nats: RealServer) -> None:
    await nats.ready()
    running(folder, nats.url, "feed")
    async with services(nats.url, ok("feed")) as heard:
        assert await fundarb("reload") == 0
        assert await fundarb("reload", "--yes") == 0
    assert [one.confirm for one in heard.said] == [False, True]


async def test_one_refusal_among_answers_is_a_no(
    folder: Path, nats: RealServer, capsys: pytest.CaptureFixture[str]
) -> None:
    await nats.ready()
    running(folder, nats.url)
    answers = (ok("risk", cleared=["operator_halt: x"]), no("executor", "unclean", "the look shows 3 lots"))
    async with services(nats.url, *answers) as heard:
        assert await fundarb("reset", "--yes", "--json") == 1
        assert await fundarb("reset", "--yes") == 1
    report, *lines = capsys.readouterr().out.splitlines()
    assert heard.said[0].confirm
    assert lines == [
        "executor: refused: the look shows 3 lots (unclean)",
        "risk: ok: cleared operator_halt: x",
    ]
    said = json.loads(report)
    assert (said["verb"], said["scope"], said["ok"], said["missing"]) == ("reset", "global", False, [])
    assert {one["service"]: one["ok"] for one in said["replies"]} == {"risk": True, "executor": False}


async def test_what_became_of_a_pairs_coins_is_said_with_its_reset(
    folder: Path, nats: RealServer, capsys: pytest.CaptureFixture[str]
) -> None:
    await nats.ready()
    running(folder, nats.url)
    async with services(nats.url, ok("risk"), ok("executor")) as heard:
        assert await fundarb("reset", "--yes", "--pair", PAIR, "--coins", "sold") == 0
        assert await fundarb("reset", "--yes", "--scope", f"pair:{PAIR}", "--coins", "held") == 0
        assert await fundarb("reset", "--yes", "--pair", PAIR) == 0
        capsys.readouterr()
        assert await fundarb("reset", "--yes", "--coins", "sold") == 2
        assert "--coins is said of one pair: add --pair" in capsys.readouterr().err
        assert await fundarb("reset", "--yes", "--pair", PAIR, "--coins", "gone") == 2
        assert "choose from 'sold', 'held'" in capsys.readouterr().err
    assert [one.coins for one in heard.said] == ["sold", "held", None]


async def test_half_an_answer_is_none(
    folder: Path, nats: RealServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """The executor has done its part; nobody knows of risk's."""
    await nats.ready()
    running(folder, nats.url, "risk", "executor")
    async with services(nats.url, ok("executor"), beats=("executor",)):
        assert await fundarb("reset", "--yes", "--json") == 3
    said = capsys.readouterr()
    assert json.loads(said.out)["missing"] == ["risk"]
    assert "risk is not heard (process 999999), so that reset is not known to have happened" in said.err


async def test_what_an_observer_refuses_is_said_once_and_is_a_no(
    folder: Path, nats: RealServer, capsys: pytest.CaptureFixture[str]
) -> None:
    await nats.ready()
    running(folder, nats.url, "feed", "signal")
    refused = no("signal", "observer", "mode observer trades nothing")
    async with services(nats.url, refused, beats=("feed", "signal")):
        assert await fundarb("halt") == 1
    captured = capsys.readouterr()
    assert captured.out == "signal: refused: mode observer trades nothing (observer)\n"
    assert captured.err == ""


async def test_an_observer_has_nothing_to_halt(
    folder: Path, nats: RealServer, capsys: pytest.CaptureFixture[str]
) -> None:
    await nats.ready()
    running(folder, nats.url, "feed", "signal")
    async with services(nats.url, beats=("feed", "signal")):
        assert await fundarb("halt") == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "no risk service runs in deployment main (only feed, signal): mode observer trades nothing\n"
    )


async def test_who_beats_and_does_not_answer_may_still_do_it(
    folder: Path, nats: RealServer, capsys: pytest.CaptureFixture[str]
) -> None:
    await nats.ready()
    running(folder, nats.url, "risk")
    async with services(nats.url, beats=("risk",)):
        assert await fundarb("halt") == 3
    assert "risk runs and has not answered halt within 1 s; it may still happen" in capsys.readouterr().err


async def test_an_empty_bus_says_so(
    folder: Path, nats: RealServer, capsys: pytest.CaptureFixture[str]
) -> None:
    await nats.ready()
    running(folder, nats.url)
    assert await fundarb("flatten", "--yes") == 3
    assert "no service of deployment main is heard on the bus" in capsys.readouterr().err


async def test_an_answer_that_cannot_be_read_is_no_ok(
    folder: Path, nats: RealServer, capsys: pytest.CaptureFixture[str]
) -> None:
    await nats.ready()
    running(folder, nats.url)
    async with services(nats.url, ok("risk"), b"fine!"):
        assert await fundarb("halt") == 1
    assert "1 answers to halt cannot be read" in capsys.readouterr().err


def test_a_server_that_is_not_there_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    running(folder, "nats://127.0.0.1:9")
    assert main(["halt"]) == 3
    assert "deployment main does not answer" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["flatten", "reset"])
async def test_without_a_terminal_nothing_is_confirmed(
    verb: str, folder: Path, nats: RealServer, capsys: pytest.CaptureFixture[str]
) -> None:
    await nats.ready()
    running(folder, nats.url)
    async with services(nats.url, ok("risk"), ok("executor")) as heard:
        assert await fundarb(verb, "--scope", "venue:binance") == 2
    said = capsys.readouterr().err
    assert "venue:binance" in said
    assert "nothing was sent: add --yes" in said
    assert heard.said == []


async def test_a_person_types_the_word(folder: Path, nats: RealServer) -> None:
    await nats.ready()
    running(folder, nats.url)
    async with services(nats.url, ok("risk")) as heard:
        for word, code in (("y\n", 1), ("flatten\n", 0)):
            terminal = Terminal(folder, "flatten", "--pair", PAIR)
            try:
                await asyncio.to_thread(terminal.until, "Type flatten to go on: ")
                terminal.type(word)
                assert await asyncio.to_thread(terminal.end) == code
            finally:
                terminal.process.kill()
                os.close(terminal.master)
    assert [(one.pair, one.confirm) for one in heard.said] == [(PAIR, True)]


@pytest.mark.parametrize("amount", ["0", "-5", "nan", "inf", "ten", ""])
def test_an_amount_is_above_zero(amount: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["open", PAIR, f"--notional={amount}"]) == 2
    assert "no amount of USD above 0" in capsys.readouterr().err


def test_scope_and_pair_are_one_or_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["halt", "--scope", "global", "--pair", PAIR]) == 2
    assert "not allowed with" in capsys.readouterr().err
