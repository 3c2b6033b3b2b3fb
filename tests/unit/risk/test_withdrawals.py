"""Loss of the day and money that its owner moves: neither lost nor won, with its ledger line or before it."""

from __future__ import annotations

from decimal import Decimal

from libs.common.messages_exec import LedgerKind, LedgerLine
from tests.unit.risk.rig import Rig
from tests.unit.risk.test_rows_money import held, lose
from tests.unit.risk.world import BTC, replace


def withdrawn(rig: Rig, usd: str) -> LedgerLine:
    """The line of a withdrawal of dollars."""
    return LedgerLine(
        key="bitget:withdrawal:1",
        kind=LedgerKind.WITHDRAWAL,
        venue="bitget",
        asset="USDT",
        amount=-Decimal(usd),
        usd=-Decimal(usd),
        venue_ms=1,
        wall_us=rig.clock.now().wall_us,
    )


async def test_money_that_is_taken_out_is_no_loss_once_its_ledger_line_is_there() -> None:
    rig = await held()
    lose(rig, 1_000.0)
    line = withdrawn(rig, "1000")
    for _ in range(2):
        await rig.hear("exec.ledger.none", line)
    await rig.run(40.0, step_sec=1.0)
    assert rig.shut() == {}
    lose(rig, 1_195.0)
    await rig.run(40.0, step_sec=1.0)
    assert rig.level("global") == "no_opens", "195 of 19,000"


def unexplained(rig: Rig, usd: float) -> None:
    """So much has left bitget, as its balance says, and no ledger line tells of it."""
    rig.world.account("bitget", equity_usd=10_000.0 + usd, unexplained_usd=usd)


async def test_money_that_left_a_moment_ago_is_no_loss_while_its_line_may_still_come() -> None:
    rig = await held()
    lose(rig, 5_000.0)
    await rig.run(10.0)  # two looks are needed to tell
    unexplained(rig, -5_000.0)
    await rig.run(70.0, step_sec=1.0)
    assert rig.shut() == {}, "a quarter of all is gone, and 60 s later its line is there"
    line = withdrawn(rig, "5000")
    await rig.hear("exec.ledger.none", line)
    lose(rig, 5_000.0)
    rig.world.account("bitget", unexplained_usd=0.0)
    await rig.run(60.0, step_sec=1.0)
    assert rig.shut() == {}
    lose(rig, 5_400.0)
    await rig.run(40.0, step_sec=1.0)
    assert rig.shut()["global"][1] == ("daily_loss_halt", "daily_loss"), "400 of 15,000"


async def test_what_nothing_explains_for_too_long_is_lost() -> None:
    rig = await held()
    unexplained(rig, -5_000.0)
    await rig.run(88.0, step_sec=1.0)
    assert rig.shut() == {}
    await rig.run(34.0, step_sec=1.0)
    assert rig.level("global") == "flatten"


async def test_money_that_came_a_moment_ago_hides_no_loss() -> None:
    rig = await held()
    rig.world.account("bitget", equity_usd=10_000.0 + 5_000.0 - 250.0, unexplained_usd=5_000.0)
    await rig.run(34.0, step_sec=1.0)
    assert rig.shut() == {"global": ("no_opens", ("daily_loss",))}


async def test_coins_of_his_own_that_the_user_takes_out_are_neither_lost_nor_won() -> None:
    rig = await held()
    coins = replace(withdrawn(rig, "10000"), asset="ETH", amount=Decimal(-5))
    await rig.hear("exec.ledger.none", coins)
    lose(rig, 250.0)
    await rig.run(40.0, step_sec=1.0)
    assert rig.shut() == {"global": ("no_opens", ("daily_loss",))}, "the day still began with 20,000"


# --- before the books of a venue have begun, on the very first day ------------------------------------


async def test_money_that_moves_before_a_venues_books_begin_is_neither_lost_nor_won() -> None:
    rig = await Rig.started()
    await rig.run(1.0)
    lose(rig, 5_000.0)  # it is in the opening of the books, so that no line will ever tell
    await rig.run(40.0, step_sec=1.0)
    assert rig.shut() == {}
    books_begin(rig)
    await rig.run(1.0)
    lose(rig, 5_160.0)
    await rig.run(40.0, step_sec=1.0)
    assert rig.level("global") == "no_opens", "160 of 15,000"


async def test_a_line_of_a_venue_with_books_counts_once_while_another_one_has_none() -> None:
    rig = await Rig.started()
    rig.world.account("bitget", unexplained_usd=0.0)
    await rig.run(1.0)
    rig.world.account("bitget", equity_usd=5_000.0, unexplained_usd=-5_000.0)
    await rig.run(5.0, step_sec=1.0)
    await rig.hear("exec.ledger.none", withdrawn(rig, "5000"))
    rig.world.account("bitget", unexplained_usd=0.0)
    await rig.run(40.0, step_sec=1.0)
    assert rig.shut() == {}
    lose(rig, 5_160.0)
    await rig.run(40.0, step_sec=1.0)
    assert rig.level("global") == "no_opens", "160 of 15,000"


async def test_from_the_first_pair_on_every_dollar_counts() -> None:
    rig = await Rig.started()
    await rig.run(1.0)
    rig.world.hold(BTC, "0.1")
    await rig.run(1.0)
    lose(rig, 250.0)
    await rig.run(40.0, step_sec=1.0)
    assert rig.shut() == {"global": ("no_opens", ("daily_loss",))}


def books_begin(rig: Rig) -> None:
    """Both venues tell what their books do not explain."""
    for venue in ("binance", "bitget"):
        rig.world.account(venue, unexplained_usd=0.0)
