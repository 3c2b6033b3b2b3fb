"""What comes down comes down by slices; a market that refused is tried first, with one slice."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest
from msgspec.structs import replace

from libs.common.messages_exec import Breaker, Level
from services.executor.closing import BACK_OFF_US, SOFT_TRIES
from services.executor.lane import Draft
from services.executor.model import Intent, Purpose, State
from services.executor.slicing import part_of
from tests.unit.executor.lender import LoanRig
from tests.unit.executor.rig import FLAT, PERP_KEY, SPOT_KEY, Rig
from tests.unit.executor.scripted import times

D = Decimal
SLICE = D(10)
"""`limits.max_naked_usd` 1,000 at 100 USDT a coin."""


def large(style: str = "concurrent", rig: Rig | None = None) -> Rig:
    """Five slices of a hedged pair, which is closed by this style."""
    rig = rig or Rig()
    rig.wish("open", "5000")
    rig.until(lambda: rig.state is State.ACTIVE, 60)
    rig.world.config = replace(rig.config, execution=replace(rig.config.execution, style=style))
    return rig


def closes(rig: Rig) -> list[Intent]:
    return rig.orders(Purpose.CLOSE)


def naked(rig: Rig) -> Decimal:
    """What the venues show of the one leg and not of the other."""
    first, second = rig.shown
    return abs(first + second)


def most_naked(rig: Rig, until: State, sec: float) -> Decimal:
    """The most that stood alone on the way to a state."""
    worst = D(0)

    def there() -> bool:
        nonlocal worst
        worst = max(worst, naked(rig))
        return rig.state is until

    rig.until(there, sec)
    return worst


@pytest.mark.parametrize("style", ["concurrent", "sequential"])
def test_a_soft_close_goes_by_slices_with_the_interval_between(style: str) -> None:
    rig = large(style)
    rig.wish("close")
    assert most_naked(rig, State.IDLE, 20) <= SLICE
    assert rig.shown == FLAT == rig.held
    assert [one.quantity for one in closes(rig)] == [SLICE] * 10
    begun = sorted(one.created_us for one in closes(rig) if one.leg == 1)
    assert min(b - a for a, b in itertools.pairwise(begun)) >= 1_000_000


def test_a_close_as_a_maker_posts_a_slice_at_a_time() -> None:
    rig = large("maker_first")
    rig.wish("close")
    for n in range(1, 6):
        rig.until(lambda n=n: len(closes(rig)) == 2 * n - 1 and rig.venues.resting() != [], 12)  # type: ignore[misc]
        rig.run(3)  # five of them take longer than the deadline of one
        assert rig.venues.resting()[0].request.quantity == SLICE
        rig.fill_resting(str(SLICE))
    rig.until(lambda: rig.state is State.IDLE, 5)
    assert [one.tif for one in closes(rig)] == ["post_only", "ioc"] * 5
    assert rig.shown == FLAT


def test_a_soft_close_of_which_a_leg_fails_has_one_slice_to_restore() -> None:
    rig = large()
    rig.acts("spot", "fill", "fill", *times(SOFT_TRIES, "reject"))
    rig.wish("close")
    rig.until(lambda: rig.moves[-1] == "closing>active", 20)
    (restored,) = rig.orders(Purpose.RESTORE)
    assert (restored.leg, restored.quantity) == (1, SLICE)
    assert rig.shown == (D(30), D(-30)), "two slices are closed"


def test_the_market_that_refused_is_the_probe_of_the_next_close() -> None:
    rig = large()
    rig.acts("spot", *times(SOFT_TRIES, "reject"))
    rig.wish("close")
    rig.until(lambda: rig.moves[-1] == "closing>active", 20)
    rig.run(BACK_OFF_US / 1e6)
    rig.venues.shut.add(SPOT_KEY)
    before = len(closes(rig))
    rig.wish("close")
    rig.until(lambda: rig.moves[-1] == "active>closing", 2)
    assert most_naked(rig, State.ACTIVE, 20) == 0
    assert {one.leg for one in closes(rig)[before:]} == {0}
    rig.venues.shut.clear()
    rig.run(2 * BACK_OFF_US / 1e6)
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 30)


def test_a_shrink_goes_by_slices() -> None:
    rig = large()
    rig.max_ratio = {rig.pair: 0.5}
    rig.until(lambda: rig.shown == (D(25), D(-25)), 10)
    parts = [one.quantity for one in rig.orders(Purpose.SHRINK)]
    assert len(parts) == 6
    assert max(parts) <= SLICE


def test_a_hard_close_does_not() -> None:
    rig = large()
    rig.breakers = (Breaker(scope="global", level=Level.FLATTEN, reason="loss of the day"),)
    rig.until(lambda: rig.state is State.IDLE, 5)
    assert [one.quantity for one in closes(rig)] == [D(50)] * 2


def test_a_restart_amid_a_slice_goes_on_with_it() -> None:
    rig = large()
    rig.acts("perp", *times(2, "none"))
    rig.wish("close")
    rig.until(lambda: rig.shown == (D(40), D(-50)), 5)
    rig.restart()
    rig.until(lambda: rig.shown == (D(40), D(-40)), 60)
    assert most_naked(rig, State.IDLE, 30) <= SLICE
    assert rig.orders(Purpose.RESTORE) == []


def test_a_reverse_pair_is_closed_by_slices_contract_first() -> None:
    rig = LoanRig().reversed("5000")
    rig.wish("close")
    assert most_naked(rig, State.IDLE, 40) <= SLICE
    assert [one.leg for one in closes(rig)] == [1, 0] * 5
    assert rig.lender.borrowed == 0
    assert rig.shown == FLAT


@pytest.mark.parametrize(
    ("whole", "price", "part"),
    [
        ("50", "100", "10"),
        ("11", "100", "5.5"),  # equal parts: a slice and a rest that no venue takes would be worse
        ("10", "100", "10"),
        ("0", "100", "0"),
        ("0.0305", "400000", "0.002"),  # 12,200 USD: the step is coarse, no part is larger than allowed
    ],
)
def test_parts_are_equal_and_none_is_larger_than_allowed(whole: str, price: str, part: str) -> None:
    rig = Rig()
    for book in rig.venues.books.values():
        book.bid = book.ask = D(price)
    rig.run(1)
    assert part_of(rig.lane, Draft(rig.lane, rig.now), D(whole)) == D(part)


def test_an_excess_goes_before_any_slice() -> None:
    rig = large()
    rig.venues.held[PERP_KEY] += D(5)
    legs = rig.lane.state.legs
    rig.lane.state = replace(rig.lane.state, legs=(legs[0], replace(legs[1], quantity=D(-45))))
    rig.venues.shut.add(SPOT_KEY)
    rig.wish("close")
    rig.until(lambda: closes(rig) != [] or rig.orders(Purpose.TRIM) != [], 3)
    rig.run(1)
    assert {one.leg for one in rig.sent if one.purpose in (Purpose.CLOSE, Purpose.TRIM)} == {0}
    assert rig.shown == (D(50), D(-45))
