"""What both stream protocols share: a subscriber's protocol without its socket, and due times in steps."""

from __future__ import annotations

from typing import Protocol

import msgspec

from services.venue.desk import STEP_MS, Instant
from services.venue.instruments import Protocol as VenueProtocol

STEPS_PER_SEC = 1_000 // STEP_MS

# Real venues allow 1024 (Binance spot), 200 (USD-M) and 480 an hour (Bitget) a connection.
SUBSCRIPTIONS_MAX = 1_024


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


def due(period_steps: int, last_step: int, step: int) -> bool:
    """Whether a multiple of the period lies in (last_step, step]."""
    return step // period_steps > last_step // period_steps
