"""What every `Store` keeps of a share of something limited: nobody takes the last of it twice."""

from __future__ import annotations

import asyncio

import pytest

from libs.common.reservation import AMOUNT_MAX, Reservation
from libs.common.store import Store, StoreConflict, Transition


def takes(who: str, cents: int, *, limit: int = 1_000, pairs: int = 2) -> Transition:
    wish = Reservation(
        key="reserved",
        field=who,
        amounts={"pairs": 1, "usd_cents": cents},
        limits={"pairs": pairs, "usd_cents": limit},
    )
    return Transition(writes={f"pair:{who}": b"{}"}, reserve=wish)


async def test_a_share_is_taken_with_everything_else_of_the_change(store: Store) -> None:
    assert await store.transition(takes("a", 600))
    assert await store.hash_all("reserved") == {"a": b"pairs=1 usd_cents=600"}
    with pytest.raises(StoreConflict, match=r"^reserved: no room: usd_cents would be 1001 of 1000$"):
        await store.transition(takes("b", 401))
    assert await store.get("pair:b") is None
    assert await store.transition(takes("b", 400))
    with pytest.raises(StoreConflict, match=r"^reserved: no room: pairs would be 3 of 2$"):
        await store.transition(takes("c", 0))


async def test_who_has_a_share_may_take_another_size_and_give_it_back(store: Store) -> None:
    assert await store.transition(takes("a", 600))
    assert await store.transition(takes("a", 1_000))
    assert await store.transition(Transition(hash_writes={"reserved": {"a": None}}))
    assert await store.hash_all("reserved") == {}
    assert await store.transition(takes("b", 1_000))


async def test_of_many_at_once_only_so_many_find_room(store: Store) -> None:
    async def one(who: str) -> bool:
        try:
            return await store.transition(takes(who, 100, limit=300, pairs=100))
        except StoreConflict:
            return False

    took = await asyncio.gather(*(one(f"p{n}") for n in range(12)))
    assert sum(took) == 3
    assert len(await store.hash_all("reserved")) == 3


async def test_large_amounts_are_counted_to_the_last_unit(store: Store) -> None:
    most = AMOUNT_MAX - 1
    assert await store.transition(takes("a", most, limit=AMOUNT_MAX))
    with pytest.raises(StoreConflict, match=f"usd_cents would be {AMOUNT_MAX + 1} of {AMOUNT_MAX}"):
        await store.transition(takes("b", 2, limit=AMOUNT_MAX))
    assert await store.transition(takes("b", 1, limit=AMOUNT_MAX))


async def test_counters_without_a_limit_are_only_kept(store: Store) -> None:
    wish = Reservation(key="reserved", field="a", amounts={"x": 5})
    assert await store.transition(Transition(reserve=wish))
    assert await store.hash_all("reserved") == {"a": b"x=5"}


@pytest.mark.parametrize("amounts", [{}, {"a b": 1}, {"a=": 1}, {"": 1}, {"a": -1}, {"a": AMOUNT_MAX + 1}])
def test_what_no_script_could_count_is_refused(amounts: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="reserv"):
        _ = Reservation(key="reserved", field="a", amounts=amounts).value
