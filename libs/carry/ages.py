"""When data counts as old beyond the plain limits of `case`: a quiet symbol is not a stale one (risk.md)."""

from __future__ import annotations

from typing import Final

from libs.carry.case import quote_age_max_sec

HOT_QUOTE_AGE_MAX_SEC: Final = 2.5
"""A polled pair that passes or is held is polled each second, and must be as fresh as that."""

POLL_GRACE_SEC: Final = 1.0


def standing_quote_age_sec(own_sec: float, venue_sec: float | None, *, poll_interval_sec: float) -> float:
    """Age of a quote, given its own and that of the newest of its venue's streamed quotes.

    While the venue is connected and its quotes flow (`venue_sec`, None when they do not), one that has not
    been repeated still stands, until the feed must have polled it: then silence is the symbol's own.
    """
    if venue_sec is None or own_sec > quote_age_max_sec("poll", poll_interval_sec) + POLL_GRACE_SEC:
        return own_sec
    return min(own_sec, venue_sec)
