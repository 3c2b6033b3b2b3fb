"""Whatever market refuses for how long: our own orders leave one slice more naked than was taken, at most."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from libs.common.instant import US_PER_SEC
from services.executor.model import Purpose, State
from tests.unit.executor.rig import PERP_KEY, Rig

SIZE_USD: Final = 3_000
SLICE: Final = Decimal(10)
"""`limits.max_naked_usd` 1,000 at 100 USDT a coin."""
ROUNDING: Final = Decimal("0.01")
LIFE_SEC: Final = 400

seconds = st.integers(0, 200)
shut = st.tuples(st.just("shut"), seconds, st.sampled_from((0, 1)), st.integers(1, 300))
asked = st.one_of(
    st.tuples(st.just("take"), seconds, st.sampled_from(("0.1", "1", "7", "30"))),
    st.tuples(st.just("shrink"), seconds, st.sampled_from((0.8, 0.5, 0.1))),
    st.tuples(st.just("close"), seconds),
    st.tuples(st.just("restart"), seconds),
)
lives = st.tuples(
    st.lists(shut, min_size=1, max_size=3),
    st.lists(asked, min_size=1, max_size=3),
    st.sampled_from(("concurrent", "sequential")),
)


class Life:
    """A hedged pair, and what befalls it at planned seconds."""

    def __init__(self, style: str) -> None:
        self.rig = Rig()
        self.rig.wish("open", str(SIZE_USD))
        self.rig.until(lambda: self.rig.state is State.ACTIVE, 60)
        execution = replace(self.rig.config.execution, style=style)
        self.rig.world.config = replace(self.rig.config, execution=execution)
        self.taken = Decimal(0)

    def plan(self, step: tuple[Any, ...]) -> None:
        name, at_sec, *rest = step
        works: dict[str, Callable[..., None]] = {
            "shut": self._shut,
            "take": self._take,
            "shrink": self._shrink,
        }
        works |= {"close": lambda: self.rig.wish("close"), "restart": self._restart}
        self.rig.later(at_sec * US_PER_SEC, lambda: works[name](*rest), life=0)

    def _shut(self, leg: int, for_sec: int) -> None:
        key = self.rig.keys[leg]
        self.rig.venues.shut.add(key)
        self.rig.later(for_sec * US_PER_SEC, lambda: self.rig.venues.shut.discard(key), life=0)

    def _take(self, amount: str) -> None:
        quantity = min(Decimal(amount), abs(self.rig.shown[1]))
        if quantity:
            self.rig.venues.take(PERP_KEY, quantity)
            self.taken += quantity

    def _shrink(self, ratio: float) -> None:
        self.rig.max_ratio = {self.rig.pair: ratio}

    def _restart(self) -> None:
        if self.rig.lane.lease is not None:  # else the last life has not begun yet
            self.rig.restart()

    def check(self) -> bool:
        first, second = self.rig.shown
        naked = abs(first + second)
        if naked > self.taken + SLICE + ROUNDING:
            raise AssertionError(f"{naked} naked, {self.taken} was taken: {self.rig.moves} {self.rig.shown}")
        return False


@given(life=lives)
@settings(derandomize=True, max_examples=25, deadline=None)
def test_a_market_that_refuses_costs_one_slice(
    life: tuple[list[tuple[Any, ...]], list[tuple[Any, ...]], str],
) -> None:
    shuts, asks, style = life
    lived = Life(style)
    for step in (*shuts, *asks):
        lived.plan(step)
    lived.rig.until(lived.check, LIFE_SEC, must=False)
    opened = [one for one in lived.rig.sent if one.purpose is Purpose.OPEN]
    assert len(opened) == 2 * SIZE_USD // 1_000, "nothing was opened anew"
