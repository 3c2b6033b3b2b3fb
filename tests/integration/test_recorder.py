"""The recorder as a process on real servers: what was said on the bus is in its files, kills included."""

from __future__ import annotations

import asyncio
import csv
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from libs.common import subjects
from libs.common.child import python_env
from libs.common.messages import Message, encode
from libs.common.nats_bus import NatsBus
from libs.research.archive import Archive
from libs.research.compact import compact
from libs.research.layout import Bar, FundingPrint, Kind, SeriesKey
from libs.research.segments import segment_folder
from services.recorder.files import CSV_NAME, LOG_NAME
from tests.helpers.servers import real_nats, real_valkey
from tests.unit.recorder.makers import PAIR, T0_MS, history, opportunity, pulse, quote, settled

READY_SEC = 30.0
END_SEC = 20.0
SERVICE = "services.recorder.main"
INSTRUMENT = "BTC-USDT-PERP"
FUNDING = SeriesKey(Kind.FUNDING, "binance", INSTRUMENT)
PERP = SeriesKey(Kind.PERP, "binance", INSTRUMENT)
H8 = 28_800_000


class Life:
    """A recorder that is started, fed, killed and started again; its files stay."""

    def __init__(self, folder: Path, bus: NatsBus, nats_url: str, redis_url: str) -> None:
        self.folder, self.bus = folder, bus
        self.env = python_env(
            {key: value for key, value in os.environ.items() if not key.startswith("FUNDARB")},
            FUNDARB_NATS_URL=nats_url,
            FUNDARB_REDIS_URL=redis_url,
            FUNDARB_METRICS_PORT="0",
            FUNDARB__PATHS__LOGS=str(folder / "logs"),
            FUNDARB__PATHS__ARCHIVE=str(folder / "archive"),
        )
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and wait until it hears the bus: its first own pulse is in its story."""
        before = self.log().count("recorder runs")
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", SERVICE, env=self.env, stdout=asyncio.subprocess.DEVNULL, stderr=None
        )
        await self.until(lambda: self.log().count("recorder runs") > before)

    def say(self, subject: str, message: Message) -> None:
        assert self.bus.publish(subject, encode(message))

    def say_all(self, *said: tuple[str, Message]) -> None:
        for subject, message in said:
            self.say(subject, message)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(READY_SEC):
            while not condition():
                assert self.process is None or self.process.returncode is None, "the recorder ended"
                await asyncio.sleep(0.05)

    async def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = await asyncio.wait_for(self.process.wait(), END_SEC)
        self.process = None
        return code

    def log(self) -> str:
        path = self.folder / "logs" / LOG_NAME
        return path.read_text() if path.exists() else ""

    def rows(self) -> list[dict[str, str]]:
        path = self.folder / "logs" / CSV_NAME
        if not path.exists():
            return []
        with path.open(encoding="utf-8", newline="") as handle:
            return list(csv.DictReader(handle))

    def segments(self) -> bytes:
        return b"".join(path.read_bytes() for path in sorted(segment_folder(self.archive.root).glob("*-*")))

    @property
    def archive(self) -> Archive:
        return Archive(self.folder / "archive")


@pytest.fixture
async def life(tmp_path: Path) -> AsyncIterator[Life]:
    with real_nats() as nats, real_valkey(durable=False) as valkey:
        await nats.ready()
        await valkey.ready()
        bus = NatsBus(nats.url, name="test")
        await bus.connect()
        made = Life(tmp_path, bus, nats.url, valkey.url)
        try:
            yield made
        finally:
            if made.process is not None:
                made.process.kill()
                await made.process.wait()
            await bus.close()


def prints(*numbers: int) -> tuple[tuple[int, float, float], ...]:
    return tuple((T0_MS + at * H8, 0.0001 * (at + 1), 8.0) for at in numbers)


SETTLED = subjects.funding("binance", INSTRUMENT)
HISTORY = subjects.history("binance", INSTRUMENT)
QUOTES = subjects.quote("binance", INSTRUMENT)
OPPORTUNITY = subjects.opportunity(PAIR)


async def test_an_orderly_life_leaves_everything_in_the_archive(life: Life) -> None:
    await life.start()
    life.say_all(
        (HISTORY, history(*prints(0, 1))),
        (SETTLED, settled(0.0003, T0_MS + 2 * H8 + 17, mark=100_500.0)),
        (HISTORY, history(*prints(0, 1), (T0_MS + 2 * H8 + 431, 0.0003, 8.0))),
        (QUOTES, quote(100.0, T0_MS)),
        (QUOTES, quote(90.0, T0_MS + 30_000)),
        (QUOTES, quote(95.0, T0_MS + 59_000)),
        (OPPORTUNITY, opportunity()),
        (
            OPPORTUNITY,
            opportunity(passes=False, refusals=("stale_quote",), reasons={"stale_quote": "31 s old"}),
        ),
        (subjects.health("feed"), pulse(ok=False, problems=("bybit is silent",))),
    )
    await life.until(lambda: len(life.rows()) == 2 and "bybit is silent" in life.log())
    assert await life.end(signal.SIGTERM) == 0
    assert [row["event"] for row in life.rows()] == ["appeared", "disappeared"]
    assert f"disappeared  {PAIR}: stale_quote (31 s old)" in life.log()
    assert "ended" in life.log().splitlines()[-1]
    compact(life.archive.root)  # nothing to do, unless the machine was too slow to merge at the end
    assert life.archive.read_funding(FUNDING) == [
        *(FundingPrint(*one) for one in prints(0, 1)),
        FundingPrint(T0_MS + 2 * H8 + 17, 0.0003, 8.0, 100_500.0),
    ]
    assert life.archive.read_bars(PERP) == [Bar(T0_MS, 100.0, 100.0, 90.0, 95.0)]
    assert life.segments() == b""


async def test_a_kill_loses_at_most_what_was_not_flushed_and_breaks_nothing(life: Life) -> None:
    await life.start()
    life.say_all(
        (HISTORY, history(*prints(0, 1))), (QUOTES, quote(100.0, T0_MS)), (OPPORTUNITY, opportunity())
    )
    await life.until(lambda: len(life.rows()) == 1 and life.segments().count(b"\n") == 3)
    assert await life.end(signal.SIGKILL) == -signal.SIGKILL
    # As if the kill had come in the middle of three writes.
    with (life.folder / "logs" / CSV_NAME).open("a") as torn:
        torn.write("1760083200000,2025-10-1")
    with (life.folder / "logs" / LOG_NAME).open("a") as torn:
        torn.write("2025-10-10T08:0")
    (open_segment,) = segment_folder(life.archive.root).glob("*.open")
    with open_segment.open("a") as torn:
        torn.write('["funding","bina')

    await life.start()
    assert len(life.rows()) == 1  # the torn row is gone already
    life.say_all(
        (HISTORY, history(*prints(0, 1, 2))),  # said again to the newcomer, with one more
        (QUOTES, quote(120.0, T0_MS + 40_000)),
        (OPPORTUNITY, opportunity(daily=0.0007)),
    )
    await life.until(lambda: any(row["daily"] == "0.0007" for row in life.rows()))
    assert await life.end(signal.SIGTERM) == 0
    compact(life.archive.root)
    assert life.archive.read_funding(FUNDING) == [FundingPrint(*one) for one in prints(0, 1, 2)]
    assert life.archive.read_bars(PERP) == [Bar(T0_MS, 100.0, 120.0, 100.0, 120.0)]
    assert [(row["pair"], row["daily"]) for row in life.rows()] == [(PAIR, "0.0003"), (PAIR, "0.0007")]
    assert "2025-10-10T08:0\n" not in life.log()
    assert all(line[:4].isdecimal() and line.count("Z ") >= 1 for line in life.log().splitlines())


async def test_a_folder_that_cannot_be_written_is_one_clear_line(life: Life) -> None:
    (life.folder / "logs").write_text("in the way")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        SERVICE,
        env=life.env,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await asyncio.wait_for(process.communicate(), READY_SEC)
    assert process.returncode == 2
    (line,) = [line for line in said.decode().splitlines() if line.startswith("recorder: ")]
    assert "cannot write" in line
    assert "set paths.logs" in line
    assert "Traceback" not in said.decode()
