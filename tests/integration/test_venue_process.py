"""The venue as a process: announces itself, serves, ends on SIGTERM; the authority's key is kept nowhere."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import aiohttp

from libs.common.bus import Frame
from libs.common.embedded import running_servers
from libs.common.messages import ClockState, decode
from libs.common.nats_bus import NatsBus
from libs.common.subjects import CLOCK
from libs.exchange.redirect import VENUE_FILE, Redirect
from services.venue import certificate
from services.venue.market import DEFAULT_START_MS
from tests.helpers.venue import exchange_on, venue_process


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_a_venue_process_serves_whoever_reads_its_announcement(tmp_path: Path) -> None:
    with venue_process(tmp_path, speed="1", seed="4", data="generated") as said:
        assert set(said) == {"port", "ca_path", "host", "control_port", "pid", "keys"}
        assert stat.S_IMODE((tmp_path / VENUE_FILE).stat().st_mode) == 0o600
        redirect = Redirect.from_runtime_dir(tmp_path)
        assert redirect.port == said["port"]
        for name in ("binanceusdm", "bitget"):
            async with exchange_on(redirect, name) as exchange:
                assert len(await exchange.fetch_funding_rates()) >= 14
        written = files(tmp_path)
        assert set(written) == {VENUE_FILE, certificate.AUTHORITY, certificate.LEAF}
        # The server's own key, for a restart, readable by its user alone; nothing could sign another one.
        keys = {name: content.count(b"BEGIN PRIVATE KEY") for name, content in written.items()}
        assert keys == {VENUE_FILE: 0, certificate.AUTHORITY: 0, certificate.LEAF: 1}
        assert stat.S_IMODE((tmp_path / certificate.LEAF).stat().st_mode) == 0o600


async def test_as_a_service_it_says_the_markets_time_every_second(tmp_path: Path) -> None:
    heard: list[ClockState] = []
    enough = asyncio.Event()

    def hear(frame: Frame) -> None:
        heard.append(decode(frame.payload, ClockState))
        if len(heard) == 3:
            enough.set()

    async with running_servers() as (nats_url, redis_url, _):
        bus = NatsBus(nats_url, name="test")
        await bus.connect()
        try:
            await bus.subscribe(CLOCK, hear)
            urls = {"FUNDARB_NATS_URL": nats_url, "FUNDARB_REDIS_URL": redis_url}
            with venue_process(tmp_path, env=urls, speed="2880") as said:
                await asyncio.wait_for(enough.wait(), 30)
                state = await state_of(said["control_port"])
        finally:
            await bus.close()
    assert {one.speed for one in heard} == {2_880.0}
    assert len({(one.market0_ms, one.wall0_ms) for one in heard}) == 1
    assert state["clock"] == {
        "market0_ms": heard[0].market0_ms,
        "wall0_ms": heard[0].wall0_ms,
        "speed": 2_880.0,
    }
    assert heard[0].market0_ms == DEFAULT_START_MS


async def state_of(control_port: int) -> Any:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{control_port}/state") as answer,
    ):
        return await answer.json()
