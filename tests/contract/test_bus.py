"""What every `Bus` keeps, in one process and over a real server, on the fast and the ordinary path."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from libs.common.bus import PAYLOAD_BYTES_MAX, Bus, BusUnavailable, Frame
from libs.common.clock import wall_us
from libs.common.memory_bus import MemoryBroker, MemoryBus
from libs.common.nats_bus import NatsBus
from libs.common.subjects import Channel
from tests.helpers.servers import NATS_ENV, eventually, real_nats

Make = Callable[[str], Awaitable[MemoryBus | NatsBus]]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a real one, by default of the embedded kind."""
    if outside := os.environ.get(NATS_ENV):
        yield outside
        return
    with real_nats() as nats:
        asyncio.run(nats.ready())
        yield nats.url


@pytest.fixture(params=["memory", "nats-fast", "nats-ordinary"])
async def make(request: pytest.FixtureRequest, server: str) -> AsyncIterator[Make]:
    made: list[MemoryBus | NatsBus] = []
    broker = MemoryBroker()

    def new(name: str) -> MemoryBus | NatsBus:
        if request.param == "memory":
            return MemoryBus(broker, name=name)
        return NatsBus(server, name=name, fast=request.param == "nats-fast")

    async def connected(name: str) -> MemoryBus | NatsBus:
        bus = new(name)
        made.append(bus)
        await bus.connect()
        return bus

    yield connected
    for bus in made:
        await bus.close()


def handler_errors(bus: MemoryBus | NatsBus) -> int:
    if isinstance(bus, MemoryBus):
        return bus.handler_errors
    return sum(counters.handler_errors for counters in bus.counters.values())


async def settled(*buses: Bus) -> None:
    for bus in buses:
        await bus.flush()
    await asyncio.sleep(0.02)  # the ordinary path handles in a task


async def test_frames_arrive_in_order_with_subject_payload_and_time(make: Make) -> None:
    feed, signal = await make("feed"), await make("signal")
    frames: list[Frame] = []
    await signal.subscribe("md.quote.*.*", frames.append)
    payloads = [
        b"",
        b"{}",
        b"line\r\nMSG x 1 3\r\nabc\r\n",
        bytes(range(256)),
        *(b"%d" % n for n in range(500)),
    ]
    before = wall_us()
    for payload in payloads:
        assert feed.publish("md.quote.binance.BTC-USDT", payload)
    await feed.flush()
    await eventually(lambda: len(frames) == len(payloads))
    assert [frame.payload for frame in frames] == payloads
    assert {frame.subject for frame in frames} == {"md.quote.binance.BTC-USDT"}
    assert {frame.reply for frame in frames} == {""}
    assert all(before <= frame.recv_us <= wall_us() for frame in frames)


@pytest.mark.parametrize(
    ("pattern", "got"),
    [
        ("md.quote.binance.BTC-USDT", ["md.quote.binance.BTC-USDT"]),
        ("md.quote.*.*", ["md.quote.binance.BTC-USDT", "md.quote.okx.ETH-USDT"]),
        ("md.*.binance.*", ["md.quote.binance.BTC-USDT", "md.funding.binance.BTC-USDT"]),
        ("md.quote.>", ["md.quote.binance.BTC-USDT", "md.quote.okx.ETH-USDT"]),
        ("md.*", []),
        ("*.*.*", ["signal.opportunity.X"]),
        ("signal.>", ["signal.opportunity.X", "signal.evaluation"]),
        ("sys.health.>", ["sys.health.feed"]),
        ("sys.health.feed.>", []),
        ("SYS.health.*", []),
    ],
)
async def test_patterns_take_what_nats_says(make: Make, pattern: str, got: list[str]) -> None:
    said = [
        "md.quote.binance.BTC-USDT",
        "md.quote.okx.ETH-USDT",
        "md.funding.binance.BTC-USDT",
        "signal.opportunity.X",
        "signal.evaluation",
        "sys.health.feed",
    ]
    publisher, subscriber = await make("publisher"), await make("subscriber")
    subjects: list[str] = []
    # `*.*.*` would also take sys.health.feed, which is what the last line of `said` is for.
    await subscriber.subscribe(pattern, lambda frame: subjects.append(frame.subject))
    for subject in said:
        assert publisher.publish(subject, b"x")
    await settled(publisher, subscriber)
    wanted = [*got, "sys.health.feed"] if pattern == "*.*.*" else got
    await eventually(lambda: len(subjects) >= len(wanted))
    assert sorted(subjects) == sorted(wanted)


async def test_a_bus_hears_itself_and_each_subscription_gets_its_copy(make: Make) -> None:
    bus = await make("one")
    first: list[Frame] = []
    second: list[Frame] = []
    await bus.subscribe("alert.*", first.append)
    await bus.subscribe("alert.>", second.append)
    assert bus.publish("alert.info", b"x")
    await bus.flush()
    await eventually(lambda: len(first) == len(second) == 1)


async def test_a_closed_subscription_gets_nothing_more(make: Make) -> None:
    bus, other = await make("one"), await make("two")
    frames: list[Frame] = []
    subscription = await bus.subscribe("md.>", frames.append)
    other.publish("md.health.okx", b"1")
    await other.flush()
    await eventually(lambda: len(frames) == 1)
    await subscription.close()
    await bus.flush()
    other.publish("md.health.okx", b"2")
    await settled(other, bus)
    assert len(frames) == 1


async def test_what_a_handler_publishes_comes_after_what_was_published_before(make: Make) -> None:
    actor, observer = await make("actor"), await make("observer")
    seen: list[bytes] = []
    await observer.subscribe("sys.>", lambda frame: seen.append(frame.payload))

    def answer(frame: Frame) -> None:
        actor.publish("sys.health.actor", b"r" + frame.payload)

    await actor.subscribe("sys.want.actor", answer)
    for number in range(3):
        actor.publish("sys.want.actor", b"%d" % number)
    await actor.flush()
    await eventually(lambda: len(seen) == 6)
    assert [one for one in seen if not one.startswith(b"r")] == [b"0", b"1", b"2"]
    assert [one for one in seen if one.startswith(b"r")] == [b"r0", b"r1", b"r2"]
    assert all(seen.index(b"%d" % number) < seen.index(b"r%d" % number) for number in range(3))


async def test_a_request_gets_its_first_answer(make: Make) -> None:
    asker, answerer = await make("asker"), await make("answerer")

    def answer(frame: Frame) -> None:
        answerer.publish(frame.reply, b"first:" + frame.payload)
        answerer.publish(frame.reply, b"second")

    await answerer.subscribe("cmd.*", answer)
    replies = await asyncio.gather(
        *(asker.request("cmd.status", b"%d" % number, timeout_sec=10) for number in range(20))
    )
    assert [reply.payload for reply in replies] == [b"first:%d" % number for number in range(20)]


async def test_a_request_that_nobody_takes_fails_at_once(make: Make) -> None:
    asker = await make("asker")
    async with asyncio.timeout(20):
        with pytest.raises(BusUnavailable, match=r"nobody answers on cmd\.halt"):
            await asker.request("cmd.halt", b"{}", timeout_sec=60)
        assert await asker.gather("cmd.halt", b"{}", timeout_sec=60) == []


async def test_a_request_that_is_not_answered_fails_in_time(make: Make) -> None:
    asker, mute = await make("asker"), await make("mute")
    heard: list[Frame] = []
    await mute.subscribe("cmd.*", heard.append)
    with pytest.raises(BusUnavailable, match=r"no answer on cmd\.halt within 0\.2 s"):
        await asker.request("cmd.halt", b"{}", timeout_sec=0.2)
    assert len(heard) == 1
    # A late answer disturbs nobody, also not the next question.
    assert mute.publish(heard[0].reply, b"late")
    await settled(mute, asker)
    assert await asker.gather("cmd.halt", b"{}", timeout_sec=0.1) == []


async def test_gather_takes_all_answers(make: Make) -> None:
    asker = await make("asker")
    for name in ("feed", "signal", "venue"):
        bus = await make(name)

        def answer(frame: Frame, bus: Bus = bus, name: str = name) -> None:
            bus.publish(frame.reply, name.encode())

        await bus.subscribe("cmd.status", answer)
    replies = await asker.gather("cmd.status", b"", timeout_sec=1.0)
    assert sorted(reply.payload for reply in replies) == [b"feed", b"signal", b"venue"]


async def test_a_reply_subject_outside_the_inboxes_is_not_shown(make: Make) -> None:
    attacker, service = await make("attacker"), await make("service")
    frames: list[Frame] = []
    await service.subscribe("cmd.*", frames.append)
    assert attacker.publish("cmd.status", b"{}", reply="risk.permit")
    assert attacker.publish("cmd.status", b"{}", reply="_INBOX.mine.1")
    await attacker.flush()
    await eventually(lambda: len(frames) == 2)
    assert [frame.reply for frame in frames] == ["", "_INBOX.mine.1"]


async def test_a_raising_handler_is_counted_and_the_next_frame_comes(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    bus = await make("one")
    frames: list[Frame] = []

    def handler(frame: Frame) -> None:
        if frame.payload == b"bad":
            raise RuntimeError("a handler's own mistake")
        frames.append(frame)

    await bus.subscribe("md.>", handler)
    for payload in (b"bad", b"good", b"bad", b"good"):
        bus.publish("md.health.okx", payload)
    await bus.flush()
    await eventually(lambda: len(frames) == 2 and handler_errors(bus) == 2)
    assert bus.connected
    assert "a handler's own mistake" in caplog.text


@pytest.mark.parametrize(
    "subject", ["", "a b", "a..b", ".a", "a.", "md.*.x", "md.>", "a\r\nPUB x 0\r\n", "a\tb", "md.\u00e9"]
)
async def test_a_malformed_subject_is_refused(make: Make, subject: str) -> None:
    bus = await make("one")
    with pytest.raises(ValueError, match="is no subject"):
        bus.publish(subject, b"")
    if subject:  # an empty reply is no reply
        with pytest.raises(ValueError, match="is no subject"):
            bus.publish("md.x", b"", reply=subject)


@pytest.mark.parametrize("pattern", ["", "a b", "a..b", ">.a", "a.>.b", "a.b>", "a*", "a\r\n", "md."])
async def test_a_malformed_pattern_is_refused(make: Make, pattern: str) -> None:
    bus = await make("one")
    with pytest.raises(ValueError, match="is no subscription"):
        await bus.subscribe(pattern, lambda _: None)


async def test_a_payload_over_the_limit_is_refused_and_the_connection_stays(make: Make) -> None:
    bus = await make("one")
    frames: list[Frame] = []
    await bus.subscribe("md.>", frames.append)
    assert not bus.publish("md.x", b"x" * (PAYLOAD_BYTES_MAX + 1))
    assert bus.publish("md.x", b"x" * PAYLOAD_BYTES_MAX)
    await bus.flush()
    await eventually(lambda: len(frames) == 1)
    assert len(frames[0].payload) == PAYLOAD_BYTES_MAX


async def test_nothing_is_sent_after_close_and_closing_twice_is_fine(make: Make) -> None:
    bus, other = await make("one"), await make("two")
    frames: list[Frame] = []
    await other.subscribe("md.>", frames.append)
    assert bus.publish("md.x", b"last words")
    await bus.close()
    await bus.close()
    assert not bus.connected
    assert not bus.publish("md.x", b"too late")
    await eventually(lambda: len(frames) == 1)
    await settled(other)
    assert [frame.payload for frame in frames] == [b"last words"]
    with pytest.raises(BusUnavailable):
        await bus.subscribe("md.>", frames.append)
    with pytest.raises(BusUnavailable):
        await bus.request("md.x", b"", timeout_sec=1)
    with pytest.raises(BusUnavailable):
        await bus.flush()
    with pytest.raises(BusUnavailable):
        await bus.connect()


async def test_the_state_is_told_once_for_each_change(make: Make) -> None:
    bus = await make("one")
    told: list[bool] = []
    bus.on_state = told.append
    await bus.close()
    assert told == [False]


@pytest.mark.parametrize("fast", [True, False])
async def test_before_connecting_nothing_is_published(server: str, *, fast: bool) -> None:
    for bus in (MemoryBus(), NatsBus(server, name="x", fast=fast)):
        assert not bus.connected
        assert not bus.publish("md.x", b"")
        with pytest.raises(BusUnavailable):
            await bus.subscribe("md.>", lambda _: None)
        await bus.close()


async def test_control_and_market_data_use_their_own_connections(server: str) -> None:
    bus = NatsBus(server, name="x")
    await bus.connect()
    try:
        control, data = (bus._links[channel].client for channel in (Channel.CONTROL, Channel.DATA))
        frames: list[Frame] = []
        await bus.subscribe("md.>", frames.append)
        await bus.subscribe("cmd.*", frames.append)
        assert bus.publish("md.x", b"")
        await bus.flush()
        assert (data.stats["in_msgs"], control.stats["in_msgs"]) == (1, 0)
        assert bus.publish("cmd.halt", b"")
        await bus.flush()
        assert (data.stats["in_msgs"], control.stats["in_msgs"]) == (1, 1)
    finally:
        await bus.close()
