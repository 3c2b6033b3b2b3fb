"""Rows about money: limits, collateral, the loss of the day. Over their bounds, and back."""

from __future__ import annotations

from decimal import Decimal

from libs.common.config.schema import Limits, Mode
from libs.common.effects import Reloaded
from libs.common.instant import US_PER_SEC
from libs.common.messages_exec import AccountBalance
from tests.unit.risk.rig import Rig
from tests.unit.risk.world import BTC, CONFIG, ETH, contract, replace

BTC_SCOPE = f"pair:{BTC}"
PERP = ("binance", "BTC-USDT-PERP")


async def held(config: object = CONFIG) -> Rig:
    """BTC is held: 0.1 coins against 0.1 contracts, half of the money in each."""
    rig = await Rig.started(config)  # type: ignore[arg-type]
    rig.world.hold(BTC, "0.1")
    await rig.run(1.0)
    assert rig.shut() == {}
    return rig


def near(rig: Rig, distance: float) -> None:
    """The contract's liquidation price comes so near to its mark."""
    shown = contract("BTC-USDT-PERP", "-0.1", 50_000.0, 50_000.0 * (1 + distance))
    rig.world.account("binance", positions=(shown,))


# --- limits -----------------------------------------------------------------------------------------


async def test_more_held_than_a_limit_allows_opens_nothing_and_names_it() -> None:
    rig = await held()
    rig.world.pair(BTC, notional_usd=Decimal(5_001))
    await rig.run(1.0)
    assert rig.shut() == {
        "global": ("no_opens", ("limits",)),
        "venue:binance": ("no_opens", ("limits",)),
    }, "both legs lie on one exchange"
    assert "limits.max_notional_usd is 5,000" in rig.permit.breakers[0].reason
    rig.world.pair(BTC, notional_usd=Decimal(2_250))
    await rig.run(1.0)
    assert rig.shut() == {}


async def test_limits_that_are_lowered_while_running_count_at_once() -> None:
    rig = await held()
    lowered = replace(CONFIG, limits=replace(CONFIG.limits, max_notional_usd=999.0))
    rig.core.offer(Reloaded(config=lowered), rig.clock.now())
    await rig.pump()
    assert rig.shut()["global"] == ("no_opens", ("limits",))


async def test_too_many_pairs_and_too_much_leverage() -> None:
    rig = await held(replace(CONFIG, limits=Limits(max_pairs=1, max_leverage=3.0)))
    rig.world.hold(ETH, "0.1")
    leveraged = replace(contract("BTC-USDT-PERP", "-0.1", 5e4, 7.5e4), leverage=3.1)
    rig.world.account("binance", positions=(leveraged,))
    await rig.run(1.0)
    assert rig.shut()["global"] == ("no_opens", ("limits",))
    assert rig.shut()["venue:binance"] == ("no_opens", ("limits",))


async def test_live_mode_is_capped_until_it_is_acknowledged() -> None:
    capped = replace(CONFIG, mode=Mode.LIVE)
    rig = await held(capped)
    rig.world.pair(BTC, notional_usd=Decimal(1_001))
    await rig.run(1.0)
    assert "cap of live mode" in rig.permit.breakers[0].reason
    free = replace(capped, limits=replace(capped.limits, acknowledged=True))
    rig = await held(free)
    rig.world.pair(BTC, notional_usd=Decimal(1_001))
    await rig.run(1.0)
    assert rig.shut() == {}


# --- collateral ---------------------------------------------------------------------------------------


async def test_liquidation_that_comes_near_warns_then_shrinks_then_flattens() -> None:
    rig = await held()
    near(rig, 0.149)
    await rig.run(1.0)
    assert rig.shut() == {}
    assert rig.alerts("collateral_warn") == [("warning", f"risk:collateral_warn:{BTC_SCOPE}")]
    near(rig, 0.099)
    await rig.run(1.0)
    assert rig.shut() == {BTC_SCOPE: ("no_opens", ("collateral_shrink",))}
    shares = []
    for _ in range(5):
        shares.append(rig.permit.max_ratio.get(BTC, 1.0))
        await rig.run(30.0, step_sec=1.0)
    assert shares == [0.75, 0.5, 0.25, 0.0, 0.0]
    near(rig, 0.049)
    await rig.run(1.0)
    assert rig.shut()[BTC_SCOPE][0] == "flatten"
    reply = await rig.command("reset", scope=BTC_SCOPE, confirm=True)
    assert reply is not None
    assert not reply.ok, "it is still as near"


async def test_it_is_restored_after_ten_minutes_above_18_percent_and_flatten_by_a_reset() -> None:
    rig = await held()
    near(rig, 0.04)
    await rig.run(1.0)
    near(rig, 0.17)
    await rig.run(700.0, step_sec=1.0)
    assert rig.permit.max_ratio == {BTC: 0.75}, "the band is not calm"
    near(rig, 0.181)
    await rig.run(598.0, step_sec=1.0)
    assert rig.permit.max_ratio == {BTC: 0.75}
    await rig.run(4.0)
    assert rig.permit.max_ratio == {}
    assert rig.shut() == {BTC_SCOPE: ("flatten", ("collateral_flatten",))}
    reply = await rig.command("reset", scope=BTC_SCOPE, confirm=True)
    assert reply is not None
    assert reply.ok
    await rig.run(0.5)
    assert rig.shut() == {}


async def test_the_margin_ratio_counts_where_the_venue_tells_no_liquidation_price() -> None:
    rig = await held()
    rig.world.account("binance", margin_ratio=0.5)
    await rig.run(1.0)
    assert rig.shut() == {}, "the distance of 50 % governs"
    shown = (contract("BTC-USDT-PERP", "-0.1", 5e4, None),)
    rig.world.account("binance", positions=shown, margin_ratio=0.059)
    await rig.run(1.0)
    assert rig.shut() == {}
    assert rig.alerts("collateral_warn")
    rig.world.account("binance", margin_ratio=0.06)
    await rig.run(1.0)
    assert rig.permit.max_ratio == {BTC: 0.75}
    rig.world.account("binance", margin_ratio=0.10)
    await rig.run(1.0)
    assert rig.level(BTC_SCOPE) == "flatten"


def owe(rig: Rig, usd: float, *, bitcoins: str = "0.1") -> None:
    """The pair is held in reverse: its coins are borrowed, and so many dollars stand for them."""
    first, second = rig.world.pairs[BTC].legs
    owed, own = Decimal(bitcoins), (0.1 * 50_000.0)
    legs = (replace(first, quantity=-owed, borrowed=owed), replace(second, quantity=owed))
    rig.world.pair(BTC, state="active", direction="reverse", legs=legs)
    zero = Decimal(0)
    wallet = (
        AccountBalance(wallet="margin", asset="USDT", total=Decimal(str(usd)), free=zero, usd=usd),
        AccountBalance(wallet="margin", asset="BTC", total=zero, free=zero, borrowed=owed, usd=-own),
        AccountBalance(wallet="futures", asset="USDT", total=Decimal(5_000), free=zero, usd=5_000.0),
    )
    shown = contract("BTC-USDT-PERP", bitcoins, 50_000.0, 20_000.0)
    rig.world.account("binance", balances=wallet, positions=(shown,))


async def test_a_loan_that_is_about_to_be_called_warns_then_shrinks_then_flattens() -> None:
    rig = await Rig.started()
    owe(rig, 5_500.0 * 1.16)
    await rig.run(1.0)
    assert rig.shut() == {}
    assert rig.alerts("collateral_warn") == []
    owe(rig, 5_500.0 * 1.14)
    await rig.run(1.0)
    assert rig.alerts("collateral_warn")
    owe(rig, 5_500.0 * 1.09)
    await rig.run(1.0)
    assert rig.permit.max_ratio == {BTC: 0.75}
    owe(rig, 5_500.0 * 1.04)
    await rig.run(1.0)
    assert rig.shut()[BTC_SCOPE][0] == "flatten"


async def test_an_account_that_is_not_trusted_neither_shrinks_nor_restores() -> None:
    rig = await held()
    near(rig, 0.09)
    rig.world.account("binance", trusted=False)
    await rig.run(20.0)
    assert rig.permit.max_ratio == {}


# --- loss of the day ------------------------------------------------------------------------------------


def lose(rig: Rig, usd: float) -> None:
    """So much less money at bitget than at the beginning."""
    rig.world.account("bitget", equity_usd=10_000.0 - usd)


async def test_one_two_and_four_percent_for_half_a_minute() -> None:
    rig = await held()
    lose(rig, 199.0)
    await rig.run(60.0, step_sec=1.0)
    assert rig.shut() == {}
    lose(rig, 200.0)
    await rig.run(29.0, step_sec=1.0)
    assert rig.shut() == {}
    await rig.run(3.0, step_sec=1.0)
    assert rig.shut() == {"global": ("no_opens", ("daily_loss",))}
    lose(rig, 400.0)
    await rig.run(32.0, step_sec=1.0)
    assert rig.shut()["global"][0] == "reduce_only"
    lose(rig, 800.0)
    await rig.run(32.0, step_sec=1.0)
    assert rig.shut()["global"] == ("flatten", ("daily_loss_flatten", "daily_loss_halt", "daily_loss"))
    assert rig.alerts("daily_loss_flatten") == [("critical", "risk:daily_loss_flatten:global")]
    reply = await rig.command("reset", confirm=True)
    assert reply is not None
    assert reply.ok
    await rig.run(60.0, step_sec=1.0)
    assert rig.shut() == {}, "the next loss counts from here"
    lose(rig, 800.0 + 193.0)
    await rig.run(32.0, step_sec=1.0)
    assert rig.shut() == {"global": ("no_opens", ("daily_loss",))}, "1 % of 19,200"


async def test_a_moment_of_loss_is_none() -> None:
    rig = await held()
    for _ in range(5):
        lose(rig, 900.0)
        await rig.run(20.0, step_sec=1.0)
        lose(rig, 0.0)
        await rig.run(2.0)
    assert rig.shut() == {}


async def test_the_first_level_ends_with_the_utc_day_and_the_others_do_not() -> None:
    rig = await held()
    lose(rig, 400.0)
    await rig.run(32.0, step_sec=1.0)
    day_us = 86_400 * US_PER_SEC
    rest_us = day_us - rig.clock.now().wall_us % day_us
    rig.clock.advance(us=rest_us - 10 * US_PER_SEC)
    await rig.run(5.0)
    assert set(rig.shut()["global"][1]) >= {"daily_loss", "daily_loss_halt"}
    await rig.run(70.0, step_sec=1.0)
    assert rig.shut() == {"global": ("reduce_only", ("daily_loss_halt",))}


async def test_a_restart_does_not_forgive_a_loss() -> None:
    rig = await held()
    lose(rig, 250.0)
    await rig.run(10.0)
    await rig.restart()
    await rig.run(34.0, step_sec=1.0)
    assert rig.shut() == {"global": ("no_opens", ("daily_loss",))}


async def test_a_basis_spike_and_the_users_own_coins_are_no_loss() -> None:
    rig = await held()
    # the contract's mark runs 20 % away from the index: 0.1 x 10,000 USD of unrealised loss at the mark
    shown = contract("BTC-USDT-PERP", "-0.1", 60_000.0, 90_000.0)
    rig.world.account("binance", positions=(shown,), equity_usd=10_000.0 - 1_000.0)
    await rig.run(60.0, step_sec=1.0)
    assert rig.level("global") == "normal"
    own = AccountBalance(wallet="spot", asset="ETH", total=Decimal(5), free=Decimal(5), usd=10_000.0)
    rig = await held()
    balances = rig.world.accounts["bitget"].balances
    rig.world.account("bitget", balances=(*balances, own), equity_usd=20_000.0)
    await rig.run(40.0, step_sec=1.0)
    rig.world.account("bitget", balances=(*balances, replace(own, usd=5_000.0)), equity_usd=15_000.0)
    await rig.run(60.0, step_sec=1.0)
    assert rig.shut() == {}


async def test_both_legs_falling_together_is_no_loss_and_one_that_is_gone_is() -> None:
    rig = await held()
    cash, coins = rig.world.accounts["binance"].balances
    for key in (PERP, ("binance", "BTC-USDT")):
        rig.world.mids[key] = 49_000.0
    rig.world.index["BTC"] = 49_000.0
    shown = (contract("BTC-USDT-PERP", "-0.1", 49_000.0, 75_000.0),)
    rig.world.account("binance", balances=(cash, replace(coins, usd=4_900.0)), positions=shown)
    await rig.run(40.0, step_sec=1.0)
    assert rig.shut() == {}, "100 lost on the coins, 100 won on the contract: the equity stays"
    idle = rig.world.pairs[BTC].legs
    gone = (replace(idle[0], quantity=Decimal(0)), idle[1])
    rig.world.pair(BTC, legs=gone)
    rig.world.account("binance", balances=(cash,), equity_usd=5_100.0)
    await rig.run(40.0, step_sec=1.0)
    assert rig.level("global") == "flatten"


async def test_an_equity_that_is_not_known_opens_nothing_and_counts_no_loss() -> None:
    rig = await held()
    rig.world.account("bitget", trusted=False, problems=("time-out",), equity_usd=1.0)
    await rig.run(29.0, step_sec=1.0)
    assert rig.shut() == {}
    await rig.run(3.0)
    assert rig.shut() == {"global": ("no_opens", ("equity_unknown",))}
    assert "time-out" in rig.permit.breakers[0].reason
    await rig.run(60.0, step_sec=1.0)
    rig.world.account("bitget", trusted=True, equity_usd=10_000.0)
    await rig.run(58.0, step_sec=1.0)
    assert rig.level("global") == "no_opens"
    await rig.run(4.0)
    assert rig.shut() == {}


async def test_without_anything_held_no_account_is_needed() -> None:
    rig = Rig()
    rig.world.quiet |= {"exec.account.binance", "exec.account.bitget"}
    await rig.run(60.0, step_sec=1.0)
    assert rig.shut() == {}
