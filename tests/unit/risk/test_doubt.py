"""Doubt is never calm: a second executor's word, no price, no figures, a clock set back, a store away."""

from __future__ import annotations

from decimal import Decimal

from libs.common import subjects
from libs.common.instant import US_PER_SEC
from libs.common.messages import ServiceHealth
from services.risk.actor import EARLY_MAX
from tests.unit.risk.rig import Rig, order
from tests.unit.risk.world import BTC, BUILD, ETH, World, contract, replace

BTC_SCOPE = f"pair:{BTC}"
AN_HOUR_US = 3_600 * US_PER_SEC


async def held() -> Rig:
    rig = await Rig.started()
    rig.world.hold(BTC, "0.02")
    await rig.run(1.0)
    assert rig.shut() == {}
    return rig


async def standby(rig: Rig) -> None:
    """An executor that does not lead the pair says what it has of it: nothing."""
    blank = World(rig.config).pairs[BTC]
    said = replace(blank, owner="", version=0, wall_us=rig.clock.now().wall_us)
    await rig.hear(subjects.exec_pair(BTC), said)


# --- who has a word about a pair --------------------------------------------------------------------


async def test_an_executor_that_does_not_lead_a_pair_hides_no_naked_leg() -> None:
    rig = await held()
    rig.world.pair(BTC, state="unwinding", naked_usd=900.0)
    for _ in range(28):
        await rig.run(5.0, step_sec=1.0)
        await standby(rig)
    assert rig.shut()["global"] == ("reduce_only", ("naked_exposure",))


async def test_nor_an_unknown_order() -> None:
    rig = await held()
    unknown = replace(order("a", "unknown"), wall_us=rig.clock.now().wall_us)
    await rig.hear(subjects.exec_order(BTC), unknown)
    rig.world.quiet.add(subjects.exec_pair(BTC))  # its leader has not said yet that it counts one
    await standby(rig)
    await rig.run(0.5)
    assert "unknown_orders" in rig.shut()["venue:binance"][1]


async def test_nor_a_position_that_is_not_what_the_pairs_say() -> None:
    rig = await held()
    rig.world.account("binance", positions=(contract("BTC-USDT-PERP", "-0.5", 5e4, 7.5e4),))
    for _ in range(10):
        await rig.run(2.0, step_sec=1.0)
        await standby(rig)
    assert rig.shut()[BTC_SCOPE] == ("reduce_only", ("reconcile",))


async def test_words_of_one_executor_count_although_its_clock_was_set_back() -> None:
    rig = await held()
    rig.clock.set_wall(by_us=-AN_HOUR_US)
    await rig.run(120.0, step_sec=1.0)
    assert rig.shut() == {}
    rig.world.pair(BTC, state="stuck", reason="40 tries")
    await rig.run(1.0)
    assert rig.shut()[BTC_SCOPE] == ("reduce_only", ("stuck",))


async def test_attempts_to_open_before_and_after_a_clock_was_set_back_are_no_burst() -> None:
    rig = await Rig.started()
    rig.world.quiet.add(subjects.exec_pair(BTC))
    status = rig.world.pairs[BTC]

    async def attempt(version: int) -> None:
        said = {"state": "opening", "from_state": "idle", "version": version}
        await rig.hear(subjects.exec_pair(BTC), replace(status, **said, wall_us=rig.clock.now().wall_us))

    await attempt(10)
    rig.clock.set_wall(by_us=-AN_HOUR_US)
    for version in (11, 12, 13):
        await rig.run(300.0, step_sec=5.0)
        await attempt(version)
    assert "open_attempts" not in rig.shut().get(BTC_SCOPE, ("", ()))[1]
    await attempt(14)
    await attempt(15)
    assert "open_attempts" in rig.shut()[BTC_SCOPE][1]


async def test_a_former_leader_has_no_word_while_the_new_one_is_heard() -> None:
    rig = await held()
    former = replace(rig.world.pairs[BTC], wall_us=rig.clock.now().wall_us)
    rig.world.pair(BTC, owner="e2", state="stuck", reason="40 tries")
    await rig.run(1.0)
    await rig.hear(subjects.exec_pair(BTC), former)
    await rig.run(0.25)
    assert rig.shut()[BTC_SCOPE] == ("reduce_only", ("stuck",))


async def test_a_new_leader_whose_clock_is_behind_is_believed_when_the_former_is_silent() -> None:
    rig = await held()
    rig.world.quiet.add(subjects.exec_pair(BTC))
    said = replace(
        rig.world.pairs[BTC], owner="e2", state="stuck", wall_us=rig.clock.now().wall_us - AN_HOUR_US
    )
    await rig.hear(subjects.exec_pair(BTC), said)
    assert "stuck" not in rig.shut().get(BTC_SCOPE, ("", ()))[1]
    await rig.run(11.0, step_sec=1.0)
    await rig.hear(subjects.exec_pair(BTC), said)
    await rig.run(0.25)
    assert "stuck" in rig.shut()[BTC_SCOPE][1]


async def test_each_of_two_executors_has_a_clock_of_its_own() -> None:
    rig = await held()
    for _ in range(8):
        pulse = ServiceHealth(
            service="executor",
            ok=True,
            build=BUILD,
            pid=2,
            uptime_sec=1.0,
            lag_ms=0.0,
            inbox_depth=0,
            wall_us=rig.clock.now().wall_us - 2 * US_PER_SEC,
        )
        await rig.hear(subjects.health("executor"), pulse)
        await rig.run(1.0)
    assert rig.shut()["global"] == ("no_opens", ("process_clock",))
    await rig.run(25.0)
    assert rig.shut() == {}, "it says nothing any more"


# --- figures that are missing -----------------------------------------------------------------------


async def test_a_leg_alone_is_naked_also_where_its_executor_has_no_price() -> None:
    rig = await held()
    rig.world.pair(BTC, state="unwinding", delta=Decimal("0.02"), delta_ratio=1.0, naked_usd=0.0)
    await rig.run(132.0, step_sec=1.0)
    assert rig.shut()["global"] == ("reduce_only", ("naked_exposure",))
    breaker = rig.breaker("global")
    assert breaker is not None
    assert "naked by 1000 USD" in breaker.reason


async def test_with_a_price_the_executors_figure_stands() -> None:
    rig = await held()
    legs = rig.world.pairs[BTC].legs
    priced = (replace(legs[0], mid=5e4), legs[1])
    rig.world.pair(BTC, legs=priced, delta_ratio=1.0, naked_usd=49.0)
    await rig.run(140.0, step_sec=1.0)
    assert rig.shut() == {}


async def test_a_contract_of_which_neither_liquidation_nor_margin_is_told_is_not_enlarged() -> None:
    rig = await held()
    untold = (contract("BTC-USDT-PERP", "-0.02", 5e4, None),)
    rig.world.account("binance", positions=untold, margin_ratio=None)
    await rig.run(29.0, step_sec=1.0)
    assert rig.shut() == {}
    await rig.run(3.0)
    assert rig.shut() == {BTC_SCOPE: ("no_opens", ("collateral_warn",))}
    assert rig.alerts("collateral_warn") == [("warning", f"risk:collateral_warn:{BTC_SCOPE}")]
    rig.world.account("binance", margin_ratio=0.01)
    await rig.run(1.0)
    assert rig.shut() == {}


async def test_a_day_that_began_with_nothing_counts_from_the_first_money() -> None:
    rig = Rig()
    for venue in ("binance", "bitget"):
        rig.world.account(venue, equity_usd=0.0, balances=(), unexplained_usd=0.0)  # its books have begun
    await rig.run(4.0)
    rig.world.account("binance", equity_usd=10_000.0)
    await rig.run(2.0)
    rig.world.account("binance", equity_usd=9_500.0)
    await rig.run(32.0, step_sec=1.0)
    assert rig.level("global") == "flatten"


# --- a store that refuses ------------------------------------------------------------------------------


async def test_a_reset_that_the_store_refuses_forgives_no_loss() -> None:
    rig = await held()
    rig.world.account("bitget", equity_usd=9_500.0)  # 2.5 %
    await rig.run(32.0, step_sec=1.0)
    assert rig.level("global") == "reduce_only"
    rig.down = True
    reply = await rig.command("reset", confirm=True)
    assert reply is not None
    assert not reply.ok
    rig.down = False
    rig.world.account("bitget", equity_usd=9_100.0)  # 4.5 % since the morning, 2 % since the reset
    await rig.run(34.0, step_sec=1.0)
    assert rig.level("global") == "flatten"
    reply = await rig.command("reset", confirm=True)
    assert reply is not None
    assert reply.ok, reply.error
    await rig.run(60.0, step_sec=1.0)
    assert rig.shut() == {}, "one that the store has taken does"


async def test_a_halt_is_not_lost_behind_questions_while_the_store_is_away() -> None:
    rig = Rig()
    rig.down = True
    await rig.run(0.25)
    for _ in range(EARLY_MAX + 5):
        assert await rig.command("status") is None
    assert await rig.command("halt") is None
    rig.down = False
    await rig.run(4.0)
    assert rig.shut()["global"] == ("reduce_only", ("operator_halt",))


async def test_what_finds_no_room_while_the_store_is_away_is_told_and_has_its_line() -> None:
    rig = Rig()
    rig.down = True
    await rig.run(0.25)
    for _ in range(EARLY_MAX):
        assert await rig.command("pause") is None
    reply = await rig.command("halt", reason="look", actor="anna")
    assert reply is not None
    assert reply.error is not None
    assert reply.error.code == "not_ready"
    assert [(one.subject, one.decision) for one in rig.audits()] == [("cmd.halt", "refused")]
    assert await rig.command("positions") is None, "another service's"


async def test_a_latch_on_what_has_left_the_config_is_ended_by_a_reset_and_takes_no_other() -> None:
    rig = await Rig.started()
    await rig.command("flatten", scope="venue:bitget", confirm=True)
    await rig.command("pause", pair=ETH)
    without = Rig(replace(rig.config, pairs=()), store=rig.store)
    await without.run(4.0)
    assert without.shut().keys() == {"venue:bitget", f"pair:{ETH}"}
    reply = await without.command("halt", scope="venue:bitget")
    assert reply is not None
    assert reply.error is not None
    assert reply.error.code == "unknown_scope"
    for verb, named in (("reset", {"scope": "venue:bitget"}), ("resume", {"pair": ETH})):
        reply = await without.command(verb, confirm=True, **named)
        assert reply is not None
        assert reply.ok, reply.error
    await without.run(0.5)
    assert without.shut() == {}
