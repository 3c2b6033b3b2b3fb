"""Every answer has the keys and types of the exchange's documented payload, so that client and venue do
not share one misreading. The payloads are copies; see tests/data/wire/NOTICE.md."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from services.venue import binance_ws, bitget_ws
from services.venue.desk import STEP_MS
from tests.helpers.venue_calls import WALL0_MS, Bench

WIRE = Path(__file__).parents[2] / "data" / "wire"
SPOT, PERP, BITGET = "https://api.binance.com", "https://fapi.binance.com", "https://api.bitget.com"
V3 = f"{BITGET}/api/v3/market"

ENDPOINTS = {
    "binance_perp_time": f"{PERP}/fapi/v1/time",
    "binance_perp_premium_index": f"{PERP}/fapi/v1/premiumIndex?symbol=BTCUSDT",
    "binance_perp_funding_info": f"{PERP}/fapi/v1/fundingInfo",
    "binance_perp_funding_rate": f"{PERP}/fapi/v1/fundingRate?symbol=BTCUSDT",
    "binance_perp_depth": f"{PERP}/fapi/v1/depth?symbol=BTCUSDT",
    "binance_perp_book_ticker": f"{PERP}/fapi/v1/ticker/bookTicker?symbol=BTCUSDT",
    "binance_perp_ticker_24hr": f"{PERP}/fapi/v1/ticker/24hr?symbol=BTCUSDT",
    "binance_perp_price": f"{PERP}/fapi/v2/ticker/price?symbol=BTCUSDT",
    "binance_perp_exchange_info": f"{PERP}/fapi/v1/exchangeInfo",
    "binance_spot_time": f"{SPOT}/api/v3/time",
    "binance_spot_book_ticker": f"{SPOT}/api/v3/ticker/bookTicker?symbol=BTCUSDT",
    "binance_spot_ticker_24hr": f"{SPOT}/api/v3/ticker/24hr?symbol=BTCUSDT",
    "binance_spot_price": f"{SPOT}/api/v3/ticker/price?symbol=BTCUSDT",
    "binance_spot_exchange_info": f"{SPOT}/api/v3/exchangeInfo",
    "binance_system_status": f"{SPOT}/sapi/v1/system/status",
    "bitget_time": f"{BITGET}/api/v2/public/time",
    "bitget_coins": f"{BITGET}/api/v2/spot/public/coins",
    "bitget_symbol_price": f"{BITGET}/api/v2/mix/market/symbol-price?symbol=BTCUSDT&productType=USDT-FUTURES",
    "bitget_instruments": f"{BITGET}/api/v3/market/instruments?category=USDT-FUTURES",
    "bitget_tickers": f"{BITGET}/api/v3/market/tickers?category=USDT-FUTURES",
    "bitget_orderbook": f"{BITGET}/api/v3/market/orderbook?category=SPOT&symbol=ETHUSDT",
    "bitget_current_fund_rate": f"{BITGET}/api/v3/market/current-fund-rate?symbol=ETHUSDT",
    "bitget_history_fund_rate": f"{V3}/history-fund-rate?category=USDT-FUTURES&symbol=BTCUSDT",
}

# Keys of Binance's live exchangeInfo (recorded 2021) that its documentation leaves out.
UNDOCUMENTED = {"futuresType", "baseCommissionPrecision", "quoteCommissionPrecision"}


def body_of(name: str) -> Any:
    """The documented answer: what follows the parameters (REST) or the `=` line (streams)."""
    text = (WIRE / f"{name}.txt").read_text(encoding="utf-8")
    if text.startswith(">"):
        return json.loads(text.split("\n=", 1)[1])
    start = re.search(r"^[\[{]", text, re.MULTILINE)
    assert start is not None
    return json.loads(text[start.start() :])


def differences(documented: Any, ours: Any, path: str = "") -> list[str]:
    """Where keys or JSON types differ; of arrays the first elements are compared."""
    if isinstance(documented, dict) and isinstance(ours, dict):
        found = [f"{path}.{key} is missing" for key in documented.keys() - ours.keys()]
        found += [f"{path}.{key} is ours alone" for key in ours.keys() - documented.keys() - UNDOCUMENTED]
        for key in documented.keys() & ours.keys():
            found += differences(documented[key], ours[key], f"{path}.{key}")
        return found
    if isinstance(documented, list) and isinstance(ours, list):
        if not documented or not ours or documented[0] == {}:
            return []
        return differences(documented[0], ours[0], f"{path}[0]")
    if type(documented) is type(ours) or {type(documented), type(ours)} == {int, float}:
        return []
    return [f"{path}: {type(ours).__name__} instead of {type(documented).__name__}"]


@pytest.mark.parametrize("name", ENDPOINTS)
def test_rest_answer_has_the_documented_shape(name: str) -> None:
    documented, ours = body_of(name), Bench().get(ENDPOINTS[name])
    if "exchange_info" in name:  # the filters of a symbol are told apart by their type, not by position
        for side in (documented, ours):
            for symbol in side["symbols"]:
                symbol["filters"] = {entry["filterType"]: entry for entry in symbol["filters"]}
        for extra in ours["symbols"][0]["filters"].keys() - documented["symbols"][0]["filters"].keys():
            del ours["symbols"][0]["filters"][extra]
    if name == "binance_perp_exchange_info":
        documented["assets"] = documented["assets"][:1]
        # Recorded live as text, documented as numbers.
        documented["assets"][0]["autoAssetExchange"] = "-10000"
        documented["symbols"][0]["filters"]["PERCENT_PRICE"]["multiplierDecimal"] = "4"
    assert differences(documented, ours) == []
    path = (WIRE / f"{name}.txt").read_text(encoding="utf-8").splitlines()[1].strip()
    assert path in ENDPOINTS[name]


STREAMS = {
    "binance_ws_spot_book_ticker": ("spot", "btcusdt@bookTicker"),
    "binance_ws_spot_mini_ticker": ("spot", "btcusdt@miniTicker"),
    "binance_ws_spot_ticker": ("spot", "btcusdt@ticker"),
    "binance_ws_perp_book_ticker": ("perp", "btcusdt@bookTicker"),
    "binance_ws_perp_mark_price": ("perp", "btcusdt@markPrice@1s"),
    "binance_ws_perp_depth": ("perp", "btcusdt@depth@100ms"),
    "binance_ws_perp_ticker": ("perp", "btcusdt@ticker"),
    "binance_ws_perp_mini_ticker": ("perp", "btcusdt@miniTicker"),
}


@pytest.mark.parametrize("name", STREAMS)
def test_binance_stream_has_the_documented_shape(name: str) -> None:
    kind, stream = STREAMS[name]
    desk = Bench().desks["binance"]
    talk = binance_ws.Conversation(
        desk,
        kind,  # type: ignore[arg-type]
        wrapped=True,
        streams=(),
        now=desk.instant(WALL0_MS),
    )
    request = {"method": "SUBSCRIBE", "params": [stream], "id": 7}
    (confirmed,) = talk.hear(json.dumps(request), desk.instant(WALL0_MS))
    assert json.loads(confirmed.text) == {"result": None, "id": 7}
    (frame,) = talk.push(desk.instant(WALL0_MS + 8 * STEP_MS))
    ours = json.loads(frame.text)
    assert ours["stream"] == stream
    assert differences(body_of(name), ours) == []


@pytest.mark.parametrize(("name", "topic"), [("bitget_ws_ticker", "ticker"), ("bitget_ws_books1", "books1")])
def test_bitget_stream_has_the_documented_shape(name: str, topic: str) -> None:
    desk = Bench().desks["bitget"]
    talk = bitget_ws.Conversation(desk)
    arg = {"instType": "usdt-futures", "topic": topic, "symbol": "BTCUSDT"}
    (confirmed,) = talk.hear(json.dumps({"op": "subscribe", "args": [arg]}), desk.instant(WALL0_MS))
    assert json.loads(confirmed.text) == {"event": "subscribe", "arg": arg}
    (frame,) = talk.push(desk.instant(WALL0_MS + STEP_MS))
    documented, ours = body_of(name), json.loads(frame.text)
    # The ticker's documented `arg` says instId, the client's and ccxt's say symbol: it echoes what was asked.
    documented["arg"], told = arg, ours["arg"]
    assert told == arg
    assert differences(documented, ours) == []
