"""What Prometheus sees of each control: its level while it asks for one, nothing before and after."""

from __future__ import annotations

from libs.common.effects import Forget, Measure
from libs.common.metrics import Metrics
from tests.unit.risk.rig import Rig
from tests.unit.risk.world import BTC, replace

METRIC = "fundarb_control_level"


def shown(rig: Rig) -> dict[tuple[str, str], float]:
    """(scope, control) -> level, as a scrape would find it after all effects so far."""
    metrics = Metrics(deployment="main", service="risk")
    for effect in rig.effects:
        if isinstance(effect, Measure | Forget) and effect.metric == METRIC:
            metrics.apply(effect)
    return {
        (sample.labels["scope"], sample.labels["control"]): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
    }


async def test_a_control_is_shown_with_its_level_while_it_asks_for_one() -> None:
    rig = await Rig.started()
    assert shown(rig) == {}, "the first ten beats are over"
    await rig.command("pause", reason="look")
    await rig.command("halt", reason="look")
    assert shown(rig) == {("global", "operator_pause"): 1.0, ("global", "operator_halt"): 2.0}
    await rig.command("resume")
    assert shown(rig) == {("global", "operator_halt"): 2.0}
    await rig.command("reset", confirm=True)
    assert shown(rig) == {}


async def test_a_restart_shows_the_latches_of_the_life_before_it() -> None:
    rig = await Rig.started()
    await rig.command("halt", reason="look")
    rig.effects.clear()
    await rig.restart()
    assert shown(rig)["global", "operator_halt"] == 2.0


async def test_a_warning_that_forbids_nothing_is_shown_at_level_0_while_it_lasts_and_gone_after() -> None:
    """What CollateralLow goes by: the series itself, and not its value."""
    rig = await Rig.started()
    rig.world.hold(BTC, "0.02")
    short = rig.world.accounts["binance"].positions[0]
    assert short.mark is not None
    rig.world.account("binance", positions=(replace(short, liquidation_price=short.mark * 1.14),))
    await rig.run(1.0)
    assert shown(rig) == {("pair:" + BTC, "collateral_warn"): 0.0}
    assert rig.shut() == {}
    rig.world.account("binance", positions=(short,))
    await rig.run(601.0, step_sec=1.0)
    assert shown(rig) == {}
