"""The risk process: publishes permits for rehearsals and tests. It refuses to start in mode live.

What it lets through is everything: breakers, limits and latches are not part of it.
"""

from __future__ import annotations

from typing import Any, Final

from libs.common.assembly import Assembly, CannotStart, ServiceContext
from libs.common.build import build
from libs.common.config.schema import Mode
from libs.common.run import serve
from libs.common.store import Store
from services.risk.actor import RaiseEpoch, RiskActor

EPOCH_KEY: Final = "risk_epoch"
USAGE: Final = 2


class EpochStore:
    """The epoch in the store: a number that only rises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def raise_epoch(self, _request: RaiseEpoch) -> int:
        """One more than what was there. Raises StoreUnavailable, and StoreConflict when two do it at once."""
        found = await self._store.get(EPOCH_KEY)
        epoch = 1 if found is None else int(found.value) + 1
        await self._store.compare_and_set(
            EPOCH_KEY, str(epoch).encode(), expect=0 if found is None else found.version
        )
        return epoch


async def assemble(context: ServiceContext) -> Assembly:
    """Permits in paper and demo alone."""
    mode = context.config.mode
    if mode is Mode.LIVE:
        text = "mode live: the risk service does not exist yet, and this one would let everything through"
        raise CannotStart(text, code=USAGE)
    if mode is Mode.OBSERVER:
        raise CannotStart("mode observer: nothing is traded, so that there is nothing to permit", code=USAGE)
    handlers: dict[Any, Any] = {RaiseEpoch: EpochStore(context.store).raise_epoch}
    return Assembly(actor=RiskActor(build=build(context.env)), handlers=handlers)


def main() -> int:
    """`python -m services.risk.main`, or `fundarb run risk`."""
    return serve("risk", assemble)


if __name__ == "__main__":
    raise SystemExit(main())
