"""Messages as the services publish them, with values that a test changes by name."""

from __future__ import annotations

from typing import Any

import msgspec

from libs.common.effects import Received
from libs.common.instant import Now
from libs.common.messages import (
    Funding,
    FundingHistory,
    LegFigures,
    Message,
    Opportunity,
    Quote,
    ServiceHealth,
    Settlement,
    VenueHealth,
)
from libs.common.subjects import Kind

T0_MS = 1_760_083_200_000  # 2025-10-10 08:00 UTC
PAIR = "BTC-USDT_binance-spot_binance-perp"


def now(sec: float = 0.0, *, market_ms: int | None = None) -> Now:
    wall_us = T0_MS * 1_000 + int(sec * 1e6)
    return Now(
        wall_us=wall_us,
        market_ms=wall_us // 1_000 if market_ms is None else market_ms,
        mono_us=int(sec * 1e6),
    )


def heard(message: Message) -> Received:
    return Received(subject="test", message=message)


def quote(mid: float, ts_ms: int, instrument: str = "BTC-USDT-PERP") -> Quote:
    return Quote(
        venue="binance",
        instrument=instrument,
        bid=mid - 0.5,
        ask=mid + 0.5,
        bid_size=1.0,
        ask_size=1.0,
        ts_ms=ts_ms,
        recv_us=ts_ms * 1_000,
    )


def settled(rate: float, settled_ms: int, mark: float | None = None) -> Funding:
    return Funding(
        venue="binance",
        instrument="BTC-USDT-PERP",
        kind="settled",
        rate=rate,
        interval_hours=8.0,
        interval_source="endpoint",
        settled_ms=settled_ms,
        mark=mark,
        ts_ms=settled_ms,
        recv_us=settled_ms * 1_000,
    )


def current(mark: float | None, ts_ms: int) -> Funding:
    return Funding(
        venue="binance",
        instrument="BTC-USDT-PERP",
        kind="current",
        rate=0.0001,
        interval_hours=8.0,
        interval_source="endpoint",
        next_ms=ts_ms + 3_600_000,
        mark=mark,
        ts_ms=ts_ms,
        recv_us=ts_ms * 1_000,
    )


def history(*prints: tuple[int, float, float]) -> FundingHistory:
    return FundingHistory(
        venue="binance",
        instrument="BTC-USDT-PERP",
        prints=tuple(
            Settlement(settled_ms=stamp, rate=rate, interval_hours=hours) for stamp, rate, hours in prints
        ),
        recv_us=T0_MS * 1_000,
    )


def opportunity(**changes: Any) -> Opportunity:
    leg = LegFigures(
        venue="binance",
        instrument="BTC-USDT",
        kind=Kind.SPOT,
        side="long",
        mid=100_000.0,
        fee=0.0005,
        slip=0.0005,
    )
    short = LegFigures(
        venue="binance",
        instrument="BTC-USDT-PERP",
        kind=Kind.PERP,
        side="short",
        mid=100_010.0,
        rate=0.0001,
        interval_hours=8.0,
        next_ms=T0_MS + 28_800_000,
        daily=0.0003,
    )
    made = Opportunity(
        pair=PAIR,
        symbol="BTC/USDT",
        direction="forward",
        long=leg,
        short=short,
        notional_usd=10_000.0,
        hold_days=30.0,
        forecast="flat",
        daily=0.0003,
        apr=0.1095,
        round_trip=0.004,
        round_trip_usd=40.0,
        net_daily_usd=1.6667,
        breakeven_days=13.3333,
        passes=True,
        market_ms=T0_MS,
        eval_us=T0_MS * 1_000 + 250_000,
    )
    return msgspec.structs.replace(made, **changes)


def pulse(
    service: str = "feed", *, ok: bool = True, pid: int = 1, problems: tuple[str, ...] = ()
) -> ServiceHealth:
    return ServiceHealth(
        service=service,
        ok=ok,
        problems=problems,
        build="0.1.0",
        pid=pid,
        uptime_sec=1.0,
        lag_ms=0.0,
        inbox_depth=0,
        wall_us=T0_MS * 1_000,
    )


def venue(**changes: Any) -> VenueHealth:
    made = VenueHealth(venue="bybit", connected=True, ages_sec={"quote": 0.5}, recv_us=T0_MS * 1_000)
    return msgspec.structs.replace(made, **changes)
