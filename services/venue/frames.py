"""What both stream protocols share: a subscriber's protocol without its socket, and due times in steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import msgspec

from services.venue.desk import STEP_MS, Instant
from services.venue.instruments import Protocol as VenueProtocol

STEPS_PER_SEC = 1_000 // STEP_MS

# Real venues allow 1024 (Binance spot), 200 (USD-M) and 480 an hour (Bitget) a connection.
SUBSCRIPTIONS_MAX = 1_024


# Of a step, over which its frames are spread, as they are on real venues.
SPREAD = 0.6


class Frame(msgspec.Struct, frozen=True):
    """A text to send, with the stream and symbol it is about (what faults look at)."""

    text: str
    stream: str = ""
    symbol: str = ""


class Conversation(Protocol):
    """One connection's protocol state."""

    @property
    def protocol(self) -> VenueProtocol:
        """`binance` or `bitget`."""
        ...

    def hear(self, text: str, now: Instant) -> list[Frame]:
        """A text from the client, and what is said to it at once."""
        ...

    def push(self, now: Instant) -> list[Frame]:
        """Everything that is due since the last push."""
        ...


class PrivateConversation(Conversation, Protocol):
    """A conversation that hears an account's events (`House.listen`) and keeps what it must say.

    Whenever something is waiting, it calls `on_ready` (set by the server when the connection begins): the
    server then asks `push` at once, not only at the next step. `close` ends its listening.
    """

    on_ready: Callable[[], None] | None

    def close(self) -> None:
        """The connection has ended."""
        ...


def due(period_steps: int, last_step: int, step: int) -> bool:
    """Whether a multiple of the period lies in (last_step, step]."""
    return step // period_steps > last_step // period_steps


def in_turn(frames: Iterable[Frame], step: int, ranks: Mapping[str, int]) -> list[tuple[float, Frame]]:
    """(ms after the step's beginning, frame) in the order of sending; `ranks` numbers the venue's symbols.

    A symbol has its turn at one moment on all connections, so that its spot and its perpetual never stand
    at different steps of the price path for long. Another symbol is the first each time, for readers that
    keep only the first of frames that come together (ccxt.pro's `watch_bids_asks` of several symbols).
    Frames about no single symbol come at once.
    """

    def wait_ms(frame: Frame) -> float:
        rank = ranks.get(frame.symbol)
        return 0.0 if rank is None else STEP_MS * SPREAD * ((rank + step) % len(ranks)) / len(ranks)

    return sorted(((wait_ms(frame), frame) for frame in frames), key=lambda turn: turn[0])
