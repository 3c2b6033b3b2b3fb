"""A config that changed while running reaches every pair of the executor at its next decision."""

from __future__ import annotations

import msgspec

from libs.common.config.schema import Config, Limits
from libs.common.effects import Effect, Event, Reloaded
from libs.common.instant import Now
from services.executor.model import State
from services.executor.with_books import WithBooks
from tests.unit.executor.rig import Rig


class Deaf:
    """Books that hear nothing: only the pairs are looked at here."""

    def hear(self, event: Event) -> None: ...

    def start(self) -> list[Effect]:
        return []

    def handle(self, event: Event, now: Now) -> list[Effect]:
        return []

    def exposed(self, lane: object, now: Now) -> list[Effect]:
        return []


def reloaded(rig: Rig, config: Config) -> None:
    actor = WithBooks(rig.actor, Deaf())  # type: ignore[arg-type]
    assert list(actor.handle(Reloaded(config=config), rig.now)) == []


def test_a_limit_that_was_lowered_keeps_the_next_pair_out_and_one_that_was_raised_lets_it_in() -> None:
    rig = Rig()
    tight = msgspec.structs.replace(rig.config, limits=Limits(max_pairs=20, max_notional_usd=50))
    reloaded(rig, tight)
    rig.wish("open", "100")
    rig.run(3)
    assert (rig.state, rig.sent) == (State.IDLE, [])
    reloaded(rig, rig.config)
    rig.opened("100")


def test_what_is_held_stays_and_may_be_closed_under_a_tighter_limit() -> None:
    rig = Rig().opened("100")
    held = rig.held
    reloaded(rig, msgspec.structs.replace(rig.config, limits=Limits(max_pairs=0, max_notional_usd=1)))
    rig.run(2)
    assert (rig.state, rig.held) == (State.ACTIVE, held)
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 10)
