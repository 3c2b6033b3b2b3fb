"""Who may use how much of a venue's request budget: reads that a reduction waits for beside its orders."""

from __future__ import annotations

import asyncio

import pytest

from libs.exchange.live.budget import Budget, Limit
from libs.exchange.live.record import NO_SNAPSHOT, RECORDS
from libs.exchange.urgency import is_urgent, reading

URL = "https://x/a"


class Ticking:
    now_us = 1_000_000

    def __call__(self) -> int:
        return self.now_us


def budget_at(used: int, clock: Ticking) -> Budget:
    budget = Budget("", (Limit(most=100, window_sec=60, header="used"),), mono_us=clock)
    budget.read(URL, 200, {"used": str(used)})
    return budget


@pytest.mark.parametrize(
    ("used", "poll", "look", "urgent", "order"),
    [
        (53, False, True, True, True),
        (77, False, False, True, True),
        (94, False, False, True, True),
        (95, False, False, False, True),
        (99, False, False, False, True),
        (100, False, False, False, False),
    ],
)
def test_urgent_reads_stop_before_reducing_orders_and_after_all_else(
    used: int, *, poll: bool, look: bool, urgent: bool, order: bool
) -> None:
    budget = budget_at(used, Ticking())
    assert budget.room("poll", 0).allowed is poll
    assert budget.room("increase", 0).allowed is look
    assert budget.room("reduce", 0).allowed is urgent
    assert budget.room("reduce", 1).allowed is order


def test_after_a_429_orders_that_reduce_go_on_and_reads_wait_as_long_as_was_said() -> None:
    budget = budget_at(10, Ticking())
    budget.read(URL, 429, {"Retry-After": "7"})
    room = budget.room("reduce", 0)
    assert (room.allowed, room.wait_sec, room.why) == (False, 7.0, "the venue asked to wait 7 s")
    assert budget.room("reduce", 1).allowed
    assert budget.asked().wait_sec == 7.0


def test_a_used_budget_alone_is_no_wish_of_the_venue() -> None:
    assert budget_at(100, Ticking()).asked().allowed


def test_the_wait_ends_with_the_window_in_which_the_count_was_heard() -> None:
    clock = Ticking()
    budget = budget_at(60, clock)
    clock.now_us += 45_000_000
    room = budget.room("poll", 0)
    assert room.wait_sec == 15.0
    assert room.why.startswith("our own limiter holds it back, not the venue: 60% of 100")
    clock.now_us += 15_000_000
    assert budget.room("poll", 0).allowed


async def test_urgency_is_of_the_task_and_what_it_starts() -> None:
    async def seen() -> bool:
        return is_urgent()

    with reading(urgent=True):
        started = asyncio.create_task(seen())
        with reading(urgent=False):
            assert not is_urgent()
        assert is_urgent()
    assert await started
    assert not await asyncio.create_task(seen())


def test_no_desk_asks_for_ccxts_snapshot_of_positions() -> None:
    for record in RECORDS.values():
        for desk in record.desks:
            assert desk.settings()["watchPositions"] == NO_SNAPSHOT["watchPositions"], desk.ccxt_id
