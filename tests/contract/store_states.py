"""A store with one key of every kind, and all that it holds."""

from __future__ import annotations

from libs.common.store import Store, Transition

TTL_MS = 60_000


async def state_of(store: Store) -> tuple[object, ...]:
    """All that the tests below write, to compare before and after."""
    return (
        {key: await store.get(key) for key in await store.keys("")},
        await store.hash_all("hash"),
        await store.members("set"),
        await store.read("stream"),
    )


async def filled(store: Store) -> None:
    assert await store.transition(
        Transition(
            writes={"pair:a": b"A", "pair:b": b"B"},
            hash_writes={"hash": {"f": b"1"}},
            set_adds={"set": ("m",)},
            appends={"stream": ({"e": b"1"},)},
        )
    )
