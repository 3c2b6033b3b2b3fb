"""The base of everything that travels on the bus; the types themselves are in `messages`."""

from __future__ import annotations

import msgspec


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What travels on the bus."""
