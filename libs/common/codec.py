"""JSON of messages: one encoder, one decoder per type, one kind of error."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

M = TypeVar("M", bound=msgspec.Struct)
_encoder = msgspec.json.Encoder(decimal_format="string")
_decoders: dict[type[msgspec.Struct], msgspec.json.Decoder[Any]] = {}


class BadMessage(ValueError):
    """A payload that is not what its subject promises; says what and where."""


def encode(message: msgspec.Struct) -> bytes:
    """JSON of a message. Non-finite floats become null, so keep them out of fields that may not be."""
    return _encoder.encode(message)


def decode(payload: bytes, kind: type[M]) -> M:
    """A message of type `kind`, or `BadMessage` with path and reason."""
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    try:
        message: M = decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadMessage(f"{kind.__name__}: {error}") from error
    return message
