"""Funding as the venues document it: one payload of each, and the clock that the tests read them by."""

from __future__ import annotations

from typing import Any

from libs.common.instant import MS_PER_HOUR, ManualClock, MarketClock

NOW_MS = 1_700_000_000_000  # 2023-11-14 22:13:20 UTC


NEXT_MS = 1_700_006_400_000  # 2023-11-15 00:00


LATER_MS = NEXT_MS + 2 * MS_PER_HOUR


def clock() -> ManualClock:
    return ManualClock(wall_us=NOW_MS * 1000, market=MarketClock())


def binance(rate: Any = "0.00063521", **row: Any) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT",
        "markPrice": "45802.81129892",
        "indexPrice": "45745.47701915",
        "lastFundingRate": rate,
        "nextFundingTime": str(NEXT_MS),
        "time": str(NOW_MS),
    } | row


OKX = {
    "instId": "BTC-USDT-SWAP",
    "instType": "SWAP",
    "fundingRate": "0.00027815",
    "fundingTime": str(NEXT_MS),
    "nextFundingRate": "0.9",
    "nextFundingTime": str(LATER_MS),
}


GATE = {
    "name": "BTC_USDT",
    "type": "direct",
    "quanto_multiplier": "0.0001",
    "mark_price": "37985.6",
    "index_price": "37954.92",
    "funding_rate_indicative": "0.9",
    "funding_interval": 7200,
    "funding_rate": "0.002053",
    "funding_next_apply": NEXT_MS // 1000,
}


KUCOIN = {
    "symbol": "XBTUSDTM",
    "nextFundingRate": "-0.000004",
    "fundingTime": NEXT_MS,
    "currentGranularity": 7_200_000,
    "newGranularity": 28_800_000,
    "newGranularityStartTime": NEXT_MS + 40 * MS_PER_HOUR,
}


HTX = {
    "contract_code": "BTC-USDT",
    "funding_rate": "0.000083024939363172",
    "funding_time": str(NEXT_MS),
    "next_funding_time": str(LATER_MS),
    "estimated_rate": "0.9",
}


MEXC = {
    "symbol": "BTC_USDT",
    "fundingRate": 0.000014,
    "collectCycle": 4,
    "nextSettleTime": NEXT_MS,
    "timestamp": NOW_MS,
}


BINGX = {
    "symbol": "BTC-USDT",
    "markPrice": "16884.5",
    "indexPrice": "16886.9",
    "lastFundingRate": "0.0001",
    "nextFundingTime": NEXT_MS,
    "fundingIntervalHours": 1,
    "updateTime": NOW_MS,
}


BITGET = {
    "symbol": "BTCUSDT",
    "fundingRate": "-0.000024",
    "fundingRateInterval": "4",
    "nextUpdate": str(NEXT_MS),
    "minFundingRate": "-0.003",
    "maxFundingRate": "0.003",
}


BYBIT = {
    "symbol": "BTCUSDT",
    "markPrice": "19255.00",
    "indexPrice": "19260.68",
    "fundingRate": "0.0001",
    "nextFundingTime": str(NEXT_MS),
    "fundingIntervalHour": "2",
}
