"""One reading of an account for all: what the books see is told to the pairs, what is young is kept."""

from __future__ import annotations

import asyncio

from libs.common.effects import Event
from services.executor.books_work import LANE
from services.executor.events import AccountLooked, ReadAccount
from tests.unit.executor.desk_rig import LEGS, PAIR, Office


def told(office: Office, pairs: int = 40) -> list[AccountLooked]:
    """What a desk with so many pairs, all of them at both venues, says of its looks."""
    seen: list[AccountLooked] = []

    def offer(event: Event) -> None:
        if isinstance(event, AccountLooked):
            seen.append(event)

    office.desk.offer = offer
    office.desk.pairs = {f"{PAIR}{n}": LEGS for n in range(pairs)} | {"elsewhere": (("c", "X"), ("c", "Y"))}
    return seen


async def test_the_books_look_is_told_to_every_pair_of_the_venue() -> None:
    office = Office()
    seen = told(office)
    looked = await office.desk.account(ReadAccount(venue="a", pair=LANE))
    assert office.ports["a"].reads == 1
    assert {one.pair for one in seen} == {f"{PAIR}{n}" for n in range(40)}
    assert all(one.seen is looked for one in seen)


async def test_a_pairs_own_look_is_its_own() -> None:
    office = Office()
    seen = told(office)
    await office.desk.account(ReadAccount(venue="a", pair=f"{PAIR}0"))
    assert seen == []


async def test_who_is_content_with_a_look_that_was_taken_gets_it_and_reads_nothing() -> None:
    office = Office()
    first = await office.desk.account(ReadAccount(venue="a", pair="x"))
    began_us = first.asked_mono_us
    office.clock.advance(sec=3)
    asks = [ReadAccount(venue="a", pair=f"{PAIR}{n}", since_us=began_us) for n in range(40)]
    kept = await asyncio.gather(*(office.desk.account(one) for one in asks))
    assert all(one is first for one in kept)
    assert office.ports["a"].reads == 1
    newer = await office.desk.account(ReadAccount(venue="a", pair=PAIR, since_us=began_us + 1))
    assert newer.asked_mono_us > began_us
    await office.desk.account(ReadAccount(venue="a", pair=PAIR))
    assert office.ports["a"].reads == 3


async def test_a_look_at_one_venue_says_nothing_of_another() -> None:
    office = Office()
    await office.desk.account(ReadAccount(venue="a", pair=PAIR))
    await office.desk.account(ReadAccount(venue="b", pair=PAIR, since_us=0))
    assert office.ports["b"].reads == 1
