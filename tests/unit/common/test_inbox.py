"""What a full inbox keeps and what it gives up."""

from __future__ import annotations

import pytest

from libs.common.effects import Event, Received, TimerFired
from libs.common.inbox import CONTROL_MAX_FACTOR, Entry, Inbox, InboxFlooded, conflation_key
from libs.common.messages import Command, Funding, Quote


def quote(instrument: str, bid: float) -> Received:
    message = Quote(
        venue="binance",
        instrument=instrument,
        bid=bid,
        ask=bid + 1,
        bid_size=1,
        ask_size=1,
        ts_ms=0,
        recv_us=0,
    )
    return Received(subject=f"md.quote.binance.{instrument}", message=message)


def funding(kind: str) -> Received:
    message = Funding(
        venue="binance",
        instrument="BTC-USDT-PERP",
        kind="settled" if kind == "settled" else "current",
        rate=0.0001,
        interval_hours=8,
        interval_source="rate",
        ts_ms=0,
        recv_us=0,
    )
    return Received(subject="md.funding.binance.BTC-USDT-PERP", message=message)


def command(number: int) -> Received:
    return Received(subject="cmd.pause", message=Command(id=str(number)))


def drained(inbox: Inbox) -> list[Event]:
    events: list[Event] = []
    while (entry := inbox.take()) is not None:
        events.append(entry.event)
    return events


def put(inbox: Inbox, *events: Event) -> None:
    for event in events:
        inbox.put(event, lane="", now_us=0)


def test_below_capacity_nothing_is_conflated_and_order_stays() -> None:
    inbox = Inbox(capacity=8)
    offered = [quote("A", 1), quote("A", 2), quote("B", 1), quote("A", 3)]
    put(inbox, *offered)
    assert drained(inbox) == offered
    assert inbox.dropped == 0


def test_control_comes_before_data_that_came_first() -> None:
    inbox = Inbox(capacity=8)
    put(inbox, quote("A", 1), command(1), quote("B", 1), TimerFired(name="t"))
    assert drained(inbox) == [command(1), TimerFired(name="t"), quote("A", 1), quote("B", 1)]


def test_full_inbox_keeps_the_newest_of_each_subject() -> None:
    inbox = Inbox(capacity=4)
    put(inbox, quote("A", 1), quote("A", 2), quote("B", 1), quote("A", 3), quote("B", 2))
    assert drained(inbox) == [quote("A", 3), quote("B", 2)]
    assert inbox.dropped == 3


def test_more_subjects_than_room_lose_the_oldest() -> None:
    inbox = Inbox(capacity=8)
    put(inbox, *(quote(f"I{number}", 1) for number in range(9)))
    kept = [event.message.instrument for event in drained(inbox) if isinstance(event, Received)]  # type: ignore[attr-defined]
    assert kept == [f"I{number}" for number in range(3, 9)]
    assert inbox.dropped == 3


def test_control_is_never_dropped_however_much_data_comes() -> None:
    inbox = Inbox(capacity=4)
    for number in range(100):
        put(inbox, command(number % 4) if number % 25 == 0 else quote("A", number))
    events = drained(inbox)
    assert [e for e in events if conflation_key(e) is None] == [
        command(0),
        command(1),
        command(2),
        command(3),
    ]
    assert events[-1] == quote("A", 99)
    assert len(events) + inbox.dropped == 100


def test_settled_and_current_funding_do_not_replace_each_other() -> None:
    inbox = Inbox(capacity=2)
    put(inbox, funding("settled"), funding("current"), funding("current"))
    # Two keys, and room for one only (three quarters of two): the newest stays. With room both do.
    assert drained(inbox) == [funding("current")]
    roomy = Inbox(capacity=4)
    put(roomy, funding("settled"), *[funding("current")] * 4)
    assert drained(roomy) == [funding("settled"), funding("current")]


def test_endless_control_is_a_dead_actor() -> None:
    inbox = Inbox(capacity=2)
    put(inbox, *(command(0) for _ in range(2 * CONTROL_MAX_FACTOR)))
    with pytest.raises(InboxFlooded, match="does not keep up"):
        put(inbox, command(0))


def test_a_service_can_name_its_own_data() -> None:
    class Seen(Event, frozen=True, kw_only=True):
        slug: str

    inbox = Inbox(capacity=4, key_of=lambda event: event.slug if isinstance(event, Seen) else None)
    put(inbox, *(Seen(slug="x") for _ in range(5)), quote("A", 1))
    assert drained(inbox) == [quote("A", 1), Seen(slug="x")]


def test_oldest_is_the_longest_waiting_of_both_queues() -> None:
    inbox = Inbox(capacity=4)
    assert inbox.oldest_us() is None
    inbox.put(quote("A", 1), lane="", now_us=5)
    inbox.put(command(1), lane="", now_us=9)
    assert inbox.oldest_us() == 5
    first = inbox.take()
    assert isinstance(first, Entry)
    assert first.event == command(1)
    assert len(inbox) == 1
