"""Funding payments by ccxt's unified call: the whole list, page by page, as each venue goes on.

One answer holds 50 to 1,000 rows. Bybit, OKX and Gate answer the newest first: without the other pages older
ones would be lost, whatever the time that was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from libs.common.instant import MS_PER_DAY
from libs.exchange.live.lists import BACK_MS_MAX, PAGES_MAX
from libs.exchange.live.places import Place, Places
from libs.exchange.port import VenueError
from libs.exchange.units import int_of

Row = dict[str, Any]
Following = Callable[[list[Row], int], Row | None]
"""(a page, how many rows have been told so far) -> what asks for the next one; None: this was the last."""

_ROWS: Final = 100  # of Bybit, OKX and Gate; the most that the first two give
_WINDOW_MS: Final = {"bybit": 7 * MS_PER_DAY}
"""Bybit answers no more than a week after `startTime`, whatever came later."""


def _by_cursor(page: list[Row], _told: int) -> Row | None:
    """Bybit: ccxt leaves the answer's cursor in a row of it. A page may be short although there are more."""
    infos = [row["info"] for row in page if isinstance(row.get("info"), dict)]
    cursor = next((str(info["nextPageCursor"]) for info in infos if info.get("nextPageCursor")), "")
    return {"cursor": cursor} if cursor else None


def _by_oldest(page: list[Row], _told: int) -> Row | None:
    """OKX: `after` a bill are those before it in time."""
    if len(page) < _ROWS:
        return None
    oldest = min(page, key=lambda row: (stamp_of(row), len(str(row.get("id"))), str(row.get("id"))))
    return {"after": str(oldest.get("id"))}


def _by_offset(page: list[Row], told: int) -> Row | None:
    """Gate counts rows."""
    return {"offset": told} if len(page) == _ROWS else None


def _by_newest(page: list[Row], _told: int) -> Row | None:
    """Oldest first (Hyperliquid): on from the newest stamp, until nothing new comes."""
    return {"since": max(stamp_of(row) for row in page)}


_GO_ON: Final[dict[str, Following]] = {"bybit": _by_cursor, "okx": _by_oldest, "gate": _by_offset}
_FIRST: Final[dict[str, Row]] = {
    "bybit": {"limit": _ROWS},  # ccxt writes it as `size`, which the venue does not know
    "okx": {"limit": str(_ROWS)},
    "gate": {"limit": _ROWS},
    "bingx": {"limit": 1_000},
}


async def payments_since(places: Places, place: Place, since_ms: int) -> list[Row]:
    """All payments since then, each once, at most half a year back. `VenueError` for a list without end: a
    part of it would look like all of it.
    """
    venue = places.venue
    now_ms = places.now_ms(market=True)
    found: dict[str, Row] = {}
    for start_ms, until in _windows(venue, max(since_ms, now_ms - BACK_MS_MAX), now_ms):
        for row in await _window(venue, place, start_ms, {**_FIRST.get(venue, {}), **until}):
            found[id_of(row)] = row
    return list(found.values())


def stamp_of(row: Row) -> int:
    """Of a payment, ms."""
    return int_of(row.get("timestamp")) or 0


def id_of(row: Row) -> str:
    """What names a payment for ever. Gate gives no name of its own, and Hyperliquid a hash of zeros that is
    the same for all of them: an instrument is paid for once at an instant.
    """
    name = str(row.get("id") or "")
    return name if name.strip("0x") else f"{row.get('symbol')}@{stamp_of(row)}"


def _windows(venue: str, since_ms: int, now_ms: int) -> Iterator[tuple[int, Row]]:
    window_ms = _WINDOW_MS.get(venue)
    if window_ms is None:
        yield since_ms, {}
        return
    for start_ms in range(since_ms, max(since_ms, now_ms) + 1, window_ms):
        yield start_ms, {"until": min(start_ms + window_ms, now_ms + MS_PER_DAY)}


async def _window(venue: str, place: Place, since_ms: int, first: Row) -> list[Row]:
    """All pages of one stretch of time, until one is empty or brings nothing new."""
    going_on = _GO_ON.get(venue, _by_newest)
    found: dict[str, Row] = {}
    asked, told = {"since": since_ms, **first}, 0
    for _ in range(PAGES_MAX):
        page = await _page(place, dict(asked))
        fresh = {id_of(row): row for row in page if id_of(row) not in found}
        found |= fresh
        told += len(page)
        following = going_on(page, told) if fresh else None
        if following is None:
            return list(found.values())
        asked |= following
    raise VenueError(venue, "bad_payload", f"records: more than {PAGES_MAX} pages of funding")


async def _page(place: Place, asked: Row) -> list[Row]:
    since_ms = asked.pop("since")
    rows = await place.ask("records", lambda ex: ex.fetch_funding_history(None, since_ms, None, asked))
    return list(rows)
