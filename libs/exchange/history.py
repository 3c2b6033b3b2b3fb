"""Settled prints of any venue, all pages, each exactly once: how to page is the venue's record."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from libs.common.instant import MS_PER_HOUR
from libs.exchange.record import History
from libs.exchange.units import float_of, int_of

PAGES_MAX: Final = 400  # a venue that pages in circles must not hold us forever
WINDOW_HOURS_MIN: Final = 1.0
_SAME_MS: Final = 60_000  # one settlement, twice read: stamps differ by jitter only

# (since_ms | None, limit, params) -> rows of ccxt's fetch_funding_rate_history
Fetch = Callable[[int | None, int, dict[str, Any]], Awaitable[list[dict[str, Any]]]]
Print = tuple[int, float | None]


class Prints:
    """Prints inside a window, without repetitions."""

    def __init__(self, since_ms: int, until_ms: int) -> None:
        self._since_ms = since_ms
        self._until_ms = until_ms
        self._prints: dict[int, Print] = {}

    def add(self, rows: list[dict[str, Any]]) -> list[int]:
        """Take the rows in and answer the stamps of all of them."""
        stamps = []
        for row in rows:
            stamp = int_of(row.get("timestamp"))
            if stamp is None:
                continue
            stamps.append(stamp)
            if self._since_ms <= stamp <= self._until_ms:
                self._prints.setdefault(round(stamp / _SAME_MS), (stamp, float_of(row.get("fundingRate"))))
        return stamps

    def all(self) -> list[Print]:
        """Oldest first."""
        return sorted(self._prints.values(), key=lambda item: item[0])


async def read_all(
    history: History, fetch: Fetch, *, since_ms: int, until_ms: int, interval_hours: float | None
) -> list[Print]:
    """(stamp, rate) from `since_ms` to `until_ms`, both included, oldest first. Rates may be None."""
    prints = Prints(since_ms, until_ms)
    if until_ms < since_ms:
        return []
    match history.paging:
        case "window":
            await _windows(history, fetch, prints, (since_ms, until_ms), interval_hours or 1.0)
        case "before":
            await _before(history, fetch, prints, since_ms, until_ms)
        case "pages":
            await _pages(history, fetch, prints, since_ms)
        case "latest":
            prints.add(await fetch(since_ms, history.limit, {}))
    return prints.all()


async def _windows(
    history: History, fetch: Fetch, prints: Prints, window_ms: tuple[int, int], interval_hours: float
) -> None:
    """Windows that hold less than a page. A full page may be cut at either end, so its window is halved:
    the interval may have been shorter once than it is now.
    """
    start_ms, until_ms = window_ms
    hours = max(WINDOW_HOURS_MIN, (history.limit - 1) * interval_hours)
    for _ in range(PAGES_MAX):
        end_ms = min(until_ms, start_ms + round(hours * MS_PER_HOUR))
        rows = await fetch(start_ms, history.limit, {"until": end_ms})
        if len(rows) >= history.limit and hours > WINDOW_HOURS_MIN:
            hours = max(WINDOW_HOURS_MIN, hours / 2)
            continue
        prints.add(rows)
        if end_ms >= until_ms:
            return
        start_ms = end_ms + 1


async def _before(history: History, fetch: Fetch, prints: Prints, since_ms: int, until_ms: int) -> None:
    """Back from `until_ms`, each page from the oldest stamp of the one before."""
    cursor_ms = until_ms + 1
    for _ in range(PAGES_MAX):
        stamps = prints.add(await fetch(None, history.limit, {history.param: str(cursor_ms)}))
        if not stamps or min(stamps) <= since_ms or min(stamps) >= cursor_ms:
            return
        cursor_ms = min(stamps)


async def _pages(history: History, fetch: Fetch, prints: Prints, since_ms: int) -> None:
    """Numbered pages, newest first, until one reaches `since_ms` or repeats the last."""
    last: list[int] = []
    for page in range(1, PAGES_MAX + 1):
        stamps = prints.add(await fetch(None, history.limit, {history.param: str(page)}))
        if not stamps or stamps == last or min(stamps) <= since_ms:
            return
        last = stamps
