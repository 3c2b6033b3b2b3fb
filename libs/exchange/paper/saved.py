"""A paper account as bytes, so that it outlives a restart."""

from __future__ import annotations

from typing import Final

import msgspec

from libs.common.config.schema import Costs
from libs.exchange.engine.engine import Engine
from libs.exchange.engine.snapshot import BadSnapshot
from libs.exchange.paper.calendar import Calendar
from libs.exchange.paper.floor import Floor
from libs.exchange.paper.layout import KINDS, Layout, layout_of
from libs.exchange.paper.listings import hourly_interest_of
from libs.exchange.paper.pictures import Before
from libs.exchange.port import Instrument

FORMAT: Final = 1


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot holds. `version` counts the books that the engine was shown, `before` are marks of
    settlements whose prints may still come.
    """

    format: int
    venue: str
    engine: msgspec.Raw
    instruments: dict[str, Instrument]
    settled: dict[str, int]
    before: dict[str, Before]
    done_ms: int
    version: int
    transfers: int


_ENCODER: Final = msgspec.json.Encoder(decimal_format="string")
_DECODER: Final = msgspec.json.Decoder(Saved)


def encode(floor: Floor, *, transfers: int) -> bytes:
    """JSON; equal accounts give equal bytes."""
    return _ENCODER.encode(
        Saved(
            format=FORMAT,
            venue=floor.venue,
            engine=msgspec.Raw(floor.engine.snapshot()),
            instruments=floor.instruments,
            settled=floor.calendar.settled,
            before=floor.marks_before(),
            done_ms=floor.calendar.done_ms,
            version=floor.version,
            transfers=transfers,
        )
    )


def decode(data: bytes, *, costs: Costs, layout: Layout | None = None) -> tuple[Floor, int]:
    """The floor, and how many transfers there were. Raises `BadSnapshot`: other bytes, or other wallets."""
    try:
        saved = _DECODER.decode(data)
    except msgspec.DecodeError as error:
        raise BadSnapshot(str(error)) from error
    if saved.format != FORMAT:
        raise BadSnapshot(f"a snapshot of format {saved.format}; this version reads {FORMAT}")
    engine, layout = Engine.restore(bytes(saved.engine)), layout or layout_of(saved.venue)
    kinds = {name: spec.kind for name, spec in engine.accounts.items()}
    if kinds != {wallet: KINDS[wallet] for wallet in layout.wallets}:
        raise BadSnapshot(f"its wallets are {', '.join(kinds)}, those of {saved.venue} are {layout.wallets}")
    calendar = Calendar(
        since_ms=saved.done_ms,
        hourly_interest=hourly_interest_of(costs, saved.venue),
        settled=saved.settled,
    )
    floor = Floor(
        saved.venue,
        costs=costs,
        layout=layout,
        engine=engine,
        calendar=calendar,
        instruments=saved.instruments,
        before=saved.before,
        version=saved.version,
    )
    return floor, saved.transfers
