"""Ranks an archive as of its last settlements: no network, settled rates only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from libs.carry.evaluate import LegInput, settled_once
from libs.common.config.schema import Config
from libs.common.instant import MS_PER_DAY, MS_PER_HOUR
from libs.common.messages import Opportunity, Settlement
from libs.common.subjects import Kind, instrument_slug
from libs.exchange.quirks import UnknownVenue, quirks_of
from libs.exchange.scan import HISTORY_DAYS, Judge, LegKey, Ranking, pairs_of, ranking_of
from libs.research.archive import Archive
from libs.research.layout import FundingPrint
from libs.research.layout import Kind as Series

QUOTES: Final = ("USDT", "USDC", "FDUSD", "BUSD", "USDE", "USD")
AFTER_MS: Final = 120_000  # past the last settlement by more than the gates' 60 s
# A series that stops so long before its venue's newest has ended; intervals are at most a day, and sources
# cut off their symbols hours apart.
ENDED_AFTER_MS: Final = 3 * MS_PER_DAY
_PARTS: Final = re.compile(r"\A([^/_-]+)[/_-]([A-Za-z]+)")
_SUFFIX: Final = "PERP"  # BTCPERP: Bybit's names of contracts that are margined in USDC

Prints = dict[LegKey, tuple[Settlement, ...]]


class Series31(msgspec.Struct, frozen=True, kw_only=True):
    """Funding series as legs, their prints of the last month, and each venue's last settlement."""

    legs: tuple[LegInput, ...]
    prints: Prints
    last_ms: dict[str, int]
    unread: tuple[str, ...]


def base_quote(venue: str, symbol: str) -> tuple[str, str] | None:
    """Base and quote of a symbol as its source names it, None when it does not say.

    >>> base_quote("binance", "1000SHIBUSDT"), base_quote("okx", "BTC-USDT-SWAP")
    (('1000SHIB', 'USDT'), ('BTC', 'USDT'))
    >>> base_quote("hyperliquid", "kPEPE"), base_quote("bybit", "ETHPERP")
    (('kPEPE', 'USDC'), ('ETH', 'USDC'))
    """
    parts = _PARTS.match(symbol)
    if parts is not None:
        return (parts.group(1), parts.group(2).upper()) if parts.group(2).upper() in QUOTES else None
    for quote in QUOTES:
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return symbol[: -len(quote)], quote
    if symbol.endswith(_SUFFIX) and len(symbol) > len(_SUFFIX):
        return symbol[: -len(_SUFFIX)], "USDC"
    if venue.startswith("hyperliquid"):
        return symbol, "USDC"  # coins by bare name, margined in USDC
    return None


def read_series(folder: Path, *, venues: Iterable[str] = ()) -> Series31:
    """All funding series (of `venues`) as perpetual legs, each with a spot leg on its venue."""
    archive, wanted = Archive(folder), frozenset(venues)
    legs: list[LegInput] = []
    prints: Prints = {}
    unread: list[str] = []
    last_ms: dict[str, int] = {}
    for key in archive.series(Series.FUNDING):
        if wanted and key.venue not in wanted:
            continue
        named = base_quote(key.venue, key.symbol)
        if named is None:
            unread.append(f"{key.venue} {key.symbol}")
            continue
        since_ms = archive.summary(key).to_ms - (HISTORY_DAYS + 1) * MS_PER_DAY
        series = _settlements(archive.read_funding(key, since_ms))
        if not series:
            continue
        last_ms[key.venue] = max(last_ms.get(key.venue, 0), series[-1].settled_ms)
        pair = _legs(key.venue, *named)
        prints[(key.venue, pair[1].instrument)] = series
        legs += pair
    return Series31(legs=tuple(legs), prints=prints, last_ms=last_ms, unread=tuple(unread))


def rank_archive(
    folder: Path, config: Config, *, venues: Sequence[str] = (), eval_us: int
) -> tuple[Ranking, tuple[str, ...], tuple[str, ...]]:
    """Ranking, venues seen, series that could not be read.

    Each pair is judged as of the last settlement that both its series have: sources end on different
    days, and so do their symbols. A series that ended days before its own venue did (a delisting) is refused
    as stale. Whether a spot market exists, and at which price, is not in a funding archive: figures say what
    funding alone earns.
    """
    series = read_series(folder, venues=venues)
    found = [judge(config, series, first, second, eval_us=eval_us) for first, second in pairs_of(series.legs)]
    market_ms = max(series.last_ms.values(), default=0)
    return ranking_of(found, market_ms=market_ms), tuple(sorted(series.last_ms)), series.unread


def judge(
    config: Config, series: Series31, first: LegInput, second: LegInput, *, eval_us: int
) -> Opportunity:
    """One pair as of the last settlement of both its series, without the stand-in prices."""
    keys = keys_of(first, second)
    as_of_ms = min(known_until_ms(series, key) for key in keys if key in series.prints) + AFTER_MS
    prints = {key: until(series.prints[key], as_of_ms) for key in keys if key in series.prints}
    legs = [as_of(leg, prints) for leg in (first, second)]
    opportunity = Judge(config, market_ms=as_of_ms, eval_us=eval_us).assess(legs[0], legs[1], prints)
    return msgspec.structs.replace(
        opportunity,
        basis_entry=None,
        long=msgspec.structs.replace(opportunity.long, mid=None),
        short=msgspec.structs.replace(opportunity.short, mid=None),
    )


def known_until_ms(series: Series31, key: LegKey) -> int:
    """Until when an archive knows of a series: its last settlement, and its venue's once it has ended."""
    newest_ms, last_ms = series.last_ms[key[0]], series.prints[key][-1].settled_ms
    return newest_ms if newest_ms - last_ms > ENDED_AFTER_MS else last_ms


def keys_of(first: LegInput, second: LegInput) -> list[LegKey]:
    """Where the two legs' prints are found."""
    return [(leg.venue, leg.instrument) for leg in (first, second)]


def until(prints: tuple[Settlement, ...], market_ms: int) -> tuple[Settlement, ...]:
    """Prints settled by then."""
    if not prints or prints[-1].settled_ms <= market_ms:
        return prints
    return tuple(item for item in prints if item.settled_ms <= market_ms)


def as_of(leg: LegInput, prints: Mapping[LegKey, tuple[Settlement, ...]]) -> LegInput:
    """A perpetual leg with its last settled rate standing for the current one; spot as it is."""
    known = prints.get((leg.venue, leg.instrument))
    if leg.kind is not Kind.PERP or not known:
        return leg
    last = known[-1]
    return msgspec.structs.replace(
        leg,
        rate=last.rate,
        interval_hours=last.interval_hours,
        next_ms=last.settled_ms + round(last.interval_hours * MS_PER_HOUR),
    )


def _settlements(rows: Iterable[FundingPrint]) -> tuple[Settlement, ...]:
    return settled_once(
        Settlement(settled_ms=row.ts_ms, rate=row.rate, interval_hours=row.interval_hours) for row in rows
    )


def _legs(venue: str, base: str, quote: str) -> tuple[LegInput, LegInput]:
    """Spot and perpetual of a base, both at price 1, so that no basis is invented."""
    try:
        shortable = quirks_of(venue).spot_shortable
    except UnknownVenue:
        shortable = False
    spot, perp = (
        LegInput(
            venue=venue,
            instrument=instrument_slug(base, quote, kind),
            kind=kind,
            bid=1.0,
            ask=1.0,
            base=base,
            quote=quote,
            settle=quote,
            shortable=shortable or kind is Kind.PERP,
        )
        for kind in (Kind.SPOT, Kind.PERP)
    )
    return spot, perp
