"""Putting two versions of one series together: what agrees is kept once, what disagrees is named. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from libs.research.intervals import derive_intervals
from libs.research.layout import Bar, FundingPrint, Kind, Row, slot_in

RELATIVE_TOLERANCE: Final = 1e-12
"""Text round trips only: two sources that differ in the ninth digit tell two stories."""


class Conflict(ValueError):
    """Two rows of one instant that disagree; `slot_ms` says which."""

    def __init__(self, slot_ms: int, reason: str) -> None:
        super().__init__(reason)
        self.slot_ms = slot_ms


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """The whole series, oldest first, and what the incoming rows did to it."""

    rows: Sequence[Row]
    added: int
    same: int
    replaced: int
    changed: bool


def difference(old: Row, new: Row) -> str | None:
    """In which value two rows of one instant differ, None when they agree; a missing value agrees."""
    if isinstance(old, FundingPrint) and isinstance(new, FundingPrint):
        pairs = [("rate", old.rate, new.rate), ("mark_price", old.mark, new.mark)]
        if not (old.derived or new.derived):
            pairs.append(("interval_h", old.interval_hours, new.interval_hours))
    elif isinstance(old, Bar) and isinstance(new, Bar):
        names = ("open", "high", "low", "close", "volume")
        pairs = [(name, getattr(old, name), getattr(new, name)) for name in names]
    else:
        raise TypeError("a settlement and a bar are no one row")
    for name, before, after in pairs:
        if not _agree(before, after):
            return f"{name} {after!r} against {before!r}"
    return None


def unite(old: Row, new: Row) -> Row:
    """One row that knows all that two agreeing rows know; the older one's stamp."""
    if isinstance(old, FundingPrint) and isinstance(new, FundingPrint):
        given = new if old.derived and not new.derived else old
        mark = new.mark if old.mark is None else old.mark
        return FundingPrint(old.ts_ms, old.rate, given.interval_hours, mark, given.derived)
    if isinstance(old, Bar) and isinstance(new, Bar):
        volume = new.volume if old.volume is None else old.volume
        return Bar(old.ts_ms, old.open, old.high, old.low, old.close, volume)
    raise TypeError("a settlement and a bar are no one row")


def merge(kind: Kind, old: Iterable[Row], new: Iterable[Row], *, replace: bool = False) -> Merged:
    """The union of two versions. `Conflict` where they disagree, unless `replace` lets the new one win.

    Intervals that were derived are derived again from all stamps together, so that it does not matter in
    which portions a series came in; `IntervalUnknown` when one print stands alone without an interval.
    """
    rows: dict[int, Row] = {slot_in(kind, row.ts_ms): row for row in old}
    before = dict(rows)
    added = same = replaced = 0
    for row in new:
        slot = slot_in(kind, row.ts_ms)
        known = rows.get(slot)
        if known is None:
            rows[slot] = row
            added += 1
        elif (reason := difference(known, row)) is None:
            rows[slot] = unite(known, row)
            same += 1
        elif replace:
            rows[slot] = row
            replaced += 1
        else:
            raise Conflict(slot, reason)
    ordered = [rows[slot] for slot in sorted(rows)]
    if kind is Kind.FUNDING:
        ordered = with_intervals(ordered)
    # A print that only gained a mark or another interval is a change as well.
    changed = any(before.get(slot_in(kind, row.ts_ms)) != row for row in ordered)
    return Merged(rows=ordered, added=added, same=same, replaced=replaced, changed=changed)


def with_intervals(rows: Sequence[Row]) -> list[Row]:
    """Prints with the derived intervals filled in from the spacing of all of them."""
    prints = [row for row in rows if isinstance(row, FundingPrint)]
    if not any(row.derived for row in prints):
        return list(prints)
    derived = derive_intervals([row.ts_ms for row in prints])
    return [
        FundingPrint(row.ts_ms, row.rate, hours_, row.mark, derived=True) if row.derived else row
        for row, hours_ in zip(prints, derived, strict=True)
    ]


def _agree(a: float | None, b: float | None) -> bool:
    return a is None or b is None or math.isclose(a, b, rel_tol=RELATIVE_TOLERANCE, abs_tol=0.0)
