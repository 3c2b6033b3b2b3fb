"""A command that an earlier executor has taken is not obeyed again by the next one."""

from __future__ import annotations

import pytest

from libs.common.assembly import CannotStart, ServiceContext
from libs.common.clock import SystemClock
from libs.common.config.schema import Config
from libs.common.effects import Audit
from libs.common.memory_bus import MemoryBroker, MemoryBus
from libs.common.memory_store import MemoryStore
from libs.common.notices import AUDIT, audit_entry
from services.executor.main import taken_before


def context_on(store: MemoryStore) -> ServiceContext:
    return ServiceContext(
        service="executor",
        config=Config(),
        clock=SystemClock(),
        bus=MemoryBus(MemoryBroker()),
        store=store,
        env={},
    )


async def test_its_own_commands_are_known_again() -> None:
    store = MemoryStore()
    for service, one in (("executor", "a"), ("risk", "b"), ("executor", "c")):
        audit = Audit(subject="cmd.open", body=f'{{"id":"{one}"}}', decision="done", reason="")
        await store.append(AUDIT, audit_entry(audit, service=service, wall_us=0))
    assert await taken_before(context_on(store)) == ("a", "c")


async def test_without_them_nothing_starts() -> None:
    store = MemoryStore()
    store.down = True
    with pytest.raises(CannotStart, match="audit stream"):
        await taken_before(context_on(store))
