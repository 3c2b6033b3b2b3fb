"""A stuck pair's coins beside the user's own: what he sold by hand is ours, nothing of his is sold."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from libs.common.memory_store import MemoryStore
from services.executor.model import State
from services.executor.steps import TRIES_MAX
from tests.sim.timeline import run
from tests.unit.executor.asking import done, refused
from tests.unit.executor.rig import FLAT, PERP_KEY, SPOT_KEY, Rig
from tests.unit.executor.scripted import times

OWN = Decimal(3)
ONE = (Decimal(1), Decimal(-1))


def orphan(*, seen: bool = True) -> Rig:
    """Stuck: a coin of the pair stands alone beside three of the user's; `seen`: before it was bought."""
    rig = Rig()
    rig.venues.users_coins = OWN
    if seen:
        rig.run(20)
    rig.acts("perp", "reject")
    rig.acts("spot", "fill", *times(TRIES_MAX, "none"))
    rig.wish("open")
    rig.until(lambda: rig.state is State.STUCK, 300)
    rig.venues.acts.clear()
    assert rig.held == (Decimal(1), Decimal(0))
    return rig


def hedged() -> Rig:
    """Stuck: a hedged pair beside three coins of the user's, since somebody has closed half of the perp."""
    rig = Rig()
    rig.venues.users_coins = OWN
    rig.opened()
    rig.run(10)
    rig.venues.held[PERP_KEY] += Decimal("0.5")
    rig.until(lambda: rig.state is State.STUCK, 30)
    return rig


def wallet(rig: Rig) -> Decimal:
    return rig.venues.users_coins + rig.venues.held[SPOT_KEY]


def reset(rig: Rig, **fields: Any) -> dict[str, object]:
    return done(rig, "reset", pair=rig.pair, confirm=True, **fields)


def no_reset(rig: Rig, **fields: Any) -> tuple[str, str]:
    code, text = refused(rig, "reset", pair=rig.pair, confirm=True, **fields)
    rig.run(20)
    assert rig.state is State.STUCK
    return code, text


@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize("restarts", [True, False])
def test_an_orphan_that_was_sold_by_hand_is_not_sold_again_out_of_his_own(
    *, seen: bool, restarts: bool
) -> None:
    rig = orphan(seen=seen)
    rig.venues.held[SPOT_KEY] -= 1
    if restarts:
        rig.restart()
    rig.run(3)
    assert reset(rig)["state"] == "idle"
    rig.run(30)
    assert (rig.state, rig.held, wallet(rig)) == (State.IDLE, FLAT, OWN)
    (text,) = rig.told("taken_over")
    assert "1 BTC at binance are taken for sold by hand" in text


def test_an_orphan_that_lies_there_is_sold_and_nothing_else() -> None:
    rig = orphan()
    assert reset(rig)["state"] == "active"
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert (wallet(rig), rig.told("taken_over")) == (OWN, [])


def test_a_part_that_was_sold_leaves_the_rest_to_be_sold() -> None:
    rig = orphan()
    rig.venues.held[SPOT_KEY] -= Decimal("0.4")
    assert reset(rig)["held"] == ["0.6", "0"]
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert wallet(rig) == OWN


@pytest.mark.parametrize(("coins", "left"), [("sold", "5"), ("held", "4")])
def test_coins_that_came_meanwhile_hide_a_sale_and_he_is_asked(coins: str, left: str) -> None:
    rig = orphan()
    rig.venues.held[SPOT_KEY] += 1  # two that he has brought in, less ours; or one, and ours are there
    code, text = no_reset(rig)
    assert code == "coins"
    assert "5 BTC at binance, where 1 of this pair and 3 beside it were seen last" in text
    assert "`--coins sold`" in text
    reset(rig, coins=coins)
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert (wallet(rig), rig.held) == (Decimal(left), FLAT)


def test_his_word_that_they_are_sold_is_of_all_of_them() -> None:
    rig = orphan()
    rig.venues.held[SPOT_KEY] -= 1
    rig.venues.users_coins += Decimal("0.4")  # brought in: it looks as if 0.6 had been sold
    rig.run(3)
    assert reset(rig, coins="sold")["state"] == "idle"
    rig.run(30)
    assert (rig.state, rig.held, wallet(rig)) == (State.IDLE, FLAT, OWN + Decimal("0.4"))


def test_both_legs_closed_by_hand_are_taken_over_beside_his_own_coins() -> None:
    rig = hedged()
    rig.venues.held[PERP_KEY] = rig.venues.held[SPOT_KEY] = Decimal(0)
    assert reset(rig)["state"] == "idle"
    rig.run(30)
    assert (rig.held, wallet(rig)) == (FLAT, OWN)


def test_both_legs_closed_by_hand_with_coins_brought_in_are_taken_over_on_his_word() -> None:
    rig = hedged()
    rig.venues.held[PERP_KEY], rig.venues.held[SPOT_KEY] = Decimal(0), Decimal("0.5")
    rig.venues.users_coins += 1
    code, text = no_reset(rig)
    assert code == "differs"
    assert "`--coins sold`" in text
    assert reset(rig, coins="sold")["state"] == "idle"
    rig.run(30)
    assert (rig.held, wallet(rig)) == (FLAT, OWN + Decimal("1.5"))


@pytest.mark.parametrize(("coins", "held"), [("held", ONE), ("sold", FLAT)])
def test_what_is_missed_of_a_hedged_pair_is_asked_for(coins: str, held: tuple[Decimal, Decimal]) -> None:
    """He may have taken one of his own, or sold the pair's: then the contract is closed too."""
    rig = hedged()
    rig.venues.held[PERP_KEY] -= Decimal("0.5")
    rig.venues.held[SPOT_KEY] -= 1
    assert no_reset(rig)[0] == "coins"
    assert reset(rig, coins=coins)["state"] == "active"
    rig.run(30)
    assert (rig.held, wallet(rig)) == (held, OWN)
    assert rig.shown[1] == held[1]


def test_a_contract_that_differs_is_refused_whatever_he_says_of_coins() -> None:
    rig = hedged()
    assert no_reset(rig, coins="sold")[0] == "differs"
    assert rig.held == ONE


def test_coins_are_said_of_one_pair() -> None:
    rig = orphan()
    assert refused(rig, "reset", confirm=True, coins="sold")[0] == "pair"
    assert rig.held[0] == 1


def test_looks_alone_write_nothing() -> None:
    rig = Rig().opened()
    rig.run(10)
    written, version = writes(rig.store), rig.durable.version
    for coins in (1, 2, 3):
        rig.venues.users_coins = Decimal(coins)
        rig.run(10)
    assert (writes(rig.store), rig.durable.version) == (written, version)
    rig.wish("close")
    rig.run(1)
    assert rig.durable.legs[0].others == OWN


def writes(store: MemoryStore) -> int:
    return len(run(store.read("journal", count=10**6)))
