"""A short selection of `make chaos`: one deployment, three faults, and the venue's word on each."""

from __future__ import annotations

from tests.chaos.campaign import START_SEC, Cycle, Run, line_of
from tests.chaos.world import BASES, pairs_of, running_world

SHUT_SEC = 10.0
"""What breakers keep shut for longer is not waited for: then a cycle closes and holds."""

SELECTED = (("partition_store", 1), ("broker", 3), ("kill", 4))


async def test_after_each_fault_books_of_all_agree_with_the_venue() -> None:
    async with running_world(pairs_of(BASES), seed=1) as world:
        run = Run(world, seed=1)
        shut = await run.ready(sec=START_SEC)
        assert not shut, f"{shut}\n{world.tails()}"
        done: list[Cycle] = []
        shut_after = {}
        for kind, seed in SELECTED:
            done.append(await run.cycle(kind, seed))
            shut_after[kind] = await run.ready(sec=SHUT_SEC)
        told = "\n".join(line_of(one) for one in done)
        why = f"{told}\nshut after each: {shut_after}\nrefused: {run.trader.refusals}\n{world.tails()}"
    assert not [text for one in done for text in one.violations], told
    assert any(one.increases for one in done), why
