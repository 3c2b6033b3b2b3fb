"""What a fill makes of a position: quantity, cost, realised PnL; pure arithmetic.

    unrealised = quantity * mark - cost          # both signed, in hedge mode too: a short's are negative

A position keeps its exact cost instead of an average price. A partial close takes its share of the cost,
rounded half-even to 8 decimals (as venues round realised PnL); the rest keeps the remainder, so that over
a position's life realised PnL is exactly what was sold less what was bought. An average price would lose
its last digits with every fill.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, ROUND_UP, Decimal
from typing import Final

from msgspec.structs import replace

from libs.exchange.engine.types import ZERO, MarginMode, Position, PositionSide, Side

MONEY_STEP: Final = Decimal("1E-8")
PRICE_STEP: Final = Decimal("1E-12")


def apply_fill(position: Position, side: Side, quantity: Decimal, price: Decimal) -> tuple[Position, Decimal]:
    """The position after a fill of `quantity` > 0 base units, and the realised price PnL before fees.

    A one-way fill that crosses zero closes, then opens at the fill's price; what the position has summed up
    (realised, fees, funding) starts anew whenever it opens from nothing. In isolated mode an opening sets
    quantity * price / leverage aside and a closing releases its share. The caller stamps the times.
    `ValueError` when a hedge-mode fill is more than the position holds: the order was checked before.
    """
    signed = quantity if side is Side.BUY else -quantity
    held = position.quantity
    if held == 0 or (held > 0) is (signed > 0):
        return _opened(position, signed, price), ZERO
    closing = min(abs(held), quantity)
    closed, realised = _closed(position, closing, price)
    rest = quantity - closing
    if rest:
        return _opened(closed, rest if signed > 0 else -rest, price), realised
    return closed, realised


def with_cost(position: Position, cost: Decimal) -> Position:
    """The same quantity at another cost, and the entry price that follows from it."""
    return replace(position, cost=cost, entry_price=entry_price(cost, position.quantity))


def entry_price(cost: Decimal, quantity: Decimal) -> Decimal:
    """Quote per base unit, half-even to 12 decimals, in plain notation; 0 for a closed position."""
    if not quantity:
        return ZERO
    price = (cost / quantity).quantize(PRICE_STEP, rounding=ROUND_HALF_EVEN).normalize()
    return price.quantize(Decimal(1)) if int(price.as_tuple().exponent) > 0 else price


def share(amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """What `part` of `whole` is of `amount`, to 8 decimals; for the whole all of it, unrounded."""
    if part == whole:
        return amount
    return (amount * part / whole).quantize(MONEY_STEP, rounding=ROUND_HALF_EVEN)


def margin_for(notional: Decimal, leverage: int) -> Decimal:
    """Initial margin, rounded up to 8 decimals: a position never holds less than its leverage says."""
    return (notional / leverage).quantize(MONEY_STEP, rounding=ROUND_UP)


def _opened(position: Position, signed: Decimal, price: Decimal) -> Position:
    """More of the position, or a new one."""
    held = position.quantity
    fits = position.side is PositionSide.BOTH or (position.side is PositionSide.LONG) is (signed > 0)
    if not fits:
        raise ValueError(f"a {position.side} position cannot hold {held + signed}")
    quantity, cost, margin = held + signed, position.cost + signed * price, position.isolated_margin
    if position.margin_mode is MarginMode.ISOLATED:
        margin += margin_for(abs(signed) * price, position.leverage)
    if held:
        entry = entry_price(cost, quantity)
        return replace(position, quantity=quantity, cost=cost, entry_price=entry, isolated_margin=margin)
    return replace(
        position,
        quantity=quantity,
        cost=cost,
        entry_price=price,
        isolated_margin=margin,
        realised=ZERO,
        fees=ZERO,
        funding=ZERO,
    )


def _closed(position: Position, closing: Decimal, price: Decimal) -> tuple[Position, Decimal]:
    """Less of the position. Its entry price stays, whatever its share of the cost was rounded to."""
    held = position.quantity
    whole = abs(held)
    cost = share(position.cost, closing, whole)
    realised = (closing if held > 0 else -closing) * price - cost
    released = share(position.isolated_margin, closing, whole)
    closed = replace(
        position,
        quantity=held - closing if held > 0 else held + closing,
        cost=position.cost - cost,
        isolated_margin=position.isolated_margin - released,
        entry_price=position.entry_price if closing < whole else ZERO,
        realised=position.realised + realised,
    )
    return closed, realised
