"""What the observer would hold, as it lies in the store: a restart goes on where the last process stopped."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from libs.common.effects import Request
from services.signal.decide import Held

KEY: Final = "signal:selection"


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Held pairs by id."""

    held: dict[str, Held] = {}


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


def encode(held: dict[str, Held]) -> bytes:
    """The same bytes for the same holdings, whatever order they were entered in."""
    return msgspec.json.encode(Selection(held=dict(sorted(held.items()))))


def decode(value: bytes | None) -> dict[str, Held]:
    """Held pairs; raises `BadSelection`."""
    if value is None:
        return {}
    try:
        selection: Selection = _decoder.decode(value)
    except msgspec.DecodeError as error:
        raise BadSelection(str(error)) from error
    return dict(selection.held)
