"""Nonsense and failures: named, kept to where they belong, and forgiven after a while."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from libs.common.config.schema import PairLegs
from libs.common.messages import Book, InstrumentInfo
from libs.exchange.port import BookSeen, FundingSeen, QuoteSeen
from tests.helpers.fake_market import down
from tests.unit.feed.rig import PERP, SPOT, START_MS, Rig, clock_at, config_of, market_of, started

HOUR = 3_600_000


def nonsense() -> list[Any]:
    perp: dict[str, Any] = {"venue": "bybit", "instrument": PERP, "recv_us": 1}
    rate: dict[str, Any] = {
        **perp,
        "rate": 0.0001,
        "interval_hours": 8.0,
        "interval_source": "rate",
        "next_ms": START_MS + 8 * HOUR,
    }
    quote: dict[str, Any] = {
        **perp,
        "bid": 99.9,
        "ask": 100.1,
        "bid_size": 1.0,
        "ask_size": 1.0,
        "source": "stream",
    }
    return [
        (FundingSeen(**(rate | {"rate": None})), "rate_null"),
        (FundingSeen(**(rate | {"rate": math.nan})), "rate_not_finite"),
        (FundingSeen(**(rate | {"rate": 1.8e9})), "rate_absurd"),
        (FundingSeen(**(rate | {"interval_hours": 0.0})), "interval_implausible"),
        (FundingSeen(**(rate | {"next_ms": START_MS - 8 * HOUR})), "next_past"),
        (FundingSeen(**(rate | {"next_ms": START_MS + 9 * HOUR})), "next_far"),
        (FundingSeen(**(rate | {"mark": 0.1, "index": 100.0})), "multiplier"),
        (QuoteSeen(**(quote | {"bid": 100.2})), "quote_crossed"),
        (QuoteSeen(**(quote | {"bid": None})), "quote_empty"),
        (QuoteSeen(**(quote | {"ask": math.nan})), "quote_not_positive"),
        (QuoteSeen(**(quote | {"bid": 99_900.0, "ask": 100_100.0})), "multiplier"),
        (QuoteSeen(**(quote | {"bid": 119.9, "ask": 120.1})), "quote_off_mark"),
        (BookSeen(**perp, bids=(), asks=()), "book_empty"),
        (BookSeen(**perp, bids=((101.0, 1.0),), asks=((100.0, 1.0),)), "book_crossed"),
    ]


@pytest.mark.parametrize(
    ("seen", "reason"), nonsense(), ids=lambda value: value if isinstance(value, str) else ""
)
async def test_nonsense_shuts_out_its_instrument_and_nothing_else(seen: Any, reason: str) -> None:
    rig = await started("bybit", "okx")
    rig.forget()
    await rig.see(seen)
    assert rig.quarantined("bybit") == {PERP: reason}  # said at once, not with the next second
    assert not rig.current(PERP)
    assert not rig.quotes(PERP)
    assert not rig.said(Book, PERP)
    await rig.run(10.5)
    assert rig.quarantined("okx") == {}
    assert rig.quotes(SPOT, venue="bybit")
    assert rig.quotes(PERP, venue="okx")
    await rig.run(35)
    assert rig.quarantined("bybit") == {}  # clean polls brought it back
    assert "back from quarantine" in rig.notes()


async def test_a_thousandfold_price_against_the_spot_market() -> None:
    """1000SHIB quoted as SHIB: mark and mid of the perp agree with each other, not with spot."""
    clock = clock_at()
    market = market_of("bybit", clock)
    market.listed[PERP].price = 100_000.0
    rig = Rig(config_of("bybit"), [market], clock)
    await rig.start()
    await rig.run(12)
    assert rig.quarantined("bybit") == {PERP: "multiplier"}
    assert rig.quotes(PERP) == []
    assert rig.quotes(SPOT)


async def test_a_rate_left_out_of_the_answer_is_named() -> None:
    rig = await started("bybit")
    rig.markets["bybit"].left_out = {PERP}
    await rig.run(10.5)
    assert rig.quarantined("bybit") == {PERP: "funding_missing"}
    rig.markets["bybit"].left_out = set()
    await rig.run(60)
    assert rig.quarantined("bybit") == {}


async def test_an_instrument_that_the_venue_does_not_have() -> None:
    clock = clock_at()
    market = market_of("bybit", clock)
    del market.listed[PERP]
    rig = Rig(config_of("bybit"), [market], clock)
    await rig.start()
    await rig.run(12)
    assert {info.instrument: info.refused for info in rig.said(InstrumentInfo)} == {
        SPOT: None,
        PERP: "not_listed",
    }
    assert rig.quarantined("bybit") == {PERP: "not_listed"}
    assert rig.quotes(SPOT)
    assert market.count("fetch_funding") == 0


async def test_a_venue_that_is_down_stays_alone_with_it() -> None:
    clock = clock_at()
    markets = [market_of(venue, clock) for venue in ("bybit", "okx")]
    markets[0].fail("load", *(down("bybit") for _ in range(4)))
    rig = Rig(config_of("bybit", "okx"), markets, clock)
    await rig.start()
    await rig.run(5)
    assert rig.quarantined("bybit") == {None: "venue_network"}
    assert not rig.health("bybit").connected
    assert rig.health("bybit").errors == {"network": 3}  # at 0, 1 and 3 s
    assert rig.quotes(PERP, venue="okx")
    await rig.run(40)
    assert rig.quotes(PERP, venue="bybit")
    assert rig.quarantined("bybit") == {}
    assert rig.health("bybit").connected


async def test_a_venue_that_never_answered_has_ages_to_alert_on() -> None:
    clock = clock_at()
    market = market_of("bybit", clock)
    market.fail("load", *(down("bybit") for _ in range(9)))
    rig = Rig(config_of("bybit"), [market], clock)
    await rig.start()
    await rig.run(20)
    kinds = {"quote", "book", "funding", "mark", "settled"}
    assert rig.health("bybit").ages_sec == dict.fromkeys(sorted(kinds), 20.0)
    newest = {one.labels["kind"]: one.value for one in rig.measured("fundarb_data_age_seconds")}
    assert newest == dict.fromkeys(kinds, 20.0)


async def test_a_venue_with_spot_alone_is_expected_to_give_no_rates() -> None:
    clock = clock_at()
    market = market_of("bybit", clock)
    config = config_of("bybit", "okx")
    cross = msgspec.structs.replace(config, pairs=(PairLegs(symbol="INJ/USDT", legs=("bybits", "okxp")),))
    rig = Rig(cross, [market, market_of("okx", clock)], clock)
    await rig.start()
    await rig.run(3)
    assert set(rig.health("bybit").ages_sec) == {"quote", "book"}
    assert set(rig.health("okx").ages_sec) == {"quote", "book", "funding", "mark", "settled"}


async def test_a_venue_that_says_how_long_to_wait_is_left_alone_so_long() -> None:
    rig = await started("bybit", interval_sec=1.0)
    market = rig.markets["bybit"]
    ban = down("bybit", "rate_limit", "banned")
    ban.retry_after_sec = 120.0
    market.fail("fetch_quotes", ban)
    await rig.run(1)
    calls = len(market.calls)
    await rig.run(119)
    assert len(market.calls) <= calls + 1
    await rig.run(3)
    assert len(market.calls) > calls + 2


async def test_a_rate_limit_silences_the_venue_for_long_enough() -> None:
    rig = await started("bybit", interval_sec=1.0)
    market = rig.markets["bybit"]
    market.fail("fetch_quotes", down("bybit", "rate_limit", "too many requests"))
    await rig.run(1)
    calls = len(market.calls)
    await rig.run(14)
    assert len(market.calls) <= calls + 1  # what was under way; then silence for 15 s
    await rig.run(3)
    assert len(market.calls) > calls + 2
    assert [one.labels["class"] for one in rig.measured("fundarb_venue_errors_total")] == ["rate_limit"]


async def test_a_bug_in_a_handler_is_a_venue_error_not_the_end() -> None:
    rig = await started("bybit", interval_sec=1.0)
    market = rig.markets["bybit"]
    market.fail("fetch_quotes", TimeoutError())
    await rig.run(2)
    assert rig.health("bybit").errors == {"timeout": 1}


async def test_three_failures_in_a_row_doubt_the_venue() -> None:
    rig = await started("bybit", interval_sec=1.0)
    market = rig.markets["bybit"]
    failing = [down("bybit", "timeout", "no answer") for _ in range(3)]
    for method in ("fetch_quotes", "fetch_funding", "fetch_book", "fetch_settled", "fetch_clock_offset_ms"):
        market.fail(method, *failing)
    await rig.run(8)
    assert rig.quarantined("bybit")[None] == "venue_timeout"
    await rig.run(120)
    assert rig.quarantined("bybit") == {}
