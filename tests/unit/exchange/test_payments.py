"""Funding at venues that are read by ccxt's unified call: all pages of it, as each of them pages."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from libs.common.clock import wall_us
from libs.common.instant import MS_PER_DAY, MS_PER_HOUR
from libs.exchange.live.lists import PAGES_MAX
from libs.exchange.port import VenueError
from tests.integration.loopback import perp
from tests.unit.exchange.test_trading_requests import TYPES, Captured, opened

Asked = dict[str, str]
COUNT = 1_250
STEP_MS = MS_PER_HOUR
NOW_MS = wall_us() // 1_000 // STEP_MS * STEP_MS
STAMPS = [NOW_MS - number * STEP_MS for number in range(COUNT)]  # newest first, 52 days


def bybit(asked: Asked, stamps: list[int]) -> Any:
    """A week at most from `startTime` on, newest first, 50 when no limit is given, a cursor while there are
    more.
    """
    assert asked["execType"] == "Funding"
    start = int(asked["startTime"])
    end = int(asked.get("endTime", start + 7 * MS_PER_DAY))
    assert end - start <= 7 * MS_PER_DAY
    inside = [stamp for stamp in stamps if start <= stamp <= end]
    at, limit = int(asked.get("cursor", 0)), int(asked.get("limit", 50))
    rows = [
        {"symbol": "DOGEUSDT", "execTime": str(stamp), "execId": str(stamp), "execFee": "1"}
        for stamp in inside[at : at + limit]
    ]
    cursor = str(at + limit) if at + limit < len(inside) else ""
    return {"retCode": 0, "result": {"list": rows, "nextPageCursor": cursor}}


def okx(asked: Asked, stamps: list[int]) -> Any:
    """Newest first, at most 100, those before the bill `after`."""
    assert asked["type"] == "8"
    older = [stamp for stamp in stamps if stamp < int(asked.get("after", 2**63))]
    rows = [
        {"billId": str(stamp), "ts": str(stamp), "instId": "DOGE-USDT-SWAP", "ccy": "USDT", "balChg": "1"}
        for stamp in older[: min(100, int(asked.get("limit", 100)))]
    ]
    return {"code": "0", "data": rows}


def gate(asked: Asked, stamps: list[int]) -> Any:
    """Newest first, from a second on, by offset; rows have no id."""
    assert asked["type"] == "fund"
    inside = [stamp for stamp in stamps if stamp // 1_000 >= int(asked["from"])]
    at, limit = int(asked.get("offset", 0)), int(asked.get("limit", 100))
    return [
        {"time": stamp // 1_000, "change": "1", "text": "DOGEUSDT", "type": "fund"}
        for stamp in inside[at : at + limit]
    ]


def hyperliquid(asked: Asked, stamps: list[int]) -> Any:
    """Oldest first, at most 500. The venue's hash names no payment: it is the same for all of them."""
    assert asked["type"] == "userFunding"
    inside = sorted(stamp for stamp in stamps if stamp >= int(asked["startTime"]))
    delta = {"coin": "DOGE", "usdc": "1", "type": "funding"}
    return [{"time": stamp, "hash": f"0x{0:064x}", "delta": delta} for stamp in inside[:500]]


def bingx(asked: Asked, stamps: list[int]) -> Any:
    """Oldest first, 100 when no limit is given, 1,000 at most."""
    assert asked["incomeType"] == "FUNDING_FEE"
    inside = sorted(stamp for stamp in stamps if stamp >= int(asked["startTime"]))
    rows = [
        {"symbol": "DOGEUSDT", "income": "1", "asset": "USDT", "time": stamp, "tranId": str(stamp)}
        for stamp in inside[: min(1_000, int(asked.get("limit", 100)))]
    ]
    return {"code": 0, "data": rows}


class Paging(Captured):
    """Answers as the venue whose books are read."""

    book: Callable[[Asked, list[int]], Any]
    stamps = STAMPS

    async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        self.seen.append((method, url, str(body or "")))
        query = {name: values[-1] for name, values in parse_qs(urlsplit(url).query).items()}
        return type(self).book(json.loads(body) if body else query, type(self).stamps)


BOOKS = {"bybit": bybit, "okx": okx, "gate": gate, "hyperliquid": hyperliquid, "bingx": bingx}


@pytest.mark.parametrize("venue", BOOKS)
async def test_all_pages_are_read_each_payment_once(venue: str) -> None:
    made = type("Book", (Paging,), {"book": staticmethod(BOOKS[venue])})
    trading, _ = opened(venue, made)
    for hours in (0, 30, 400, COUNT - 1):
        found = await trading.records("funding", since_ms=NOW_MS - hours * STEP_MS)
        assert sorted(one.ts_ms for one in found) == sorted(STAMPS[: hours + 1]), f"{venue}: {hours} h"
        assert len({one.record_id for one in found}) == hours + 1


@pytest.mark.parametrize("venue", BOOKS)
async def test_without_payments_nothing_is_found_and_asking_ends(venue: str) -> None:
    made = type("Book", (Paging,), {"book": staticmethod(BOOKS[venue]), "stamps": []})
    trading, seen = opened(venue, made)
    assert await trading.records("funding", since_ms=NOW_MS - 30 * MS_PER_DAY) == []
    assert len(seen) == (5 if venue == "bybit" else 1)


async def test_payments_without_a_name_are_told_apart_by_instrument_and_instant() -> None:
    def two(asked: Asked, stamps: list[int]) -> Any:
        rows = hyperliquid(asked, stamps)
        return rows + [{**row, "delta": {**row["delta"], "coin": "PEPE"}} for row in rows]

    made = type("Book", (Paging,), {"book": staticmethod(two), "stamps": STAMPS[:3]})
    trading, _ = opened("hyperliquid", made)
    found = await trading.records("funding", since_ms=STAMPS[2])
    assert len({one.record_id for one in found}) == 6
    again = await trading.records("funding", since_ms=STAMPS[1])
    assert {one.record_id for one in again} < {one.record_id for one in found}, "booked once"


async def test_a_payment_is_in_the_coin_that_its_contract_settles_in() -> None:
    def both(asked: Asked, stamps: list[int]) -> Any:
        answer = bybit(asked, stamps)
        (row,) = answer["result"]["list"]
        answer["result"]["list"] = [row, {**row, "symbol": "DOGEPERP", "execId": "other"}]
        return answer

    made = type("Book", (Paging,), {"book": staticmethod(both), "stamps": STAMPS[:1]})
    trading, _ = opened("bybit", made)
    for place in trading.places.all:
        for exchange in (place.trade.exchange, place.poll.exchange):
            listed = (perp("DOGE", "DOGEUSDT"), perp("DOGE", "DOGEPERP", quote="USDC"))
            exchange.set_markets([exchange.safe_market_structure({**one, "info": TYPES}) for one in listed])
    trading.places.adopt()
    found = await trading.records("funding", since_ms=NOW_MS - STEP_MS)
    paid = {one.instrument: one.asset for one in found}
    assert paid == {"DOGE-USDT-PERP": "USDT", "DOGE-USDC-PERP": "USDC"}


async def test_bybits_weeks_without_a_payment_do_not_end_the_reading() -> None:
    far = [NOW_MS, NOW_MS - 40 * MS_PER_DAY]
    made = type("Book", (Paging,), {"book": staticmethod(bybit), "stamps": far})
    trading, _ = opened("bybit", made)
    found = await trading.records("funding", since_ms=NOW_MS - 41 * MS_PER_DAY)
    assert sorted(one.ts_ms for one in found) == sorted(far)


async def test_a_list_without_end_is_refused() -> None:
    def endless(asked: Asked, _: list[int]) -> Any:
        return okx(asked, [int(asked.get("after", NOW_MS)) - number for number in range(1, 101)])

    made = type("Book", (Paging,), {"book": staticmethod(endless)})
    trading, seen = opened("okx", made)
    with pytest.raises(VenueError) as refused:
        await trading.records("funding", since_ms=NOW_MS - 30 * MS_PER_DAY)
    assert refused.value.error_class == "bad_payload"
    assert len(seen) == PAGES_MAX
