"""`sapi`: transfers and their records, what keys may do, fees, coins."""

from __future__ import annotations

from decimal import Decimal

import pytest

from services.venue import keys
from services.venue.binance_spot_texts import amount
from tests.unit.venue.binance_spot_bench import USER, WALL0_MS, SpotBench

TRANSFER = "/sapi/v1/asset/transfer"


@pytest.fixture
def bench() -> SpotBench:
    made = SpotBench()
    made.deposit("spot", "USDT", "1000")
    return made


def move(bench: SpotBench, kind: str, amount: str) -> int:
    number: int = bench.ok("POST", TRANSFER, type=kind, asset="USDT", amount=amount)["tranId"]
    return number


def test_transfers_move_money_at_once_and_are_recorded_by_direction(bench: SpotBench) -> None:
    first, second = move(bench, "MAIN_UMFUTURE", "100.5"), move(bench, "MAIN_UMFUTURE", "50")
    bench.wall_ms += 60
    back = move(bench, "UMFUTURE_MAIN", "0.25")
    margin = move(bench, "UMFUTURE_MARGIN", "10")
    assert len({first, second, back, margin}) == 4
    assert bench.held("spot", "USDT").total == Decimal("849.75")
    assert bench.held("usdm", "USDT").total == Decimal("140.25")
    assert bench.held("margin", "USDT").total == 10
    found = bench.ok("GET", TRANSFER, type="MAIN_UMFUTURE")
    assert found["total"] == 2
    assert found["rows"] == [
        {
            "asset": "USDT",
            "amount": amount,
            "type": "MAIN_UMFUTURE",
            "status": "CONFIRMED",
            "tranId": number,
            "timestamp": WALL0_MS,
        }
        for amount, number in (("50", second), ("100.5", first))
    ]
    assert [row["tranId"] for row in bench.ok("GET", TRANSFER, type="UMFUTURE_MARGIN")["rows"]] == [margin]
    assert [row["tranId"] for row in bench.ok("GET", TRANSFER, type="UMFUTURE_MAIN")["rows"]] == [back]
    assert bench.ok("GET", TRANSFER, type="MAIN_MARGIN") == {"total": 0, "rows": []}
    page = bench.ok("GET", TRANSFER, type="MAIN_UMFUTURE", current=2, size=1)
    assert (page["total"], [row["tranId"] for row in page["rows"]]) == (2, [first])
    later = bench.ok("GET", TRANSFER, type="MAIN_UMFUTURE", startTime=WALL0_MS + 1)
    assert later["total"] == 0


def test_restrictions_say_what_the_calling_key_may(bench: SpotBench) -> None:
    said = bench.ok("GET", "/sapi/v1/account/apiRestrictions")
    assert said["createTime"] == WALL0_MS
    wanted = {
        "enableReading": True,
        "enableSpotAndMarginTrading": True,
        "enableFutures": True,
        "enableMargin": True,
        "permitsUniversalTransfer": True,
        "enableWithdrawals": False,
        "ipRestrict": True,
    }
    assert {name: said[name] for name in wanted} == wanted
    loose = keys.make("binance", USER, seed=7, number=1, permissions=keys.ALL, ip_bound=False)
    bench.house.add_key(loose)
    said = bench.ok("GET", "/sapi/v1/account/apiRestrictions", key=loose)
    assert (said["enableWithdrawals"], said["ipRestrict"]) == (True, False)
    reader = keys.make("binance", USER, seed=7, number=2, permissions=frozenset({"read"}))
    bench.house.add_key(reader)
    said = bench.ok("GET", "/sapi/v1/account/apiRestrictions", key=reader)
    assert not said["enableSpotAndMarginTrading"]
    assert not bench.ok("GET", "/api/v3/account", key=reader)["canTrade"]


def test_fees_of_one_symbol_and_of_all(bench: SpotBench) -> None:
    one = bench.ok("GET", "/sapi/v1/asset/tradeFee", symbol="BTCUSDT")
    assert one == [{"symbol": "BTCUSDT", "makerCommission": "0.001", "takerCommission": "0.001"}]
    everything = bench.ok("GET", "/sapi/v1/asset/tradeFee")
    listed = bench.desk.market.listed("binance", "spot", bench.now.market_ms)
    assert [row["symbol"] for row in everything] == [instrument.symbol for instrument in listed]


def test_coins_of_the_spot_wallet(bench: SpotBench) -> None:
    bench.order("BUY", "MARKET", quantity="0.001")
    assets = {row["asset"]: row for row in bench.ok("POST", "/sapi/v3/asset/getUserAsset")}
    assert assets.keys() == {"BTC", "USDT"}
    assert assets["BTC"]["free"] == "0.00099900"
    valued = bench.ok("POST", "/sapi/v3/asset/getUserAsset", asset="BTC", needBtcValuation="true")
    assert [(row["asset"], row["btcValuation"]) for row in valued] == [("BTC", "0.00099900")]
    coins = {row["coin"]: row["free"] for row in bench.ok("GET", "/sapi/v1/capital/config/getall")}
    assert coins["BTC"] == "0.00099900"
    assert coins["ETH"] == "0"
    without = bench.ok("GET", "/api/v3/account", omitZeroBalances="true")["balances"]
    assert {row["asset"] for row in without} == {"BTC", "USDT"}


@pytest.mark.parametrize(
    ("value", "text"),
    [("0", "0.00000000"), ("1E+1", "10.00000000"), ("0.1", "0.10000000"), ("1E-9", "0.000000001")],
)
def test_amounts_are_written_out_and_never_rounded(value: str, text: str) -> None:
    assert amount(Decimal(value)) == text
