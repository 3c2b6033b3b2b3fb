"""The pumped broker: virtual time, and messages lost, doubled and late, all repeatable."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from libs.common.bus import BusUnavailable, Frame
from libs.common.instant import ManualClock
from libs.common.memory_bus import MemoryBroker, MemoryBus


async def pair(broker: MemoryBroker) -> tuple[MemoryBus, MemoryBus]:
    one, other = MemoryBus(broker, name="one"), MemoryBus(broker, name="other")
    await one.connect()
    await other.connect()
    return one, other


async def test_nothing_is_delivered_before_it_is_pumped() -> None:
    clock = ManualClock()
    broker = MemoryBroker(clock=clock, pumped=True)
    one, other = await pair(broker)
    frames: list[Frame] = []
    await other.subscribe("md.>", frames.append)
    for number in range(5):
        assert one.publish("md.x", b"%d" % number)
    assert frames == []
    assert broker.pending == 5
    clock.advance(sec=3)
    assert broker.pump(limit=2) == 2
    assert [frame.payload for frame in frames] == [b"0", b"1"]
    assert broker.pump() == 3
    assert broker.pump() == 0
    assert [frame.payload for frame in frames] == [b"0", b"1", b"2", b"3", b"4"]
    assert {frame.recv_us for frame in frames} == {clock.now().wall_us}


async def test_fate_loses_doubles_and_delays_at_the_edge_of_delivery() -> None:
    clock = ManualClock()
    fates: dict[bytes, Sequence[int]] = {b"lost": (), b"twice": (0, 5_000), b"late": (2_000,)}
    broker = MemoryBroker(
        clock=clock,
        pumped=True,
        fate=lambda name, _subject, payload: fates.get(payload, (0,)) if name == "other" else (0,),
    )
    one, other = await pair(broker)
    frames: list[bytes] = []
    mine: list[bytes] = []
    await other.subscribe("md.>", lambda frame: frames.append(frame.payload))
    await one.subscribe("md.>", lambda frame: mine.append(frame.payload))
    for payload in (b"lost", b"late", b"twice", b"plain"):
        assert one.publish("md.x", payload)
    broker.pump()
    assert mine == [b"lost", b"late", b"twice", b"plain"]
    assert frames == [b"twice", b"plain"]
    assert broker.next_due_us == 2_000
    clock.advance(us=1_999)
    assert broker.pump() == 0
    clock.advance(us=1)
    assert broker.pump() == 1
    assert broker.next_due_us == 5_000
    clock.advance(us=10_000)
    broker.pump()
    assert frames == [b"twice", b"plain", b"late", b"twice"]
    assert broker.next_due_us is None


async def test_a_seeded_fate_repeats_exactly() -> None:
    async def life(seed: int) -> list[tuple[int, bytes]]:
        dice = random.Random(seed)  # noqa: S311 - a repeatable one is what this is about
        clock = ManualClock()

        def fate(_name: str, _subject: str, _payload: bytes) -> Sequence[int]:
            return [dice.randrange(10_000) for _ in range(dice.choice((0, 1, 1, 1, 2)))]

        broker = MemoryBroker(clock=clock, pumped=True, fate=fate)
        one, other = await pair(broker)
        seen: list[tuple[int, bytes]] = []

        def echo(frame: Frame) -> None:
            seen.append((clock.now().mono_us, frame.payload))
            if len(frame.payload) < 4:
                other.publish("md.x", frame.payload + b"+")

        await other.subscribe("md.x", echo)
        for number in range(20):
            one.publish("md.x", b"%d" % number)
        for _ in range(10_000):
            broker.pump()
            due_us = broker.next_due_us
            if due_us is None:
                break
            clock.advance(us=due_us - clock.now().mono_us)
        return seen

    first = await life(7)
    assert len(first) > 20
    assert await life(7) == first
    assert await life(8) != first


async def test_requests_end_by_the_clock_of_the_broker_and_not_by_the_wall() -> None:
    clock = ManualClock()
    broker = MemoryBroker(clock=clock, pumped=True)
    one, other = await pair(broker)
    await other.subscribe("cmd.mute", lambda _: None)

    def answer(frame: Frame) -> None:
        other.publish(frame.reply, b"yes")

    await other.subscribe("cmd.ask", answer)
    mute = asyncio.ensure_future(one.request("cmd.mute", b"", timeout_sec=3_600))
    asked = asyncio.ensure_future(one.request("cmd.ask", b"", timeout_sec=3_600))
    gathered = asyncio.ensure_future(one.gather("cmd.ask", b"", timeout_sec=60))
    await asyncio.sleep(0)
    broker.pump()
    assert (await asked).payload == b"yes"
    assert broker.next_due_us == 60 * 1_000_000
    clock.advance(sec=60)
    broker.pump()
    assert [frame.payload for frame in await gathered] == [b"yes"]
    assert broker.next_due_us == 3_600 * 1_000_000
    clock.advance(sec=3_539)
    broker.pump()
    await asyncio.sleep(0)
    assert not mute.done()
    clock.advance(sec=1)
    broker.pump()
    with pytest.raises(BusUnavailable, match=r"no answer on cmd\.mute within 3600 s"):
        await mute
    assert broker.next_due_us is None


@pytest.mark.parametrize("pumped", [False, True])
async def test_what_is_said_while_cut_is_lost_both_ways(*, pumped: bool) -> None:
    broker = MemoryBroker(clock=ManualClock(), pumped=pumped)
    one, other = await pair(broker)
    frames: list[bytes] = []
    told: list[bool] = []
    other.on_state = told.append
    await other.subscribe("md.>", lambda frame: frames.append(frame.payload))
    other.cut()
    assert one.publish("md.x", b"lost")
    assert not other.publish("md.x", b"refused")
    broker.pump()
    other.restore()
    assert one.publish("md.x", b"heard")
    broker.pump()
    assert frames == [b"heard"]
    assert told == [False, True]
    assert (one.refused, other.refused) == (0, 1)
    await other.close()
    other.restore()
    assert not other.connected


async def test_a_handler_that_closes_its_subscription_hears_nothing_that_was_under_way() -> None:
    broker = MemoryBroker(clock=ManualClock(), pumped=True)
    one, _ = await pair(broker)
    frames: list[Frame] = []
    subscription = await one.subscribe("md.>", frames.append)
    one.publish("md.x", b"")
    await subscription.close()
    broker.pump()
    assert frames == []


async def test_handlers_are_never_nested() -> None:
    depth: list[str] = []
    one, _ = await pair(MemoryBroker())

    def handler(frame: Frame) -> None:
        depth.append(f">{frame.subject}")
        if frame.subject == "md.a":
            one.publish("md.b", b"")
        depth.append(f"<{frame.subject}")

    await one.subscribe("md.>", handler)
    one.publish("md.a", b"")
    assert depth == [">md.a", "<md.a", ">md.b", "<md.b"]


def test_fates_need_a_pumped_broker() -> None:
    with pytest.raises(ValueError, match="pumped"):
        MemoryBroker(fate=lambda *_: ())
