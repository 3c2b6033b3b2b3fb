"""Each refusal has Binance's code and text, and unmodified ccxt makes the class of it that callers know."""

from __future__ import annotations

from decimal import Decimal

import ccxt
import pytest
from msgspec.structs import replace

from libs.exchange.engine.commands import SetListing
from tests.unit.venue import binance_usdm_setting_refusals as others
from tests.unit.venue.binance_usdm_bench import HOST, PERP, SYMBOL, UsdmBench
from tests.unit.venue.binance_usdm_refusals import CASES, Case, buy, holding


def class_of(status: int, code: int, text: str) -> type[Exception]:
    """What unmodified ccxt raises for such an answer of the real host."""
    exchange = ccxt.binanceusdm()
    body = exchange.json({"code": code, "msg": text})
    url = f"https://{HOST}/fapi/v1/order"
    with pytest.raises(ccxt.BaseError) as caught:
        exchange.handle_errors(status, "", url, "POST", {}, body, {"code": code, "msg": text}, {}, "")
    return type(caught.value)


@pytest.mark.parametrize("case", [*CASES, *others.CASES], ids=lambda case: case.name)
def test_a_refusal_is_binances_own(case: Case) -> None:
    bench = UsdmBench()
    case.after(bench)
    before = bench.house.engine.snapshot()
    status, body = bench.answer(bench.call(*case.place, case.params))
    assert (status, body) == (400, {"code": case.code, "msg": case.text})
    assert class_of(status, case.code, case.text) is case.kind
    if case.name != "fill or kill":  # which the engine has taken and ended; the next test looks at it
        assert bench.house.engine.snapshot() == before


@pytest.mark.parametrize(
    ("status", "code", "text", "kind"),
    [
        (503, -1008, "Server is currently overloaded with other requests.", ccxt.OperationFailed),
        (400, -1021, "Timestamp for this request is outside of the recvWindow.", ccxt.InvalidNonce),
        (400, -1022, "Signature for this request is not valid.", ccxt.AuthenticationError),
        (401, -2014, "API-key format invalid.", ccxt.AuthenticationError),
        (401, -2015, "Invalid API-key, IP, or permissions for action.", ccxt.AuthenticationError),
        (429, -1015, "Too many new orders.", ccxt.DDoSProtection),
    ],
)
def test_ccxts_classes_of_the_other_codes(status: int, code: int, text: str, kind: type[Exception]) -> None:
    assert class_of(status, code, text) is kind


def test_a_tick_that_is_no_power_of_ten() -> None:
    bench = UsdmBench()
    found = bench.house.engine.listing(PERP)
    coarse = replace(found, price_tick=Decimal("0.5"), quantity_step=Decimal("0.005"))
    bench.house.tell(SetListing(listing=coarse), bench.now)
    tick = (-4014, "Price not increased by tick size.")
    assert bench.refused("POST", "order", **buy(price="39000.3")) == tick
    step = (-4023, "Quantity not increased by step size.")
    assert bench.refused("POST", "order", **buy("0.101", "39000.5")) == step
    assert bench.refused("POST", "order", **buy("0.1", "39000.25"))[0] == -1111


def test_the_smallest_notional_is_named_and_reducing_is_exempt() -> None:
    bench = UsdmBench()
    found = bench.house.engine.listing(PERP)
    bench.house.tell(SetListing(listing=replace(found, notional_min=Decimal(100))), bench.now)
    said = (-4164, "Order's notional must be no smaller than 100 (unless you choose reduce only)")
    assert bench.refused("POST", "order", **buy("0.001")) == said
    holding(bench)
    assert bench.sell("0.001", "39999.9", reduceOnly="true")["status"] == "FILLED"


def test_the_smallest_quantity() -> None:
    bench = UsdmBench()
    found = bench.house.engine.listing(PERP)
    bench.house.tell(SetListing(listing=replace(found, quantity_min=Decimal("0.2"))), bench.now)
    assert bench.refused("POST", "order", **buy()) == (-4004, "Quantity less than min quantity.")


def test_a_fill_or_kill_order_that_did_not_fill_leaves_no_trace() -> None:
    bench = UsdmBench()
    stream = bench.stream()
    bench.refused("POST", "order", **buy("2", "40000.0", "FOK", newClientOrderId="all"))
    assert bench.refused("GET", "order", symbol=SYMBOL, origClientOrderId="all")[0] == -2013
    assert bench.send("GET", "allOrders", symbol=SYMBOL) == []
    assert bench.heard(stream) == []
    assert bench.buy("2", "40001.0", "FOK")["status"] == "FILLED"
    assert [one["o"]["x"] for one in bench.heard(stream) if "o" in one] == ["NEW", "TRADE", "TRADE"]
