"""What the venue says to calls it cannot or will not answer: always its own error body, never a crash."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from libs.exchange.engine.commands import Reason, Refused
from services.venue import binance_usdm_errors
from services.venue.binance_common import FUTURES_WEIGHT_MAX, SAPI_ACCOUNT_WEIGHT_MAX
from services.venue.bitget_private_errors import Subject, code_of
from services.venue.limits import BAN_MS, CALLS_AFTER_429_MAX
from services.venue.market import MS_PER_HOUR
from services.venue.refusals import TEXTS
from tests.helpers.venue_calls import WALL0_MS, Bench

SPOT, PERP, BITGET = "https://api.binance.com", "https://fapi.binance.com", "https://api.bitget.com"
BITGET_HEADERS = {
    "access-key": "abc",
    "access-sign": "AAAA",
    "access-timestamp": "1800000000000",
    "access-passphrase": "x",
}
V3 = f"{BITGET}/api/v3/market"


@pytest.mark.parametrize(
    ("url", "status", "code"),
    [
        (f"{SPOT}/api/v3/depth", 400, -1102),
        (f"{SPOT}/api/v3/depth?symbol=NOPEUSDT", 400, -1121),
        (f"{SPOT}/api/v3/depth?symbol=BTCUSDT&limit=many", 400, -1130),
        (f"{SPOT}/api/v3/depth?symbol=BTCUSDT&limit=-5", 400, -1130),
        (f"{SPOT}/api/v3/ticker/24hr?symbols=oops", 400, -1100),
        (f"{PERP}/fapi/v1/fundingRate?symbol=BTCUSDT&startTime=x", 400, -1130),
        (f"{PERP}/fapi/v1/noSuchThing", 404, -5000),
        (f"{SPOT}/api/v3/account?signature=0", 401, -2014),
        (f"{PERP}/fapi/v3/positionRisk", 401, -2014),
        (f"{SPOT}/sapi/v1/capital/config/getall", 401, -2014),
        (f"{V3}/tickers", 400, "40017"),
        (f"{V3}/orderbook?category=SPOT", 400, "40019"),
        (f"{V3}/orderbook?category=SPOT&symbol=NOPEUSDT", 400, "40034"),
        (f"{V3}/orderbook?category=SPOT&symbol=BTCUSDT&limit=x", 400, "40017"),
        (f"{V3}/no-such-thing", 404, "40404"),
        (f"{BITGET}/api/v3/account/assets", 400, "40001"),
        (f"{BITGET}/api/v2/mix/account/accounts", 400, "40001"),
    ],
)
def test_a_bad_call_gets_the_venues_error(url: str, status: int, code: int | str) -> None:
    answer = Bench().call(url)
    assert (answer.status, msgspec.json.decode(answer.body)["code"]) == (status, code)


def test_a_private_call_with_an_unknown_key_is_refused_as_such() -> None:
    bench = Bench()
    for url, header, code in (
        (f"{SPOT}/api/v3/order", {"x-mbx-apikey": "a" * 64}, -2015),
        (f"{BITGET}/api/v3/trade/place-order", BITGET_HEADERS, "40006"),
    ):
        answer = bench.call(url, method="POST", headers=header)
        assert answer.status in (400, 401)
        assert msgspec.json.decode(answer.body)["code"] == code


def test_a_path_on_the_wrong_host_does_not_exist() -> None:
    assert Bench().call(f"{SPOT}/fapi/v1/time").status == 404
    assert Bench().call(f"{PERP}/api/v3/time").status == 404
    assert Bench().call("https://papi.binance.com/papi/v1/ping").status == 404


def test_weights_add_up_and_the_limit_is_enforced_until_the_minute_ends() -> None:
    bench = Bench()
    url = f"{PERP}/fapi/v1/ticker/24hr"  # all symbols: weight 40
    first = bench.call(url)
    assert first.headers["x-mbx-used-weight-1m"] == "40"
    answers = [bench.call(url) for _ in range(FUTURES_WEIGHT_MAX // 40)]
    assert [one.status for one in answers[-2:]] == [200, 429]
    refusal = answers[-1]
    assert msgspec.json.decode(refusal.body)["code"] == -1003
    assert 1 <= int(refusal.headers["retry-after"]) <= 60
    assert bench.call(f"{SPOT}/api/v3/time").status == 200, "spot counts on its own"
    assert bench.call(url, after_ms=60_000).status == 200


def signed(bench: Bench, path: str, **said: str) -> dict[str, Any]:
    """What `Bench.call` needs for a signed call of the first user."""
    key = bench.keys["binance"]
    query = urlencode({**said, "timestamp": str(WALL0_MS)})
    sign = hmac.new(key.secret.encode(), query.encode(), hashlib.sha256).hexdigest()
    return {"url": f"{SPOT}{path}?{query}&signature={sign}", "headers": {"x-mbx-apikey": key.api_key}}


def test_paths_of_sapi_count_each_for_itself_by_ip_or_by_account() -> None:
    bench = Bench()
    by_ip = bench.call(**signed(bench, "/sapi/v1/margin/account"))
    assert by_ip.headers["x-sapi-used-ip-weight-1m"] == "10"
    assert "x-mbx-used-weight-1m" not in by_ip.headers
    moved = signed(bench, "/sapi/v1/asset/transfer", type="MAIN_UMFUTURE", asset="USDT", amount="1")
    answers = [bench.call(**moved, method="POST") for _ in range(SAPI_ACCOUNT_WEIGHT_MAX // 900 + 1)]
    assert [one.headers["x-sapi-used-uid-weight-1m"] for one in answers[:2]] == ["900", "1800"]
    assert [one.status for one in answers[-2:]] == [200, 429]
    again = bench.call(**signed(bench, "/sapi/v1/margin/account"))
    assert (again.status, again.headers["x-sapi-used-ip-weight-1m"]) == (200, "20")
    assert bench.call(f"{SPOT}/api/v3/time").headers["x-mbx-used-weight-1m"] == "1", "sapi is not in it"


def test_texts_of_faults_are_the_wires_own() -> None:
    about = Subject(symbol="BTCUSDT", listing=None)
    for reason in Reason:
        code, text = code_of(Refused(reason, ""), about)
        if code in ("25202", "25203", "25204", "40762", "40786", "40774"):
            assert TEXTS[code] == text
    for reason, (number, text) in binance_usdm_errors._PLAIN.items():
        if str(number) in TEXTS and number != -2015:
            assert TEXTS[str(number)] == text, reason


def test_who_goes_on_after_429_is_banned() -> None:
    bench = Bench()
    url = f"{PERP}/fapi/v1/ticker/24hr"
    statuses = [bench.call(url).status for _ in range(FUTURES_WEIGHT_MAX // 40 + CALLS_AFTER_429_MAX + 2)]
    assert statuses[-1] == 418
    assert bench.call(f"{SPOT}/api/v3/time", after_ms=60_000).status == 418, "a ban is of the IP"
    assert bench.call(f"{SPOT}/api/v3/time", after_ms=BAN_MS).status == 200


def test_bitget_allows_twenty_a_second_and_endpoint() -> None:
    bench = Bench()
    url = f"{V3}/tickers?category=SPOT"
    statuses = [bench.call(url).status for _ in range(21)]
    assert statuses == [200] * 20 + [429]
    assert bench.call(f"{V3}/instruments?category=SPOT").status == 200
    assert bench.call(url, after_ms=1_000).status == 200


def test_when_the_recording_is_over_the_venues_are_in_maintenance() -> None:
    bench = Bench()
    end = max(bench.market.span_ms("binance")[1], bench.market.span_ms("bitget")[1])
    bench = Bench(start_ms=end, market=bench.market)
    spot = bench.call(f"{SPOT}/api/v3/exchangeInfo")
    assert (spot.status, b"System is under maintenance." in spot.body) == (503, True)
    assert bench.call(f"{PERP}/fapi/v1/premiumIndex").status == 503
    assert bench.call(f"{SPOT}/api/v3/time").status == 200
    assert bench.get(f"{SPOT}/sapi/v1/system/status")["status"] == 1
    bitget = bench.call(f"{V3}/tickers?category=SPOT")
    assert (bitget.status, msgspec.json.decode(bitget.body)["code"]) == (503, "40200")


def test_server_time_is_wall_time_and_market_stamps_are_market_time() -> None:
    bench = Bench(speed=2_880.0)
    hour = bench.clock.market0_ms + MS_PER_HOUR
    wall = MS_PER_HOUR // 2_880
    assert bench.get(f"{SPOT}/api/v3/time", after_ms=wall)["serverTime"] == bench.clock.wall0_ms + wall
    row = bench.get(f"{PERP}/fapi/v1/premiumIndex?symbol=BTCUSDT", after_ms=wall)
    assert row["time"] == hour
    assert row["nextFundingTime"] > hour
    ticker = bench.get(f"{V3}/tickers?category=USDT-FUTURES&symbol=BTCUSDT", after_ms=wall)
    assert ticker["requestTime"] == bench.clock.wall0_ms + wall
    assert abs(int(ticker["data"][0]["ts"]) - hour) <= 250 * 2_880


def test_funding_info_lists_only_other_intervals_than_eight_hours() -> None:
    rows = {row["symbol"]: row["fundingIntervalHours"] for row in Bench().get(f"{PERP}/fapi/v1/fundingInfo")}
    assert rows == {"ORDIUSDT": 4, "TIAUSDT": 4, "TONUSDT": 4, "WIFUSDT": 4}


def test_funding_history_pages_as_binance_does() -> None:
    bench = Bench()
    series = bench.market.recording.series["binance", "BTCUSDT"]
    past = [stamp for stamp in series.stamps_ms if stamp <= bench.clock.market0_ms]
    url = f"{PERP}/fapi/v1/fundingRate?symbol=BTCUSDT"
    latest = [row["fundingTime"] for row in bench.get(url)]
    assert latest == past[-100:]
    first = [row["fundingTime"] for row in bench.get(f"{url}&startTime={past[3]}&limit=5")]
    assert first == past[3:8]
    between = [row["fundingTime"] for row in bench.get(f"{url}&startTime={past[3]}&endTime={past[5]}")]
    assert between == past[3:6]


def test_funding_history_pages_as_bitget_does() -> None:
    bench = Bench()
    series = bench.market.recording.series["bybit", "BTCUSDT"]
    past = [stamp for stamp in series.stamps_ms if stamp <= bench.clock.market0_ms][::-1]
    url = f"{V3}/history-fund-rate?category=USDT-FUTURES&symbol=BTCUSDT"

    def page(query: str) -> list[int]:
        return [int(row["fundingRateTimestamp"]) for row in bench.get(url + query)["data"]["resultList"]]

    assert page("") == past[:20]
    assert page("&limit=100") == past[:100]
    assert page("&limit=1000") == past[:100]
    assert page("&limit=100&cursor=2") == past[100:200]
    assert page("&limit=100&cursor=9") == []


def test_data_faults_change_what_is_said() -> None:
    url = f"{PERP}/fapi/v1/premiumIndex?symbol=BTCUSDT"

    def rate(kind: str) -> object:
        bench = Bench()
        bench.fault(kind=kind, symbol="BTCUSDT")
        return bench.get(url)["lastFundingRate"]

    assert rate("rate_null") is None
    assert rate("rate_nan") == "NaN"
    assert rate("rate_absurd") == "1800000000.00000000"

    bench = Bench()
    bench.fault(kind="wrong_multiplier", symbol="BTCUSDT", factor=1000.0, count=1)
    wrong = float(bench.get(f"{PERP}/fapi/v1/ticker/bookTicker?symbol=BTCUSDT")["bidPrice"])
    right = float(bench.get(f"{PERP}/fapi/v1/ticker/bookTicker?symbol=BTCUSDT")["bidPrice"])
    assert wrong == pytest.approx(1000 * right, rel=1e-3)

    bench.fault(kind="book_crossed", endpoint="*/depth")
    book = bench.get(f"{PERP}/fapi/v1/depth?symbol=BTCUSDT&limit=5")
    assert float(book["bids"][0][0]) > float(book["asks"][0][0])

    bench.fault(kind="interval_change", interval_hours=1.0, symbol="BTCUSDT")
    rows = {row["symbol"]: row["fundingIntervalHours"] for row in bench.get(f"{PERP}/fapi/v1/fundingInfo")}
    assert rows["BTCUSDT"] == 1
    next_ms = bench.get(url)["nextFundingTime"]
    assert next_ms == (bench.clock.market0_ms // MS_PER_HOUR + 1) * MS_PER_HOUR

    bench.fault(kind="clock_skew", venue="binance", offset_ms=-7_000)
    assert bench.get(f"{SPOT}/api/v3/time")["serverTime"] == bench.clock.wall0_ms - 7_000
