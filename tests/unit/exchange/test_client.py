"""What of a call's failures is the venue's, and what is ours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from libs.common.instant import ManualClock, MarketClock
from libs.exchange.adapter import CcxtMarketData
from libs.exchange.client import Client
from libs.exchange.port import VenueError
from libs.exchange.quirks import quirks_of
from libs.exchange.record import ClientSpec
from libs.exchange.units import decimal_of, float_of, instrument_of
from tests.integration.loopback import perp

SLUG = "BTC-USDT-PERP"


class Answering:
    """In place of a ccxt instance: every call answers the same, or raises."""

    last_response_headers: dict[str, str] = {}  # noqa: RUF012 - never written
    timeout_on_exit = 0

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.markets = {"BTC/USDT:USDT": perp("BTC", "BTCUSDT", fundInterval="8")}

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*_: Any, **__: Any) -> Any:
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

        return call


async def closed() -> None:
    return None


class Broken(CcxtMarketData):
    """With a mistake of our own where answers are read."""

    def quote_of(self, *_: Any, **__: Any) -> Any:
        answers: dict[str, Any] = {}
        return answers["ours"]

    def last_mark(self, slug: str) -> Any:
        return None.mark  # type: ignore[attr-defined]  # the mistake


def market(answer: Any, cls: type[CcxtMarketData] = CcxtMarketData, venue: str = "bitget") -> CcxtMarketData:
    clock = ManualClock(wall_us=1_700_000_000_000_000, market=MarketClock())
    data = cls(
        venue,
        quirks_of(venue),
        clock=clock,
        open_exchange=lambda _: Answering(answer),
        close_shared=closed,
    )
    data.adopt_markets()
    return data


CALLS: dict[str, Callable[[CcxtMarketData], Awaitable[Any]]] = {
    "funding": lambda data: data.fetch_funding([SLUG]),
    "quotes": lambda data: data.fetch_quotes([SLUG]),
    "book": lambda data: data.fetch_book(SLUG),
    "settled": lambda data: data.fetch_settled(SLUG, since_ms=0, until_ms=10**12),
    "clock": lambda data: data.fetch_clock_offset_ms(),
}
TICKER = {"bid": 1.0, "ask": 2.0, "fundingRate": 0.1, "info": {"x": 1}, "interval": "8h"}


@pytest.mark.parametrize(("call", "error"), [("quotes", KeyError), ("funding", AttributeError)])
async def test_a_mistake_of_ours_is_no_nonsense_of_the_venue(call: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await CALLS[call](market({"BTC/USDT:USDT": TICKER}, Broken))


@pytest.mark.parametrize("call", CALLS)
async def test_what_ccxt_trips_over_is_a_bad_payload_told_once_with_its_traceback(
    call: str, caplog: pytest.LogCaptureFixture
) -> None:
    data = market(TypeError("'NoneType' object is not subscriptable"))
    for _ in range(3):
        with pytest.raises(VenueError) as caught:
            await CALLS[call](data)
        assert caught.value.error_class == "bad_payload"
    [record] = [item for item in caplog.records if item.levelno >= logging.ERROR]
    assert record.exc_info is not None
    assert record.exc_info[0] is TypeError
    assert "bitget" in record.getMessage()


ODD: list[Any] = [
    None,
    7,
    "x",
    [],
    [1],
    {},
    {"BTC/USDT:USDT": 7},
    {"BTC/USDT:USDT": None},
    {"BTC/USDT:USDT": []},
    {"BTC/USDT:USDT": {"fundingRate": [], "interval": {}, "info": 7, "bid": {}, "timestamp": "x"}},
    {"BTC/USDT:USDT": {"fundingRate": 10**400, "info": {"a": 1}, "timestamp": 10**400, "bid": 10**400}},
    {"bids": None, "asks": 7},
    {"bids": [None, 7, [], [1], ["a", "b"], [1, 2, 3], {}], "asks": "xy", "timestamp": []},
    [{"timestamp": [], "fundingRate": {}}, None, 7, {"timestamp": 10**400}, {"timestamp": 5}],
]


@pytest.mark.parametrize("answer", ODD, ids=lambda value: str(value)[:40])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("venue", ["bitget", "okx", "bybit", "binance"])
async def test_no_structure_of_whatever_shape_raises_anything_but_a_venue_error(
    call: str, answer: Any, venue: str
) -> None:
    try:
        await CALLS[call](market(answer, venue=venue))
    except VenueError as error:
        assert error.error_class in ("bad_payload", "exchange")  # noqa: PT017 - it may also be answered


@pytest.mark.parametrize(
    "changes",
    [
        {"contractSize": 10**400},
        {"contractSize": "1E+999999"},
        {"precision": 7, "limits": []},
        {"precision": {"amount": "1E+999998"}, "limits": {"amount": 7, "cost": "x"}},
        {"info": {"fundInterval": 10**400}},
        {"info": {"fundInterval": []}},
        {"swap": False, "future": True, "type": "future", "expiry": 10**17},
        {"swap": False, "future": True, "type": "future", "expiry": -(10**15)},
        {"base": "", "quote": 7},
        {"base": "\u4e2d"},
        {"base": ["x"]},
        {"symbol": None, "id": None},
    ],
    ids=str,
)
def test_a_market_of_whatever_shape_leaves_the_others_as_they_are(changes: dict[str, Any]) -> None:
    good = Answering(None)
    good.markets["X/USDT:USDT"] = perp("X", "XUSDT") | {"symbol": "X/USDT:USDT"} | changes
    data = CcxtMarketData(
        "bitget",
        quirks_of("bitget"),
        clock=ManualClock(wall_us=0, market=MarketClock()),
        open_exchange=lambda _: good,
        close_shared=closed,
    )
    data.adopt_markets()
    assert SLUG in data.instruments


def test_numbers_beyond_all_bounds_are_none() -> None:
    assert float_of(10**400) is None
    assert decimal_of("1E+9999999") is None
    assert decimal_of(Decimal("Infinity")) is None
    row = perp("X", "XUSDT") | {"contractSize": "1E+999999", "precision": {"amount": "1E+999999"}}
    found = instrument_of("bitget", row, interval_hours=lambda _: None, spot_shortable=True)
    assert found is None or found.quantity_step is None


class Restless(Answering):
    """Its stream trips each time, always at one place."""

    bidsasks: dict[str, Any] = {}  # noqa: RUF012 - never written

    def set_markets_from_exchange(self, other: Any) -> None:
        self.markets = other.markets


async def test_a_stream_that_trips_is_mended_and_its_traceback_told_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.exchange.streams.BACKOFF_SEC", (0.0,))
    data = CcxtMarketData(
        "bitget",
        quirks_of("bitget"),
        clock=ManualClock(wall_us=0, market=MarketClock()),
        open_exchange=lambda _: Restless(KeyError("bid")),
        close_shared=closed,
    )
    data.adopt_markets()
    broke = asyncio.ensure_future(data.stream("quote", [SLUG], lambda _: None))
    async with asyncio.timeout(10):
        while sum("broke" in record.getMessage() for record in caplog.records) < 5:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
    broke.cancel()
    with pytest.raises(asyncio.CancelledError):
        await broke
    [record] = [item for item in caplog.records if item.levelno >= logging.ERROR]
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError


async def test_a_callers_own_failure_passes_untouched() -> None:
    client = Client("bitget", ClientSpec(ccxt_id="bitget", kinds=frozenset()), Answering(None))

    async def refused() -> None:
        raise VenueError("bitget", "not_supported", "no such thing")

    with pytest.raises(VenueError) as caught:
        await client.call("fetch_book", refused())
    assert caught.value.error_class == "not_supported"
