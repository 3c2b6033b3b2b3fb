"""The store's Lua scripts: their names, their arguments, and how one is asked for on a connection."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib import resources
from typing import Any, Final

import hiredis
import msgspec
from redis.asyncio.connection import AbstractConnection

from libs.common.store import Transition

Argument = bytes | str | int


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """A Lua script and the name by which a server that knows it can be asked to run it."""

    text: str
    sha: str

    @staticmethod
    def load(name: str) -> Script:
        text = resources.files("libs.common").joinpath("lua", f"{name}.lua").read_text()
        return Script(text=text, sha=hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


TRANSITION: Final = Script.load("transition")
ACQUIRE: Final = Script.load("acquire")
RENEW: Final = Script.load("renew")
RELEASE: Final = Script.load("release")


async def said(connection: AbstractConnection, *command: Argument) -> Any:
    """The answer to one command, straight on a connection: orders wait for it, and the client's own way makes
    a third more calls (retries, callbacks, telemetry, packing in Python). What fails closes the connection.
    """
    packed = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub knows one part only
    await connection.send_packed_command(packed, check_health=False)
    return await connection.read_response()


def flat(change: Transition) -> Iterator[Argument]:
    """The arguments of `transition.lua` after the prefix: counted sections, flat."""
    yield change.store_id
    yield from (0,) if (one := change.lease) is None else (1, one.name, one.fence, one.owner)
    yield from (0,) if change.once is None else (1, *change.once)
    yield len(change.expect)
    for key, version in change.expect.items():
        yield from (key, version)
    yield len(change.writes)
    for key, value in change.writes.items():
        yield from (key, 0, b"") if value is None else (key, 1, value)
    hashes = [
        (key, field, value) for key, fields in change.hash_writes.items() for field, value in fields.items()
    ]
    yield len(hashes)
    for key, field, value in hashes:
        yield from (key, field, 0, b"") if value is None else (key, field, 1, value)
    members = [(key, member) for key, added in change.set_adds.items() for member in added]
    yield len(members)
    for pair in members:
        yield from pair
    entries = [(stream, fields) for stream, added in change.appends.items() for fields in added]
    yield len(entries)
    for stream, fields in entries:
        yield from (stream, 2 * len(fields))
        for field, content in fields.items():
            yield from (field, content)
    if (wish := change.reserve) is None:
        yield 0
        return
    yield from (1, wish.key, wish.field, wish.value, len(wish.amounts))
    for name, amount in sorted(wish.amounts.items()):
        yield from (name, amount, wish.limits.get(name, -1))
