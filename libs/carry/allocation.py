"""Where capital goes: down the ranking until the limits end it, and not back and forth.

A held pair keeps its place, whether it would still be opened or not: leaving is decided by
`libs.carry.holding`. It is replaced only by a newcomer whose advantage over the forecast horizon exceeds
`rotation_hurdle` times the costs of the exchange.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from libs.carry.bounds import EPSILON_USD
from libs.carry.costs import venue_id
from libs.carry.exposure import too_much, usd_by_exchange
from libs.common.config.schema import Limits
from libs.common.messages import Opportunity

Side = Literal["long", "short"]
LegKey = tuple[str, str]  # venue, instrument


class Rotation(msgspec.Struct, frozen=True):
    """`old` leaves for `new`: its advantage in USD over the horizon, and the hurdle that it cleared."""

    old: str
    new: str
    advantage_usd: float
    hurdle_usd: float


class Allocation(msgspec.Struct, frozen=True, kw_only=True):
    """`selected`: pair -> USD per leg, held ones included; `skipped`: passing pair -> why it got nothing."""

    selected: dict[str, float]
    opened: tuple[str, ...]
    rotations: tuple[Rotation, ...]
    skipped: dict[str, str]


def earning_daily(opportunity: Opportunity) -> float | None:
    """Carry a day net of holding, in the view that the config asks for; None is unknown."""
    carry = opportunity.expected_daily if opportunity.forecast == "expected" else opportunity.daily
    return None if carry is None else carry - opportunity.holding_daily


def advantage_usd(new: Opportunity, old: Opportunity, horizon_days: float) -> float | None:
    """What the newcomer earns more than the held pair over the horizon, before trading costs."""
    ours, theirs = earning_daily(new), earning_daily(old)
    if ours is None or theirs is None:
        return None
    return (ours - theirs) * new.notional_usd * horizon_days


def hurdle_usd(new: Opportunity, old: Opportunity, rotation_hurdle: float) -> float:
    """`rotation_hurdle` x (exit of the old + entry of the new): trading alone, no transfer (economics.md)."""
    return rotation_hurdle * (old.exit * old.notional_usd + new.entry * new.notional_usd)


def sides_of(opportunity: Opportunity) -> tuple[tuple[LegKey, Side], tuple[LegKey, Side]]:
    """Which instrument is held on which side."""
    long, short = opportunity.long, opportunity.short
    return ((long.venue, long.instrument), "long"), ((short.venue, short.instrument), "short")


class _Book:
    """The places taken so far; amounts in USD per leg."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.usd: dict[str, float] = {}
        self._of: dict[str, Opportunity] = {}

    def take(self, opportunity: Opportunity) -> None:
        self.usd[opportunity.pair] = opportunity.notional_usd
        self._of[opportunity.pair] = opportunity

    def leave(self, pair: str) -> None:
        self.usd.pop(pair)
        self._of.pop(pair)

    def on_exchanges(self, new: Opportunity) -> dict[str, float]:
        """USD on the exchanges of a newcomer, were it taken."""
        concerned = {venue_id(leg.venue) for leg in (new.long, new.short)}
        every = usd_by_exchange(
            (leg.venue, pair.notional_usd)
            for pair in (*self._of.values(), new)
            for leg in (pair.long, pair.short)
        )
        return {exchange: usd for exchange, usd in every.items() if exchange in concerned}

    def conflict(self, new: Opportunity) -> str | None:
        """Both ways on one instrument net out in one-way mode: neither position would be what it seems."""
        wanted = dict(sides_of(new))
        for held in self._of.values():
            for key, side in sides_of(held):
                if wanted.get(key, side) != side:
                    return (
                        f"{held.pair} holds {key[0]} {key[1]} {side}: both ways on one instrument cancel out"
                    )
        return None

    def full(self, new: Opportunity) -> str | None:
        """Which limit ends it, in words; None while there is room."""
        limits = self._limits
        if len(self.usd) >= limits.max_pairs:
            return f"limits.max_pairs {limits.max_pairs} are taken"
        total = sum(self.usd.values()) + new.notional_usd
        if limits.max_notional_usd is not None and total > limits.max_notional_usd + EPSILON_USD:
            return f"limits.max_notional_usd {limits.max_notional_usd:,.0f} would be exceeded ({total:,.0f})"
        per_venue = limits.max_notional_per_venue_usd
        if over := too_much(self.on_exchanges(new), per_venue):
            limit = f"limits.max_notional_per_venue_usd {per_venue:,.0f}"
            return f"{limit} would be exceeded on {over[0]} ({over[1]:,.0f})"
        return None

    def without(self, pair: str) -> _Book:
        other = _Book(self._limits)
        other.usd = {name: usd for name, usd in self.usd.items() if name != pair}
        other._of = {name: held for name, held in self._of.items() if name != pair}
        return other

    def holds(self, pair: str) -> Opportunity:
        return self._of[pair]


def allocate(
    ranked: Sequence[Opportunity],
    held: Mapping[str, Opportunity],
    limits: Limits,
    *,
    rotation_hurdle: float,
    horizon_days: float,
    barred: Iterable[str] = (),
    fixed: Iterable[str] = (),
) -> Allocation:
    """Selection out of all pairs in rank order.

    `held`: each held pair as evaluated now *in the direction held*; `barred`: pairs that must not be
    opened in this round although they pass (about to be closed, or forbidden); `fixed`: held ones that
    must not be replaced (on their way somewhere, or not to be touched). Held pairs are never
    dropped for a limit that was lowered: that is risk's to say.
    """
    book = _Book(limits)
    for opportunity in held.values():
        book.take(opportunity)
    replaceable = set(held) - set(fixed)
    closed_to = set(barred)
    opened: list[str] = []
    rotations: list[Rotation] = []
    skipped: dict[str, str] = {}
    for candidate in ranked:
        if not candidate.passes or candidate.pair in held or candidate.pair in closed_to:
            continue
        obstacle = book.conflict(candidate) or book.full(candidate)
        if obstacle is None:
            book.take(candidate)
            opened.append(candidate.pair)
            continue
        rotation = _rotation(candidate, book, replaceable, rotation_hurdle, horizon_days)
        if rotation is None:
            skipped[candidate.pair] = obstacle
            continue
        book.leave(rotation.old)
        replaceable.discard(rotation.old)
        book.take(candidate)
        opened.append(candidate.pair)
        rotations.append(rotation)
    return Allocation(
        selected=dict(book.usd), opened=tuple(opened), rotations=tuple(rotations), skipped=skipped
    )


def beside(
    opened: Sequence[Opportunity], held: Iterable[Opportunity], limits: Limits
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Which of `opened` have room beside *all* that is held, what leaves included: (now, waiting -> why).

    What is leaving takes its place until it has left: its successor, and whatever fits only thanks to the
    room that it makes, wait. In the order given, which is that of the allocation.
    """
    book = _Book(limits)
    for opportunity in held:
        book.take(opportunity)
    now: list[str] = []
    waiting: dict[str, str] = {}
    for candidate in opened:
        obstacle = book.conflict(candidate) or book.full(candidate)
        if obstacle is None:
            book.take(candidate)
            now.append(candidate.pair)
        else:
            waiting[candidate.pair] = obstacle
    return tuple(now), waiting


def _rotation(
    new: Opportunity, book: _Book, replaceable: set[str], rotation_hurdle: float, horizon_days: float
) -> Rotation | None:
    """The held pair whose replacement gains most above the hurdle, if any makes room for the newcomer."""
    best: Rotation | None = None
    for pair in sorted(replaceable):
        old = book.holds(pair)
        gain = advantage_usd(new, old, horizon_days)
        hurdle = hurdle_usd(new, old, rotation_hurdle)
        if gain is None or gain <= hurdle + EPSILON_USD:
            continue
        without = book.without(pair)
        if without.conflict(new) or without.full(new):
            continue
        if best is None or gain - hurdle > best.advantage_usd - best.hurdle_usd:
            best = Rotation(old=pair, new=new.pair, advantage_usd=gain, hurdle_usd=hurdle)
    return best
