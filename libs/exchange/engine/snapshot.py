"""The whole state as bytes, and back. Equal states give equal bytes: every container keeps its order."""

from __future__ import annotations

from typing import Final

import msgspec

from libs.exchange.engine.state import State

_ENCODER: Final = msgspec.json.Encoder(decimal_format="string")
_DECODER: Final = msgspec.json.Decoder(State)


class BadSnapshot(Exception):
    """These bytes are no snapshot of an engine of this version."""


def encode(state: State) -> bytes:
    """JSON; Decimals as strings with all their digits."""
    return _ENCODER.encode(state)


def decode(data: bytes) -> State:
    """The state that was encoded; raises `BadSnapshot`."""
    try:
        return _DECODER.decode(data)
    except msgspec.DecodeError as error:
        raise BadSnapshot(str(error)) from error
