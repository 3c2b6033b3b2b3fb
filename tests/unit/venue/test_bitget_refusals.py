"""Which code and text of Bitget's each wrong order gets; nothing changes by a refusal."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from libs.exchange.engine.commands import Reason, Refused
from libs.exchange.engine.types import MarketStatus
from services.venue.bitget_private_errors import Subject, code_of
from tests.unit.venue.bitget_bench import BitgetBench, fields

PERPS = "USDT-FUTURES"


@pytest.fixture
def bench() -> BitgetBench:
    return BitgetBench(usdt="100000")


@pytest.mark.parametrize(
    ("side", "qty", "category", "params", "code", "text"),
    [
        (
            "buy",
            "0.00015",
            PERPS,
            {},
            "40808",
            "Parameter verification exception qty checkBDScale error value=0.00015 checkScale=4",
        ),
        ("buy", "0.01", PERPS, {"price": "120000.05"}, "25244", "Price should be a multiple of 0.1"),
        ("buy", "0.01", PERPS, {"price": "140000"}, "25206", "BTCUSDT trading price cannot exceed 5%"),
        ("sell", "0.01", PERPS, {"price": "100000"}, "25205", "BTCUSDT trading price cannot be below 5%"),
        ("buy", "0.5", "SPOT", {}, "45110", "less than the minimum amount 1 USDT"),
        ("buy", "200000", "SPOT", {}, "25202", "Insufficient balance"),
        ("sell", "0.1", "SPOT", {}, "25202", "Insufficient balance"),
        ("buy", "40", PERPS, {}, "25203", "Insufficient margin"),
        ("sell", "2", "MARGIN", {}, "40762", "The order size is greater than the max open size"),
        ("buy", "0.01", PERPS, {"symbol": "NOPEUSDT"}, "40034", "Parameter NOPEUSDT does not exist"),
        ("buy", "0.01", "COIN-FUTURES", {}, "40034", "Parameter BTCUSDT does not exist"),
        ("buy", "0.01", "STOCKS", {}, "40017", "Parameter verification failed category"),
        ("buy", "0.01", "OTHER", {}, "40034", "Parameter BTCUSDT does not exist"),
        ("hold", "0.01", PERPS, {}, "40017", "Parameter verification failed side"),
        ("", "0.01", PERPS, {}, "40019", "Parameter side cannot be empty"),
        ("buy", "", PERPS, {}, "40019", "Parameter qty cannot be empty"),
        ("buy", "0.01", PERPS, {"symbol": ""}, "40019", "Parameter symbol cannot be empty"),
        ("buy", "0.01", PERPS, {"orderType": "stop"}, "40017", "Parameter verification failed orderType"),
        ("buy", "0.01", PERPS, {"timeInForce": "day"}, "40017", "Parameter verification failed timeInForce"),
        ("buy", "0.01", PERPS, {"reduceOnly": "maybe"}, "40017", "Parameter verification failed reduceOnly"),
        ("buy", "0.01", PERPS, {"orderType": "limit"}, "40019", "Parameter price cannot be empty"),
    ],
)
def test_a_wrong_order_is_refused_by_code_and_changes_nothing(  # noqa: PLR0917 - a row of the table
    bench: BitgetBench,
    side: str,
    qty: str,
    category: str,
    params: dict[str, str],
    code: str,
    text: str,
) -> None:
    before = bench.money()
    assert bench.no_order(side, qty, category, **params) == (code, text)
    assert bench.money() == before
    assert bench.house.engine.orders("u1:unified") == []


@pytest.mark.parametrize("qty", ["0", "-1", "nan", "inf", "1e400", "x", "1e-30", True, [], {"a": 1}])
def test_no_nonsense_is_taken_for_a_quantity(bench: BitgetBench, qty: Any) -> None:
    body = fields("buy", "", PERPS) | {"qty": qty}
    assert bench.refused("POST", "trade/place-order", **body)[0] == "40017"


def test_numbers_may_come_unquoted_and_stay_exact(bench: BitgetBench) -> None:
    body = fields("buy", "", PERPS, price=str(bench.top()[0] - 100)) | {"qty": 0.1}
    order = bench.ok("POST", "trade/place-order", **body)["orderId"]
    assert bench.seen(order)["qty"] == "0.1"


def test_a_clients_id_is_taken_once_and_for_ever(bench: BitgetBench) -> None:
    first = bench.order("buy", "0.01", clientOid="mine")
    assert bench.seen(first)["orderStatus"] == "filled"
    assert bench.no_order("buy", "0.01", clientOid="mine") == ("40786", "Duplicate clientOid")
    assert bench.no_order("buy", "1", "SPOT", clientOid="mine") == ("40786", "Duplicate clientOid")
    assert len(bench.ok("GET", "trade/fills")["list"]) == 1


@pytest.mark.parametrize("oid", ["x" * 33, "a b", "ä", "a\n"])
def test_a_clients_id_has_a_form(bench: BitgetBench, oid: str) -> None:
    assert bench.no_order("buy", "0.01", clientOid=oid)[0] == "40305"


def test_there_is_a_limit_to_open_orders(bench: BitgetBench) -> None:
    price = str(bench.top("spot")[0] - 2000)
    for _ in range(400):
        bench.order("buy", "0.0001", "SPOT", price=price)
    refused = bench.no_order("buy", "0.0001", "MARGIN", price=price)
    assert refused == ("25211", "Exceeds the limit of 400 maximum orders")
    bench.order("buy", "0.001", price=str(bench.top()[0] - 2000))


def test_every_refusal_of_the_engine_has_a_code_of_bitgets() -> None:
    for reason in Reason:
        code, text = code_of(Refused(reason, "why"), Subject(symbol="BTCUSDT", quantity=Decimal(1)))
        assert code.isdigit()
        assert 5 <= len(code) <= 6
        assert text
    assert code_of(Refused(Reason.ORDER_NOT_FOUND, ""), Subject()) == ("25204", "Order does not exist")


def test_a_market_may_have_a_least_and_a_largest_quantity(bench: BitgetBench) -> None:
    bench.relist("perp:BTCUSDT", quantity_min=Decimal("0.001"), quantity_max=Decimal(3))
    least = "BTCUSDT trading quantity cannot be less than 0.001 units"
    assert bench.no_order("buy", "0.0009") == ("25207", least)
    assert bench.no_order("buy", "3.1") == ("25208", "BTCUSDT trading quantity cannot exceed 3 units")


def test_a_delisted_contract_trades_no_more() -> None:
    bench = BitgetBench(usdt="100000")
    bench.relist("perp:BTCUSDT", status=MarketStatus.DELISTED)
    assert bench.no_order("buy", "0.01") == ("25104", "Contract delisted")
    bench.relist("spot:BTCUSDT", status=MarketStatus.DELISTED)
    assert bench.no_order("buy", "10", "SPOT") == ("25101", "Trading pair not open for trading")
