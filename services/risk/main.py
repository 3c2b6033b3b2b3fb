"""The risk process: watches everything that is said about trading, and permits it four times a second.

Wires `RiskActor` to bus and store; decides nothing. It runs wherever an executor does: demo, paper and live.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from libs.common import subjects
from libs.common.assembly import Assembly, CannotStart, ServiceContext
from libs.common.build import build
from libs.common.codec import BadMessage, decode
from libs.common.command_memory import recent_ids
from libs.common.config.legs import pair_specs
from libs.common.config.schema import Mode
from libs.common.effects import Event, TimerFired
from libs.common.instant import Clock
from libs.common.run import serve
from libs.common.store import Store
from services.risk.actor import KEEP, Recall, Recalled, RiskActor
from services.risk.controls.loss import Day
from services.risk.keeper import DAY_KEY, EPOCH_KEY, SERVICE
from services.risk.latches import BREAKERS, decoded

log = logging.getLogger(__name__)

USAGE: Final = 2
KEEPING: Final = "keeping"


class RiskStore:
    """What outlives risk: the epoch, the latches, the day's first equity, and which commands were taken."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def recall(self, _request: Recall) -> Recalled:
        """Raise the epoch, then read: from then on no earlier life can write.

        Raises StoreUnavailable, and StoreConflict when two lives do it at once.
        """
        store_id = await self._store.store_id()  # first: should it be lost from here on, nothing fits
        found = await self._store.get(EPOCH_KEY)
        epoch = 1 if found is None else int(found.value) + 1
        version = await self._store.compare_and_set(
            EPOCH_KEY, str(epoch).encode(), expect=0 if found is None else found.version
        )
        wall_us = self._clock.now().wall_us
        latches = decoded(await self._store.hash_all(BREAKERS), now_us=wall_us)
        kept = await self._store.get(DAY_KEY)
        ids = await recent_ids(self._store, SERVICE, wall_us=wall_us)
        return Recalled(
            epoch=epoch,
            version=version,
            store_id=store_id,
            latches=latches,
            day=None if kept is None else _day(kept.value),
            ids=ids,
        )


def _day(value: bytes) -> Day | None:
    """None for what cannot be read: the day then begins with the equity that is found."""
    try:
        return decode(value, Day)
    except BadMessage as error:
        log.warning("the stored day cannot be read, the loss of the day begins anew: %s", error)
        return None


def lane_of(event: Event) -> str:
    """Writes wait for the store in a lane of their own: permits go on while it is slow or down."""
    return KEEPING if isinstance(event, TimerFired) and event.name == KEEP else ""


async def assemble(context: ServiceContext) -> Assembly:
    """All pairs of the config; without any there is nothing to permit."""
    if context.config.mode is Mode.OBSERVER:
        raise CannotStart("mode observer: nothing is traded, so that there is nothing to permit", code=USAGE)
    if not pair_specs(context.config):
        raise CannotStart(
            "the config names no pair: give symbols with exchanges spot and perp, or pairs", code=USAGE
        )
    actor = RiskActor(context.config, build=build(context.env))
    handlers: dict[Any, Any] = {Recall: RiskStore(context.store, context.clock).recall}
    return Assembly(
        actor=actor,
        subscriptions=(
            subjects.ALL_EXEC,
            subjects.ALL_HEALTH,
            subjects.ALL_QUOTES,
            subjects.ALL_FUNDING,
            subjects.ALL_INSTRUMENTS,
            subjects.ALL_MD_HEALTH,
            *actor.commands.subscriptions,
        ),
        handlers=handlers,
        lane_of=lane_of,
        reloads=True,
    )


def main() -> int:
    """`python -m services.risk.main`, or `fundarb run risk`."""
    return serve("risk", assemble)


if __name__ == "__main__":
    raise SystemExit(main())
