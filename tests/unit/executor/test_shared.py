"""One reading for all who ask at once, and not more of them than a venue's budget bears."""

from __future__ import annotations

import asyncio

from services.executor.shared import BURST, EVERY_SEC, Pace, Shared


def begun(asks_sec: list[float]) -> list[float]:
    """When readings that are asked for then would begin."""
    pace = Pace()
    return [asked + pace.wait_sec(asked) for asked in asks_sec]


def test_a_few_begin_at_once_and_those_beyond_one_in_a_second() -> None:
    at = begun([0.0] * (BURST + 3))
    assert at == [0.0] * BURST + [EVERY_SEC, 2 * EVERY_SEC, 3 * EVERY_SEC]


def test_who_reads_now_and_then_never_waits() -> None:
    asks = [EVERY_SEC * n for n in range(200)]
    assert begun(asks) == asks


def test_after_a_rest_a_few_begin_at_once_again() -> None:
    rest = 100.0
    assert begun([0.0] * BURST + [rest] * BURST)[BURST:] == [rest] * BURST


def test_a_minute_of_asking_is_bounded() -> None:
    pace, now, count = Pace(), 0.0, 0
    while now < 60.0:
        now += pace.wait_sec(now)
        count += 1
    assert count <= BURST + 60 / EVERY_SEC


async def test_who_asks_while_one_waits_for_its_turn_shares_it_and_it_begins_after_both() -> None:
    reads = 0
    waits = Pace(burst=1, every_sec=0.05)

    async def read() -> int:
        nonlocal reads
        reads += 1
        return reads

    shared = Shared(read, waits)
    assert await shared.get() == 1
    first = asyncio.ensure_future(shared.get())
    await asyncio.sleep(0)
    assert reads == 1
    assert await asyncio.gather(first, *(shared.get() for _ in range(40))) == [2] * 41
    assert reads == 2
