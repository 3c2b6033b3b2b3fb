"""The USD-M user stream: which events come, in which order, with which figures."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from libs.exchange.engine.commands import Deleverage, Liquidate, SettleFunding, Transfer
from libs.exchange.engine.types import PositionSide
from services.venue.binance_usdm_stream import UserStream
from services.venue.listen_keys import VALID_MS
from services.venue.market import DEFAULT_START_MS
from tests.unit.venue.binance_usdm_bench import ACCOUNT, PERP, SYMBOL, UsdmBench


def names(events: list[Any]) -> list[str]:
    return [event["e"] + (f" {event['o']['x']}" if "o" in event else "") for event in events]


def test_a_trade_is_told_with_the_wallet_and_position_before_the_order() -> None:
    bench = UsdmBench()
    stream = bench.stream()
    told: list[int] = []
    stream.on_ready = lambda: told.append(1)
    bench.buy("1.5", "40001.0", newClientOrderId="abc")
    assert told, "the server is told at once"
    events = bench.heard(stream)
    trade = ["TRADE_LITE", "ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE TRADE"]
    assert names(events) == ["ORDER_TRADE_UPDATE NEW", *trade, *trade]
    first, second = events[2]["a"], events[5]["a"]
    assert (first["m"], first["B"][0]["wb"]) == ("ORDER", "9980.00000000")
    assert (first["P"][0]["pa"], first["P"][0]["ep"]) == ("1.000", "40000")
    assert (second["B"][0]["wb"], second["B"][0]["bc"]) == ("9969.99975000", "0.00000000")
    assert (second["P"][0]["pa"], second["P"][0]["up"]) == ("1.500", "-0.50000000")
    order = events[6]["o"]
    assert (order["X"], order["z"], order["l"], order["L"]) == ("FILLED", "1.500", "0.500", "40001.0")
    assert (order["n"], order["N"], order["m"], order["t"]) == ("10.00025000", "USDT", False, 2)
    assert order["c"] == "abc"
    assert bench.heard(stream) == []


def test_the_rest_of_an_ioc_order_expires_and_a_resting_one_is_canceled() -> None:
    bench = UsdmBench()
    stream = bench.stream()
    bench.buy("1.5", "40000.0")
    assert names(bench.heard(stream))[-1] == "ORDER_TRADE_UPDATE EXPIRED"
    bench.buy("0.1", "39000.0", "GTC", newClientOrderId="rests")
    bench.send("DELETE", "order", symbol=SYMBOL, origClientOrderId="rests")
    new, canceled = bench.heard(stream)
    assert (new["o"]["x"], new["o"]["b"]) == ("NEW", "3900.00000000")
    assert (canceled["o"]["x"], canceled["o"]["X"], canceled["o"]["b"]) == ("CANCELED",) * 2 + ("0.00000000",)


def test_funding_names_the_wallet_and_only_isolated_positions() -> None:
    bench = UsdmBench()
    stream = bench.stream()
    bench.sell("1", "39999.0")
    bench.heard(stream)
    settle = SettleFunding(
        instrument=PERP, rate=Decimal("0.0001"), mark=Decimal(40_000), settled_ms=DEFAULT_START_MS
    )
    bench.house.tell(settle, bench.now, market_ms=DEFAULT_START_MS)
    (event,) = bench.heard(stream)
    assert (event["e"], event["a"]["m"], event["a"]["P"]) == ("ACCOUNT_UPDATE", "FUNDING_FEE", [])
    assert (event["T"], event["E"]) == (DEFAULT_START_MS, bench.wall_ms)
    (balance,) = event["a"]["B"]
    assert (balance["wb"], balance["bc"]) == ("9984.00005000", "4.00000000")


def test_transfers_are_deposits_and_withdrawals() -> None:
    bench = UsdmBench()
    stream = bench.stream()
    for source, target in ((ACCOUNT, "u1:spot"), ("u1:spot", ACCOUNT)):
        command = Transfer(source=source, target=target, asset="USDT", amount=Decimal(100))
        bench.house.apply(command, bench.now)
    out, back = bench.heard(stream)
    assert (out["a"]["m"], out["a"]["B"][0]["bc"]) == ("WITHDRAW", "-100.00000000")
    assert (back["a"]["m"], back["a"]["B"][0]["wb"]) == ("DEPOSIT", "10000.00000000")


def test_settings_are_told() -> None:
    bench = UsdmBench()
    stream = bench.stream()
    bench.send("POST", "leverage", symbol=SYMBOL, leverage=7)
    bench.send("POST", "marginType", symbol=SYMBOL, marginType="ISOLATED")
    bench.send("POST", "positionSide/dual", dualSidePosition="true")
    leverage, mode = bench.heard(stream)
    assert (leverage["e"], leverage["ac"]) == ("ACCOUNT_CONFIG_UPDATE", {"s": SYMBOL, "l": 7})
    assert (mode["a"]["m"], mode["a"]["P"][0]["mt"]) == ("MARGIN_TYPE_CHANGE", "isolated")


@pytest.mark.parametrize(
    ("command", "client_id"),
    [
        (Liquidate(account=ACCOUNT, instrument=PERP, position_side=PositionSide.BOTH), "autoclose-"),
        (
            Deleverage(
                account=ACCOUNT,
                instrument=PERP,
                position_side=PositionSide.BOTH,
                quantity=Decimal("0.5"),
                price=Decimal(40_000),
            ),
            "adl_autoclose",
        ),
    ],
)
def test_what_the_venue_forces_is_no_trade_of_the_owner(command: Any, client_id: str) -> None:
    bench = UsdmBench()
    bench.buy("0.5", "40000.0")
    stream = bench.stream()
    bench.house.apply(command, bench.now)
    events = bench.heard(stream)
    forced = [event["o"] for event in events if "o" in event]
    assert {order["x"] for order in forced} == {"CALCULATED"}
    assert forced[-1]["c"].startswith(client_id)
    assert "TRADE_LITE" not in names(events)
    last = [event["a"]["P"] for event in events if "a" in event and event["a"]["P"]][-1]
    assert last[0]["pa"] == "0.000"


def test_a_margin_call_comes_once_a_second_while_the_margin_is_thin() -> None:
    bench = UsdmBench(deposit="2400")
    bench.buy("1", "40000.0")
    stream = bench.stream()
    assert bench.heard(stream) == []
    bench.wait(1_000)
    bench.mark(Decimal(37_815))  # equity 2380 - 2185 = 195, maintenance 151.26
    assert bench.heard(stream) == []
    bench.wait(1_000)
    bench.mark(Decimal(37_800))  # equity 180, maintenance 151.2
    (call,) = bench.heard(stream)
    assert (call["e"], call["cw"]) == ("MARGIN_CALL", "2380.00000000")
    (row,) = call["p"]
    assert (row["mp"], row["up"], row["mm"]) == ("37800.00000000", "-2200.00000000", "151.20000000")
    assert bench.heard(stream) == []
    bench.wait(1_000)
    assert names(bench.heard(stream)) == ["MARGIN_CALL"]


def test_a_listen_key_lives_for_an_hour_unless_it_is_prolonged() -> None:
    bench = UsdmBench()
    stream = bench.stream()
    key = bench.send("POST", "listenKey")["listenKey"]
    bench.wait(VALID_MS - 1)
    assert bench.heard(stream) == []
    bench.send("PUT", "listenKey")
    bench.wait(VALID_MS - 1)
    bench.buy("0.1", "40000.0")
    assert len(bench.heard(stream)) == 4
    bench.wait(1)
    (over,) = bench.heard(stream)
    assert over == {"e": "listenKeyExpired", "E": bench.wall_ms, "listenKey": key}
    bench.buy("0.1", "40000.0")
    assert bench.heard(stream) == []
    assert bench.refused("PUT", "listenKey") == (-1125, "This listenKey does not exist.")
    assert bench.send("POST", "listenKey")["listenKey"] != key


def test_a_closed_listen_key_ends_its_stream() -> None:
    bench = UsdmBench()
    stream = bench.stream()
    assert bench.send("DELETE", "listenKey") == {}
    assert names(bench.heard(stream)) == ["listenKeyExpired"]
    assert bench.refused("DELETE", "listenKey")[0] == -1125


def test_an_unknown_listen_key_hears_nothing() -> None:
    bench = UsdmBench()
    stream = UserStream(bench.house, "0" * 64, bench.now)
    bench.buy("0.1", "40000.0")
    assert bench.heard(stream) == []
    stream.close()


def test_the_wrapped_form_names_the_listen_key() -> None:
    bench = UsdmBench()
    key = bench.send("POST", "listenKey")["listenKey"]
    stream = UserStream(bench.house, key, bench.now, wrapped=True)
    bench.buy("0.1", "39000.0", "GTC")
    (event,) = bench.heard(stream)
    assert event["stream"] == key
    assert event["data"]["e"] == "ORDER_TRADE_UPDATE"
    stream.close()
    bench.buy("0.1", "39000.0", "GTC")
    assert bench.heard(stream) == []


def test_what_a_client_says_is_confirmed() -> None:
    bench = UsdmBench()
    stream = bench.stream()
    (frame,) = stream.hear('{"method": "SUBSCRIBE", "params": ["x"], "id": 3}', bench.now)
    assert frame.text == '{"result":null,"id":3}'
    (frame,) = stream.hear("{", bench.now)
    assert '"code":3' in frame.text
