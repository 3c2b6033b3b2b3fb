"""A stricter input never yields a laxer permit; hysteresis enters late, leaves later, and forgets nothing."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.messages_exec import Level
from services.risk.board import Cause, fold
from services.risk.hysteresis import Extremes, Switch, Window
from tests.unit.risk.rig import Rig, order
from tests.unit.risk.world import BTC, contract

SCOPES = ("global", "venue:binance", "venue:bitget", f"pair:{BTC}", "symbol:binance-BTC-USDT-PERP")


class Inputs(msgspec.Struct, frozen=True):
    """Figures of a world, each the worse the greater it is."""

    offset_ms: float
    failed: int
    lost_usd: float
    nearness: float  # 1 - distance to liquidation
    naked_usd: float
    notional_usd: float
    leverage: float
    rejected: int
    silent: bool


inputs = st.builds(
    Inputs,
    st.floats(0, 1_000),
    st.integers(0, 50),
    st.floats(0, 1_500),
    st.floats(0.5, 0.99),
    st.floats(0, 300),
    st.floats(100, 8_000),
    st.floats(1, 10),
    st.integers(0, 4),
    st.booleans(),
)


def worse(one: Inputs, other: Inputs) -> Inputs:
    """The worse of each figure."""
    return Inputs(
        *(
            max(pair)
            for pair in zip(msgspec.structs.astuple(one), msgspec.structs.astuple(other), strict=True)
        )
    )


async def levels(given_inputs: Inputs) -> tuple[dict[str, int], float]:
    """What a world of these inputs comes to after a minute: scope -> rank, and the share that is left."""
    rig = await Rig.started()
    rig.world.hold(BTC, "0.1")
    await rig.run(1.0)
    end = 50_000.0 * (2 - given_inputs.nearness)
    shown = msgspec.structs.replace(
        contract("BTC-USDT-PERP", "-0.1", 50_000.0, end), leverage=given_inputs.leverage
    )
    rig.world.account(
        "binance",
        positions=(shown,),
        clock_offset_ms=given_inputs.offset_ms,
        calls=50,
        calls_failed=given_inputs.failed,
        equity_usd=10_000.0 - given_inputs.lost_usd,
    )
    notional = Decimal(str(given_inputs.notional_usd))
    rig.world.pair(BTC, naked_usd=given_inputs.naked_usd, notional_usd=notional)
    if given_inputs.silent:
        rig.world.quiet.add("sys.health.executor")
    for number in range(given_inputs.rejected):
        await rig.hear("exec.order.x", order(f"o{number}", "rejected", reason="no"))
    await rig.run(40.0, step_sec=1.0)
    ranks = {one.scope: one.level.rank for one in rig.permit.breakers}
    return ranks, rig.permit.max_ratio.get(BTC, 1.0)


@given(inputs, inputs)
@settings(derandomize=True, max_examples=25, deadline=None)
def test_worse_inputs_never_yield_a_laxer_permit(one: Inputs, other: Inputs) -> None:
    async def both() -> Any:
        return await levels(one), await levels(worse(one, other))

    (mild, share), (harsh, less) = asyncio.run(both())
    for scope, rank in mild.items():
        assert harsh.get(scope, 0) >= rank, scope
    assert less <= share


causes = st.builds(
    Cause,
    scope=st.sampled_from(SCOPES),
    level=st.sampled_from(list(Level)),
    control=st.sampled_from(["a", "b", "c"]),
    reason=st.just("r"),
    until=st.just("u"),
    latched=st.booleans(),
    since_us=st.integers(0, 9),
)


@given(st.lists(causes, max_size=12), causes)
@settings(derandomize=True, max_examples=200)
def test_one_more_cause_never_opens_anything(held: list[Cause], more: Cause) -> None:
    before = {one.scope: one.level.rank for one in fold(held)}
    after = {one.scope: one.level.rank for one in fold([*held, more])}
    assert all(after[scope] >= rank for scope, rank in before.items())
    assert after.get(more.scope, 0) >= more.level.rank


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.booleans()), max_size=40))
@settings(derandomize=True, max_examples=300)
def test_a_switch_goes_off_only_after_unbroken_calm(looks: list[tuple[int, bool, bool]]) -> None:
    switch, at, calm_since, over_since = Switch(enter=5, leave=10), 0, None, None
    for pause, over, calm in looks:
        at += pause
        before = switch.on
        over_since = (over_since if over_since is not None else at) if over else None
        calm_now = calm and not over
        calm_since = (calm_since if calm_since is not None else at) if calm_now else None
        now_on = switch.judge(at, over=over, calm=calm)
        if now_on and not before:
            assert over_since is not None
            assert at - over_since >= 5
        if before and not now_on:
            assert calm_since is not None
            assert at - calm_since >= 10


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(1, 1_000)), min_size=1, max_size=60))
@settings(derandomize=True, max_examples=200)
def test_extremes_are_those_of_the_window(values: list[tuple[int, float]]) -> None:
    window, at, all_of = Extremes(60), 0, []
    for pause, value in values:
        at += pause
        all_of.append((at, value))
        window.add(at, value)
        inside = [one for when, one in all_of if at - when <= 60]
        assert window.spread(at) == (max(inside) - min(inside)) / min(inside)


@given(st.lists(st.integers(0, 30), max_size=60))
@settings(derandomize=True, max_examples=100)
def test_a_window_counts_what_lies_within(pauses: list[int]) -> None:
    window, at, all_of = Window(60), 0, []
    for pause in pauses:
        at += pause
        all_of.append(at)
        window.add(at)
        assert window.count(at) == sum(at - when < 60 for when in all_of)
