"""A quote far from an older mark is neither believed nor called nonsense: the mark is asked for again."""

from __future__ import annotations

from typing import Literal

import pytest
from msgspec.structs import replace

from libs.common import subjects
from libs.exchange.port import FundingSeen, QuoteSeen
from tests.helpers.fake_market import FakeMarket, down
from tests.unit.feed.rig import PERP, SPOT, Rig, clock_at, config_of, market_of, opportunity, started


async def quiet(seconds: float) -> Rig:
    """A streaming feed whose last poll of the mark (100) was so long ago."""
    rig = await started("bybit", streams=("quote",), interval_sec=30.0)
    await rig.run(19 + seconds)  # rates are polled at 0 and at 30 s
    rig.forget()
    rig.markets["bybit"].calls.clear()
    return rig


async def seen_after(seconds: float, price: float, *, mark: float | None = None) -> Rig:
    """Its stream shows `price` then; the venue's own mark is `mark` by now, else the same price."""
    rig = await quiet(seconds)
    market = rig.markets["bybit"]
    for slug in (SPOT, PERP):
        market.listed[slug].price = price
    market.listed[PERP].mark = market.listed[PERP].index = price if mark is None else mark
    await rig.see(market.quote(SPOT, source="stream"), market.quote(PERP, source="stream"))
    return rig


@pytest.mark.parametrize("price", [75.0, 88.0, 113.0, 160.0])
async def test_a_crash_between_two_polls_of_the_mark_is_believed_at_once(price: float) -> None:
    rig = await seen_after(12, price)
    assert rig.markets["bybit"].count("fetch_funding") == 1
    assert [quote.bid for quote in rig.quotes(PERP)] == [pytest.approx(price, rel=1e-3)]
    await rig.run(1)
    assert rig.quarantined("bybit") == {}
    assert "quarantined" not in rig.notes()


async def test_a_quote_far_from_the_mark_asked_for_again_is_nonsense() -> None:
    rig = await seen_after(12, 113.0, mark=100.0)
    assert rig.quotes(PERP) == []
    assert rig.quarantined("bybit") == {PERP: "quote_off_mark"}


async def test_a_mark_as_young_as_the_quote_needs_no_second_question() -> None:
    rig = await seen_after(2, 113.0, mark=113.0)
    assert rig.markets["bybit"].count("fetch_funding") == 0
    assert rig.quotes(PERP) == []
    assert rig.quarantined("bybit") == {PERP: "quote_off_mark"}


async def test_a_wrong_multiplier_is_nonsense_however_old_the_mark() -> None:
    rig = await seen_after(25, 100_000.0)
    assert rig.quarantined("bybit") == {PERP: "multiplier"}
    assert rig.quotes(PERP) == []


async def test_while_the_mark_cannot_be_had_the_quote_waits() -> None:
    rig = await quiet(12)
    market = rig.markets["bybit"]
    for slug in (SPOT, PERP):
        market.listed[slug].price = 88.0
    market.fail("fetch_funding", down("bybit", "exchange", "busy"))
    await rig.see(market.quote(PERP, source="stream"))
    await rig.run(1)
    assert market.count("fetch_funding") == 1
    assert rig.quarantined("bybit") == {}
    assert rig.quotes(PERP) == []
    await rig.run(2)  # asked again after the back-off of 2 s: young enough to be judged
    assert rig.quotes(PERP)
    assert all(quote.bid == pytest.approx(88.0, rel=1e-3) for quote in rig.quotes(PERP))


async def test_a_quote_that_waited_too_long_is_dropped_and_the_next_one_judged() -> None:
    rig = await quiet(12)
    market = rig.markets["bybit"]
    for slug in (SPOT, PERP):
        market.listed[slug].price = 88.0
    old: QuoteSeen = market.quote(PERP, source="stream")
    market.fail("fetch_funding", *(down("bybit", "exchange", "busy") for _ in range(2)))
    await rig.see(old)
    await rig.run(7)  # back-off 2 s, then 4 s: the mark comes 6 s after the quote
    assert market.count("fetch_funding") in (3, 4)
    assert rig.quotes(PERP)
    assert all(quote.recv_us > old.recv_us for quote in rig.quotes(PERP))
    assert rig.quarantined("bybit") == {}


async def test_many_doubts_make_one_question_a_second_at_most() -> None:
    rig = await quiet(6)
    market = rig.markets["bybit"]
    for slug in (SPOT, PERP):
        market.listed[slug].price = 88.0
    market.left_out = {PERP}
    for _ in range(40):
        await rig.run(0.25)
        await rig.see(market.quote(PERP, source="stream"))
    assert 1 <= market.count("fetch_funding") <= 11
    assert rig.quotes(PERP) == []


async def test_in_the_demo_a_second_old_mark_is_most_of_an_hour_old() -> None:
    clock = clock_at(speed=2_880.0)
    market = market_of("bybit", clock, streams=("quote",))
    rig = Rig(config_of("bybit", interval_sec=8.0), [market], clock)
    await rig.start()
    await rig.run(2)
    rig.forget()
    for price in (88.0, 77.0, 68.0, 60.0):
        await rig.run(1)
        for slug in (SPOT, PERP):
            market.listed[slug].price = price
        await rig.see(market.quote(SPOT, source="stream"), market.quote(PERP, source="stream"))
        assert rig.quotes(PERP)[-1].bid == pytest.approx(price, rel=1e-3)
    assert "quarantined" not in rig.notes()


class TickerMarks(FakeMarket):
    """A venue like Bitget: marks are in polled tickers, and rates come with the one remembered from there."""

    remembered: tuple[float, int] | None = None

    def quote(self, slug: str, *, source: Literal["stream", "poll"] = "poll") -> QuoteSeen:
        seen = super().quote(slug, source=source)
        if source == "stream" or slug == SPOT:
            return seen
        self.remembered = (self.listed[slug].mark or self.listed[slug].price, seen.recv_us)
        return replace(seen, mark=self.remembered[0])

    def funding(self, slug: str) -> FundingSeen:
        mark, mark_us = self.remembered or (None, None)
        return replace(super().funding(slug), mark=mark, mark_us=mark_us)


@pytest.mark.parametrize("honest", [True, False])
async def test_marks_that_only_tickers_have_are_polled_there(*, honest: bool) -> None:
    clock = clock_at(speed=2_880.0)
    plain = market_of("bybit", clock, streams=("quote",))
    market = TickerMarks("bybit", list(plain.listed), clock, streams=("quote",))
    market.listed = plain.listed
    rig = Rig(config_of("bybit", interval_sec=8.0), [market], clock)
    await rig.start()
    for _ in range(12):  # streamed: no ticker is polled for minutes of wall time, days of market time
        await rig.see(market.quote(SPOT, source="stream"), market.quote(PERP, source="stream"))
        await rig.run(1)
    rig.forget()
    market.listed[PERP].mark = None if honest else 100.0
    for slug in (SPOT, PERP):
        market.listed[slug].price = 88.0
    await rig.see(market.quote(SPOT, source="stream"), market.quote(PERP, source="stream"))
    await rig.run(1)
    assert rig.quarantined("bybit") == ({} if honest else {PERP: "quote_off_mark"})
    assert bool(rig.quotes(PERP)) is honest


async def test_marks_that_only_tickers_have_are_polled_and_told_with_their_age() -> None:
    clock = clock_at()
    plain = market_of("bybit", clock, streams=("quote",))
    market = TickerMarks("bybit", list(plain.listed), clock, streams=("quote",))
    market.listed = plain.listed
    rig = Rig(config_of("bybit", interval_sec=8.0), [market], clock)
    await rig.start()
    for _ in range(60):  # the quotes stream: without the marks nothing would have to be polled
        await rig.see(market.quote(SPOT, source="stream"), market.quote(PERP, source="stream"))
        await rig.run(1)
    told = [one for one in rig.current(PERP)[2:] if one.mark_us is not None]
    assert len(told) > 4
    assert max(one.recv_us - one.mark_us for one in told if one.mark_us is not None) <= 10_000_000
    assert rig.health("bybit").ages_sec["mark"] <= 10.0


async def test_hot_pairs_whose_quotes_stream_need_no_polls_for_their_marks() -> None:
    clock = clock_at()
    market = market_of("bybit", clock, streams=("quote",))
    rig = Rig(config_of("bybit", interval_sec=30.0), [market], clock)
    await rig.start()
    await rig.hear(subjects.opportunity("INJ-USDT_bybit-spot_bybit-perp"), opportunity(passes=True))
    await rig.run(5)
    before = market.count("fetch_quotes")
    for _ in range(40):  # marks come with the rates, each 30 s: young enough by their own rule
        await rig.see(market.quote(SPOT, source="stream"), market.quote(PERP, source="stream"))
        await rig.run(0.5)
    assert market.count("fetch_quotes") == before
