"""What stays shut until somebody, or its own end, opens it: kept in the store's hash `breakers`.

A latch is stored before it is announced, and it is there again after a restart of everything. The table is a
value: `add` and `remove` answer another one, and `changes` says what makes the one out of the other in the
store (field `{scope}|{control}`, JSON). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from libs.common.codec import BadMessage, decode, encode
from libs.common.message import Message
from libs.common.messages_exec import Level

BREAKERS: Final = "breakers"
"""The hash in the store (contract.md)."""

OPERATOR_PAUSE: Final = "operator_pause"
OPERATOR_HALT: Final = "operator_halt"
OPERATOR_FLATTEN: Final = "operator_flatten"
UNREADABLE: Final = "unreadable_latch"

_LEVEL_OF: Final = {
    OPERATOR_PAUSE: Level.NO_OPENS,
    OPERATOR_HALT: Level.REDUCE_ONLY,
    OPERATOR_FLATTEN: Level.FLATTEN,
}

Key = tuple[str, str]
"""(scope, control)."""


class Latch(Message, frozen=True, kw_only=True):
    """`control` holds `scope` at `level` since `since_us` (wall), for `reason`; `actor` "" is risk itself.

    `until_us`: wall time at which it ends by itself, None is never: a person's `reset` (or `resume` for a
    pause) alone ends it.
    """

    scope: str
    level: Level
    control: str
    reason: str
    actor: str = ""
    since_us: int
    until_us: int | None = None

    @property
    def key(self) -> Key:
        """What tells it from others."""
        return self.scope, self.control


def operator_latch(control: str, scope: str, *, reason: str, actor: str, since_us: int) -> Latch:
    """An operator's latch, at the level that its control has. `KeyError` for another control."""
    return Latch(
        scope=scope, level=_LEVEL_OF[control], control=control, reason=reason, actor=actor, since_us=since_us
    )


class Latches:
    """All latches, by (scope, control). Immutable."""

    __slots__ = ("_by_key",)

    def __init__(self, latches: Iterable[Latch] = ()) -> None:
        self._by_key: dict[Key, Latch] = {one.key: one for one in latches}

    def __iter__(self) -> Iterator[Latch]:
        return iter(self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)

    def __contains__(self, key: Key) -> bool:
        return key in self._by_key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Latches) and self._by_key == other._by_key

    __hash__ = None  # type: ignore[assignment]  # equal by content, which may be large

    def get(self, scope: str, control: str) -> Latch | None:
        """The latch of a control on a scope."""
        return self._by_key.get((scope, control))

    def of(self, scope: str) -> tuple[Latch, ...]:
        """All on one scope, the strictest first."""
        found = [one for one in self._by_key.values() if one.scope == scope]
        return tuple(sorted(found, key=lambda one: (-one.level.rank, one.since_us, one.control)))

    def add(self, latch: Latch) -> Latches:
        """With `latch`. One that is there already stays when it is as strict: since when it holds is kept,
        and so is what ended it last: a weaker level never takes the place of a stricter one.
        """
        former = self._by_key.get(latch.key)
        if former is not None:
            if former.level.rank > latch.level.rank:
                return self
            if former.level is latch.level:
                latch = msgspec.structs.replace(latch, since_us=former.since_us)
            if former == latch:
                return self
        return Latches([*(one for one in self if one.key != latch.key), latch])

    def remove(self, scope: str, control: str | None = None) -> Latches:
        """Without the latches of a scope (of one control on it)."""
        kept = [one for one in self if one.scope != scope or control not in (None, one.control)]
        return self if len(kept) == len(self._by_key) else Latches(kept)


def changes(before: Latches, after: Latches) -> dict[str, bytes | None]:
    """Field -> JSON (None deletes) that makes `after` out of `before` in the hash."""
    gone: dict[str, bytes | None] = {_field(one): None for one in before if one.key not in after}
    return gone | {_field(one): encode(one) for one in after if before.get(*one.key) != one}


def decoded(found: Mapping[str, bytes], *, now_us: int) -> Latches:
    """The table that the hash holds. A field that cannot be read latches `global` at `reduce_only`: what it
    forbade is not known, and a reset of `global` deletes it.
    """
    latches: list[Latch] = []
    for field, value in sorted(found.items()):
        try:
            latches.append(decode(value, Latch))
        except BadMessage as error:
            text = f"the stored latch {field!r} cannot be read: {error}"
            latches.append(
                Latch(
                    scope="global",
                    level=Level.REDUCE_ONLY,
                    control=f"{UNREADABLE}:{field}",
                    reason=text,
                    since_us=now_us,
                )
            )
    return Latches(latches)


def _field(latch: Latch) -> str:
    if latch.control.startswith(f"{UNREADABLE}:"):
        return latch.control.removeprefix(f"{UNREADABLE}:")
    return f"{latch.scope}|{latch.control}"
