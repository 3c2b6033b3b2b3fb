"""All venues in one budget of time: a slow one leaves the others their history, and is named."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest

from libs.common.clock import SystemClock
from libs.common.config.schema import Config
from libs.common.instant import MS_PER_DAY, MS_PER_HOUR
from libs.common.subjects import Kind
from libs.exchange import scan
from libs.exchange.port import FundingSeen, Instrument, MarketData, QuoteSeen, SettledSeen
from libs.exchange.scan import VenueReport, survey_all

BUDGET_SEC = 4.0


class Venue:
    """Markets of a few bases, each with spot and perpetual; `load_sec` is its patience-eating part."""

    def __init__(
        self,
        venue: str,
        bases: Sequence[str],
        *,
        load_sec: float = 0.0,
        mistake: bool = False,
        history: Any = 0.0,
    ) -> None:
        self.venue = venue
        self._bases = bases
        self._load_sec = load_sec
        self._mistake = mistake
        self._history = history
        self.asked: list[str] = []
        self.within_sec: float | None = None
        self.histories = 0
        self.closed = False

    async def load(self) -> dict[str, Instrument]:
        await asyncio.sleep(self._load_sec)
        if self._mistake:
            raise KeyError("ours")
        return {
            f"{base}-USDT{tail}": Instrument(
                venue=self.venue,
                slug=f"{base}-USDT{tail}",
                symbol=base,
                venue_symbol=base,
                base=base,
                quote="USDT",
                settle="USDT",
                kind=kind,
            )
            for base in self._bases
            for kind, tail in ((Kind.PERP, "-PERP"), (Kind.SPOT, ""))
            if kind is Kind.PERP or base in ("BTC", "SPOTTED")
        }

    async def fetch_funding(
        self, slugs: Sequence[str], *, within_sec: float | None = None
    ) -> list[FundingSeen]:
        self.asked, self.within_sec = list(slugs), within_sec
        next_ms = SystemClock().now().market_ms + MS_PER_HOUR
        return [
            FundingSeen(
                venue=self.venue,
                instrument=slug,
                recv_us=1,
                rate=None if slug.startswith("MUTE") else 0.001,
                interval_hours=8.0,
                interval_source="rate",
                next_ms=next_ms,
            )
            for slug in slugs
        ]

    async def fetch_quotes(self, slugs: Sequence[str]) -> list[QuoteSeen]:
        return [
            QuoteSeen(
                venue=self.venue,
                instrument=slug,
                recv_us=1,
                bid=100.0,
                ask=100.01,
                bid_size=1.0,
                ask_size=1.0,
                source="poll",
            )
            for slug in slugs
        ]

    async def fetch_settled(self, slug: str, *, since_ms: int, until_ms: int) -> list[SettledSeen]:
        if isinstance(self._history, Exception):
            raise self._history
        await asyncio.sleep(self._history)
        self.histories += 1
        first_ms = (since_ms // MS_PER_DAY + 1) * MS_PER_DAY
        return [
            SettledSeen(venue=self.venue, instrument=slug, recv_us=1, settled_ms=stamp, rate=0.001)
            for stamp in range(first_ms, until_ms, 8 * MS_PER_HOUR)
        ]

    async def close(self) -> None:
        self.closed = True


async def surveyed(
    monkeypatch: pytest.MonkeyPatch, *venues: Venue, top: int = 10
) -> tuple[dict[str, VenueReport], Any]:
    by_name = {venue.venue: venue for venue in venues}

    async def opened(venue: str, **_: Any) -> MarketData:
        return by_name[venue]  # type: ignore[return-value]  # what a survey calls, and no more

    monkeypatch.setattr(scan, "open_market_data", opened)
    _, reports, ranking = await survey_all(
        list(by_name),
        config=Config(),
        clock=SystemClock(),
        timeout_sec=BUDGET_SEC,
        told=lambda _: None,
        top=top,
    )
    assert all(venue.closed for venue in venues)
    return {report.venue: report for report in reports}, ranking


async def test_a_slow_venue_is_cut_off_and_named_and_the_others_have_their_history(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quick, slow = Venue("okx", ["BTC"]), Venue("mexc", ["BTC"], load_sec=60.0)
    reports, ranking = await surveyed(monkeypatch, quick, slow)
    assert reports["okx"].problem is None
    assert str(reports["mexc"].problem).startswith("mexc: no answer within 2")
    assert quick.histories == 1
    best = ranking.opportunities[0]
    assert best.history_days == pytest.approx(30, abs=1)
    assert "not_consecutive" not in best.refusals


async def test_a_mistake_in_reading_one_venue_is_told_with_its_traceback_and_costs_that_venue(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reports, ranking = await surveyed(monkeypatch, Venue("okx", ["BTC"]), Venue("htx", ["BTC"], mistake=True))
    assert reports["htx"].problem == "htx: a mistake in this program (KeyError: 'ours')"
    [record] = [item for item in caplog.records if item.levelno >= logging.ERROR]
    assert record.exc_info is not None
    assert ranking.pairs == 1


async def test_symbols_with_most_partners_are_asked_first_and_those_without_a_rate_are_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    others = [Venue("okx", ["BTC", "WIDE"]), Venue("gate", ["WIDE", "BTC", "SOME"])]
    late = Venue("mexc", ["LONE", "SOME", "WIDE", "MUTE", "SPOTTED", "BTC"], load_sec=0.3)
    reports, _ = await surveyed(monkeypatch, *others, late)
    names = [slug.removesuffix("-USDT-PERP") for slug in late.asked]
    assert names == ["BTC", "WIDE", "SOME", "SPOTTED", "LONE", "MUTE"]
    assert late.within_sec is not None
    assert late.within_sec < BUDGET_SEC * scan.SURVEY_SHARE
    assert (reports["mexc"].perps, reports["mexc"].unrated) == (6, 1)
    assert "mexc: 1 of 6 perpetuals without a rate" in caplog.text


async def test_a_venue_with_slow_histories_does_not_keep_the_others_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many = [f"A{number}" for number in range(20)]
    slow, quick = Venue("mexc", ["BTC", *many], history=60.0), Venue("okx", ["BTC", *many])
    _, ranking = await surveyed(monkeypatch, slow, quick, top=40)
    assert ranking.pairs == 2 + 20 + 1
    assert slow.histories == 0
    assert quick.histories == 21


async def test_a_mistake_in_reading_a_history_is_told_with_its_traceback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _, ranking = await surveyed(monkeypatch, Venue("okx", ["BTC", "WIDE"], history=KeyError("ours")))
    assert ranking.opportunities[0].history_days == 0
    [record] = [item for item in caplog.records if item.levelno >= logging.ERROR]
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError
