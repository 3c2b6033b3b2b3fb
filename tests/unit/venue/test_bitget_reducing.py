"""Orders that close on Bitget: reduce-only, hedge mode, closing everything."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.unit.venue.bitget_bench import BitgetBench, fields

PERPS = {"category": "USDT-FUTURES"}
HOLD_MODE = "The order type for unilateral position must also be the unilateral position type."


@pytest.fixture
def bench() -> BitgetBench:
    return BitgetBench(usdt="100000")


@pytest.fixture
def hedged(bench: BitgetBench) -> BitgetBench:
    bench.ok("POST", "account/set-hold-mode", holdMode="hedge_mode")
    return bench


def held(bench: BitgetBench) -> dict[str, str]:
    """Position sizes by side."""
    rows = bench.ok("GET", "position/current-position", **PERPS)["list"]
    return {row["posSide"]: row["total"] for row in rows}


def test_reduce_only_never_opens(bench: BitgetBench) -> None:
    assert bench.no_order("sell", "0.01", reduceOnly="yes") == ("25227", "No position available to close")
    bench.order("buy", "0.1")
    assert bench.no_order("buy", "0.1", reduceOnly="yes")[0] == "25232"
    seen = bench.seen(bench.order("sell", "0.5", reduceOnly="yes"))
    assert (seen["cumExecQty"], seen["reduceOnly"], seen["orderStatus"]) == ("0.1", "YES", "filled")
    assert held(bench) == {}


def test_a_newer_reduce_only_order_replaces_older_ones_and_no_id_is_told(bench: BitgetBench) -> None:
    bench.order("buy", "0.1")
    above = str(bench.top()[1] + 2000)
    first = bench.order("sell", "0.06", price=above, reduceOnly="yes")
    second = bench.order("sell", "0.04", price=above, reduceOnly="yes")
    assert bench.seen(first)["orderStatus"] == "live"
    third = bench.ok(
        "POST",
        "trade/place-order",
        **fields("sell", "0.1", "USDT-FUTURES", price=above, reduceOnly="yes", clientOid="third"),
    )
    assert third == {"orderId": None, "clientOid": "third"}
    assert {bench.seen(one)["orderStatus"] for one in (first, second)} == {"cancelled"}
    assert bench.ok("GET", "trade/order-info", clientOid="third")["orderStatus"] == "live"


def test_a_refused_replacement_leaves_the_older_order(bench: BitgetBench) -> None:
    bench.order("buy", "0.1")
    first = bench.order("sell", "0.1", price=str(bench.top()[1] + 2000), reduceOnly="yes")
    assert bench.no_order("sell", "0.1", price="1", reduceOnly="yes")[0] == "25205"
    assert bench.seen(first)["orderStatus"] == "live"


def test_a_reduce_only_market_order_closes_although_an_older_one_rests(bench: BitgetBench) -> None:
    bench.order("buy", "0.1")
    resting = bench.order("sell", "0.1", price=str(bench.top()[1] + 2000), reduceOnly="yes")
    bench.ok("POST", "trade/place-order", **fields("sell", "0.1", "USDT-FUTURES", reduceOnly="yes"))
    assert held(bench) == {}
    assert bench.seen(resting)["orderStatus"] == "cancelled"


def test_the_side_of_the_position_fits_the_hold_mode(bench: BitgetBench) -> None:
    assert bench.no_order("buy", "0.01", posSide="long") == ("40774", HOLD_MODE)
    bench.ok("POST", "account/set-hold-mode", holdMode="hedge_mode")
    assert bench.no_order("buy", "0.01") == ("40774", HOLD_MODE)
    assert bench.no_order("buy", "0.01", posSide="both")[0] == "40017"
    assert bench.ok("GET", "account/settings")["holdMode"] == "hedge_mode"


def test_hedge_mode_holds_both_sides_and_closes_each(hedged: BitgetBench) -> None:
    long = hedged.seen(hedged.order("buy", "0.2", posSide="long"))
    short = hedged.seen(hedged.order("sell", "0.1", posSide="short"))
    assert held(hedged) == {"long": "0.2", "short": "0.1"}
    assert (long["holdMode"], long["posSide"], long["tradeSide"]) == ("hedge_mode", "long", "open")
    assert (short["posSide"], short["tradeSide"]) == ("short", "open")
    closing = hedged.seen(hedged.order("sell", "0.2", posSide="long"))
    assert (closing["posSide"], closing["tradeSide"]) == ("long", "close")
    assert held(hedged) == {"short": "0.1"}
    assert hedged.no_order("sell", "0.2", posSide="long") == ("25227", "No position available to close")


def test_the_hold_mode_stays_while_there_is_a_position_or_an_order(bench: BitgetBench) -> None:
    text = "Position or order exists, the position mode cannot be switched"
    order = bench.order("buy", "0.01", price=str(bench.top()[0] - 100))
    assert bench.refused("POST", "account/set-hold-mode", holdMode="hedge_mode") == ("40920", text)
    bench.ok("POST", "trade/cancel-order", orderId=order)
    bench.order("buy", "0.01")
    assert bench.refused("POST", "account/set-hold-mode", holdMode="hedge_mode") == ("40920", text)
    assert bench.ok("POST", "account/set-hold-mode", holdMode="one_way_mode") == "success"
    assert bench.refused("POST", "account/set-hold-mode", holdMode="both")[0] == "40017"


def test_all_positions_are_closed_at_the_market(hedged: BitgetBench) -> None:
    hedged.order("buy", "0.2", posSide="long")
    hedged.order("sell", "0.1", posSide="short")
    hedged.order("buy", "1", symbol="ETHUSDT", posSide="long")
    rows = hedged.ok("POST", "trade/close-positions", symbol="BTCUSDT", posSide="short", **PERPS)["list"]
    assert [row["code"] for row in rows] == ["00000"]
    assert len(hedged.ok("POST", "trade/close-positions", **PERPS)["list"]) == 2
    assert held(hedged) == {}
    again = hedged.refused("POST", "trade/close-positions", **PERPS)
    assert again == ("25227", "No position available to close")


def test_what_resting_orders_will_close_is_frozen(bench: BitgetBench) -> None:
    bench.order("buy", "0.1")
    bench.order("sell", "0.04", price=str(bench.top()[1] + 2000), reduceOnly="yes")
    bench.order("sell", "0.01", price=str(bench.top()[1] + 2000))
    (row,) = bench.ok("GET", "position/current-position", **PERPS)["list"]
    assert (row["total"], row["frozen"], row["available"]) == ("0.1", "0.04", "0.06")


def test_leverage_is_set_by_symbol_and_read_from_the_settings(bench: BitgetBench) -> None:
    assert bench.ok("POST", "account/set-leverage", symbol="ETHUSDT", leverage="7", **PERPS) == "success"
    assert bench.ok("POST", "account/set-leverage", symbol="ETHUSDT", leverage="7", **PERPS) == "success"
    rows = bench.ok("GET", "account/settings")["symbolConfigList"]
    found = {row["symbol"]: (row["leverage"], row["marginMode"]) for row in rows}
    assert found["ETHUSDT"] == ("7", "crossed")
    assert found["BTCUSDT"] == ("20", "crossed")

    def refused(leverage: str, symbol: str = "ETHUSDT", category: str = "USDT-FUTURES") -> str:
        params = {"category": category, "symbol": symbol, "leverage": leverage}
        return bench.refused("POST", "account/set-leverage", **params)[0]

    assert refused("76") == "25223"
    assert [refused(text) for text in ("2.5", "0", "-1", "x", "nan")] == ["40017"] * 5
    assert refused("5", symbol="NOPEUSDT") == "40034"
    assert refused("5", symbol="") == "40019"
    assert refused("5", category="MARGIN") == "25002"


def test_leverage_decides_what_a_position_needs(bench: BitgetBench) -> None:
    bench.ok("POST", "account/set-leverage", symbol="BTCUSDT", leverage="1", **PERPS)
    bid = bench.top()[0]
    most = Decimal(100_000) / bid
    assert bench.no_order("sell", f"{most * Decimal('1.01'):.4f}") == ("25203", "Insufficient margin")
    bench.ok("POST", "account/set-leverage", symbol="BTCUSDT", leverage="10", **PERPS)
    assert bench.seen(bench.order("sell", "4"))["orderStatus"] == "filled"
