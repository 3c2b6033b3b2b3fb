"""However pages come, overlap, repeat or jitter: the history is the same, and each print is an event once."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.messages import Settlement
from libs.exchange.port import SettledSeen
from services.feed.settled import Ledger
from tests.unit.feed.rig import PERP, START_MS, Rig, clock_at, config_of, hourly_rows, market_of

HOUR = 3_600_000
T0 = 1_771_459_200_000

steps = st.lists(st.sampled_from([1, 2, 4, 8]), min_size=2, max_size=40)


def rows_of(hours: list[int], corrections: dict[int, float]) -> list[SettledSeen]:
    """Prints at cumulated steps; a corrected one is there twice, the later arrival right."""
    rows, at = [], T0
    for place, step in enumerate(hours):
        at += step * HOUR
        rate = round(0.0001 + place * 1e-6, 9)
        rows.append(SettledSeen(venue="v", instrument=PERP, recv_us=1, settled_ms=at, rate=rate))
        if place in corrections:
            rows.append(
                SettledSeen(venue="v", instrument=PERP, recv_us=2, settled_ms=at, rate=corrections[place])
            )
    return rows


def history(rows: list[SettledSeen]) -> tuple[Settlement, ...]:
    ledger = Ledger(history_ms=10**12)
    for seen in rows:
        ledger.add(seen)
    return ledger.prints()


@settings(derandomize=True, max_examples=150, deadline=None)
@given(
    hours=steps,
    corrections=st.dictionaries(st.integers(0, 39), st.floats(-0.05, 0.05, allow_nan=False), max_size=3),
    data=st.data(),
)
def test_any_order_duplication_and_jitter_ends_at_one_history(
    hours: list[int], corrections: dict[int, float], data: st.DataObject
) -> None:
    rows = rows_of(hours, corrections)
    again = data.draw(st.lists(st.sampled_from(rows), max_size=30))
    shuffled = data.draw(st.permutations(rows + again))
    jitters = data.draw(st.lists(st.integers(0, 999), min_size=len(shuffled), max_size=len(shuffled)))
    shaken = [
        SettledSeen(
            venue=seen.venue,
            instrument=seen.instrument,
            recv_us=seen.recv_us,
            settled_ms=seen.settled_ms + jitter,
            rate=seen.rate,
        )
        for seen, jitter in zip(shuffled, jitters, strict=True)
    ]
    assert history(shaken) == history(rows)
    stamps = [one.settled_ms for one in history(shaken)]
    assert stamps == sorted(set(stamps))
    assert len(stamps) == len(hours)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(hours=st.sampled_from([1, 2, 4, 8]), lengths=st.lists(st.integers(0, 5), max_size=5))
def test_holes_never_change_an_interval_nor_fill_themselves(hours: int, lengths: list[int]) -> None:
    """Three prints between holes of any length: one alone between two of them is anybody's guess."""
    there = [True] * 3
    for length in lengths:
        there += [False] * length + [True] * 3
    rows = rows_of([hours] * len(there), {})
    left = [seen for seen, is_there in zip(rows, there, strict=True) if is_there]
    ledger = Ledger(history_ms=10**12)
    for seen in left:
        ledger.add(seen)
    assert [one.settled_ms for one in ledger.prints()] == [seen.settled_ms for seen in left]
    assert {one.interval_hours for one in ledger.prints()} == {float(hours)}
    assert ledger.missing() == sum(lengths)


@settings(derandomize=True, max_examples=8, deadline=None)
@given(
    lives=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    jitter_ms=st.integers(0, 999),
    late_ms=st.integers(0, 8_000),
)
def test_over_restarts_each_print_is_an_event_exactly_once(
    lives: list[int], jitter_ms: int, late_ms: int
) -> None:
    """Lives of so many quarters of an hour with a settlement each; down for one quarter in between."""

    async def live() -> list[int]:
        clock = clock_at(START_MS)
        market = market_of("bybit", clock)
        one = market.listed[PERP]
        one.interval_hours, one.jitter_ms, one.late_ms = 0.25, jitter_ms, late_ms
        one.rows = hourly_rows(START_MS - 59 * 900_000 + 60_000, 150, hours=0.25)
        said: list[int] = []
        store = None
        for quarters in lives:
            rig = Rig(config_of("bybit", interval_sec=30.0), [market], clock, store=store)
            store = rig.store
            await rig.start()
            await rig.run(quarters * 900, step_ms=3_000)
            said += [at for at, _, _ in rig.settled(PERP)]
            clock.advance(sec=900)
        return said

    said = asyncio.run(live())
    assert said == sorted(set(said))
    assert [after - before for before, after in pairwise(said)] == [900_000] * (len(said) - 1)
    assert said[0] == START_MS + 60_000
