"""Reads a pair out of the store: what the newest of its lives has written."""

from __future__ import annotations

from decimal import Decimal

from libs.common.store import Store
from services.executor import reserve
from services.executor.events import PairLoaded
from services.executor.writing import intents_key, pair_key


async def load_pair(store: Store, pair: str) -> PairLoaded:
    """Raises StoreUnavailable. Under a lease nobody else writes meanwhile, so that several reads are one."""
    state = await store.get(pair_key(pair))
    intents = await store.hash_all(intents_key(pair))
    dust = await store.hash_all("dust")
    amounts = [Decimal(dust.get(f"{pair}|{leg}", b"0").decode()) for leg in (0, 1)]
    return PairLoaded(
        state=None if state is None else state.value,
        version=0 if state is None else state.version,
        intents=intents,
        dust=(amounts[0], amounts[1]),
        reserved=(await store.hash_all(reserve.KEY)).get(pair),
    )
