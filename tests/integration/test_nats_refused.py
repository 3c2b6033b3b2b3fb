"""What a NATS server refuses, what ends a connection for good, and how it is told."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from libs.common.bus import BusUnavailable, Frame
from libs.common.nats_bus import NatsBus, channel_of_pattern
from libs.common.nats_client import fast_path_fits
from libs.common.nats_link import parse_url
from libs.common.subjects import Channel
from tests.helpers.buses import BACK_SEC, connected
from tests.helpers.proxy import proxied
from tests.helpers.servers import RealServer, eventually, real_nats


@pytest.fixture
async def server() -> AsyncIterator[RealServer]:
    with real_nats() as nats:
        yield await nats.ready()


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
