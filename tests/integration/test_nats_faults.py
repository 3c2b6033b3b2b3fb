"""Every measured fault of a NATS client and broker, provoked on a real one, and seen cured."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import uvloop

from libs.common.bus import BusUnavailable, Frame
from libs.common.clock import mono_us, wall_us
from libs.common.instant import US_PER_SEC
from libs.common.nats_bus import NatsBus, channel_of_pattern
from libs.common.nats_client import TCP_USER_TIMEOUT_MS, Client, Transport, fast_path_fits
from libs.common.nats_link import parse_url
from libs.common.subjects import Channel
from tests.helpers.proxy import proxied
from tests.helpers.servers import RealServer, eventually, freeze, real_nats

NOTICED_SEC = 8.0  # 3 s by the settings; the defaults of nats-py would need 6 minutes
BACK_SEC = 15.0


both_paths = pytest.mark.parametrize("fast", [True, False], ids=["fast", "ordinary"])


@pytest.fixture
async def server() -> AsyncIterator[RealServer]:
    with real_nats() as nats:
        yield await nats.ready()


class Told:
    """What a bus said to its owner."""

    def __init__(self) -> None:
        self.states: list[bool] = []
        self.fatal: list[str] = []


@asynccontextmanager
async def connected(
    url: str, name: str = "test", *, fast: bool = True
) -> AsyncIterator[tuple[NatsBus, Told]]:
    told = Told()
    bus = NatsBus(url, name=name, fast=fast, on_state=told.states.append, on_fatal=told.fatal.append)
    await bus.connect()
    try:
        yield bus, told
    finally:
        await bus.close()


def reconnects(bus: NatsBus) -> int:
    return sum(counters.reconnects for counters in bus.counters.values())


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


FROZEN_SUBSCRIBER = """
import asyncio, sys
from libs.common.nats_bus import NatsBus

async def main():
    bus = NatsBus(sys.argv[1], name="dashboard")
    await bus.connect()
    def show(frame):
        if frame.subject == "md.fresh":
            print("fresh", sum(one.reconnects for one in bus.counters.values()), flush=True)
    await bus.subscribe("md.>", show)
    print("ready", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


class Dashboard:
    """A subscriber to everything, in a process of its own that can be frozen."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def words(self) -> list[bytes]:
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            return (await self._process.stdout.readline()).split()

    def freeze(self) -> None:
        freeze(self._process.pid)

    def thaw(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)

    async def reconnects_when_fresh(self, feed: NatsBus) -> int:
        """Publish until it hears something new; how often it has reconnected by then."""
        answer = asyncio.ensure_future(self.words())
        while not answer.done():
            feed.publish("md.fresh", b"")
            await asyncio.wait((answer,), timeout=0.1)
        word, count = answer.result()
        assert word == b"fresh"
        return int(count)


@asynccontextmanager
async def dashboard(url: str) -> AsyncIterator[Dashboard]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FROZEN_SUBSCRIBER, url, stdout=asyncio.subprocess.PIPE
    )
    try:
        made = Dashboard(process)
        assert await made.words() == [b"ready"]
        yield made
    finally:
        process.kill()
        await process.wait()


def slow_deadline(config: str) -> str:
    # Longer than the test: what keeps the others going must not be that the frozen one was thrown out.
    assert 'write_deadline: "2s"' in config
    return config.replace('write_deadline: "2s"', 'write_deadline: "10s"')


async def test_a_frozen_subscriber_stalls_nobody_and_hears_the_news_when_it_thaws() -> None:
    """Without `no_fast_producer_stall` the publisher is held up for seconds, or cut off."""
    with real_nats(slow_deadline) as server:
        await server.ready()
        async with (
            connected(server.url, "feed") as (feed, _),
            connected(server.url, "signal") as (reader, _),
            dashboard(server.url) as frozen,
        ):
            latencies_us: list[int] = []
            await reader.subscribe(
                "md.quote.>", lambda frame: latencies_us.append(frame.recv_us - int(frame.payload[:16]))
            )
            frozen.freeze()
            sent = 0
            started_us = mono_us()
            while mono_us() - started_us < 3.5 * US_PER_SEC:
                for _ in range(40):
                    assert feed.publish("md.quote.okx.X", b"%016d" % wall_us() + b"x" * 60_000)
                    sent += 1
                await asyncio.sleep(0.01)
            await feed.flush()
            await eventually(lambda: len(latencies_us) == sent)
            assert max(latencies_us) < 2 * US_PER_SEC
            assert reconnects(feed) == reconnects(reader) == 0
            frozen.thaw()
            await frozen.reconnects_when_fresh(feed)


async def test_a_slow_consumer_is_cut_off_and_comes_back_by_itself(server: RealServer) -> None:
    async with connected(server.url, "feed") as (feed, _), dashboard(server.url) as slow:
        slow.freeze()
        async with asyncio.timeout(30):
            while "Slow Consumer" not in server.spec.log.read_text():  # write_deadline
                for _ in range(40):
                    assert feed.publish("md.quote.okx.X", b"x" * 60_000)
                await asyncio.sleep(0.02)
        slow.thaw()
        assert await slow.reconnects_when_fresh(feed) >= 1
        assert reconnects(feed) == 0


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


PERMISSIONS = """permissions: {
      publish: ["md.>", "_INBOX_feed.>", "cmd.>"], subscribe: ["cmd.>", "md.>", "_INBOX_feed.>"] } }"""


def least_rights(config: str) -> str:
    return config.replace('" }\n', '", ' + PERMISSIONS + "\n")


@pytest.fixture
async def strict() -> AsyncIterator[RealServer]:
    with real_nats(least_rights) as nats:
        yield await nats.ready()


async def test_a_forbidden_publish_is_fatal_and_told_once(strict: RealServer) -> None:
    async with connected(strict.url) as (bus, told):
        for _ in range(3):
            assert bus.publish("risk.permit", b"{}")
        await bus.flush()
        await eventually(lambda: told.fatal != [])
        await bus.flush()
        assert len(told.fatal) == 1
        assert "permissions violation" in told.fatal[0]
        assert "risk.permit" in told.fatal[0]


async def test_a_forbidden_subscription_is_fatal(strict: RealServer) -> None:
    async with connected(strict.url) as (bus, told):
        await bus.subscribe("risk.>", lambda _: None)
        await eventually(lambda: told.fatal != [])
        assert "risk.>" in told.fatal[0]


async def test_a_callback_that_raises_does_not_end_reading(strict: RealServer) -> None:
    frames: list[Frame] = []

    def complain(value: object) -> None:
        raise RuntimeError(f"a callback's own mistake about {value}")

    bus = NatsBus(strict.url, name="test", on_fatal=complain, on_state=complain)
    await bus.connect()
    try:
        await bus.subscribe("md.>", frames.append)
        assert bus.publish("risk.permit", b"{}")  # error_cb, in the read loop
        assert bus.publish("md.x", b"")
        await bus.flush()
        await strict.start()  # and once more through a reconnect
        await eventually(lambda: bus.connected, within_sec=BACK_SEC)
        assert bus.publish("md.y", b"")
        await eventually(lambda: [frame.subject for frame in frames] == ["md.x", "md.y"])
    finally:
        await bus.close()


async def test_requests_use_the_private_inbox(strict: RealServer) -> None:
    bus = NatsBus(strict.url, name="feed", inbox_prefix="_INBOX_feed")
    told: list[str] = []
    replies: list[bool] = []
    bus.on_fatal = told.append
    await bus.connect()
    try:
        await bus.subscribe("cmd.*", lambda frame: replies.append(bus.publish(frame.reply, b"yes")))
        assert (await bus.request("cmd.x", b"", timeout_sec=5)).payload == b"yes"
        assert told == []
    finally:
        await bus.close()
    with pytest.raises(ValueError, match="starts with _INBOX"):
        NatsBus(strict.url, name="x", inbox_prefix="risk")


async def test_an_error_that_ends_the_connection_for_good_is_fatal(server: RealServer) -> None:
    async with proxied(server.url) as proxy, connected(proxy.url) as (bus, told):
        proxy.inject(b"-ERR 'User Authentication Expired'\r\n")
        await eventually(lambda: told.fatal != [])
        assert "user authentication expired" in told.fatal[0].lower()
        assert not bus.connected
        assert not bus.publish("md.x", b"")


async def test_an_unforeseen_error_while_reconnecting_is_fatal_and_not_silent(server: RealServer) -> None:
    async with proxied(server.url) as proxy, connected(proxy.url) as (_, told):
        proxy.greeting = b'INFO {"connect_urls": 5}\r\n'
        proxy.cut()
        await eventually(lambda: told.fatal != [])
        assert "reconnecting failed" in told.fatal[0]


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


@pytest.fixture
def dumb_port() -> Iterator[int]:
    """Accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


async def test_a_missing_or_dumb_server_is_one_clear_error_without_the_password(dumb_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        absent_port = closed.getsockname()[1]
    for port in (absent_port, dumb_port):
        bus = NatsBus(f"nats://me:hunter2@127.0.0.1:{port}", name="test", connect_timeout_sec=0.5)
        with pytest.raises(BusUnavailable, match=f"NATS at 127.0.0.1:{port} cannot be reached") as caught:
            await asyncio.wait_for(bus.connect(), 20)
        assert "hunter2" not in f"{caught.value}{caught.value.__cause__}"


async def test_a_wrong_password_is_told_at_once(server: RealServer, caplog: pytest.LogCaptureFixture) -> None:
    good = parse_url(server.url)
    bus = NatsBus(f"nats://fundarb:hunter2@{good.text}", name="test", connect_timeout_sec=120)
    with pytest.raises(BusUnavailable, match=r"(?i)authorization violation"):
        await asyncio.wait_for(bus.connect(), 30)
    assert "hunter2" not in caplog.text


async def test_a_password_never_goes_in_clear_where_tls_was_asked_for(server: RealServer) -> None:
    bus = NatsBus(server.url.replace("nats://", "tls://"), name="test", connect_timeout_sec=60)
    with pytest.raises(BusUnavailable, match="offers no TLS"):
        await asyncio.wait_for(bus.connect(), 30)


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


def test_urls() -> None:
    address = parse_url("nats://me:p%40ss@host:4223,tls://other")
    assert address.servers == ("nats://host:4223", "tls://other:4222")
    assert (address.user, address.password) == ("me", "p@ss")
    assert address.text == "host:4223, other:4222"
    assert parse_url("host:1").servers == ("nats://host:1",)
    for bad in ("", "http://host", "nats://", "redis://host"):
        with pytest.raises(ValueError, match="looks like"):
            parse_url(bad)


def test_a_subscription_that_takes_market_data_leaves_the_control_connection_alone() -> None:
    data = ["md.>", ">", "*.*.*.*", "signal.>", "signal.opportunity.*", "signal.evaluation", "md.quote.okx.*"]
    control = ["cmd.*", "sys.>", "risk.permit", "signal.intent.*", "alert.>", "_INBOX.x.*"]
    assert {channel_of_pattern(pattern) for pattern in data} == {Channel.DATA}
    assert {channel_of_pattern(pattern) for pattern in control} == {Channel.CONTROL}


def test_the_short_cut_is_taken_with_the_pinned_client_only(caplog: pytest.LogCaptureFixture) -> None:
    assert fast_path_fits()
    assert not fast_path_fits("2.17.0")
    assert "2.17.0 is not 2.16.0" in caplog.text
