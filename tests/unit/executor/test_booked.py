"""Trades that a venue made are booked once, however many there are and however often they are told."""

from __future__ import annotations

from decimal import Decimal

from libs.common.codec import decode
from libs.common.messages_exec import LedgerKind, LedgerLine
from services.executor import booked
from services.executor.lane import Draft
from services.executor.ledger import STREAM
from services.executor.model import State
from tests.sim.timeline import run
from tests.unit.executor.rig import PERP_KEY, Rig

SMALL = Decimal("0.01")


def took(rig: Rig, times: int, quantity: Decimal = SMALL) -> None:
    """The venue takes so often, and the pair has time to book and follow."""
    for _ in range(times):
        rig.venues.take(PERP_KEY, quantity)
    rig.run(30)


def booked_ids(rig: Rig) -> list[str]:
    """Trade ids of the ledger's lines about what was taken."""
    entries = run(rig.store.read(STREAM, count=10**6))
    lines = (decode(entry.fields["json"], LedgerLine) for entry in entries)
    keys = [line.key for line in lines if line.kind is LedgerKind.FILL and line.purpose == "adl"]
    return [key.split("/")[1].split("@")[0] for key in keys]


def made_ids(rig: Rig) -> list[str]:
    return [one.trade_id for one in rig.venues.trades[PERP_KEY] if one.cause == "adl"]


def test_of_many_trades_each_is_booked_once_also_after_a_restart() -> None:
    rig = Rig().opened("500")
    took(rig, 80)
    took(rig, 1, Decimal("0.1"))
    rig.restart()
    rig.run(10)
    took(rig, 3)
    assert booked_ids(rig) == made_ids(rig)
    assert rig.held == rig.shown
    assert rig.state is State.ACTIVE


def test_names_go_when_the_venue_has_long_agreed_and_none_is_booked_again() -> None:
    rig = Rig().opened("500")
    took(rig, 5)
    rig.run(booked.BACK_US / 1e6 + 60)
    took(rig, 2)
    assert len(rig.durable.taken) == len(rig.durable.taken_ms) == 2, "those of before the mark are forgotten"
    rig.restart()
    rig.run(30)
    took(rig, 1)
    assert booked_ids(rig) == made_ids(rig)


def test_more_names_than_are_kept_move_the_mark_and_the_oldest_are_not_booked_again() -> None:
    rig = Rig().opened("5000")
    many = booked.KEPT_MAX + 88
    took(rig, many)
    assert len(rig.durable.taken) == booked.KEPT_MAX, "what is stored of a pair is bounded"
    took(rig, 2)
    assert booked_ids(rig) == made_ids(rig), "those of one stamp have all been booked in one turn"
    assert len(booked_ids(rig)) == many + 2
    assert rig.state is State.ACTIVE


def test_what_another_pair_has_forgotten_is_not_taken_for_ones_own() -> None:
    rig = Rig().opened("500")
    other = rig.lane.state
    marked = Draft(rig.lane, rig.now)
    marked.set(booked_ms=(0, 7))
    assert booked.mark_ms((other, marked.state), PERP_KEY) == 7
    assert booked.mark_ms((other, marked.state), ("bitget", PERP_KEY[1])) == 0
