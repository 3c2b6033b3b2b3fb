"""What a process reads from the store: the real readers of the executor on the memory store."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from services.executor.bookkeeper import Bookkeeper
from services.executor.books_work import LoadBooks, TailStreams
from services.executor.events import LoadPair, PairLoaded
from services.executor.loading import load_pair
from services.executor.model import Intent, PairState
from tests.sim.plan import Misfortune
from tests.sim.timeline import run

if TYPE_CHECKING:
    from tests.sim.world import World

ADDED: Final = b'{"a_field_of_another_build":[1],'
"""How what another build has written begins."""


def read(world: World, request: LoadPair | LoadBooks | TailStreams) -> Any:
    """The answer to a request. Raises StoreUnavailable."""
    match request:
        case LoadPair():
            return _pair(world, request)
        case LoadBooks():
            return run(Bookkeeper({}, world.store).load(request))
        case TailStreams():
            return run(Bookkeeper({}, world.store).tail(request))


def _pair(world: World, request: LoadPair) -> PairLoaded:
    loaded = run(load_pair(world.store, request.pair))
    if loaded.state is None or not world.hits(Misfortune.OLD_SCHEMA, 0.3):
        return loaded
    return msgspec.structs.replace(
        loaded,
        state=of_another_build(loaded.state, PairState),
        intents={key: of_another_build(value, Intent) for key, value in loaded.intents.items()},
    )


def of_another_build(written: bytes, kind: type[msgspec.Struct]) -> bytes:
    """The same value as an older build has written it, which knew fewer fields, and a newer one, which knows
    more: what has its default is not there, and something is that nobody here knows.
    """
    value = msgspec.json.decode(written)
    fields = {one.name: one for one in msgspec.structs.fields(kind)}
    kept = {
        name: one
        for name, one in value.items()
        if fields[name].required or msgspec.to_builtins(_default(fields[name])) != one
    }
    return ADDED + msgspec.json.encode(kept)[1:]


def _default(field: msgspec.structs.FieldInfo) -> Any:
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return str(default) if isinstance(default, Decimal) else default
