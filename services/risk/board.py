"""Findings and latches, folded into what each scope may do: breakers, the strictest first. Pure.

One breaker a scope: its level is the strictest of all that hold it, its reason names each of them. A permit
has at most 32 KB: beyond that symbols collapse to their venue, and pairs to `global`, never to a laxer level.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from libs.common.codec import encode
from libs.common.messages_exec import Breaker, Level, Permit
from services.risk.finding import Finding
from services.risk.latches import Latch
from services.risk.scopes import GLOBAL, Scopes, venue_scope

PERMIT_BYTES_MAX: Final = 32 * 1024
REASON_CHARS_MAX: Final = 240
"""Of one control; whatever a venue says gets no further into a permit."""

COLLAPSED: Final = "collapsed"


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that holds a scope: a finding or a latch, in the words of a breaker."""

    scope: str
    level: Level
    control: str
    reason: str
    until: str
    latched: bool
    since_us: int


def of_finding(finding: Finding, since_us: int) -> Cause:
    """`since_us`: wall time at which it was found first."""
    return Cause(
        scope=finding.scope,
        level=finding.level,
        control=finding.control,
        reason=finding.reason,
        until=finding.until,
        latched=False,
        since_us=since_us,
    )


def of_latch(latch: Latch, *, durable: bool = True) -> Cause:
    """A latch as it is said: by whom, until when, and whether it would survive a restart."""
    reason = f"{latch.reason} (by {latch.actor})" if latch.actor else latch.reason
    if not durable:
        reason += " (not durable: the store has not taken it yet)"
    if latch.until_us is not None:
        until = f"{_utc(latch.until_us)} UTC, or a reset"
    else:
        until = "resume" if latch.control == "operator_pause" else "a reset"
    return Cause(
        scope=latch.scope,
        level=latch.level,
        control=latch.control,
        reason=reason,
        until=until,
        latched=latch.until_us is None,
        since_us=latch.since_us,
    )


def fold(causes: Iterable[Cause]) -> tuple[Breaker, ...]:
    """One breaker for each scope that is not normal, the strictest first, then by scope."""
    by_scope: dict[str, list[Cause]] = {}
    for cause in causes:
        if cause.level is not Level.NORMAL:
            by_scope.setdefault(cause.scope, []).append(cause)
    found = [_breaker(scope, held) for scope, held in by_scope.items()]
    return tuple(sorted(found, key=_strictness))


def _breaker(scope: str, held: list[Cause]) -> Breaker:
    ordered = sorted(held, key=lambda one: (-one.level.rank, one.since_us, one.control))
    strictest = [one for one in ordered if one.level is ordered[0].level]
    return Breaker(
        scope=scope,
        level=ordered[0].level,
        reason="; ".join(_short(f"{one.control}: {one.reason}") for one in ordered),
        controls=tuple(dict.fromkeys(one.control for one in ordered)),
        latched=any(one.latched for one in strictest),
        since_us=min(one.since_us for one in strictest),
        until="; ".join(dict.fromkeys(one.until for one in strictest)),
    )


def _strictness(breaker: Breaker) -> tuple[int, str]:
    return -breaker.level.rank, breaker.scope


def _short(text: str) -> str:
    return text if len(text) <= REASON_CHARS_MAX else f"{text[: REASON_CHARS_MAX - 1]}…"


def _utc(wall_us: int) -> str:
    """`2026-11-22 16:00` of a wall time, without a library that reads clocks."""
    days, seconds = divmod(wall_us // 1_000_000, 86_400)
    year, month, day = _civil(days)
    return f"{year:04d}-{month:02d}-{day:02d} {seconds // 3_600:02d}:{seconds % 3_600 // 60:02d}"


def _civil(days: int) -> tuple[int, int, int]:
    """Days since 1970 as (year, month, day), after Hinnant's `civil_from_days`."""
    days += 719_468
    era, of_era = divmod(days, 146_097)
    year_of_era = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * of_year + 2) // 153
    day = of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year_of_era + era * 400 + (month <= 2), month, day


# --- size -------------------------------------------------------------------------------------------


def fitted(permit: Permit, scopes: Scopes) -> Permit:
    """The permit within `PERMIT_BYTES_MAX`: as it is, symbols in their venues, or pairs in `global` too.

    What is flattened is named in any case: others are not closed because a message was too long. What is too
    long even so loses its words: a permit that the bus refuses would be none at all.
    """
    if len(encode(permit)) <= PERMIT_BYTES_MAX:
        return permit
    for kind in ("symbol:", "pair:"):
        permit = msgspec.structs.replace(permit, breakers=_collapsed(permit.breakers, kind, scopes))
        if len(encode(permit)) <= PERMIT_BYTES_MAX:
            return permit
    bare = [msgspec.structs.replace(one, reason="", until="", controls=()) for one in permit.breakers]
    return msgspec.structs.replace(permit, breakers=tuple(bare))


def _collapsed(breakers: tuple[Breaker, ...], kind: str, scopes: Scopes) -> tuple[Breaker, ...]:
    kept: dict[str, Breaker] = {}
    gone: dict[str, list[Breaker]] = {}
    for one in breakers:
        if one.scope.startswith(kind) and one.level is not Level.FLATTEN:
            venue = scopes.venue_of(one.scope)
            gone.setdefault(GLOBAL if venue is None else venue_scope(venue), []).append(one)
        else:
            kept[one.scope] = one
    for scope, collapsed in gone.items():
        kept[scope] = _joined(scope, kept.get(scope), collapsed)
    return tuple(sorted(kept.values(), key=_strictness))


def _joined(scope: str, own: Breaker | None, collapsed: list[Breaker]) -> Breaker:
    strictest = max(collapsed, key=lambda one: one.level.rank)
    text = f"{len(collapsed)} scopes are not normal, too many to name; {strictest.scope}: {strictest.reason}"
    joined = Breaker(
        scope=scope,
        level=strictest.level,
        reason=_short(text),
        controls=(COLLAPSED,),
        latched=strictest.latched,
        since_us=min(one.since_us for one in collapsed),
        until="fewer of them are not normal",
    )
    if own is None:
        return joined
    first, second = sorted((own, joined), key=_strictness)
    return msgspec.structs.replace(
        first, reason=f"{first.reason}; {second.reason}", controls=(*first.controls, *second.controls)
    )


def changed(
    before: Mapping[str, Breaker], after: Mapping[str, Breaker], *, wall_us: int
) -> tuple[Breaker, ...]:
    """What is to be said at once: scopes with another level or other controls, or back to normal."""
    back = [
        Breaker(scope=scope, level=Level.NORMAL, reason="it is over", since_us=wall_us)
        for scope in before
        if scope not in after
    ]
    other = [
        one
        for scope, one in after.items()
        if scope not in before or (before[scope].level, before[scope].controls) != (one.level, one.controls)
    ]
    return (*other, *back)
