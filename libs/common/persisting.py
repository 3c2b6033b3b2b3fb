"""Carries out a `Persist`: one transition of the store, and what is known of it afterwards."""

from __future__ import annotations

import asyncio
import logging
from typing import Final, NamedTuple

from libs.common.effects import Persist
from libs.common.store import Store, StoreConflict, StoreUnavailable, Transition

log = logging.getLogger(__name__)

PERSIST_SEC_MAX: Final = 10.0


class Written(NamedTuple):
    """What `Core.settle` and `Persisted` are told."""

    ok: bool
    error: str | None = None
    conflict: bool = False
    repeated: bool = False


async def write(store: Store, persist: Persist) -> Written:
    """Never raises but on cancellation: the lane behind the barrier must open again, whatever happened."""
    change = persist.change or Transition(writes=persist.writes)
    try:
        async with asyncio.timeout(PERSIST_SEC_MAX):
            done = await store.transition(change)
    except (StoreUnavailable, TimeoutError) as unavailable:
        return Written(ok=False, error=str(unavailable) or f"no answer within {PERSIST_SEC_MAX:g} s")
    except StoreConflict as conflict:
        return Written(ok=False, error=str(conflict), conflict=True)
    except Exception as unexpected:
        log.exception("a write failed in an unexpected way")
        return Written(ok=False, error=f"{type(unexpected).__name__}: {unexpected}")
    return Written(ok=True, repeated=not done)
