"""Answers that come while a process leaves are applied; later ones are found at the next start."""

from __future__ import annotations

from libs.common.effects import Draining
from services.executor.model import State
from tests.unit.executor.rig import FLAT, Rig


def test_answers_that_come_while_draining_are_applied() -> None:
    rig = Rig()
    rig.wish("open")
    rig.until(lambda: len(rig.sent) == 2, 2)
    rig.offer(Draining())
    rig.until(lambda: rig.state is State.ACTIVE, 1)
    assert rig.held == rig.shown != FLAT


def test_answers_that_come_after_the_end_are_found_at_the_next_start() -> None:
    rig = Rig()
    rig.wish("open")
    rig.until(lambda: len(rig.sent) == 2, 2)
    rig.offer(Draining())
    rig.restart()  # what the old process waited for never reaches the new one
    assert rig.held == FLAT
    rig.until(lambda: rig.state is State.ACTIVE, 5)
    assert rig.held == rig.shown != FLAT
    assert len(rig.sent) == 2, "nothing was sent again"


def test_a_close_under_way_ends_at_the_next_start_too() -> None:
    rig = Rig().opened()
    rig.wish("close")
    rig.until(lambda: len(rig.sent) == 4, 2)
    rig.offer(Draining())
    rig.restart()
    rig.until(lambda: rig.state is State.IDLE, 5)
    assert rig.held == FLAT == rig.shown
    assert len(rig.sent) == 4
