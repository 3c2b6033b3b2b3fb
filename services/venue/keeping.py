"""What a simulated exchange does not forget when its process ends: accounts, orders, keys' owners, the clock.

A real venue keeps a position while ours is down; so does this one where it is given a folder. One file is
replaced before each answer that changed something, so that whoever was answered finds it again after kill -9
(of the process; the file is not synced to disk, since a machine that dies takes the whole rehearsal along).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from libs.common.runtime_file import private_dir
from libs.exchange.engine.engine import Engine
from libs.exchange.engine.snapshot import BadSnapshot
from services.venue.instruments import Protocol

if TYPE_CHECKING:
    from services.venue.house import House

FILE: Final = "venue-state.bin"
VERSION: Final = 1


class BadState(ValueError):
    """A state that is not ours to go on with; the text names the file and the remedy."""


class KeptHouse(msgspec.Struct, frozen=True, kw_only=True):
    """One protocol's part. `done_ms`: up to which market time everything due has been done."""

    engine: bytes
    done_ms: int
    deadlines: list[tuple[str, str, int]]


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `market`: start, speed, seed, data: what the clock and the prices are made from."""

    version: int
    wall0_ms: int
    market: str
    houses: dict[str, KeptHouse]


class Keeper:
    """The file in `folder`. `market` names what it belongs to: a state of another market is refused."""

    def __init__(self, folder: Path, *, market: str) -> None:
        self._path = private_dir(folder) / FILE
        self._market = market

    def load(self) -> Kept | None:
        """What was kept, None when nothing was. Raises BadState."""
        remedy = "remove it to begin anew"
        try:
            kept = msgspec.msgpack.decode(self._path.read_bytes(), type=Kept)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise BadState(f"{self._path}: no state of a venue ({error}); {remedy}") from None
        if kept.version != VERSION:
            raise BadState(f"{self._path}: written by another version ({kept.version}); {remedy}")
        if kept.market != self._market:
            raise BadState(f"{self._path}: belongs to {kept.market}, not to {self._market}; {remedy}")
        return kept

    def save(self, houses: Mapping[Protocol, House], wall0_ms: int) -> None:
        """Replace the file. OSError when that fails: an exchange that forgets may not answer."""
        kept = Kept(
            version=VERSION,
            wall0_ms=wall0_ms,
            market=self._market,
            houses={
                name: KeptHouse(
                    engine=house.engine.snapshot(),
                    done_ms=house.timetable.done_ms,
                    deadlines=house.deadlines(),
                )
                for name, house in houses.items()
            },
        )
        temporary = self._path.with_suffix(".new")
        temporary.write_bytes(msgspec.msgpack.encode(kept))
        temporary.replace(self._path)


def engine_of(kept: KeptHouse) -> Engine:
    """The engine as it was. Raises BadState."""
    try:
        return Engine.restore(kept.engine)
    except BadSnapshot as error:
        raise BadState(f"{FILE}: {error}; remove it to begin anew") from None
