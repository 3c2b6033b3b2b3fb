"""Every measured fault of a NATS connection, provoked on a real one, and seen cured."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import uvloop

from libs.common.bus import BusUnavailable, Frame
from libs.common.clock import mono_us
from libs.common.instant import US_PER_SEC
from libs.common.nats_bus import NatsBus
from libs.common.nats_client import TCP_USER_TIMEOUT_MS, Client, Transport
from libs.common.subjects import Channel
from tests.helpers.buses import BACK_SEC, both_paths, connected, reconnects
from tests.helpers.proxy import proxied
from tests.helpers.servers import RealServer, eventually, real_nats

NOTICED_SEC = 8.0  # 3 s by the settings; the defaults of nats-py would need 6 minutes


@pytest.fixture
async def server() -> AsyncIterator[RealServer]:
    with real_nats() as nats:
        yield await nats.ready()


async def restart_lifecycle(server: RealServer, *, fast: bool) -> None:
    frames: list[Frame] = []
    async with connected(server.url, fast=fast) as (bus, told):
        await bus.subscribe("cmd.*", frames.append)
        await bus.subscribe("md.>", frames.append)
        server.kill()
        await eventually(lambda: not bus.connected and told.states[-1] is False)
        # Refused, not kept: an order of before the restart must not arrive after it.
        assert not bus.publish("cmd.stale", b"")
        assert not bus.publish("md.stale", b"")
        with pytest.raises(BusUnavailable):
            await bus.request("cmd.stale", b"", timeout_sec=1)
        with pytest.raises(BusUnavailable):
            await bus.flush()
        await server.start()
        await eventually(lambda: bus.connected, within_sec=BACK_SEC)
        assert bus.publish("cmd.fresh", b"")
        assert bus.publish("md.fresh", b"")
        await eventually(lambda: len(frames) >= 2)
        await bus.flush()
        assert sorted(frame.subject for frame in frames) == ["cmd.fresh", "md.fresh"]
        assert (await bus.gather("cmd.who", b"", timeout_sec=0.1)) == []  # the inbox came back too
        assert reconnects(bus) == 2
        assert told.states == [True, False, True]
        assert told.fatal == []


@both_paths
async def test_after_a_broker_restart_subscriptions_work_and_nothing_stale_arrives(
    server: RealServer, *, fast: bool
) -> None:
    await restart_lifecycle(server, fast=fast)


def test_the_same_on_uvloop() -> None:
    async def life() -> None:
        with real_nats() as nats:
            await restart_lifecycle(await nats.ready(), fast=True)

    uvloop.run(life())


@both_paths
async def test_a_frozen_server_is_noticed_and_unsent_messages_are_dropped(
    server: RealServer, *, fast: bool
) -> None:
    """What the kernel took before may still arrive (intents expire); what this process held must not."""
    numbers: list[int] = []
    async with connected(server.url, fast=fast) as (bus, _):
        await bus.subscribe("md.>", lambda frame: numbers.append(int(frame.payload[:8])))
        server.freeze()
        frozen_us = mono_us()
        for number in range(800):  # 48 MB: more than kernel buffers hold
            assert bus.publish("md.old", b"%08d" % number + b"x" * 60_000)
            if number == 700:
                await asyncio.sleep(
                    0.05
                )  # nats-py's flusher waits for the socket now, the rest for the flusher
        await eventually(lambda: not bus.connected, within_sec=NOTICED_SEC)
        assert mono_us() - frozen_us < NOTICED_SEC * US_PER_SEC
        assert not bus.publish("md.old", b"00000800")
        server.thaw()
        await eventually(lambda: bus.connected, within_sec=BACK_SEC)
        assert bus.publish("md.new", b"00009999")
        await eventually(lambda: 9999 in numbers)
        await bus.flush()
        await asyncio.sleep(0.5)  # whatever were still under way would come now
        assert 799 not in numbers
        assert 800 not in numbers


async def test_a_frozen_server_is_noticed_by_one_who_says_nothing(server: RealServer) -> None:
    async with connected(server.url) as (bus, told):
        server.freeze()
        await eventually(lambda: told.states == [True, False], within_sec=NOTICED_SEC)
        server.thaw()
        await eventually(lambda: bus.connected, within_sec=BACK_SEC)


def peer_of(client: Client) -> socket.socket:
    transport = client._transport
    assert isinstance(transport, Transport)
    assert transport._io_writer is not None
    peer: socket.socket = transport._io_writer.get_extra_info("socket")
    return peer


@pytest.mark.parametrize("kernel_gives_up", [True, False])
async def test_a_reconnect_is_not_wedged_by_a_peer_that_takes_nothing(
    server: RealServer, *, kernel_gives_up: bool
) -> None:
    """nats-io/nats.py#671: closing waits for the old peer to take what is unsent, for ever.

    Two cures, each enough here: the kernel's TCP_USER_TIMEOUT, and dropping what is unsent.
    """
    frames: list[Frame] = []
    async with proxied(server.url) as proxy, connected(proxy.url) as (bus, told):
        await bus.subscribe("md.>", frames.append)
        if not kernel_gives_up:
            for link in bus._links.values():
                peer_of(link.client).setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 0)
        proxy.fall_silent()
        for _ in range(800):
            assert bus.publish("md.old", b"x" * 60_000)
        assert bus._links[Channel.DATA].client.unsent_bytes > 0
        # The data connection goes by TCP_USER_TIMEOUT, the silent control connection by unanswered pings.
        await eventually(lambda: proxy.accepted == 4, within_sec=NOTICED_SEC)
        await eventually(lambda: bus.connected, within_sec=BACK_SEC)
        assert False in told.states
        assert bus.publish("md.new", b"")
        await eventually(lambda: [frame.subject for frame in frames] == ["md.new"])


async def test_sockets_give_up_on_unacknowledged_bytes(server: RealServer) -> None:
    async with proxied(server.url) as proxy, connected(proxy.url) as (bus, told):
        for life in range(2):
            for link in bus._links.values():
                value = peer_of(link.client).getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
                assert value == TCP_USER_TIMEOUT_MS
            if life == 0:
                proxy.cut()
                await eventually(lambda: False in told.states and bus.connected)


async def test_a_flush_is_behind_the_subscriptions_made_before(server: RealServer) -> None:
    """nats-py writes PING to the socket at once, SUB through its flusher: PONG could mean nothing."""
    async with proxied(server.url) as proxy, connected(proxy.url) as (bus, _):
        for number in range(20):
            proxy.said.clear()
            await bus.subscribe(f"md.{number}", lambda _: None)
            assert proxy.said.index(b"SUB md.") < proxy.said.index(b"PING")


async def test_a_flush_that_gave_up_does_not_end_reading(server: RealServer) -> None:
    """Its late PONG meets a cancelled future, which plain nats-py does not survive."""
    frames: list[Frame] = []
    async with connected(server.url) as (bus, told):
        await bus.subscribe("cmd.*", frames.append)
        server.freeze()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bus.flush(), 0.2)
        server.thaw()
        await bus.flush()
        assert bus.publish("cmd.x", b"")
        await eventually(lambda: len(frames) == 1)
        assert told.states == [True]
        assert reconnects(bus) == 0


async def test_nonsense_from_the_server_leads_to_a_new_connection(server: RealServer) -> None:
    frames: list[Frame] = []
    async with proxied(server.url) as proxy, connected(proxy.url) as (bus, told):
        await bus.subscribe("md.>", frames.append)
        proxy.inject(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
        await eventually(lambda: False in told.states)
        await eventually(lambda: bus.connected, within_sec=BACK_SEC)
        assert bus.publish("md.x", b"")
        await eventually(lambda: len(frames) == 1)
        assert told.fatal == []


async def test_connecting_waits_for_a_slow_start(server: RealServer) -> None:
    server.kill()
    bus = NatsBus(server.url, name="test", connect_timeout_sec=30)
    connecting = asyncio.ensure_future(bus.connect())
    await asyncio.sleep(0.5)
    assert not connecting.done()
    await server.start()
    await connecting
    assert bus.connected
    await bus.close()


@pytest.mark.parametrize("away", ["dead", "frozen"])
async def test_who_could_not_connect_may_try_again(server: RealServer, away: str) -> None:
    (server.kill if away == "dead" else server.freeze)()
    heard: list[Frame] = []
    bus = NatsBus(server.url, name="test", connect_timeout_sec=0.5)
    for _ in range(2):
        with pytest.raises(BusUnavailable, match="cannot be reached"):
            await bus.connect()
    if away == "dead":
        await server.start()
    else:
        server.thaw()
    await bus.connect()
    await bus.subscribe("md.>", heard.append)
    assert bus.publish("md.x", b"1")
    await eventually(lambda: len(heard) == 1)
    await bus.close()
    with pytest.raises(BusUnavailable, match="was closed"):
        await bus.connect()


@both_paths
async def test_what_piles_up_before_a_mute_server_is_refused_at_a_limit(
    server: RealServer, *, fast: bool
) -> None:
    async with connected(server.url, fast=fast) as (bus, _):
        server.freeze()
        accepted = 0
        while bus.publish("cmd.x", b"x" * 60_000):
            accepted += 1
            assert accepted < 1_000, "60 MB of commands are waiting"
        server.thaw()
        await bus.flush()
