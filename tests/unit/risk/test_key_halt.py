"""A key that is found bad later halts everything until a person says otherwise (risk.md, keys and access)."""

from __future__ import annotations

import pytest

from libs.common.effects import Health
from libs.common.messages import ServiceHealth
from libs.common.messages_exec import Level
from tests.helpers.servers import eventually
from tests.unit.common.runtime_rig import Puppet, on_started, running
from tests.unit.executor import test_keys as keys
from tests.unit.risk.rig import Rig
from tests.unit.risk.world import BTC, BUILD, replace

BAD = "binance: the API key may withdraw: switch off withdrawals"


@pytest.fixture
async def rig() -> Rig:
    return await Rig.started()


async def halted(rig: Rig) -> Rig:
    """An executor has said it for a second, and the key is sound again since."""
    rig.world.key_problems = (BAD,)
    await rig.run(1.0)
    rig.world.key_problems = ()
    return rig


async def test_a_bad_key_halts_everything_and_pages_once(rig: Rig) -> None:
    rig.world.key_problems = (BAD,)
    await rig.run(60.0, step_sec=1.0)
    assert rig.shut() == {"global": ("reduce_only", ("api_key",))}
    breaker = rig.breaker("global")
    assert breaker is not None
    assert "may withdraw" in breaker.reason
    assert rig.alerts("api_key") == [("critical", "risk:api_key:global")]


async def test_a_key_that_is_sound_again_ends_nothing_by_itself(rig: Rig) -> None:
    await halted(rig)
    await rig.run(3_600.0, step_sec=1.0)
    assert rig.level("global") is Level.REDUCE_ONLY
    await rig.restart()
    await rig.run(4.0)
    assert rig.shut() == {"global": ("reduce_only", ("api_key",))}, "it is in the store"
    said = await rig.command("reset", confirm=True)
    assert said is not None
    assert said.ok
    await rig.run(10.0)
    assert rig.shut() == {}


async def test_a_reset_is_refused_while_an_executor_says_so_and_for_five_seconds_after(rig: Rig) -> None:
    rig.world.key_problems = (BAD,)
    await rig.run(10.0)
    for _ in range(2):
        said = await rig.command("reset", confirm=True)
        assert said is not None
        assert said.error is not None
        assert said.error.code == "still_holds"
        assert "may withdraw" in said.error.message
        assert "fundarb reload" in said.error.message
        rig.world.key_problems = ()
        await rig.run(4.0)
    await rig.run(2.0)
    said = await rig.command("reset", confirm=True)
    assert said is not None
    assert said.ok
    await rig.run(10.0)
    assert rig.shut() == {}


async def test_a_second_executor_with_sound_keys_takes_nothing_back(rig: Rig) -> None:
    rig.world.key_problems = (BAD,)
    await rig.run(1.0)
    other = rig.world.pulse("executor", rig.clock.now())
    await rig.hear("sys.health.executor", replace(other, key_problems=(), pid=2))
    said = await rig.command("reset", confirm=True)
    assert said is not None
    assert not said.ok


async def test_one_pulse_is_enough_and_other_services_have_no_word_on_keys(rig: Rig) -> None:
    pulse = rig.world.pulse("signal", rig.clock.now())
    await rig.hear("sys.health.signal", replace(pulse, key_problems=(BAD,)))
    await rig.run(1.0)
    assert rig.shut() == {}
    pulse = rig.world.pulse("executor", rig.clock.now())
    await rig.hear("sys.health.executor", replace(pulse, key_problems=(BAD,)))
    await rig.run(0.5)
    assert rig.level("global") is Level.REDUCE_ONLY


async def pulse_of(health: list[Health]) -> ServiceHealth:
    """What a real service with these health effects says of itself."""
    async with running(Puppet(on_started(*health))) as service:
        await eventually(lambda: len(service.runtime.problems) == len([one for one in health if one.problem]))
        return service.beat.beat(lag_us=0)


async def test_what_the_executor_finds_is_what_risk_halts_for(rig: Rig) -> None:
    watched = keys.Watched()
    core = keys.watching(watched)
    watched.says = keys.BAD
    found = [one for one in keys.driven(core, watched, keys.HOUR_SEC) if isinstance(one, Health)]
    pulse = await pulse_of([Health(key="other", problem="no matter of keys"), *found])
    assert len(pulse.problems) == 2
    (why,) = pulse.key_problems
    assert why.startswith("binance: the API key may withdraw")
    rig.world.hold(BTC, "0.02")
    await rig.hear("sys.health.executor", replace(pulse, service="executor", build=BUILD))
    await rig.run(1.0)
    assert rig.shut()["global"] == ("reduce_only", ("api_key",))


async def test_a_venue_out_of_reach_halts_nothing_while_it_is_tried_again(
    rig: Rig,
) -> None:
    watched = keys.Watched()
    core = keys.watching(watched)
    watched.says = ("network", "connection refused")
    found = [one for one in keys.driven(core, watched, keys.HOUR_SEC + 3_000) if isinstance(one, Health)]
    assert (await pulse_of([Health(key="other", problem="reachable"), *found])).key_problems == ()
    found = [one for one in keys.driven(core, watched, keys.HOUR_SEC) if isinstance(one, Health)]
    assert "could not be read for two hours" in (await pulse_of(found)).key_problems[0]
