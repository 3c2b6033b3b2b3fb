"""I10: the journal alone, replayed, gives what lies in the store, byte for byte.

Looked at whenever a process is killed, which is when the next one has nothing but the store, and at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from services.executor.writing import JOURNAL, intents_key, pair_key
from tests.sim.invariants import Violated

if TYPE_CHECKING:
    from tests.sim.world import World


class Journal:
    """Folds the journal entry by entry; what was folded once is not read again."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.forget()

    def forget(self) -> None:
        """The store was lost, and its journal with it."""
        self._after = "0"
        self._pairs: dict[str, bytes] = {}
        self._intents: dict[str, dict[str, bytes]] = {}

    def check(self) -> None:
        """Compare with the store as it is now."""
        self._fold()
        for name, state in self._pairs.items():
            if self.world.value(pair_key(name)) != state:
                raise Violated("I10", f"{name}: the journal tells another state than the store holds")
            if self.world.hash(intents_key(name)) != self._intents.get(name, {}):
                raise Violated("I10", f"{name}: the journal tells other orders than the store holds")

    def at_crash(self) -> None:
        """A process has just died."""
        self.world.counts["folds at crashes"] += 1
        self.check()

    def _fold(self) -> None:
        for entry in self.world.tail(JOURNAL, self._after):
            self._after = entry.id
            name = entry.fields["pair"].decode()
            self._pairs[name] = entry.fields["state"]
            orders = self._intents.setdefault(name, {})
            told = msgspec.json.decode(entry.fields["intents"], type=dict[str, msgspec.Raw])
            for key, value in told.items():
                if bytes(value) == b"null":
                    orders.pop(key, None)
                else:
                    orders[key] = bytes(value)
