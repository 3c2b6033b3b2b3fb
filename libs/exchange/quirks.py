"""What is peculiar about each venue, one frozen record each: the only place that knows.

Read in ccxt 4.5.90 (`async_support/{venue}.py` and `pro/{venue}.py`, functions named beside each fact).
A new venue is a new record; nothing else in the exchange port names a venue.
"""

from __future__ import annotations

import difflib
from typing import Final

from libs.common.subjects import Kind
from libs.exchange.record import Batch, ClientSpec, History, Quirks, Stream

_SPOT: Final = frozenset({Kind.SPOT})
_PERP: Final = frozenset({Kind.PERP})
_DERIVATIVES: Final = frozenset({Kind.PERP, Kind.FUTURE})
_ALL: Final = frozenset(Kind)
_BIDS_ASKS: Final = dict.fromkeys(Kind, "fetch_bids_asks")
_TICKERS: Final = dict.fromkeys(Kind, "fetch_tickers")

BINANCE: Final = Quirks(
    venue="binance",
    # Two classes: weights are counted apart (api 6000, fapi 2400 a minute), so each gets a limiter of
    # its own, and futures errors are read by binanceusdm's own table.
    clients=(
        ClientSpec(
            ccxt_id="binance",
            kinds=_SPOT,
            options={"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}},
        ),
        ClientSpec(
            ccxt_id="binanceusdm", kinds=_DERIVATIVES, options={"fetchMarkets": {"types": ["linear"]}}
        ),
    ),
    # parse_funding_rate: lastFundingRate is the rate settling at nextFundingTime; premiumIndex has
    # no interval
    bulk_funding="rates",
    interval_endpoint=True,  # fetch_funding_intervals: fapi/v1/fundingInfo lists adjusted symbols only
    unlisted_hours=8.0,  # documented for this endpoint, and true for no other venue
    quote_calls=_BIDS_ASKS,
    quote_symbols_max=100,
    history=History(paging="window", limit=1000),
    streams={
        # watchTicker(s) is miniTicker, without bid and ask (pro: tickerChannelsMap): bookTicker it is.
        "quote": Stream(method="watch_bids_asks", store="bidsasks", kinds=_ALL),
        # markPriceUpdate: r rate, T next settlement, p mark, i index (parse_ws_ticker), each second
        "mark": Stream(method="watch_mark_prices", store="tickers", kinds=_PERP, fields=("r", "T", "p", "i")),
    },
)

BITGET: Final = Quirks(
    venue="bitget",
    # uta: None would probe with credentials and take any error for "classic" (handle_uta_and_params): say it.
    clients=(
        ClientSpec(
            ccxt_id="bitget",
            kinds=_ALL,
            options={"uta": True, "defaultType": "swap", "defaultSubType": "linear"},
        ),
    ),
    # Tickers have neither interval nor next time; v3 current-fund-rate has fundingRate,
    # fundingRateInterval and nextUpdate at once.
    bulk_funding="intervals",
    market_interval=("fundInterval", 1.0),
    quote_calls=_TICKERS,  # bid1Price, bid1Size: parse_ticker
    # fetch_funding_rate_history passes neither since nor until to v3: newest first, `cursor` counts pages.
    history=History(paging="pages", limit=100, param="cursor"),
    spot_shortable=False,
    why_not_shortable="borrowing on Bitget's unified account is not confirmed from its payloads",
    # The v3 ticker topic of the recorded payload carries no funding fields, so funding is polled.
    streams={"quote": Stream(method="watch_bids_asks", store="bidsasks", kinds=_ALL, chunk=50)},
)

BYBIT: Final = Quirks(
    venue="bybit",
    clients=(
        ClientSpec(
            ccxt_id="bybit",
            kinds=_ALL,
            options={
                "defaultType": "swap",
                "defaultSubType": "linear",
                "fetchMarkets": {"types": ["spot", "linear"]},
            },
        ),
    ),
    bulk_funding="rates",
    # parse_funding_rate reads the interval from the *cached* market (minutes, whole hours only): a change
    # is not seen until markets are read again. v5 tickers carry fundingIntervalHour themselves.
    rate_interval_info="fundingIntervalHour",
    rate_interval_cached=True,
    market_interval=("fundingInterval", 60.0),
    quote_calls=_TICKERS,  # fetch_bids_asks is fetch_tickers
    history=History(paging="window", limit=200),
    streams={
        # orderbook.1; at most 10 topics a subscription on spot.
        "quote": Stream(method="watch_bids_asks", store="bidsasks", kinds=_ALL, chunk=10),
        # handle_ticker merges deltas into `info`, so the fields are always whole.
        "mark": Stream(
            method="watch_tickers",
            store="tickers",
            kinds=_PERP,
            chunk=10,
            fields=("fundingRate", "nextFundingTime", "markPrice", "indexPrice"),
        ),
    },
)

OKX: Final = Quirks(
    venue="okx",
    clients=(
        ClientSpec(
            ccxt_id="okx",
            kinds=_ALL,
            options={"defaultType": "swap", "fetchMarkets": {"types": ["spot", "future", "swap"]}},
        ),
    ),
    # parse_funding_rate: fundingRate settles at fundingTime; nextFundingRate is two settlements away.
    bulk_funding="rates",
    quote_calls=_TICKERS,
    # fetch_funding_rate_history: `before` alone answers the newest rows, so page back with `after`.
    history=History(paging="before", limit=100, param="after"),
    streams={
        "quote": Stream(method="watch_bids_asks", store="bidsasks", kinds=_ALL, chunk=50),  # bbo-tbt
        "mark": Stream(
            method="watch_funding_rates",
            store="fundingRates",
            kinds=_PERP,
            chunk=50,
            silent_sec=180.0,  # pushed every 30 to 90 s
        ),
    },
)

GATE: Final = Quirks(
    venue="gate",
    clients=(
        ClientSpec(
            ccxt_id="gate",
            kinds=_ALL,
            options={"defaultType": "swap", "fetchMarkets": {"types": ["spot", "swap", "future"]}},
        ),
    ),
    # parse_funding_rate: funding_rate is applied at funding_next_apply; funding_rate_indicative is the
    # one after. fetch_funding_rates sends the first symbol as `contract` to an endpoint that lists all.
    bulk_funding="rates",
    funding_by_symbols=False,
    market_interval=("funding_interval", 3600.0),
    quote_calls=_TICKERS,
    history=History(paging="window", limit=1000),
    streams={"quote": Stream(method="watch_bids_asks", store="bidsasks", kinds=_SPOT | _PERP, chunk=50)},
)

KUCOIN: Final = Quirks(
    venue="kucoin",
    clients=(
        ClientSpec(
            ccxt_id="kucoin",
            kinds=_ALL,
            options={
                "defaultType": "swap",
                "fetchMarkets": {"types": ["spot", "swap"], "fetchTickersFees": False},
            },
        ),
    ),
    # parse_funding_rate puts the venue's nextFundingRate (settles at fundingTime) into fundingRate. Its
    # nextFundingTimestamp is newGranularityStartTime, the start of another interval and no settlement.
    bulk_funding="rates",
    market_interval=("fundingRateGranularity", 3_600_000.0),
    quote_calls=_TICKERS,
    # contracts/active, the default of derivatives, has no bid and ask (fetch_contract_tickers).
    quote_params={
        Kind.PERP: {"method": "futuresPublicGetAllTickers"},
        Kind.FUTURE: {"method": "futuresPublicGetAllTickers"},
    },
    history=History(paging="window", limit=100),
    streams={"quote": Stream(method="watch_bids_asks", store="bidsasks", kinds=_ALL)},
)

HTX: Final = Quirks(
    venue="htx",
    clients=(
        ClientSpec(
            ccxt_id="htx",
            kinds=_ALL,
            options={
                "defaultType": "swap",
                "defaultSubType": "linear",
                "fetchMarkets": {"types": {"spot": True, "linear": True, "inverse": False}},
            },
        ),
    ),
    # fetch_funding_rates raises NotSupported for linear. parse_funding_rate: funding_rate settles at
    # funding_time, estimated_rate (often null) is the one after; the interval is the difference of the times.
    bulk_funding="single",
    # contract_code takes up to ten codes, and the answer is a list (fetch_funding_rate reads its first row).
    funding_batch=Batch(
        path="v5/market/funding_rate", api=("contract", "public"), param="contract_code", size=10, cost=0.125
    ),
    quote_calls=_TICKERS,
    history=History(
        paging="latest", limit=100
    ),  # v5 takes start_time and limit (at most 100) only, as ccxt calls it
    # watch_ticker's `detail` topic has no bid and ask on swaps: polled.
)

MEXC: Final = Quirks(
    venue="mexc",
    clients=(ClientSpec(ccxt_id="mexc", kinds=_ALL, options={"defaultType": "swap"}),),
    bulk_funding="single",  # has fetchFundingRates: False; collectCycle is the interval in hours
    # Without a symbol in its path the endpoint lists all; contract/ticker has rates, but neither interval nor
    # next settlement. ccxt knows the path with a symbol only. 800 rows for a few symbols are not worth it.
    funding_batch=Batch(path="funding_rate", api=("contract", "public"), worth=9, cost=2.0),
    # fetch_bids_asks wraps a list into a list for one symbol and has no swaps: tickers for both.
    quote_calls=_TICKERS,
    history=History(paging="pages", limit=100, param="page_num"),
    spot_shortable=False,
    why_not_shortable="MEXC lends no coins to API users",
    # watch_bids_asks has no swaps, sub.tickers no bid and ask: polled.
)

BINGX: Final = Quirks(
    venue="bingx",
    clients=(
        ClientSpec(ccxt_id="bingx", kinds=_ALL, options={"defaultType": "swap", "defaultSubType": "linear"}),
    ),
    bulk_funding="rates",
    next_field="nextFundingTimestamp",  # parse_funding_rate leaves fundingTimestamp empty
    quote_calls=_TICKERS,  # fetch_bids_asks of swaps takes exactly one symbol
    history=History(paging="window", limit=1000),
    spot_shortable=False,
    why_not_shortable="BingX has no spot margin in its API",
    # watch_tickers: False ("no longer supported"): polled.
)

HYPERLIQUID: Final = Quirks(
    venue="hyperliquid",
    clients=(
        ClientSpec(
            ccxt_id="hyperliquid",
            kinds=_ALL,
            # hip3 costs a request per builder's exchange, and its rates are not in metaAndAssetCtxs.
            options={"defaultType": "swap", "fetchMarkets": {"types": ["spot", "swap"]}},
        ),
    ),
    bulk_funding="rates",  # hourly, next settlement from the local clock (parse_funding_rate)
    # parse_ticker: bid and ask are impact prices (of a 20,000 USD order on majors), never better than
    # the best levels
    quote_calls=_TICKERS,
    quote_params={Kind.SPOT: {"type": "spot"}, Kind.PERP: {"type": "swap"}},
    history=History(paging="window", limit=500),
    book_limit_max=20,
    spot_shortable=False,
    why_not_shortable="Hyperliquid spot has no margin",
    # watch_tickers is allMids, without bid and ask: polled.
)

QUIRKS: Final[dict[str, Quirks]] = {
    record.venue: record
    for record in (BINANCE, BITGET, BYBIT, OKX, GATE, KUCOIN, HTX, MEXC, BINGX, HYPERLIQUID)
}
VENUES: Final = tuple(QUIRKS)
_SAME: Final = {"binanceusdm": "binance", "gateio": "gate", "huobi": "htx", "kucoinfutures": "kucoin"}


class UnknownVenue(ValueError):
    """A venue without a record; names the nearest that has one."""

    def __init__(self, venue: str) -> None:
        near = difflib.get_close_matches(venue, [*VENUES, *_SAME], n=1, cutoff=0.5)
        hint = f"did you mean {_SAME.get(near[0], near[0])}?" if near else f"known are {', '.join(VENUES)}"
        super().__init__(f"unknown venue {venue!r}: {hint}")
        self.venue = venue


def quirks_of(venue: str) -> Quirks:
    """The record of a venue slug; `binance-sub1` (a sub-account) is Binance. Raises `UnknownVenue`."""
    stem = venue.split("-", 1)[0].lower()
    record = QUIRKS.get(_SAME.get(stem, stem))
    if record is None:
        raise UnknownVenue(venue)
    return record
