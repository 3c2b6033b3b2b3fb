"""Rates of many symbols on venues without a bulk call in ccxt: by lists, and one by one what they omit."""

from __future__ import annotations

from typing import Any

import pytest

from libs.exchange.port import VenueError
from tests.integration.funding_payloads import HTX, MEXC, NEXT_MS, clock
from tests.integration.loopback import Loopback, loopback, opened, perp

COUNT = 25
NAMES = [f"A{number}" for number in range(COUNT)]
SLUGS = [f"{name}-USDT-PERP" for name in NAMES]
REFUSAL = {"success": False, "code": 600, "message": "contract parameter is wrong"}


def mexc_row(name: str, **changes: Any) -> dict[str, Any]:
    return MEXC | {"symbol": f"{name}_USDT", "fundingRate": int(name[1:]) / 1e6} | changes


def mexc(data: Any) -> dict[str, Any]:
    return {"success": True, "code": 0, "data": data}


async def ask(server: Loopback, venue: str, names: list[str] = NAMES) -> dict[str, tuple[Any, ...]]:
    between = "-" if venue == "htx" else "_"
    markets = [perp(name, f"{name}{between}USDT") for name in names]
    async with opened(server, venue, clock=clock(), markets=markets) as data:
        seen = await data.fetch_funding([f"{name}-USDT-PERP" for name in names])
    return {
        item.instrument: (item.rate, item.interval_hours, item.interval_source, item.next_ms) for item in seen
    }


WHOLE = {slug: (number / 1e6, 4.0, "rate", NEXT_MS) for number, slug in enumerate(SLUGS)}


async def test_mexc_is_asked_once_for_all() -> None:
    async with loopback() as server:
        server.serve("/contract/funding_rate", mexc([mexc_row(name) for name in [*NAMES, "A99"]]))
        assert await ask(server, "mexc") == WHOLE
        assert len(server.asked) == 1


async def test_a_row_that_is_not_whole_is_asked_for_by_itself() -> None:
    async with loopback() as server:
        odd = [mexc_row("A1", collectCycle=None), mexc_row("A2", nextSettleTime=None), "nonsense", None]
        rows = [mexc_row(name) for name in NAMES[4:]] + [mexc_row("A0", fundingRate="NaN"), *odd]
        server.serve("/contract/funding_rate", mexc(rows))
        for name in NAMES[:4]:
            server.serve(f"/contract/funding_rate/{name}_USDT", mexc(mexc_row(name)))
        assert await ask(server, "mexc") == WHOLE
        assert len(server.asked) == 1 + 4


@pytest.mark.parametrize("answer", [REFUSAL, mexc({}), mexc(None), mexc([]), {}, [], (404, "?", {})])
async def test_without_the_list_every_symbol_is_asked_for(answer: Any) -> None:
    async with loopback() as server:
        server.serve("/contract/funding_rate", answer)
        for name in NAMES:
            server.serve(f"/contract/funding_rate/{name}_USDT", mexc(mexc_row(name)))
        assert await ask(server, "mexc") == WHOLE
        assert len(server.asked) == 1 + COUNT


async def test_a_ban_met_by_the_list_is_not_answered_by_asking_more() -> None:
    async with loopback() as server:
        server.serve("", (429, "slow down", {"Retry-After": "17"}))
        with pytest.raises(VenueError) as caught:
            await ask(server, "mexc")
        assert caught.value.error_class == "rate_limit"
        assert len(server.asked) == 1


async def test_few_symbols_are_not_worth_the_list_of_all() -> None:
    """A feed over two coins must not read 800 rates for it."""
    async with loopback() as server:
        for name in NAMES[:2]:
            server.serve(f"/contract/funding_rate/{name}_USDT", mexc(mexc_row(name)))
        assert await ask(server, "mexc", NAMES[:2]) == {slug: WHOLE[slug] for slug in SLUGS[:2]}
        assert len(server.asked) == 2


def htx_rows(query: dict[str, str], *, unknown: str = "") -> dict[str, Any]:
    codes = query["contract_code"].split(",")
    assert len(codes) <= 10
    if unknown in codes:
        return {"code": 1030, "message": "The contract code does not exist."}
    rows = [
        HTX | {"contract_code": code, "funding_rate": str(int(code[1:].split("-")[0]) / 1e6)}
        for code in codes
    ]
    return {"code": 200, "message": "Success", "data": rows}


HTX_WHOLE = {slug: (rate, 2.0, "rate", NEXT_MS) for slug, (rate, *_) in WHOLE.items()}


async def test_htx_is_asked_for_ten_at_once() -> None:
    async with loopback() as server:
        server.serve("/v5/market/funding_rate", htx_rows)
        assert await ask(server, "htx") == HTX_WHOLE
        assert len(server.asked) == 3


async def test_a_symbol_that_spoils_its_list_costs_its_list_alone() -> None:
    async with loopback() as server:
        server.serve("/v5/market/funding_rate", lambda query: htx_rows(query, unknown="A12-USDT"))
        seen = await ask(server, "htx")
        assert seen.pop("A12-USDT-PERP") == (None, None, None, None)
        assert seen == {slug: row for slug, row in HTX_WHOLE.items() if slug != "A12-USDT-PERP"}
        assert len(server.asked) == 3 + 10


async def test_when_time_is_short_the_first_symbols_are_answered_and_the_rest_have_no_rate() -> None:
    names = [f"A{number}" for number in range(60)]
    async with loopback() as server:
        server.serve("/contract/funding_rate", REFUSAL)
        for name in names:
            server.serve(f"/contract/funding_rate/{name}_USDT", mexc(mexc_row(name)))
        server.delay_sec = 0.5  # 8 at once: 60 symbols need 4 s
        markets = [perp(name, f"{name}_USDT") for name in names]
        async with opened(server, "mexc", clock=clock(), markets=markets) as data:
            seen = await data.fetch_funding([f"{name}-USDT-PERP" for name in names], within_sec=2.2)
        rated = [item.rate is not None for item in seen]
        assert len(rated) == len(names)
        assert 8 <= sum(rated) < len(names)
        assert all(rated[:8])
        assert not any(rated[-8:])


async def test_when_nothing_was_answered_in_time_the_venue_timed_out() -> None:
    async with loopback() as server:
        server.delay_sec = 2.0
        market = perp("A0", "A0_USDT")
        async with opened(server, "mexc", clock=clock(), markets=[market]) as data:
            with pytest.raises(VenueError) as caught:
                await data.fetch_funding(["A0-USDT-PERP"], within_sec=0.2)
        assert caught.value.error_class == "timeout"
