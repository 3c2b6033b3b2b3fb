"""The signal process: market data in, opportunities out; where an executor runs, its word in and intents out.

Wires `SignalActor`; decides nothing.
"""

from __future__ import annotations

from typing import Any

from libs.common import subjects
from libs.common.assembly import Assembly, CannotStart, ServiceContext
from libs.common.build import build
from libs.common.config.legs import pair_specs
from libs.common.config.schema import Mode
from libs.common.run import serve
from libs.common.store import Store
from services.signal.actor import SignalActor
from services.signal.selection import KEY, TRADING_KEY, LoadSelection, SaveSelection, Stored


class SelectionStore:
    """The two requests of the selection against the store."""

    def __init__(self, store: Store, key: str = KEY) -> None:
        self._store = store
        self._key = key

    async def load(self, _request: LoadSelection) -> Stored:
        found = await self._store.get(self._key)
        return (
            Stored(value=None, version=0)
            if found is None
            else Stored(value=found.value, version=found.version)
        )

    async def save(self, request: SaveSelection) -> int:
        return await self._store.compare_and_set(self._key, request.value, expect=request.expect)


async def assemble(context: ServiceContext) -> Assembly:
    """Pairs out of the config; without any there is nothing to do, and that is said."""
    if not pair_specs(context.config):
        raise CannotStart(
            "the config names no pair: give symbols with exchanges spot and perp, or pairs", code=2
        )
    observes = context.config.mode is Mode.OBSERVER
    traders = () if observes else (subjects.ALL_PAIRS, subjects.ALL_ACCOUNTS, subjects.PERMIT)
    store = SelectionStore(context.store, KEY if observes else TRADING_KEY)
    handlers: dict[Any, Any] = {LoadSelection: store.load, SaveSelection: store.save}
    actor = SignalActor(context.config, build=build(context.env))
    return Assembly(
        actor=actor,
        subscriptions=(subjects.ALL_MD, *actor.commands.subscriptions, *traders),
        handlers=handlers,
        reloads=True,
    )


def main() -> int:
    """`python -m services.signal.main`."""
    return serve("signal", assemble)


if __name__ == "__main__":
    raise SystemExit(main())
