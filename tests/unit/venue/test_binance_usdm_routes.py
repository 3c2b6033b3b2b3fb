"""What each private path of USD-M weighs, counts for and asks of a key."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from services.venue.binance_usdm_routes import PRIVATE
from tests.unit.venue.binance_usdm_bench import SYMBOL, UsdmBench

ORDERS = {("POST", "/fapi/v1/order"): 1, ("POST", "/fapi/v1/batchOrders"): 5}
WEIGHTS = {
    ("POST", "/fapi/v1/order"): 0,
    ("GET", "/fapi/v1/order"): 1,
    ("DELETE", "/fapi/v1/allOpenOrders"): 1,
    ("GET", "/fapi/v1/openOrders"): 40,
    ("GET", "/fapi/v1/userTrades"): 5,
    ("GET", "/fapi/v1/income"): 30,
    ("GET", "/fapi/v1/positionSide/dual"): 30,
    ("GET", "/fapi/v1/commissionRate"): 20,
    ("GET", "/fapi/v3/positionRisk"): 5,
}


@pytest.mark.parametrize("place", PRIVATE, ids=" ".join)
def test_who_only_reads_can_neither_trade_nor_change_anything(place: tuple[str, str]) -> None:
    method, path = place
    reads = method == "GET" or path == "/fapi/v1/listenKey"
    assert PRIVATE[place].permission == ("read" if reads else "futures")
    assert PRIVATE[place].orders == ORDERS.get(place, 0)


@pytest.mark.parametrize(("place", "weight"), WEIGHTS.items())
def test_weights_are_the_documented_ones(place: tuple[str, str], weight: int) -> None:
    call = UsdmBench().call(*place)
    assert PRIVATE[place].weight(call) == weight


def test_asking_for_one_symbol_is_cheaper() -> None:
    call = UsdmBench().call("GET", "openOrders", {"symbol": SYMBOL})
    assert PRIVATE["GET", "/fapi/v1/openOrders"].weight(call) == 1


def test_what_is_not_carried_out_says_so() -> None:
    bench = UsdmBench()
    assert bench.refused("PUT", "order", symbol=SYMBOL, orderId=1) == (
        -5000,
        "Path /fapi/v1/order, Method PUT is invalid",
    )


def test_a_stranger_sees_nothing_of_anothers_orders() -> None:
    bench = UsdmBench()
    bench.buy("0.1", "39000.0", "GTC", newClientOrderId="private")
    bench.house.open_user("u2", bench.now)
    other = replace(bench.key, user="u2", api_key="f" * 64)
    bench.house.add_key(other)
    for method, path in (("GET", "order"), ("DELETE", "order")):
        for name, value in (("origClientOrderId", "private"), ("orderId", 1)):
            call = bench.call(method, path, {"symbol": SYMBOL, name: value}, key=other)
            assert bench.answer(call)[1]["code"] in (-2013, -2011)
    assert bench.answer(bench.call("GET", "openOrders", key=other)) == (200, [])
    assert len(bench.send("GET", "openOrders")) == 1
