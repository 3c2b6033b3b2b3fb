"""A config that changed while running: pairs are judged by the new one as if it had always been there."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from libs.common.config.schema import Config, Costs, Limits, Thresholds, VenueCosts
from libs.common.effects import Note, Reloaded
from libs.common.messages import Opportunity
from tests.unit.signal.world import World, config, of, opportunities, ready

NEW = {
    "thresholds": config(thresholds=Thresholds(daily_funding_min=0.01, max_entry_basis_bps=1)),
    "costs": config(costs=Costs(taker=0.002, slippage_bps=9, venues={"bybit": VenueCosts(maker=0.0)})),
    "limits": config(limits=Limits(max_notional_usd=500, max_pairs=1)),
    "several": config(costs=Costs(borrow_daily=0.001), thresholds=Thresholds(consecutive_periods=9)),
}


def judged(world: World) -> dict[str, Any]:
    return {pair: figures(one) for pair, one in opportunities(world.round()).items()}


def figures(one: Opportunity) -> Any:
    return msgspec.structs.replace(one, eval_us=0, tick_us=None)


@pytest.mark.parametrize("name", NEW)
def test_a_new_config_judges_as_if_it_had_always_been_there(name: str) -> None:
    changed, always = ready(), World(NEW[name])
    before = judged(changed)
    assert before
    effects = changed.do(Reloaded(config=NEW[name]))
    assert not of(Note, effects), "it is an event that signal knows"
    always.start()
    for world in (changed, always):
        world.everything()
    after, wanted = judged(changed), judged(always)
    assert after.keys() == wanted.keys()
    for pair, one in after.items():
        assert one.refusals == wanted[pair].refusals
        assert one.net_daily_usd == wanted[pair].net_daily_usd
    assert any(one != before[pair] for pair, one in after.items()), "the change shows"


def test_the_default_config_is_what_it_was() -> None:
    world = ready()
    before = judged(world)
    world.do(Reloaded(config=Config(**{f: getattr(world.config, f) for f in world.config.__struct_fields__})))
    after = judged(world)
    assert {pair: one.refusals for pair, one in before.items()} == {
        p: one.refusals for p, one in after.items()
    }
