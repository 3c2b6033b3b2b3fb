"""What every `Store` keeps of values and of whole changes, in memory and in a real server."""

from __future__ import annotations

import asyncio

import pytest

from libs.common.store import Lease, Store, StoreConflict, Transition, Versioned
from tests.contract.store_states import TTL_MS, filled, state_of


async def test_versions_start_at_one_and_rise_by_one(store: Store) -> None:
    assert await store.get("k") is None
    assert await store.put("k", b"") == 1
    assert await store.get("k") == Versioned(value=b"", version=1)
    assert await store.put("k", bytes(range(256))) == 2
    assert await store.compare_and_set("k", b"x", expect=2) == 3
    assert await store.get("k") == Versioned(value=b"x", version=3)
    assert await store.put("k", None) == 0
    assert await store.put("k", None) == 0
    assert await store.get("k") is None
    assert await store.compare_and_set("k", b"again", expect=0) == 4


async def test_a_version_read_before_a_delete_never_fits_again(store: Store) -> None:
    """Written, read by A, deleted and written anew by B: what A then writes would undo what B said."""
    read = await store.put("k", b"1")
    await store.put("k", None)
    assert await store.put("k", b"2") == read + 1
    with pytest.raises(StoreConflict, match=r"^k: expected version 1, found 2$"):
        await store.compare_and_set("k", b"from A", expect=read)
    assert await store.transition(Transition(expect={"k": 2}, writes={"k": None}))
    assert await store.transition(Transition(expect={"k": 0}, writes={"k": b"3"}))
    for stale in (1, 2):
        with pytest.raises(StoreConflict, match=rf"^k: expected version {stale}, found 3$"):
            await store.transition(Transition(expect={"k": stale}, writes={"k": b"from A"}))
    assert await store.get("k") == Versioned(value=b"3", version=3)


async def test_deleting_what_is_not_there_counts_nothing_and_leaves_no_trace(store: Store) -> None:
    assert await store.put("never", None) == 0
    assert await store.put("never", None) == 0
    assert await store.transition(Transition(expect={"never": 0}, writes={"never": None}))
    assert await store.keys("") == []
    assert await store.put("never", b"1") == 1
    await store.put("never", None)
    await store.put("never", None)
    assert await store.put("never", b"2") == 2


async def test_a_deleted_value_may_come_back_as_another_kind_and_its_versions_go_on(store: Store) -> None:
    await store.put("k", b"1")
    await store.put("k", None)
    assert await store.transition(Transition(hash_writes={"k": {"f": b"1"}}))
    with pytest.raises(StoreConflict, match="holds a hash, no string"):
        await store.put("k", b"2")
    assert await store.transition(Transition(hash_writes={"k": {"f": None}}))
    assert await store.compare_and_set("k", b"2", expect=0) == 2


async def test_a_write_on_an_unexpected_version_changes_nothing_and_names_the_key(store: Store) -> None:
    with pytest.raises(StoreConflict, match=r"^pair:x: expected version 1, found 0$"):
        await store.compare_and_set("pair:x", b"1", expect=1)
    assert await store.get("pair:x") is None
    await store.put("pair:x", b"1")
    for expect in (0, 2):
        with pytest.raises(StoreConflict, match=rf"^pair:x: expected version {expect}, found 1$"):
            await store.compare_and_set("pair:x", b"2", expect=expect)
    assert await store.get("pair:x") == Versioned(value=b"1", version=1)


async def test_one_of_many_racing_writers_wins(store: Store) -> None:
    await store.put("k", b"start")
    outcomes = await asyncio.gather(
        *(store.compare_and_set("k", b"%d" % number, expect=1) for number in range(20)),
        return_exceptions=True,
    )
    assert sum(outcome == 2 for outcome in outcomes) == 1
    assert sum(isinstance(outcome, StoreConflict) for outcome in outcomes) == 19


async def test_a_transition_writes_everything(store: Store) -> None:
    await store.put("gone", b"x")
    assert await store.transition(
        Transition(
            expect={"gone": 1, "new": 0},
            writes={"new": b"1", "gone": None, "absent": None},
            hash_writes={"hash": {"a": b"1", "b": b"2"}, "empty": {}},
            set_adds={"set": ("x", "y"), "none": ()},
            appends={"stream": ({"n": b"1"}, {"n": b"2", "m": b"\0"})},
            once=("seen", "fill-1"),
        )
    )
    assert await store.keys("") == ["new"]
    assert await store.get("new") == Versioned(value=b"1", version=1)
    assert await store.hash_all("hash") == {"a": b"1", "b": b"2"}
    assert await store.members("set") == {"x", "y"}
    assert await store.members("seen") == {"fill-1"}
    assert [entry.fields for entry in await store.read("stream")] == [{"n": b"1"}, {"n": b"2", "m": b"\0"}]
    assert await store.transition(Transition(hash_writes={"hash": {"a": None, "b": b"3"}}))
    assert await store.hash_all("hash") == {"b": b"3"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Transition(expect={"pair:a": 1, "pair:b": 2}), "pair:b: expected version 2, found 1"),
        (Transition(expect={"pair:a": 0}), "pair:a: expected version 0, found 1"),
        (Transition(expect={"pair:c": 1}), "pair:c: expected version 1, found 0"),
        (
            Transition(lease=Lease(name="exec", owner="me", fence=1, until_mono_us=0)),
            "lease:exec: fence 1 is not the newest, none is",
        ),
    ],
)
async def test_a_refused_transition_writes_nothing(store: Store, change: Transition, words: str) -> None:
    await filled(store)
    before = await state_of(store)
    full = Transition(
        expect=change.expect,
        lease=change.lease,
        writes={"pair:a": b"other", "pair:b": None, "pair:c": b"new"},
        hash_writes={"hash": {"f": b"other", "g": b"new"}},
        set_adds={"set": ("other",)},
        appends={"stream": ({"e": b"2"},)},
        once=("ids", "id"),
    )
    with pytest.raises(StoreConflict, match=f"^{words}$"):
        await store.transition(full)
    assert await state_of(store) == before
    assert await store.members("ids") == set()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Transition(writes={"hash": b"x"}), "hash: holds a hash, no string"),
        (Transition(expect={"hash": 0}), "hash: holds a hash, no string"),
        (Transition(hash_writes={"pair:a": {"f": b"x"}}), "pair:a: holds a string, no hash"),
        (Transition(set_adds={"stream": ("x",)}), "stream: holds a stream, no set"),
        (Transition(once=("hash", "x")), "hash: holds a hash, no set"),
        (Transition(appends={"set": ({"e": b"x"},)}), "set: holds a set, no stream"),
    ],
)
async def test_a_key_of_another_kind_is_a_conflict_and_nothing_is_written(
    store: Store, change: Transition, words: str
) -> None:
    await filled(store)
    before = await state_of(store)
    writes = {"first": b"x", **change.writes}
    with pytest.raises(StoreConflict, match=f"^{words}$"):
        await store.transition(
            Transition(
                writes=writes,
                expect=change.expect,
                hash_writes=change.hash_writes,
                set_adds=change.set_adds,
                appends=change.appends,
                once=change.once,
            )
        )
    assert await state_of(store) == before


async def test_reading_a_key_of_another_kind_is_a_conflict(store: Store) -> None:
    await filled(store)
    for attempt in (
        store.get("hash"),
        store.put("set", b"x"),
        store.hash_all("pair:a"),
        store.members("hash"),
        store.append("pair:a", {"e": b"1"}),
        store.read("hash"),
        store.trim("set", before="1-0"),
    ):
        with pytest.raises(StoreConflict, match="holds"):
            await attempt


async def test_once_means_once_even_with_versions_that_moved_on(store: Store) -> None:
    booking = Transition(
        expect={"pair:x": 0},
        writes={"pair:x": b"1"},
        appends={"ledger": ({"usd": b"1"},)},
        once=("ids", "fill-1"),
    )
    assert await store.transition(booking) is True
    assert await store.transition(booking) is False  # its answer was lost, it comes again
    assert len(await store.read("ledger")) == 1
    assert await store.get("pair:x") == Versioned(value=b"1", version=1)


@pytest.mark.parametrize(
    "change",
    [
        Transition(writes={"k": b""}, hash_writes={"k": {"f": b""}}),
        Transition(expect={"k": 0}, set_adds={"k": ("m",)}),
        Transition(once=("k", "m"), appends={"k": ({"f": b""},)}),
        Transition(appends={"k": ({},)}),
        Transition(appends={"k": ({str(number): b"" for number in range(1_001)},)}),
        Transition(writes={"": b""}),
        Transition(writes={"_versions": b""}),
        Transition(hash_writes={"_fences": {"x": b"9"}}),
        Transition(writes={"lease:x": b""}),
        Transition(writes={"store_id": b""}),
    ],
)
async def test_a_change_that_could_stop_half_way_is_refused_beforehand(
    store: Store, change: Transition
) -> None:
    with pytest.raises(ValueError, match=r"k|own"):
        await store.transition(change)
    assert await store.keys("") == []


async def test_keys_are_values_by_prefix(store: Store) -> None:
    await filled(store)
    await store.put("pair", b"")
    await store.put("pair:a*[x]?", b"")
    await store.put("pair:\u00fcber", b"")
    await store.acquire("pair:a", owner="me", ttl_ms=TTL_MS)
    await store.store_id()
    assert await store.keys("pair:") == ["pair:a", "pair:a*[x]?", "pair:b", "pair:\u00fcber"]
    assert await store.keys("pair:a*") == ["pair:a*[x]?"]
    assert await store.keys("none") == []
    assert len(await store.keys("")) == 5


async def test_the_store_id_is_made_once(store: Store) -> None:
    ids = await asyncio.gather(*(store.store_id() for _ in range(5)))
    assert len(set(ids)) == 1
    assert len(bytes.fromhex(ids[0])) == 8
    assert await store.store_id() == ids[0]


async def test_a_change_that_is_meant_for_another_store_does_not_happen(store: Store) -> None:
    """A lost store was replaced: its versions begin anew, so that one of before may fit."""
    assert await store.put("k", b"1") == 1
    change = Transition(store_id="0123456789abcdef", expect={"k": 1}, writes={"k": b"2"})
    with pytest.raises(StoreConflict, match=r"^store_id: meant for 0123456789abcdef, this store is "):
        await store.transition(change)
    assert await store.get("k") == Versioned(value=b"1", version=1)
    ours = await store.store_id()
    assert await store.transition(Transition(store_id=ours, expect={"k": 1}, writes={"k": b"2"}))
    assert await store.get("k") == Versioned(value=b"2", version=2)


async def test_free_ratio_is_a_share(store: Store) -> None:
    assert 0.0 < await store.free_ratio() <= 1.0


async def test_connecting_twice_is_fine(store: Store) -> None:
    await store.connect()
    assert await store.put("k", b"1") == 1
