"""Bitget's positions: figures of open ones by hand, lives of closed ones."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from libs.exchange.engine.types import ZERO, Fill, Liquidity, PositionSide, Side
from services.venue.bitget_private_lives import lives_of
from tests.unit.venue.bitget_bench import BitgetBench

PERPS = {"category": "USDT-FUTURES"}
DIGITS = Decimal("1e-8")


@pytest.fixture
def bench() -> BitgetBench:
    return BitgetBench(usdt="100000")


def current(bench: BitgetBench, **params: str) -> list[Any]:
    found = bench.ok("GET", "position/current-position", **PERPS, **params)["list"]
    assert isinstance(found, list)
    return found


def past(bench: BitgetBench) -> list[Any]:
    found = bench.ok("GET", "position/history-position", **PERPS)["list"]
    assert isinstance(found, list)
    return found


def near(text: str, value: Decimal) -> bool:
    """Equal but for the ninth decimal, which is cut."""
    return abs(Decimal(text) - value) < DIGITS


def test_a_short_position_by_hand(bench: BitgetBench) -> None:
    bench.ok("POST", "account/set-leverage", symbol="BTCUSDT", leverage="5", **PERPS)
    bid = bench.top()[0]
    bench.order("sell", "0.2")
    bench.settle("0.0001", "120000")
    mark = bench.house.engine.mark("perp:BTCUSDT")
    assert mark is not None
    (row,) = current(bench)
    fee = (bid / 5 * 6 / 10_000).quantize(DIGITS)
    profit, margin = (bid - mark) / 5, mark / 25
    assert (row["posSide"], row["total"], row["leverage"], row["holdMode"]) == (
        "short",
        "0.2",
        "5",
        "one_way_mode",
    )
    assert Decimal(row["avgPrice"]) == bid
    assert (row["totalFunding"], row["curRealisedPnl"], row["closeFeeTotal"]) == ("2.4", "0", "0")
    assert Decimal(row["openFeeTotal"]) == -fee
    assert near(row["unrealisedPnl"], profit)
    assert near(row["positionBalance"], margin)
    assert near(row["profitRate"], profit / margin)
    even = (bid / 5 - fee + Decimal("2.4")) / (Decimal("0.2") * Decimal("1.0006"))
    assert near(row["breakEvenPrice"], even)
    assert Decimal(row["liquidationPrice"]) > mark
    assert (row["mmr"], row["marginMode"]) == ("0.00666666", "crossed")


def test_positions_are_chosen_by_symbol_and_side(bench: BitgetBench) -> None:
    bench.order("buy", "0.1")
    bench.order("sell", "1", symbol="ETHUSDT")
    assert {row["symbol"] for row in current(bench)} == {"BTCUSDT", "ETHUSDT"}
    assert [row["symbol"] for row in current(bench, symbol="ETHUSDT")] == ["ETHUSDT"]
    assert [row["symbol"] for row in current(bench, posSide="long")] == ["BTCUSDT"]
    assert bench.refused("GET", "position/current-position")[0] == "40019"
    assert bench.refused("GET", "position/current-position", **PERPS, symbol="NOPEUSDT")[0] == "40034"
    assert bench.ok("GET", "position/current-position", category="COIN-FUTURES")["list"] == []


def test_a_closed_position_tells_its_whole_life(bench: BitgetBench) -> None:
    ask = bench.top()[1]
    bench.order("buy", "0.2")
    bench.settle("0.0001", "120000")
    bench.advance(1_000)
    bid = bench.top()[0]
    bench.order("sell", "0.2", reduceOnly="yes")
    assert current(bench) == []
    (row,) = past(bench)
    fees = [-(price / 5 * 6 / 10_000).quantize(DIGITS) for price in (ask, bid)]
    assert [Decimal(row["openFeeTotal"]), Decimal(row["closeFeeTotal"])] == fees
    assert (Decimal(row["openPriceAvg"]), Decimal(row["closePriceAvg"])) == (ask, bid)
    assert (row["openTotalPos"], row["closeTotalPos"], row["posSide"]) == ("0.2", "0.2", "long")
    assert Decimal(row["cumRealisedPnl"]) == (bid - ask) / 5
    assert row["totalFunding"] == "-2.4"
    net = (bid - ask) / 5 + sum(fees) - Decimal("2.4")
    assert Decimal(row["netProfit"]) == net
    assert Decimal(bench.asset("USDT")["balance"]) == 100_000 + net


def test_a_fill_that_crosses_zero_ends_one_life_and_begins_another(bench: BitgetBench) -> None:
    bench.order("buy", "0.1")
    bench.order("sell", "0.3")
    bench.order("buy", "0.2", reduceOnly="yes")
    short, long = past(bench)
    assert (long["posSide"], long["openTotalPos"], long["closeTotalPos"]) == ("long", "0.1", "0.1")
    assert (short["posSide"], short["openTotalPos"], short["closeTotalPos"]) == ("short", "0.2", "0.2")
    nets = Decimal(long["netProfit"]) + Decimal(short["netProfit"])
    assert Decimal(bench.asset("USDT")["balance"]) == 100_000 + nets


def test_in_hedge_mode_each_side_has_its_own_funding(bench: BitgetBench) -> None:
    bench.ok("POST", "account/set-hold-mode", holdMode="hedge_mode")
    bench.order("sell", "0.1", posSide="short")
    bench.settle("0.0001", "120000", 1)
    bench.order("buy", "0.3", posSide="long")
    bench.settle("0.0001", "120000", 2)
    assert {row["posSide"]: row["totalFunding"] for row in current(bench)} == {"short": "2.4", "long": "-3.6"}
    bench.order("buy", "0.1", posSide="short")
    bench.order("sell", "0.3", posSide="long")
    assert {row["posSide"]: row["totalFunding"] for row in past(bench)} == {"short": "2.4", "long": "-3.6"}


def test_the_fee_of_a_fill_that_crosses_zero_is_shared_without_a_rest() -> None:
    def fill(number: int, side: Side, quantity: str, fee: str) -> Fill:
        amount = Decimal(quantity)
        return Fill(
            trade_id=number,
            order_id=number,
            client_id="",
            account="a",
            instrument="perp:X",
            side=side,
            position_side=PositionSide.BOTH,
            price=Decimal(10),
            quantity=amount,
            quote=amount * 10,
            fee=Decimal(fee),
            fee_asset="USDT",
            liquidity=Liquidity.TAKER,
            realised=ZERO,
            wall_us=number,
            market_ms=0,
        )

    first, second = lives_of(
        [fill(1, Side.BUY, "1", "0.01"), fill(2, Side.SELL, "3", "0.00000001")], entries=[]
    )
    assert (first.held, second.held) == (Decimal(0), Decimal(2))
    assert not second.long
    assert first.closed_fees + second.opened_fees == Decimal("0.00000001")
    assert (first.closed_us, second.closed_us) == (2, 0)


def test_the_rank_in_the_queue_of_deleveraging_is_between_0_and_1(bench: BitgetBench) -> None:
    bench.order("buy", "0.1")
    (row,) = bench.ok("GET", "position/adlRank")
    assert (row["symbol"], row["holdSide"], row["marginCoin"]) == ("BTCUSDT", "long", "USDT")
    assert 0 <= Decimal(row["adlRank"]) <= 1
