"""Rows about what the executor does: over their bounds, and back through their hysteresis or a reset."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.unit.risk.rig import Rig, fill, order
from tests.unit.risk.world import BTC, ETH, contract, replace

BTC_SCOPE = f"pair:{BTC}"
PERP_SCOPE = "symbol:binance-BTC-USDT-PERP"


async def reset(rig: Rig, scope: str) -> None:
    reply = await rig.command("reset", scope=scope, confirm=True)
    assert reply is not None
    assert reply.ok, reply.error
    await rig.run(0.5)


async def test_naked_longer_than_it_may_be_halts_everything_until_a_reset() -> None:
    rig = await Rig.started()
    rig.world.hold(BTC, "0.02")
    rig.world.pair(BTC, state="unwinding", naked_usd=51.0)
    await rig.run(129.0, step_sec=1.0)
    assert rig.level("global") == "normal", "open timeout 10 s and the ladder's 120 s"
    await rig.run(3.0)
    assert rig.shut()["global"] == ("reduce_only", ("naked_exposure",))
    assert rig.alerts("naked_exposure") == [("critical", "risk:naked_exposure:global")]
    reply = await rig.command("reset", confirm=True)
    assert reply is not None
    assert reply.error is not None
    assert reply.error.code == "still_holds"
    rig.world.pair(BTC, state="active", naked_usd=50.0)
    await rig.run(60.0, step_sec=1.0)
    assert rig.level("global") == "reduce_only", "latched"
    await reset(rig, "global")
    assert rig.shut() == {}


async def test_each_unknown_order_lengthens_what_naked_may_last() -> None:
    rig = await Rig.started()
    rig.world.hold(BTC, "0.02")
    rig.world.pair(BTC, state="unwinding", naked_usd=500.0, orders_unknown=1)
    await rig.run(140.0, step_sec=1.0)
    assert rig.level("global") == "normal"
    await rig.run(55.0, step_sec=1.0)
    assert rig.level("global") == "reduce_only"


async def test_small_parts_of_large_legs_are_not_naked() -> None:
    rig = await Rig.started()
    rig.world.hold(BTC, "0.02")
    rig.world.pair(BTC, naked_usd=99.0, notional_usd=Decimal(2_000))
    await rig.run(140.0, step_sec=1.0)
    assert rig.shut() == {}


async def test_a_stuck_pair_is_halted_and_everything_while_it_is_naked() -> None:
    rig = await Rig.started()
    rig.world.hold(BTC, "0.02")
    rig.world.pair(BTC, state="stuck", reason="40 tries")
    await rig.run(1.0)
    assert rig.shut() == {BTC_SCOPE: ("reduce_only", ("stuck",))}
    rig.world.pair(BTC, state="stuck", reason="40 tries", naked_usd=900.0)
    await rig.run(1.0)
    assert set(rig.shut()) == {BTC_SCOPE, "global"}
    rig.world.pair(BTC, state="active", naked_usd=0.0)
    await rig.run(1.0)
    assert rig.shut() == {}


@pytest.mark.parametrize(
    ("subject", "silent_sec"), [("sys.health.executor", 5.0), ("exec.account.binance", 30.0)]
)
async def test_an_executor_that_is_silent_while_something_is_held(subject: str, silent_sec: float) -> None:
    rig = await Rig.started()
    rig.world.quiet.add(subject)
    await rig.run(17.0, step_sec=1.0)
    assert "executor_silent" not in str(rig.shut()), "nothing is held"
    rig.world.quiet.clear()
    await rig.run(1.0)
    rig.world.hold(BTC, "0.02")
    await rig.run(1.0)
    rig.world.quiet.add(subject)
    await rig.run(silent_sec - 1.0)
    assert rig.level("global") == "normal"
    await rig.run(3.0)
    assert rig.shut()["global"][0] == "no_opens"
    assert "executor_silent" in rig.shut()["global"][1]
    assert rig.alerts("executor_silent") == [("critical", "risk:executor_silent:global")]
    rig.world.quiet.clear()
    await rig.run(58.0, step_sec=1.0)
    assert "executor_silent" in rig.shut()["global"][1]
    await rig.run(4.0, step_sec=1.0)
    assert rig.shut() == {}


async def test_another_build_opens_nothing() -> None:
    rig = await Rig.started()
    rig.world.build = "b2"
    await rig.run(1.0)
    assert rig.shut() == {"global": ("no_opens", ("build",))}
    rig.world.build = "b1"
    await rig.run(1.0)
    assert rig.shut() == {}


async def test_one_unknown_order_shuts_its_venue_until_it_is_resolved() -> None:
    rig = await Rig.started()
    await rig.hear("exec.order.x", order("o1", "unknown"))
    assert rig.shut() == {"venue:binance": ("no_opens", ("unknown_orders",))}, "at once"
    await rig.hear("exec.order.x", order("o1", "done"))
    assert rig.shut() == {}


async def test_a_resolution_that_was_missed_is_learned_from_the_pair() -> None:
    rig = await Rig.started()
    await rig.hear("exec.order.x", order("o1", "unknown"))
    await rig.run(2.0)
    assert rig.shut() == {}, "the pair says that it has none"
    rig.world.hold(ETH, "0.5")
    rig.world.pair(ETH, orders_unknown=1)
    await rig.run(1.0)
    assert set(rig.shut()) == {"venue:binance", "venue:bitget"}, "which of its venues is not known"


async def test_three_unknown_orders_in_ten_minutes_halt_everything_until_a_reset() -> None:
    rig = await Rig.started()
    for name in ("o1", "o1", "o2"):
        await rig.hear("exec.order.x", order(name, "unknown"))
        await rig.hear("exec.order.x", order(name, "not_accepted"))
    assert rig.shut() == {}, "said twice is one order"
    await rig.hear("exec.order.x", order("o3", "unknown"))
    await rig.hear("exec.order.x", order("o3", "done"))
    assert rig.shut() == {"global": ("reduce_only", ("unknown_orders",))}
    await rig.run(620.0, step_sec=1.0)
    assert rig.level("global") == "reduce_only"
    await reset(rig, "global")
    assert rig.shut() == {}


async def test_three_failures_in_ten_minutes_pause_the_venue_for_a_quarter_of_an_hour() -> None:
    rig = await Rig.started()
    for name in ("p1", "p2", "p3"):
        await rig.hear("exec.order.x", order(name, "rejected", reason="-5022", failure="post_only"))
    words = "a market maker is not allowed immediately (-4400)"  # whatever the venue's words are
    for name in ("o1", "o2"):
        await rig.hear("exec.order.x", order(name, "rejected", reason=words, failure="not_tradable"))
    assert rig.shut() == {}, "who only wanted to be a maker has not failed"
    await rig.hear("exec.order.x", order("o3", "rejected", reason="no money (-2019)"))
    assert rig.shut() == {"venue:binance": ("no_opens", ("order_failures",))}
    await rig.restart()
    assert "order_failures" in rig.shut()["venue:binance"][1]
    await rig.run(898.0, step_sec=1.0)
    assert "venue:binance" in rig.shut()
    await rig.run(4.0, step_sec=1.0)
    assert rig.shut() == {}


async def test_attempts_to_open_two_a_second_and_twenty_a_minute() -> None:
    rig = await Rig.started()
    status = rig.world.pairs[BTC]

    async def attempt(version: int) -> None:
        move = {"state": "opening", "from_state": "idle", "version": version}
        await rig.hear("exec.pair.x", replace(status, **move, wall_us=rig.clock.now().wall_us))

    for version in (10, 11, 11, 10):
        await attempt(version)
    assert rig.shut() == {}
    await attempt(12)
    assert rig.shut() == {BTC_SCOPE: ("no_opens", ("open_attempts",))}
    await rig.run(70.0, step_sec=1.0)
    assert BTC_SCOPE in rig.shut()
    await reset(rig, BTC_SCOPE)
    assert rig.shut() == {}
    for version in range(20, 40):
        await attempt(version)
        await rig.run(1.0)
    assert rig.shut() == {}
    await attempt(40)
    assert rig.shut() == {BTC_SCOPE: ("no_opens", ("open_attempts",))}


async def test_attempts_count_when_they_were_made_and_not_when_they_were_heard_of() -> None:
    rig = await Rig.started()
    status, made_us = rig.world.pairs[BTC], rig.clock.now().wall_us

    async def attempt(version: int, after_us: int) -> None:
        move = {"state": "opening", "from_state": "idle", "version": version}
        await rig.hear("exec.pair.x", replace(status, **move, wall_us=made_us + after_us))

    await rig.run(5.0)
    for number in range(5):  # two a second, all of them heard of in the same moment
        await attempt(10 + number, 500_000 * number)
    assert rig.shut() == {}
    await attempt(15, 2_100_000)
    assert rig.shut() == {BTC_SCOPE: ("no_opens", ("open_attempts",))}, "however late it is heard of"


async def test_dear_fills_shut_their_symbol_for_an_hour_and_one_very_dear_until_a_reset() -> None:
    rig = await Rig.started()
    for number in range(3):
        await rig.hear("exec.fill.x", fill(f"cheap{number}", 14.9))
    await rig.hear("exec.fill.x", fill("gain", -80.0, side="sell"))
    await rig.run(0.5)
    assert rig.shut() == {}, "three times the modelled 5 bps are allowed"
    for number in (1, 2, 2, 3):
        await rig.hear("exec.fill.x", fill(f"dear{number}", 15.1, side="sell"))
    await rig.run(0.5)
    assert rig.shut() == {PERP_SCOPE: ("no_opens", ("slippage",))}
    await rig.run(3_598.0, step_sec=1.0)
    assert PERP_SCOPE in rig.shut()
    await rig.run(5.0, step_sec=1.0)
    assert rig.shut() == {}
    await rig.hear("exec.fill.x", fill("awful", 30.1))
    await rig.run(0.5)
    assert rig.shut() == {PERP_SCOPE: ("no_opens", ("slippage_once",))}
    rig.clock.advance(sec=90_000.0)
    await rig.run(35.0, step_sec=1.0)
    assert rig.shut() == {PERP_SCOPE: ("no_opens", ("slippage_once",))}
    await reset(rig, PERP_SCOPE)
    assert rig.shut() == {}


async def test_three_unwinds_in_an_hour_quarantine_both_symbols_for_a_day() -> None:
    rig = await Rig.started()
    for version in (10, 20, 30):
        assert rig.shut() == {}
        move = {"state": "unwinding", "from_state": "opening", "version": version}
        status = replace(rig.world.pairs[BTC], **move, wall_us=rig.clock.now().wall_us)
        await rig.hear("exec.pair.x", status)
        await rig.run(60.0, step_sec=1.0)
    quarantined = {PERP_SCOPE, "symbol:binance-BTC-USDT"}
    assert set(rig.shut()) == quarantined
    await rig.restart()
    await rig.run(4.0)
    assert set(rig.shut()) == quarantined
    rig.clock.advance(sec=86_400 - 200.0)
    await rig.run(40.0, step_sec=1.0)
    assert set(rig.shut()) == quarantined
    rig.clock.advance(sec=130.0)
    await rig.run(40.0, step_sec=1.0)
    assert rig.shut() == {}


async def test_a_position_that_is_not_what_the_pairs_say_halts_them() -> None:
    rig = await Rig.started()
    rig.world.hold(BTC, "0.02")
    await rig.run(12.0)
    assert rig.shut() == {}
    rig.world.account("binance", positions=(contract("BTC-USDT-PERP", "-0.0185", 5e4, 7.5e4),))
    await rig.run(4.0)
    assert rig.shut() == {}, "twice, five seconds apart"
    await rig.run(3.0)
    assert rig.shut() == {BTC_SCOPE: ("reduce_only", ("reconcile",))}
    reply = await rig.command("reset", scope=BTC_SCOPE, confirm=True)
    assert reply is not None
    assert not reply.ok, "only after a clean reconcile"
    rig.world.account("binance", positions=(contract("BTC-USDT-PERP", "-0.02", 5e4, 7.5e4),))
    await rig.run(2.0)
    await reset(rig, BTC_SCOPE)
    assert rig.shut() == {}


async def test_a_lot_of_difference_or_an_order_under_way_is_no_finding() -> None:
    rig = await Rig.started()
    rig.world.hold(BTC, "0.02")
    rig.world.account("binance", positions=(contract("BTC-USDT-PERP", "-0.021", 5e4, 7.5e4),))
    await rig.run(20.0)
    assert rig.shut() == {}
    rig.world.pair(BTC, orders_open=1)
    rig.world.account("binance", positions=(contract("BTC-USDT-PERP", "-0.03", 5e4, 7.5e4),))
    await rig.run(30.0)
    assert rig.shut() == {}


async def test_a_look_right_behind_a_change_may_be_older_than_it_and_proves_nothing() -> None:
    rig = await Rig.started()
    rig.world.hold(BTC, "0.02")
    wrong = replace(
        rig.world.accounts["binance"], positions=(contract("BTC-USDT-PERP", "-0.01", 5e4, 7.5e4),)
    )
    rig.world.quiet |= {"exec.account.binance", f"exec.pair.{BTC}"}
    await rig.hear("exec.pair.x", replace(rig.world.pairs[BTC], wall_us=rig.clock.now().wall_us))
    for pause_sec in (0.2, 5.2):
        await rig.run(pause_sec, step_sec=0.2)
        await rig.hear("exec.account.binance", replace(wrong, wall_us=rig.clock.now().wall_us))
    await rig.run(0.4, step_sec=0.2)
    assert "reconcile" not in str(rig.shut()), "only the second look counts"
    await rig.run(5.0, step_sec=0.2)
    await rig.hear("exec.account.binance", replace(wrong, wall_us=rig.clock.now().wall_us))
    await rig.run(0.4, step_sec=0.2)
    assert "reconcile" in str(rig.shut())


async def test_coins_that_are_missing_are_found_and_the_users_own_are_not() -> None:
    rig = await Rig.started()
    rig.world.hold(BTC, "0.02")
    cash, coins = rig.world.accounts["binance"].balances
    rig.world.account("binance", balances=(cash, replace(coins, total=Decimal(3), usd=150_000.0)))
    await rig.run(12.0)
    assert rig.shut() == {}
    rig.world.account("binance", balances=(cash, replace(coins, total=Decimal("0.01"), usd=500.0)))
    await rig.run(8.0)
    assert rig.shut()[BTC_SCOPE] == ("reduce_only", ("reconcile",))
