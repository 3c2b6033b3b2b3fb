"""A position from its opening to its end, told from its fills: what Bitget shows of closed positions, and the
fees of opening and closing, which a position itself only has in one sum.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

from libs.exchange.engine.types import ZERO, Entry, EntryKind, Fill, PositionSide, Side
from services.venue.bitget_private_fields import DIGITS, ratio


class Life(msgspec.Struct):
    """Base quantities, quote costs and fees (> 0: paid) of opening and closing; `closed_us` 0: it lives."""

    number: int
    instrument: str
    side: PositionSide
    long: bool
    opened_us: int
    updated_us: int
    closed_us: int = 0
    opened: Decimal = ZERO
    opened_cost: Decimal = ZERO
    opened_fees: Decimal = ZERO
    closed: Decimal = ZERO
    closed_cost: Decimal = ZERO
    closed_fees: Decimal = ZERO
    realised: Decimal = ZERO
    funding: Decimal = ZERO

    @property
    def held(self) -> Decimal:
        """What is left of it."""
        return self.opened - self.closed

    @property
    def open_price(self) -> Decimal:
        """Average over all that was opened."""
        return ratio(self.opened_cost, self.opened)

    @property
    def close_price(self) -> Decimal:
        """Average over all that was closed."""
        return ratio(self.closed_cost, self.closed)


def lives_of(fills: Iterable[Fill], entries: Iterable[Entry]) -> list[Life]:
    """The lives of all positions of an account, in the order of their beginning."""
    lives: list[Life] = []
    living: dict[tuple[str, PositionSide], Life] = {}
    for fill in fills:
        if fill.instrument.startswith("spot:"):
            continue
        place = (fill.instrument, fill.position_side)
        left = _close(living.get(place), fill)
        life = living.get(place)
        if life is not None and life.closed_us:
            del living[place]
        if left:
            if place not in living:
                living[place] = _born(fill)
                lives.append(living[place])
            _open(living[place], fill, left)
    paid: dict[str, int] = {}
    for entry in entries:
        if entry.kind is EntryKind.FUNDING:
            _fund(lives, entry, paid.get(entry.ref, 0))
            paid[entry.ref] = paid.get(entry.ref, 0) + 1
    return lives


def living_of(lives: Iterable[Life], instrument: str, side: PositionSide) -> Life | None:
    """The one that is open now."""
    for life in lives:
        if not life.closed_us and (life.instrument, life.side) == (instrument, side):
            return life
    return None


def _born(fill: Fill) -> Life:
    return Life(
        number=fill.trade_id,
        instrument=fill.instrument,
        side=fill.position_side,
        long=fill.side is Side.BUY,
        opened_us=fill.wall_us,
        updated_us=fill.wall_us,
    )


def _close(life: Life | None, fill: Fill) -> Decimal:
    """Let a fill close what it can; what is left of the fill opens."""
    if life is None or life.long is (fill.side is Side.BUY):
        return fill.quantity
    part = min(life.held, fill.quantity)
    life.closed += part
    life.closed_cost += part * fill.price
    life.closed_fees += _fee(fill, part)
    life.realised += fill.realised
    life.updated_us = fill.wall_us
    if not life.held:
        life.closed_us = fill.wall_us
    return fill.quantity - part


def _open(life: Life, fill: Fill, part: Decimal) -> None:
    life.opened += part
    life.opened_cost += part * fill.price
    life.opened_fees += fill.fee - _fee(fill, fill.quantity - part)
    life.updated_us = fill.wall_us


def _fee(fill: Fill, part: Decimal) -> Decimal:
    """The share of a fill's fee; the shares of closing and opening add up to the fee."""
    if part == fill.quantity:
        return fill.fee
    return (fill.fee * part / fill.quantity).quantize(DIGITS, rounding=ROUND_HALF_EVEN)


def _fund(lives: Iterable[Life], entry: Entry, earlier: int) -> None:
    """Give a settlement to the position that lived then. A long and a short one are paid in the order of
    their opening: to the one after those that `earlier` lines of the settlement were for.
    """
    alive = [
        life
        for life in lives
        if life.instrument == entry.instrument
        and life.opened_us <= entry.wall_us
        and (not life.closed_us or entry.wall_us <= life.closed_us)
    ]
    if earlier < len(alive):
        alive[earlier].funding += entry.amount
        alive[earlier].updated_us = max(alive[earlier].updated_us, entry.wall_us)
