"""What Prometheus sees of each control: its level while it asks for one, nothing before and after."""

from __future__ import annotations

from libs.common.effects import Forget, Measure
from libs.common.metrics import Metrics
from tests.unit.risk.rig import Rig

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
