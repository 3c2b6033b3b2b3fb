"""Room in the store: with little left nothing is opened, so that a full one does not meet a position.

Room under the limits as well: what pairs have reserved that are not in this config (any more).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from libs.common.assembly import Offer
from libs.common.beat import STORE_FREE_RATIO_MIN
from libs.common.store import Store, StoreUnavailable
from services.executor import reserve

if TYPE_CHECKING:
    from services.executor.world import World

EVERY_SEC: Final = 5.0
ASK_SEC_MAX: Final = 2.0


class StoreRoom:
    """Keeps `World.scarce` and `reserved_else`. A store that does not answer changes nothing: nothing can be
    written either.
    """

    def __init__(self, store: Store, world: World) -> None:
        self._store = store
        self._world = world

    async def run(self, _offer: Offer) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_SEC)

    async def look(self) -> None:
        """Ask once."""
        try:
            async with asyncio.timeout(ASK_SEC_MAX):
                free = await self._store.free_ratio()
                reserved = await self._store.hash_all(reserve.KEY)
        except (StoreUnavailable, TimeoutError):
            return
        full = f"the store is {1 - free:.0%} full (memory, disk or journal): nothing is opened on it"
        pairs = self._world.lanes
        self._world.reserved_else = {
            pair: held.decode() for pair, held in sorted(reserved.items()) if pair not in pairs
        }
        self._world.scarce = full if free < STORE_FREE_RATIO_MIN else ""
