"""One symbol that a venue refuses: it is seen without a rate or an interval, and the others flow."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from libs.exchange.port import FundingSeen, VenueError
from libs.exchange.rates import GIVE_UP_AFTER
from tests.integration.funding_payloads import BINGX, HTX, MEXC, NEXT_MS, OKX, clock
from tests.integration.loopback import Loopback, loopback, opened, perp

REFUSED: dict[str, Any] = {
    "mexc": {"success": False, "code": 600, "message": "contract parameter is wrong"},
    "htx": {"status": "error", "err_code": 1030, "err_msg": "The contract code does not exist."},
    "okx": {"code": "51001", "msg": "Instrument ID does not exist", "data": []},
    "bingx": {"code": 80014, "msg": "symbol is wrong", "data": []},
}
MARKETS = {
    "mexc": [perp("BTC", "BTC_USDT"), perp("ETH", "ETH_USDT")],
    "htx": [perp("BTC", "BTC-USDT"), perp("ETH", "ETH-USDT")],
    "okx": [perp("BTC", "BTC-USDT-SWAP"), perp("ETH", "ETH-USDT-SWAP")],
    "bingx": [perp("BTC", "BTC-USDT"), perp("ETH", "ETH-USDT")],
}
BOTH = ["BTC-USDT-PERP", "ETH-USDT-PERP"]


def only_btc(venue: str, bad: Any) -> Any:
    """Answers `bad` to everybody but BTC."""
    good = {"mexc": {"success": True, "code": 0, "data": MEXC}, "htx": {"code": 200, "data": [HTX]}}[venue]
    return lambda query: good if query.get("contract_code") == "BTC-USDT" else bad


def serve_single(server: Loopback, venue: str, bad: Any) -> None:
    if venue == "htx":
        server.serve("/v5/market/funding_rate", only_btc("htx", bad))
    else:
        server.serve("/funding_rate/BTC_USDT", {"success": True, "code": 0, "data": MEXC})
        server.serve("/funding_rate/ETH_USDT", bad)
        server.serve("/contract/funding_rate", bad)


async def ask(server: Loopback, venue: str, times: int = 1) -> dict[str, FundingSeen]:
    async with opened(server, venue, clock=clock(), markets=MARKETS[venue]) as data:
        for _ in range(times - 1):
            await data.fetch_funding(BOTH)
        return {item.instrument: item for item in await data.fetch_funding(BOTH)}


@pytest.mark.parametrize("venue", ["mexc", "htx"])
async def test_one_refused_symbol_has_no_rate_and_the_other_has_its_own(
    venue: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with loopback() as server:
        serve_single(server, venue, REFUSED[venue])
        with caplog.at_level(logging.INFO, "libs.exchange"):
            seen = await ask(server, venue, times=3)
    assert seen["BTC-USDT-PERP"].rate is not None
    assert (seen["ETH-USDT-PERP"].rate, seen["ETH-USDT-PERP"].interval_hours) == (None, None)
    [said] = [record.getMessage() for record in caplog.records if "ETH-USDT-PERP" in record.getMessage()]
    assert "(exchange)" in said  # once for three polls, with the class
    assert f"{venue}: fetch_funding: " in said


@pytest.mark.parametrize("venue", ["mexc", "htx"])
@pytest.mark.parametrize(
    ("answer", "error_class"),
    [((429, "slow down", {"Retry-After": "17"}), "rate_limit"), ((504, "late", {}), "timeout")],
)
async def test_what_concerns_the_venue_is_no_fault_of_a_symbol(
    venue: str, answer: Any, error_class: str
) -> None:
    async with loopback() as server:
        serve_single(server, venue, answer)
        with pytest.raises(VenueError) as caught:
            await ask(server, venue)
    assert caught.value.error_class == error_class


@pytest.mark.parametrize("venue", ["mexc", "htx"])
async def test_when_no_symbol_is_answered_the_venue_fails_with_the_reason(venue: str) -> None:
    async with loopback() as server:
        server.serve("", REFUSED[venue])
        with pytest.raises(VenueError) as caught:
            await ask(server, venue)
    assert caught.value.error_class == "exchange"
    assert str(REFUSED[venue].get("message") or REFUSED[venue].get("err_msg")) in str(caught.value)


async def test_a_venue_that_refuses_everything_is_not_asked_for_all_its_symbols() -> None:
    names = [f"A{number}" for number in range(200)]
    async with loopback() as server:
        server.serve("", (503, "busy", {}))
        markets = [perp(name, f"{name}_USDT") for name in names]
        async with opened(server, "mexc", clock=clock(), markets=markets) as data:
            with pytest.raises(VenueError, match="503"):
                await data.fetch_funding([f"{name}-USDT-PERP" for name in names])
        assert len(server.asked) <= GIVE_UP_AFTER + 10


@pytest.mark.parametrize("venue", ["okx", "bingx"])
async def test_a_history_that_fails_costs_one_symbol_its_interval_and_nobody_else_anything(
    venue: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with loopback() as server:
        if venue == "okx":
            bare: dict[str, Any] = {key: value for key, value in OKX.items() if key != "nextFundingTime"}
            rows: list[Any] = [OKX, bare | {"instId": "ETH-USDT-SWAP"}]
            server.serve("/api/v5/public/funding-rate", {"code": "0", "msg": "", "data": rows})
            server.serve("/api/v5/public/funding-rate-history", REFUSED[venue])
        else:
            bare = {key: value for key, value in BINGX.items() if key != "fundingIntervalHours"}
            rows = [BINGX, bare | {"symbol": "ETH-USDT"}]
            server.serve("/swap/v2/quote/premiumIndex", {"code": 0, "msg": "", "data": rows})
            server.serve("/swap/v2/quote/fundingRate", REFUSED[venue])
        with caplog.at_level(logging.INFO, "libs.exchange"):
            seen = await ask(server, venue, times=2)
    assert seen["BTC-USDT-PERP"].interval_hours is not None
    bad = seen["ETH-USDT-PERP"]
    assert (bad.interval_hours, bad.interval_source) == (None, None)
    assert (bad.rate, bad.next_ms) == (seen["BTC-USDT-PERP"].rate, NEXT_MS)  # what was answered is not lost
    [said] = [record.getMessage() for record in caplog.records if "ETH-USDT-PERP" in record.getMessage()]
    assert f"{venue}: fetch_settled: " in said


async def test_a_symbol_that_is_answered_again_is_said_to_be_back(caplog: pytest.LogCaptureFixture) -> None:
    async with loopback() as server:
        serve_single(server, "mexc", REFUSED["mexc"])
        async with opened(server, "mexc", clock=clock(), markets=MARKETS["mexc"]) as data:
            with caplog.at_level(logging.INFO, "libs.exchange"):
                await data.fetch_funding(BOTH)
                good = {"success": True, "code": 0, "data": MEXC | {"symbol": "ETH_USDT"}}
                server.serve("/funding_rate/ETH_USDT", good)
                seen = await data.fetch_funding(BOTH)
    assert [item.rate for item in seen] == [MEXC["fundingRate"]] * 2
    said = [record.getMessage() for record in caplog.records if "ETH-USDT-PERP" in record.getMessage()]
    assert len(said) == 2
    assert "answered again" in said[1]
