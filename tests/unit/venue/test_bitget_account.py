"""Bitget's account desk: assets to the last digit, fees, transfers."""

from __future__ import annotations

from decimal import Decimal

import pytest

from libs.exchange.engine.collateral import COIN_RATIO
from tests.unit.venue.bitget_bench import BitgetBench

PERPS = {"category": "USDT-FUTURES"}
DIGITS = Decimal("1e-8")


@pytest.fixture
def bench() -> BitgetBench:
    return BitgetBench(usdt="10000")


def test_assets_add_up_by_hand(bench: BitgetBench) -> None:
    bench.deposit("BTC", "0.5")
    ask = bench.top()[1]
    bench.order("buy", "0.2")
    bench.order("sell", "0.1", "SPOT", price=str(bench.top("spot")[1] + 1000))
    perp, spot = (bench.house.engine.mark(f"{kind}:BTCUSDT") for kind in ("perp", "spot"))
    assert perp is not None
    assert spot is not None
    fee = (Decimal("0.2") * ask * 6 / 10_000).quantize(DIGITS)
    profit = Decimal("0.2") * (perp - ask)
    found = bench.ok("GET", "account/assets")
    btc, usdt = found["assets"]
    assert (btc["coin"], btc["balance"], btc["locked"], btc["available"]) == ("BTC", "0.5", "0.1", "0.4")
    assert Decimal(usdt["balance"]) == 10_000 - fee
    close = {
        "unrealisedPnl": profit,
        "accountEquity": 10_000 - fee + profit + spot / 2,
        "imr": Decimal("0.2") * perp / 20,
        "effEquity": 10_000 - fee + profit + spot / 2 * COIN_RATIO,
    }
    for name, value in close.items():
        assert abs(Decimal(found[name]) - value) < DIGITS, name
    assert abs(Decimal(usdt["equity"]) - (10_000 - fee + profit)) < DIGITS
    assert usdt["available"] == usdt["equity"]
    assert Decimal(found["mgnRatio"]) == (Decimal(found["mmr"]) / Decimal(found["effEquity"])).quantize(
        DIGITS, rounding="ROUND_DOWN"
    )


def test_an_empty_account_shows_no_coins() -> None:
    found = BitgetBench().ok("GET", "account/assets")
    assert (found["accountEquity"], found["assets"], found["mgnRatio"]) == ("0", [], "0")


def test_fees_are_those_of_the_account_by_product(bench: BitgetBench) -> None:
    def rate(category: str) -> tuple[str, str]:
        found = bench.ok("GET", "account/fee-rate", category=category, symbol="BTCUSDT")
        return found["makerFeeRate"], found["takerFeeRate"]

    assert rate("SPOT") == rate("MARGIN") == ("0.001", "0.001")
    assert rate("USDT-FUTURES") == ("0.0002", "0.0006")
    everything = bench.ok("GET", "account/all-fee-rate", **PERPS)
    assert {"symbol": "ETHUSDT", "makerFeeRate": "0.0002", "takerFeeRate": "0.0006"} in everything
    assert len(everything) == len(bench.ok("GET", "account/all-fee-rate", category="MARGIN"))
    assert bench.ok("GET", "account/all-fee-rate", category="COIN-FUTURES") == []
    assert bench.refused("GET", "account/fee-rate", category="SPOT", symbol="NOPEUSDT")[0] == "40034"
    assert bench.refused("GET", "account/fee-rate", category="SPOT")[0] == "40019"


def move(source: str, target: str, amount: object, coin: str = "USDT") -> dict[str, object]:
    return {"fromType": source, "toType": target, "coin": coin, "amount": amount}


def test_money_moves_between_the_unified_and_the_funding_wallet(bench: BitgetBench) -> None:
    given = bench.ok("POST", "account/transfer", **move("uta", "spot", "1234.56789012"))
    assert given["transferId"].isdigit()
    assert bench.asset("USDT")["balance"] == "8765.43210988"
    assert bench.ok("GET", "account/funding-assets") == [
        {"coin": "USDT", "available": "1234.56789012", "frozen": "0", "balance": "1234.56789012"}
    ]
    back = bench.ok("POST", "account/transfer", **move("spot", "uta", 0.5))
    assert back["transferId"] != given["transferId"]
    assert bench.asset("USDT")["balance"] == "8765.93210988"
    assert bench.ok("GET", "account/funding-assets", coin="BTC") == []
    rows = bench.ok("GET", "account/funding-financial-records", coin="USDT")["list"]
    assert [(row["type"], row["amount"], row["balance"]) for row in rows] == [
        ("transfer_out", "-0.5", "1234.06789012"),
        ("transfer_in", "1234.56789012", "1234.56789012"),
    ]


@pytest.mark.parametrize(
    ("source", "target", "coin", "amount", "code"),
    [
        ("spot", "uta", "USDT", "1", "43012"),
        ("uta", "spot", "USDT", "10001", "43117"),
        ("uta", "uta", "USDT", "1", "40017"),
        ("uta", "isolated_margin", "USDT", "1", "40017"),
        ("uta", "spot", "NOPE", "1", "25201"),
        ("uta", "spot", "", "1", "40019"),
        ("uta", "spot", "USDT", "-1", "40017"),
    ],
)
def test_a_transfer_that_cannot_be_is_refused(  # noqa: PLR0917 - a row of the table
    bench: BitgetBench, source: str, target: str, coin: str, amount: str, code: str
) -> None:
    assert bench.refused("POST", "account/transfer", **move(source, target, amount, coin))[0] == code
    assert bench.held("USDT").total == 10_000


def test_margin_in_use_stays_in_the_account(bench: BitgetBench) -> None:
    bench.order("buy", "0.5")
    most = bench.ok("GET", "account/max-transferable", coin="USDT")["maxTransfer"]
    assert 0 < Decimal(most) < Decimal(bench.asset("USDT")["available"])
    more = str(Decimal(most) + 1)
    assert bench.refused("POST", "account/transfer", **move("uta", "spot", more)) == (
        "43117",
        "Exceeded Max. transferable quantity",
    )
    bench.ok("POST", "account/transfer", **move("uta", "spot", most))
    assert bench.ok("GET", "account/max-transferable", coin="USDT")["maxTransfer"] in ("0", "0.00000001")


def test_what_an_order_finds_is_told_by_product(bench: BitgetBench) -> None:
    def available(category: str, side: str) -> tuple[str, str]:
        params = {"category": category, "symbol": "BTCUSDT", "orderType": "market", "side": side}
        found = bench.ok("POST", "account/max-open-available", **params)
        return found["available"], found["maxOpen"]

    assert available("SPOT", "buy") == ("10000", "")
    assert available("SPOT", "sell") == ("0", "")
    assert available("USDT-FUTURES", "sell") == ("10000", "")
    free, most = available("MARGIN", "sell")
    assert free == "0"
    assert Decimal(most) > 0
