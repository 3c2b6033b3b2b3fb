"""What a venue's record is made of, and how intervals are read by it; the records are in `quirks`."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from libs.common.subjects import Kind
from libs.exchange.intervals import hours_of, plausible
from libs.exchange.units import float_of

Paging = Literal["window", "before", "pages", "latest"]


class ClientSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One ccxt class and the kinds that it serves here."""

    ccxt_id: str
    kinds: frozenset[Kind]
    options: dict[str, Any] = {}


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """A ccxt.pro watch method over many symbols, and the dict in which ccxt keeps their newest state.

    `fields` names rate, next settlement, mark and index inside the ticker's `info`; None: the method
    yields funding structures. `chunk` symbols share a connection; no frame of any of them for
    `silent_sec` is suspicious.
    """

    method: str
    store: Literal["bidsasks", "tickers", "fundingRates"]
    kinds: frozenset[Kind]
    chunk: int = 100
    silent_sec: float = 15.0
    fields: tuple[str, str, str, str] | None = None


class History(msgspec.Struct, frozen=True, kw_only=True):
    """How settled prints are paged.

    window: `since` and `until` are honoured, at most `limit` rows of the window come, from whichever end.
    before: newest first, `param` asks for rows older than a stamp.
    pages: newest first, `param` counts pages from 1.
    latest: the newest `limit` rows after `since`, no further page.
    """

    paging: Paging
    limit: int
    param: str = ""


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A request for the rates of many symbols that ccxt's unified calls do not make.

    `param` takes the venue's own symbols, at most `size` of them, with commas between; without it all come.
    From `worth` symbols on it is asked; what it leaves out is asked symbol by symbol.
    """

    path: str
    api: tuple[str, ...]
    param: str = ""
    size: int | None = None
    worth: int = 2
    cost: float = 1.0  # by ccxt's limiter


class Quirks(msgspec.Struct, frozen=True, kw_only=True):
    """One venue's record; defaults are what most venues do."""

    venue: str
    clients: tuple[ClientSpec, ...]
    # `rates`: one fetch_funding_rates; `intervals`: one fetch_funding_intervals gives rates too;
    # `single`: symbol by symbol, or by lists of `funding_batch`
    bulk_funding: Literal["rates", "intervals", "single"]
    funding_batch: Batch | None = None
    # Whether the bulk call is given the symbols (it then picks the settle currency by the first of them).
    funding_by_symbols: bool = True
    next_field: Literal["fundingTimestamp", "nextFundingTimestamp"] = "fundingTimestamp"
    interval_endpoint: bool = False
    # Hours of a symbol that the interval endpoint does not list; None: unknown.
    unlisted_hours: float | None = None
    # Path of the interval inside a rate's `info`, when ccxt's own `interval` is only the cached market's.
    rate_interval_info: str | None = None
    rate_interval_cached: bool = False
    # Field of the market's `info` and how many of its units make an hour.
    market_interval: tuple[str, float] | None = None
    quote_calls: dict[Kind, str] = {}
    quote_params: dict[Kind, dict[str, Any]] = {}
    # Beyond so many symbols the whole universe is asked (symbols travel in the URL on Binance spot).
    quote_symbols_max: int = 10_000
    history: History
    book_limit_max: int = 100
    spot_shortable: bool = True
    why_not_shortable: str = ""
    streams: dict[Literal["quote", "mark"], Stream] = {}


def market_hours(quirks: Quirks, info: object) -> float | None:
    """The interval that a market's own info states, None where it states none."""
    if quirks.market_interval is None or not isinstance(info, dict):
        return None
    field, units_per_hour = quirks.market_interval
    units = float_of(info.get(field))
    return None if units is None else plausible(units / units_per_hour)


def rate_hours(quirks: Quirks, rate: dict[str, Any]) -> float | None:
    """The interval that a rate itself states: only what came with this very answer counts."""
    if quirks.rate_interval_info is not None:
        info = rate.get("info")
        own = hours_of(info.get(quirks.rate_interval_info)) if isinstance(info, dict) else None
        if own is not None or quirks.rate_interval_cached:
            return own
    return hours_of(rate.get("interval"))
