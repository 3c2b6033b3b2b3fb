"""Resolving UNKNOWN: what to ask next, and when silence is proof.

`W` = receive window + the venue's processing limit + visibility lag + bound of the clock offset. An order
counts as never accepted only after W since its send (since recovery after a restart), two clean not-founds
at least 2 s apart *after* that, no fill under its id, and a position that agrees.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from libs.common.instant import US_PER_SEC

UNKNOWN_VENUE_SEC: Final = 60.0

# Seconds: receive window + processing + visibility + clock offset. Measured or documented for these;
# everybody else waits `UNKNOWN_VENUE_SEC`. Binance's receive window is what ccxt writes into each request.
_WINDOW_SEC: Final = {
    "binance": 10.0 + 5.0 + 2.0 + 1.0,
    "bitget": 30.0 + 5.0 + 2.0 + 1.0,
    "bybit": 5.0 + 5.0 + 2.0 + 1.0,
    "okx": 30.0 + 5.0 + 2.0 + 1.0,
}

NOT_FOUNDS_APART_US: Final = 2 * US_PER_SEC
PAUSE_US_MAX: Final = 5 * US_PER_SEC


def window_us(venue: str) -> int:
    """W of a venue slug (`binance-sub1` is Binance), in monotonic time."""
    return int(_WINDOW_SEC.get(venue.split("-", 1)[0], UNKNOWN_VENUE_SEC) * US_PER_SEC)


class Doubt(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about one unknown order. `since_us`: its send, or recovery after a restart (monotonic);
    that the pair was read anew from the store moves neither.

    `cleans`: clean not-founds after W, each at least 2 s after the one before; `searched`: since the second
    of them the venue's trades were read, and none is the order's.
    """

    since_us: int
    window_us: int
    pause_us: int
    asks: int = 0
    cleans: int = 0
    last_clean_us: int = 0
    searched: bool = False


Answer = Literal["found", "open", "not_found", "failed"]
Next = Literal["ask", "cancel", "compare"]


def begin(*, venue: str, since_us: int, poll_interval_sec: float) -> Doubt:
    """A doubt about an order that was sent at `since_us`."""
    return Doubt(since_us=since_us, window_us=window_us(venue), pause_us=int(poll_interval_sec * US_PER_SEC))


def on_answer(doubt: Doubt, answer: Answer, now_us: int) -> tuple[Doubt, Next]:
    """Fold one query's answer in; what to do next (after `pause_us`, except `compare`: at once).

    found: final, which ends the doubt elsewhere; open: cancel it and ask again; failed: go on.
    """
    slower = min(PAUSE_US_MAX, doubt.pause_us * 3 // 2)
    doubt = msgspec.structs.replace(doubt, asks=doubt.asks + 1, pause_us=slower)
    if answer == "open":
        # the venue has it after all: a not-found before this was a false one
        return msgspec.structs.replace(doubt, cleans=0, searched=False), "cancel"
    if answer != "not_found":
        return doubt, "ask"
    if now_us - doubt.since_us <= doubt.window_us:
        return doubt, "ask"
    if doubt.cleans and now_us - doubt.last_clean_us < NOT_FOUNDS_APART_US:
        return doubt, "ask"
    doubt = msgspec.structs.replace(doubt, cleans=doubt.cleans + 1, last_clean_us=now_us)
    return doubt, "compare" if doubt.cleans >= 2 else "ask"
