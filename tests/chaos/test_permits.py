"""Risk is killed, stopped, parted: a short selection of `make chaos ONLY=permits`.

The short silences first: after a long one risk lets its inputs be fresh for half a minute before all goes on.
"""

from __future__ import annotations

import pytest

from tests.chaos.permits import HOWS, Trial, line_of, running_bench, trial
from tests.chaos.permits_bench import Bench

TRIALS = 1
TRIES = 5

TOO_SLOW = ("risk paused", "slowest of its calls")
"""What risk says of a machine on which a second is nothing: no trial there would prove anything."""


async def ready(bench: Bench) -> None:
    """Pairs may open. On a machine that risk itself holds back the trials are skipped, with its words."""
    shut = await bench.ready()
    if shut and all(any(word in str(why) for word in TOO_SLOW) for why in shut.values()):
        pytest.skip(f"this machine is too slow for a trial: {next(iter(shut.values()))}")
    assert not shut, f"{shut}\n{bench.world.tails()}"


def held(one: Trial) -> Trial:
    """The trial, judged at once: what it has shown is not lost when a later one cannot be made."""
    assert not one.violations, line_of(one)
    return one


async def test_no_increase_arrives_a_second_after_the_last_permit_and_closes_still_work() -> None:
    found: list[Trial] = []
    async with running_bench(seed=7) as bench:
        for how in HOWS:
            mine: list[Trial] = []
            while sum(one.counts for one in mine) < TRIALS and len(mine) < TRIES:
                await ready(bench)
                mine.append(held(await trial(bench, how, reduce=False)))
            found += mine
        await ready(bench)
        last = held(await trial(bench, "killed", unwind=True))
    told = "\n".join(line_of(one) for one in (*found, last))
    for how in HOWS:
        assert sum(one.counts for one in found if one.how == how) >= TRIALS, told
    assert last.closed >= 1, told
    assert last.unwound == 1, told
