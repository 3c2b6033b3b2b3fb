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
from services.executor.events import StoreTold

if TYPE_CHECKING:
    from services.executor.world import World

EVERY_SEC: Final = 5.0
ASK_SEC_MAX: Final = 2.0
AWAY_LOOKS: Final = 2
"""Nobody is woken for a store that is restarted: it is missed once, and back before he could look."""


class StoreRoom:
    """Keeps `World.scarce`, `store_away` and `reserved_else`, and tells when the first two begin or end. What
    was scarce stays so while the store does not answer: nothing can be written either.
    """

    def __init__(self, store: Store, world: World) -> None:
        self._store = store
        self._world = world
        self._missed = 0
        self._told = (False, False)

    async def run(self, offer: Offer) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            self.tell(offer)
            await asyncio.sleep(EVERY_SEC)

    async def look(self) -> None:
        """Ask once."""
        try:
            async with asyncio.timeout(ASK_SEC_MAX):
                free = await self._store.free_ratio()
                reserved = await self._store.hash_all(reserve.KEY)
        except (StoreUnavailable, TimeoutError) as error:
            self._missed += 1
            self._world.store_away = str(error) or f"it does not answer within {ASK_SEC_MAX:g} s"
            return
        self._missed, self._world.store_away = 0, ""
        full = f"the store is {1 - free:.0%} full (memory, disk or journal): nothing is opened on it"
        pairs = self._world.lanes
        self._world.reserved_else = {
            pair: held.decode() for pair, held in sorted(reserved.items()) if pair not in pairs
        }
        self._world.scarce = full if free < STORE_FREE_RATIO_MIN else ""

    def tell(self, offer: Offer) -> None:
        """Only what begins or ends: the words change with each look."""
        scarce, away = self._world.scarce, self._world.store_away if self._missed >= AWAY_LOOKS else ""
        if (bool(scarce), bool(away)) != self._told:
            self._told = (bool(scarce), bool(away))
            offer(StoreTold(scarce=scarce, away=away))
