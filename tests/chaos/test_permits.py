"""Risk is killed, stopped, parted: a short selection of `make chaos ONLY=permits`.

The short silences first: after a long one risk lets its inputs be fresh for half a minute before all goes on.
"""

from __future__ import annotations

from tests.chaos.permits import HOWS, Trial, line_of, running_bench, trial

TRIALS = 3
TRIES = 5


async def test_no_increase_arrives_a_second_after_the_last_permit_and_closes_still_work() -> None:
    found: list[Trial] = []
    async with running_bench(seed=7) as bench:
        for how in HOWS:
            mine: list[Trial] = []
            while sum(one.counts for one in mine) < TRIALS and len(mine) < TRIES:
                assert not (shut := await bench.ready()), f"{shut}\n{bench.world.tails()}"
                mine.append(await trial(bench, how, reduce=False))
            found += mine
        assert not (shut := await bench.ready()), f"{shut}\n{bench.world.tails()}"
        last = await trial(bench, "killed", unwind=True)
    told = "\n".join(line_of(one) for one in (*found, last))
    assert not [text for one in (*found, last) for text in one.violations], told
    for how in HOWS:
        assert sum(one.counts for one in found if one.how == how) >= TRIALS, told
    assert last.closed >= 1, told
    assert last.unwound == 1, told
