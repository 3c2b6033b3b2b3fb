"""The control endpoint: customers are opened, misfortunes strike, and the oracle knows what happened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import ccxt.async_support as ccxt
import pytest

from tests.helpers.venue import Venue, ccxt_keys, exchange_on, running_venue

PERP = "BTC/USDT:USDT"
DEPOSIT = {"venue": "binance", "user": "u1", "wallet": "spot", "asset": "BTC", "amount": "1"}


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with running_venue() as running:
        yield running


class Control:
    """Requests to the endpoint; `ok` ones must be answered 200."""

    def __init__(self, venue: Venue, session: aiohttp.ClientSession) -> None:
        self._base = f"http://127.0.0.1:{venue.server.control_port}"
        self._session = session

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with self._session.request(method, self._base + path, json=body) as answer:
            return answer.status, await answer.json()

    async def ok(self, method: str, path: str, body: Any = None) -> Any:
        status, found = await self.ask(method, path, body)
        assert status == 200, found
        return found


@pytest.fixture
async def control(venue: Venue) -> AsyncIterator[Control]:
    async with aiohttp.ClientSession() as session:
        yield Control(venue, session)


async def test_a_user_opened_at_run_time_trades_with_the_money_he_was_given(
    venue: Venue, control: Control
) -> None:
    told = await control.ok("POST", "/users", {"user": "guest"})
    assert (await control.ok("POST", "/users", {"user": "guest"})) == told
    deposit = {"venue": "binance", "user": "guest", "wallet": "usdm", "asset": "USDT", "amount": "5000"}
    assert (await control.ok("POST", "/deposits", deposit))["USDT"]["total"] == "5000"
    async with exchange_on(venue.redirect, "binanceusdm", **ccxt_keys(told["keys"], "binanceusdm")) as guest:
        await guest.load_markets()
        assert (await guest.fetch_balance())["USDT"]["total"] == 5000
        await guest.create_order(PERP, "market", "buy", 0.01, params={"clientOrderId": "guest1"})
    oracle = (await control.ok("GET", "/oracle"))["binance"]
    account = oracle["accounts"]["guest:usdm"]
    assert oracle["sent"] == {"guest1": 1}
    assert [one["client_id"] for one in account["orders"]] == ["guest1"]
    assert account["positions"][0]["position"]["quantity"] == "0.01"
    assert {Decimal(total) for total in oracle["totals"].values()} == {Decimal(0)}


async def test_a_key_with_few_permissions_can_do_little(venue: Venue, control: Control) -> None:
    key = await control.ok(
        "POST", "/keys", {"venue": "bitget", "user": "u1", "permissions": ["read"], "ip_bound": False}
    )
    names = {"apiKey": key["api_key"], "secret": key["secret"], "password": key["passphrase"]}
    async with exchange_on(venue.redirect, "bitget", **names) as reader:
        await reader.load_markets()
        assert (await reader.fetch_balance())["USDT"]["total"] == 100_000
        with pytest.raises(ccxt.ExchangeError):
            await reader.create_order(PERP, "market", "buy", 0.01)
    assert venue.server.houses["bitget"].engine.orders("u1:unified") == []


async def test_a_strike_over_the_endpoint_hits_positions_at_once(venue: Venue, control: Control) -> None:
    async with venue.trader("binanceusdm") as one, venue.trader("bitget") as other:
        for exchange in (one, other):
            await exchange.load_markets()
            await exchange.create_order(PERP, "market", "buy", 0.02)
        adl = {"kind": "adl", "venue": "binance", "symbol": "BTCUSDT", "fraction": 0.5}
        assert await control.ok("POST", "/strike", adl) == {"hit": {"binance": 1}}
        assert (await one.fetch_positions([PERP]))[0]["contracts"] == 0.01
        close = {"kind": "manual_close", "user": "u1"}
        assert await control.ok("POST", "/strike", close) == {"hit": {"binance": 1, "bitget": 1}}
        assert await one.fetch_positions([PERP]) == []
        assert await control.ok("POST", "/strike", {"kind": "liquidation"}) == {
            "hit": {"binance": 0, "bitget": 0}
        }


async def test_arrivals_tell_when_both_legs_reached_the_machine(venue: Venue, control: Control) -> None:
    async with venue.trader("binanceusdm") as one, venue.trader("bitget") as other:
        for exchange in (one, other):
            await exchange.load_markets()
            await exchange.fetch_balance()
        before = (await control.ok("GET", "/arrivals"))[-1]["arrived_ns"]
        await asyncio.gather(
            one.create_order(PERP, "market", "buy", 0.01, params={"clientOrderId": "leg1"}),
            other.create_order(PERP, "market", "sell", 0.01, params={"clientOrderId": "leg2"}),
        )
    legs = await control.ok("GET", f"/arrivals?since={before}")
    assert [(leg["protocol"], leg["client_id"], leg["status"]) for leg in legs] == [
        ("binance", "leg1", 200),
        ("bitget", "leg2", 200),
    ]
    assert 0 < legs[1]["arrived_ns"] - legs[0]["arrived_ns"] < 1_000_000_000


async def test_a_market_that_stands_still_trades_no_more(
    venue: Venue, caplog: pytest.LogCaptureFixture
) -> None:
    """When the pump dies the venue must not go on answering with yesterday's prices."""
    async with venue.exchange("binanceusdm") as exchange:
        await exchange.fetch_time()
        house = venue.server.houses["binance"]
        del house.tape  # whatever it is that goes wrong
        async with asyncio.timeout(10):
            while venue.server.failure is None:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
        with pytest.raises(ccxt.ExchangeNotAvailable):
            await exchange.fetch_time()
    assert "the venue's own work has failed" in caplog.text


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("/strike", {"kind": "http_429"}, "no state fault"),
        ("/strike", {"kind": "adl", "fraction": 2}, "fraction"),
        ("/strike", {"kind": "no_such"}, "no_such"),
        ("/users", {"user": "../x"}, "letters"),
        ("/users", {}, "user"),
        ("/keys", {"venue": "kraken", "user": "u1"}, "kraken"),
        ("/keys", {"venue": "binance", "user": "nobody"}, "nobody"),
        ("/keys", {"venue": "binance", "user": "u1", "permissions": ["rule"]}, "rule"),
        ("/deposits", {"venue": "binance", "user": "u1", "wallet": "x", "asset": "A", "amount": "1"}, "x"),
        (
            "/deposits",
            {"venue": "binance", "user": "u1", "wallet": "spot", "asset": "A", "amount": "-1"},
            "-1",
        ),
        ("/nothing", {}, "GET /state"),
    ],
)
async def test_what_makes_no_sense_is_refused_in_words(
    control: Control, path: str, body: dict[str, Any], text: str
) -> None:
    status, told = await control.ask("POST", path, body)
    assert status in (400, 404)
    assert text in told["error"]


async def test_money_that_its_owner_takes_out_is_gone_and_has_a_record(
    venue: Venue, control: Control
) -> None:
    out = {"venue": "bitget", "user": "u1", "wallet": "unified", "asset": "USDT", "amount": "40000"}
    assert (await control.ok("POST", "/withdrawals", out))["USDT"]["total"] == "60000"
    async with venue.trader("bitget") as trader:
        answer = await trader.private_uta_get_v3_account_financial_records({"category": "OTHER"})
        (row,) = [one for one in answer["data"]["list"] if one["type"] == "TRANSFER_OUT"]
        assert (row["coin"], Decimal(row["amount"])) == ("USDT", Decimal(-40_000))
    status, refused = await control.ask("POST", "/withdrawals", {**out, "amount": "60001"})
    assert (status, "error" in refused) == (400, True)


async def test_prices_jump_at_one_venue_and_stay_there_and_history_is_left_alone(
    venue: Venue, control: Control
) -> None:
    async with venue.exchange("binanceusdm") as binance, venue.exchange("bitget") as bitget:
        await asyncio.gather(binance.load_markets(), bitget.load_markets())

        async def mids() -> list[float]:
            books = await asyncio.gather(*(one.fetch_order_book(PERP, 5) for one in (binance, bitget)))
            return [(book["bids"][0][0] + book["asks"][0][0]) / 2 for book in books]

        settled = await bitget.fetch_funding_rate_history(PERP, limit=3)
        before = await mids()
        assert await control.ok("POST", "/prices", {"base": "BTC", "venue": "bitget", "factor": 1.06}) == {
            "bitget": 1.06
        }
        await asyncio.sleep(0.5)
        after = await mids()
        assert [new / old for new, old in zip(after, before, strict=True)] == pytest.approx(
            [1.0, 1.06], rel=2e-3
        )
        assert await bitget.fetch_funding_rate_history(PERP, limit=3) == settled
    told = await control.ok("POST", "/prices", {"base": "BTC", "factor": 0.5})
    assert told == {"binance": 0.5, "bitget": pytest.approx(0.53)}
    for wrong in (
        {"base": "NOPE", "factor": 2},
        {"base": "BTC", "factor": 0},
        {"base": "BTC", "factor": 1e9},
    ):
        assert (await control.ask("POST", "/prices", wrong))[0] == 400, wrong
