"""What risk forbids, for `fundarb status`: each scope with since when, why, and what ends it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from libs.common.instant import US_PER_SEC
from libs.common.messages_exec import Breaker, Level, Permit

PAUSE: Final = "operator_pause"
PERMIT_AGE_SEC_MAX: Final = 1.0
"""Older than this it permits nothing (risk.md)."""

ENDS: Final = " - ends with "
HALTS_SAID_MAX: Final = 5
WORDS: Final = {
    Level.NO_OPENS: "no opens",
    Level.REDUCE_ONLY: "reduce only",
    Level.FLATTEN: "flatten",
}


class Halt(msgspec.Struct, frozen=True, kw_only=True):
    """A scope that is not normal. `commands`: what a person types to end it, empty when it ends by itself."""

    scope: str
    level: str
    reason: str
    controls: tuple[str, ...]
    latched: bool
    for_sec: float | None
    until: str
    commands: tuple[str, ...]


def halts_of(permit: Permit | None, *, wall_us: int) -> list[Halt]:
    """Every scope that the permit restricts, the strictest first."""
    if permit is None:
        return []
    ordered = sorted(permit.breakers, key=lambda one: (-one.level.rank, one.scope != "global", one.scope))
    return [
        Halt(
            scope=one.scope,
            level=one.level.value,
            reason=one.reason,
            controls=one.controls,
            latched=one.latched,
            for_sec=max(0.0, (wall_us - one.since_us) / US_PER_SEC) if one.since_us else None,
            until=one.until,
            commands=endings(one),
        )
        for one in ordered
        if one.level is not Level.NORMAL
    ]


def endings(breaker: Breaker) -> tuple[str, ...]:
    """What a person types, in this order, to end what only a person ends."""
    if not breaker.latched:
        return ()
    scope = "" if breaker.scope == "global" else f" --scope {breaker.scope}"
    paused, others = PAUSE in breaker.controls, set(breaker.controls) != {PAUSE}
    verbs = [*(["reset"] if others else []), *(["resume"] if paused else [])]
    return tuple(f"fundarb {verb}{scope}" for verb in verbs)


def said_of(halt: Halt, span: str) -> str:
    """One sentence: what is forbidden since when and why, and after ENDS what ends it."""
    since = f" for {span}" if span else ""
    what = f"{halt.scope}: {WORDS[Level(halt.level)]}{since} ({halt.reason or 'no reason is given'})"
    if halt.commands:
        return f"{what}{ENDS}{', then '.join(f'`{one}`' for one in halt.commands)}"
    return f"{what}{ENDS}{halt.until}" if halt.until else what


def permit_of(permit: Permit | None, age_sec: float | None) -> dict[str, Any]:
    """The permit as JSON; `age_sec` None: none was heard."""
    heard = permit is not None and age_sec is not None
    return {
        "fresh": heard and age_sec is not None and age_sec <= PERMIT_AGE_SEC_MAX,
        "age_sec": age_sec,
        "risk_epoch": permit.risk_epoch if permit else None,
        "revision": permit.revision if permit else None,
        "build": permit.build if permit else None,
        "inputs_age_ms": dict(permit.age_ms) if permit else {},
        "max_ratio": dict(permit.max_ratio) if permit else {},
    }


def more(halts: Iterable[Halt]) -> str:
    """The tail of a list that is cut: how many others."""
    count = len(list(halts)) - HALTS_SAID_MAX
    return f"and {count} more scopes, which `fundarb status --json` lists" if count > 0 else ""
