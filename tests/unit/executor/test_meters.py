"""What the executor measures: one state a pair, every order by its outcome, the way from the tick."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

from libs.common.effects import Measure
from libs.common.instant import Now
from libs.common.messages import Intent as Wanted
from libs.common.metrics import check_effects
from libs.exchange.trading_values import NeverSent, Rejected, Unknown
from services.executor import meters
from services.executor.events import OrderAnswered
from services.executor.gate import Refusal
from services.executor.lane import Lane
from services.executor.model import State

NO_FUNDS = Rejected(code="-2019", reason="funds", text="Margin is insufficient.")
NOW = Now(wall_us=100_000_000, market_ms=0, mono_us=50_000_000)


def lane_of(state: State = State.OPENING) -> Lane:
    known = SimpleNamespace(leg=1)
    lane = SimpleNamespace(
        pair="P", state=SimpleNamespace(state=state), intents={"id": known}, keys=(("a", "X"), ("b", "Y"))
    )
    return cast("Lane", lane)


def measured(effects: list[Any]) -> dict[tuple[str, ...], float]:
    check_effects(effects)
    assert all(isinstance(one, Measure) for one in effects)
    return {(one.metric, *one.labels.values()): one.value for one in effects}


def test_exactly_one_state_is_the_true_one() -> None:
    found = measured(list(meters.of_state(lane_of(State.STUCK))))
    assert len(found) == len(State)
    assert [key for key, value in found.items() if value == 1] == [("fundarb_pair_state", "P", "stuck")]


def with_legs(first: str, second: str, mids: dict[tuple[str, str], Decimal]) -> Lane:
    lane = cast("Any", lane_of())
    lane.state.legs = tuple(SimpleNamespace(quantity=Decimal(one)) for one in (first, second))
    lane.world = SimpleNamespace(mid=mids.get)
    return cast("Lane", lane)


def test_each_leg_is_told_in_dollars_at_its_own_price_and_with_its_sign() -> None:
    mids = {("a", "X"): Decimal(100), ("b", "Y"): Decimal("101.5")}
    assert measured(list(meters.of_legs(with_legs("2", "-2", mids)))) == {
        ("fundarb_leg_usd", "P", "a", "X"): 200.0,
        ("fundarb_leg_usd", "P", "b", "Y"): -203.0,
    }


def test_a_leg_without_a_price_is_not_called_nothing_while_it_is_held() -> None:
    mids = {("a", "X"): Decimal(100)}
    assert measured(list(meters.of_legs(with_legs("2", "-2", mids)))) == {
        ("fundarb_leg_usd", "P", "a", "X"): 200.0
    }
    assert measured(list(meters.of_legs(with_legs("0", "0", {})))) == {
        ("fundarb_leg_usd", "P", "a", "X"): 0.0,
        ("fundarb_leg_usd", "P", "b", "Y"): 0.0,
    }


def test_orders_are_counted_by_what_came_of_them() -> None:
    cases = {
        "denied": OrderAnswered(pair="P", id="id", refusal=Refusal("lease", "not ours")),
        "unknown": OrderAnswered(pair="P", id="id", outcome=Unknown(why="time-out")),
        "never_sent": OrderAnswered(pair="P", id="id", outcome=NeverSent(why="refused")),
        "rejected": OrderAnswered(pair="P", id="id", outcome=NO_FUNDS),
    }
    for outcome, event in cases.items():
        found = measured(list(meters.Orders().answered(lane_of(), event, NOW)))
        assert found == {("fundarb_orders_total", "P", "b", outcome): 1.0}
    strange = OrderAnswered(pair="P", id="of nobody", outcome=Unknown(why="?"))
    assert not list(meters.Orders().answered(lane_of(), strange, NOW))


def wish(tick_us: int | None) -> Wanted:
    return Wanted(
        pair="P",
        action="open",
        direction="forward",
        notional_usd=str(Decimal(100)),
        reason="",
        expires_us=0,
        tick_us=tick_us,
    )


def test_the_way_from_the_tick_is_measured_once_a_wish_and_never_by_an_old_tick() -> None:
    orders = meters.Orders()
    event = OrderAnswered(
        pair="P", id="id", outcome=Unknown(why="?"), latency_us=3_000, sent_mono_us=NOW.mono_us - 2_000
    )
    orders.asked(wish(NOW.wall_us - 12_000))
    first = measured(list(orders.answered(lane_of(), event, NOW)))
    assert first["fundarb_tick_to_order_seconds",] == 0.01
    assert first["fundarb_order_latency_seconds", "b"] == 0.003
    assert ("fundarb_tick_to_order_seconds",) not in measured(list(orders.answered(lane_of(), event, NOW)))
    orders.asked(wish(NOW.wall_us - meters.WAY_US_MAX - 10_000))
    assert ("fundarb_tick_to_order_seconds",) not in measured(list(orders.answered(lane_of(), event, NOW)))
