from __future__ import annotations

from libs.common.instant import US_PER_SEC
from libs.common.store import Lease
from services.executor.leases import RENEW_US, RETRY_US, TTL_MS, Due, Leases, groups_of

A, B, C, D = (("v", name) for name in "abcd")
PAIRS = {"p1": (A, B), "p2": (C, D), "p3": (B, C), "p4": (("w", "a"), ("w", "b"))}


def lease(group: str, until_us: int, fence: int = 1) -> Lease:
    return Lease(name=group, owner="me", fence=fence, until_mono_us=until_us)


def test_pairs_with_a_common_leg_have_one_lease() -> None:
    assert groups_of(PAIRS) == {"p1": "p1", "p2": "p1", "p3": "p1", "p4": "p4"}


def test_the_same_name_on_another_venue_is_another_instrument() -> None:
    assert groups_of({"x": (A,), "y": (("w", "a"),)}) == {"x": "x", "y": "y"}


def test_each_group_is_asked_for_and_asked_again() -> None:
    leases = Leases(PAIRS)
    assert leases.due(0) == [Due(group="p1", what="acquire"), Due(group="p4", what="acquire")]
    assert leases.due(RETRY_US - 1) == []
    assert [due.group for due in leases.due(RETRY_US)] == ["p1", "p4"]
    assert leases.pairs("p1") == ["p1", "p2", "p3"]


def test_a_held_lease_is_renewed_at_a_third_of_its_life() -> None:
    leases = Leases({"p": (A, B)})
    leases.due(0)
    held = lease("p", 4 * US_PER_SEC)
    leases.took("p", held, 0)
    assert RENEW_US == TTL_MS * 1000 // 3
    assert leases.due(RENEW_US - 1) == []
    assert leases.due(RENEW_US) == [Due(group="p", what="renew", lease=held)]
    assert leases.held("p", RENEW_US) == held


def test_what_cannot_be_renewed_is_given_up_in_time() -> None:
    leases = Leases({"p": (A, B)})
    held = lease("p", 4 * US_PER_SEC)
    leases.took("p", held, 0)
    last_us = 4 * US_PER_SEC
    assert leases.held("p", last_us - 1) == held
    assert leases.held("p", last_us) is None, "not used even before anybody has noticed"
    assert leases.due(last_us) == [Due(group="p", what="lost", lease=held), Due(group="p", what="acquire")]
    assert leases.all_held() == []


def test_a_lease_that_somebody_else_has_is_gone_at_once() -> None:
    leases = Leases({"p": (A, B)})
    leases.took("p", lease("p", 4 * US_PER_SEC), 0)
    assert leases.lost("p", US_PER_SEC)
    assert leases.held("p", US_PER_SEC) is None
    assert not leases.lost("p", US_PER_SEC), "told once"
    assert leases.due(US_PER_SEC + RETRY_US) == [Due(group="p", what="acquire")]


def test_a_lost_group_takes_no_other_with_it() -> None:
    leases = Leases(PAIRS)
    for group in ("p1", "p4"):
        leases.took(group, lease(group, 4 * US_PER_SEC), 0)
    leases.lost("p1", 1)
    assert leases.held("p2", 1) is None
    assert leases.held("p4", 1) is not None
    assert [one.name for one in leases.all_held()] == ["p4"]
