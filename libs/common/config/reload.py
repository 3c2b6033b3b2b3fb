"""What of a config may change while everything runs. Pure: two configs in, a verdict by name out.

All or nothing: one setting that may not change keeps back all others, because half of an edit is nobody's
intention. A limit may be lowered at once; raising it needs `confirm`. What is not in `RULES` may not change.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Final

import msgspec

from libs.common.config.schema import HIDDEN, SECRET_FIELDS, Config, Section, is_secret_option


class Rule(StrEnum):
    """`free`: at once. `limit`: down at once, up with `confirm` (no limit is the highest). `fixed`: at a
    restart alone.
    """

    FREE = "free"
    LIMIT = "limit"
    FIXED = "fixed"


# Dotted settings; a section stands for all in it, and what is named more closely goes before it.
RULES: Final[dict[str, Rule]] = {
    "mode": Rule.FIXED,
    "deployment": Rule.FIXED,
    "symbols": Rule.FIXED,
    "exchanges": Rule.FIXED,
    "pairs": Rule.FIXED,
    "position": Rule.FIXED,  # sizes and account settings belong to what is held
    "position.hold_days": Rule.FREE,
    "position.delta_target": Rule.FREE,
    "position.rebalance_threshold": Rule.FREE,
    "thresholds": Rule.FREE,
    "costs": Rule.FREE,
    "monitor": Rule.FIXED,  # cadences are how the feed has laid out its work
    "timeouts": Rule.FIXED,  # bounds on naked legs are made of them
    "execution": Rule.FREE,
    "execution.collar_bps": Rule.FIXED,  # the last look before the wire is made with it
    "limits": Rule.LIMIT,
    "paper": Rule.FIXED,
    "security": Rule.FIXED,
    "report": Rule.FIXED,
    "notify": Rule.FREE,
    "notify.channels": Rule.FIXED,  # connections, and the server beneath, are made at the start
    "notify.heartbeat_url": Rule.FIXED,
    "notify.timezone": Rule.FIXED,
    "notify.webhook_listen": Rule.FIXED,
    "notify.webhook_token": Rule.FIXED,
    "paths": Rule.FIXED,
}


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One setting before and after; secrets are told as changed and not shown."""

    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.path}: {_shown(self.before)} -> {_shown(self.after)}"


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """The new config may take the place of the old one. No changes: it is the same."""

    changes: tuple[Change, ...]


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing changes. `code`: `fixed`, or `confirm` when the same again with `confirm` would do."""

    code: str
    text: str
    paths: tuple[str, ...]


def compare(old: Config, new: Config, *, confirm: bool = False) -> Applied | Refused:
    """Whether `new` may be taken over by what runs with `old`."""
    changes = tuple(changes_of(old, new))
    fixed = [one for one in changes if rule_of(one.path) is Rule.FIXED]
    if fixed:
        names = tuple(one.path for one in fixed)
        text = f"{', '.join(names)} may not change while it runs, so that nothing was changed"
        return Refused(code="fixed", text=f"{text}: restart it, or undo that", paths=names)
    raised = [one for one in changes if rule_of(one.path) is Rule.LIMIT and _is_raised(one)]
    if raised and not confirm:
        told = "; ".join(str(one) for one in raised)
        text = (
            f'raising a limit needs "confirm": true (`fundarb reload --yes`), and nothing was changed: {told}'
        )
        return Refused(code="confirm", text=text, paths=tuple(one.path for one in raised))
    return Applied(changes=changes)


def rule_of(path: str) -> Rule:
    """The closest rule over a dotted setting."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        found = RULES.get(".".join(parts[:length]))
        if found is not None:
            return found
    return Rule.FIXED


def changes_of(old: Config, new: Config) -> Iterator[Change]:
    """Every setting that differs, in the order of its name; of names that came or went all settings."""
    before, after = dict(_leaves("", old)), dict(_leaves("", new))
    for path in sorted(before.keys() | after.keys()):
        one, other = before.get(path), after.get(path)
        if one != other:
            secret = _is_secret(path, one) or _is_secret(path, other)
            yield Change(
                path=path,
                before=HIDDEN if secret and one else one,
                after=HIDDEN if secret and other else other,
            )


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Dotted paths and plain values; lists are one value."""
    if isinstance(value, Section):
        inner = {name: getattr(value, name) for name in value.__struct_fields__}
    elif isinstance(value, dict):
        inner = value
    else:
        yield path, msgspec.to_builtins(value)
        return
    for name, one in inner.items():
        yield from _leaves(f"{path}.{name}" if path else str(name), one)


def _is_raised(change: Change) -> bool:
    """Whether more is allowed than before: numbers that rise, a limit that goes, a flag that is set."""
    if change.after is None or change.before is None:
        return change.after is None
    return bool(change.after > change.before)


def _is_secret(path: str, value: Any) -> bool:
    parts = path.split(".")
    return parts[-1] in SECRET_FIELDS or ("options" in parts and is_secret_option(parts[-1], value))


def _shown(value: Any) -> str:
    return "not set" if value is None else msgspec.json.encode(value).decode()
