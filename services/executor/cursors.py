"""How far a venue's records have been read: the stamp of the newest one of each kind. Pure.

A cursor that is ahead of what is durable loses money: the next reading begins an overlap before it. It moves
as records come, and back to where the round began when the store has not taken one of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from libs.common.instant import MS_PER_HOUR, US_PER_MS, Now
from libs.exchange.trading_values import LedgerRecord
from services.executor.books import Books, MarketOf, Opening, replace


def name_of(venue: str, kind: str) -> str:
    """A cursor's name in the snapshot."""
    return f"{venue}|{kind}"


def moved(books: Books, venue: str, record: LedgerRecord) -> Books:
    """With the cursor of its kind at this record, unless it is further on."""
    name = name_of(venue, record.kind)
    if record.ts_ms <= books.cursors.get(name, 0):
        return books
    return replace(books, cursors={**books.cursors, name: record.ts_ms})


def of_venue(books: Books, venue: str) -> dict[str, int]:
    """Those of one venue, to be put back."""
    return {name: at_ms for name, at_ms in books.cursors.items() if name.startswith(name_of(venue, ""))}


def put_back(books: Books, venue: str, before: Mapping[str, int] | None) -> Books:
    """With a venue's cursors as they were; unchanged where nothing was asked for (None)."""
    if before is None:
        return books
    mine = of_venue(books, venue)
    others = {name: at_ms for name, at_ms in books.cursors.items() if name not in mine}
    return replace(books, cursors={**others, **before})


def opened_ms(opening: Opening | None, born: Now, market_of: MarketOf) -> int:
    """Wall ms from which on a venue's records are ours: of the opening, or since `born` while there is none.

    An opening of before its wall time was kept has its market time only, which runs evenly: as fast as it has
    in the last hour.
    """
    born_ms = born.wall_us // US_PER_MS
    if opening is None or opening.wall_ms:
        return born_ms if opening is None else opening.wall_ms
    market_ms = market_of(born.wall_us)  # not of `born`: a venue of the demo may set the clock while we run
    hourly_ms = market_ms - market_of(born.wall_us - MS_PER_HOUR * US_PER_MS)
    return born_ms - (market_ms - opening.market_ms) * MS_PER_HOUR // max(1, hourly_ms)
