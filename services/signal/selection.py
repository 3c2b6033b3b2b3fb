"""What signal remembers, as it lies in the store: a restart goes on where the last process stopped."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from libs.common.effects import Request
from services.signal.decide import Held

KEY: Final = "signal:selection"
TRADING_KEY: Final = "signal:holdings"
"""Where an executor runs: an observer's page must not be taken for what is held."""


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """A pair that signal asked to close at `market_ms`, and why: it rests before it is opened again."""

    market_ms: int
    why: str


class Selection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Held pairs by id, and those that were left lately."""

    held: dict[str, Held] = {}
    left: dict[str, Left] = {}


class LoadSelection(Request, frozen=True, kw_only=True):
    """Answered with `Stored`."""


class SaveSelection(Request, frozen=True, kw_only=True):
    """Write when the stored version is still `expect` (0: none). Answered with the new version."""

    value: bytes
    expect: int


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What lay in the store; version 0 and None when nothing did."""

    value: bytes | None
    version: int


class BadSelection(ValueError):
    """What lies in the store is no selection; the text says why."""


_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Selection)


def encode(held: dict[str, Held], left: dict[str, Left] | None = None) -> bytes:
    """The same bytes for the same holdings, whatever order they were entered in."""
    return msgspec.json.encode(
        Selection(held=dict(sorted(held.items())), left=dict(sorted((left or {}).items())))
    )


def decode(value: bytes | None) -> Selection:
    """What was remembered; raises `BadSelection`."""
    if value is None:
        return Selection()
    try:
        selection: Selection = _decoder.decode(value)
    except msgspec.DecodeError as error:
        raise BadSelection(str(error)) from error
    return selection
