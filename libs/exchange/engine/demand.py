"""What open orders need as initial margin beyond the position; pure arithmetic over resting orders.

Binance's rule for one instrument in one-way mode, with N the signed notional of the position at the mark,
B and A the notionals of open buys and sells at their own prices:

    initial = max(|N + B|, |N - A|) / leverage          # of which |N| / leverage is the position's

In hedge mode each side counts what opens it: a long buys, a short sells; closing orders need nothing, and
neither do reduce-only ones.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from libs.exchange.engine.state import Account, Market, State
from libs.exchange.engine.types import ZERO, PositionSide, Side


class Interest(msgspec.Struct):
    """Notionals of one instrument and position side, in quote; `held` is signed, the others >= 0."""

    held: Decimal = ZERO
    buys: Decimal = ZERO
    sells: Decimal = ZERO

    def add(self, side: Side, notional: Decimal) -> None:
        if side is Side.BUY:
            self.buys += notional
        else:
            self.sells += notional

    def reached(self, position_side: PositionSide) -> Decimal:
        """The largest notional that the position may come to when one side's orders all fill."""
        if position_side is PositionSide.LONG:
            return self.held + self.buys
        if position_side is PositionSide.SHORT:
            return self.sells - self.held
        return max(abs(self.held + self.buys), abs(self.held - self.sells))

    def beyond(self, position_side: PositionSide) -> Decimal:
        """How much of that is beyond the position itself."""
        return max(self.reached(position_side) - abs(self.held), ZERO)


def interests(state: State, account: Account, market: Market) -> dict[PositionSide, Interest]:
    """Position and opening orders of an account on one contract, by position side."""
    key = market.listing.key
    found: dict[PositionSide, Interest] = {}
    for side, position in account.positions.get(key, {}).items():
        mark = market.mark if market.mark is not None else position.entry_price
        found[side] = Interest(held=position.quantity * mark)
    for order_id, instrument in account.open.items():
        order = state.orders[order_id] if instrument == key else None
        if order is not None and order.price is not None and not order.reduce_only:
            interest = found.setdefault(order.position_side, Interest())
            interest.add(order.side, (order.quantity - order.filled) * order.price)
    return found


def open_interests(state: State, account: Account) -> dict[str, dict[PositionSide, Interest]]:
    """The same for every contract with opening orders, in one pass over the account's orders."""
    found: dict[str, dict[PositionSide, Interest]] = {}
    for order_id, key in account.open.items():
        if order_id in state.units:
            continue  # a spot order
        order = state.orders[order_id]
        if order.price is None or order.reduce_only:
            continue
        sides = found.get(key)
        if sides is None:
            market = state.markets[key]
            sides = found[key] = {
                side: Interest(held=one.quantity * (one.entry_price if market.mark is None else market.mark))
                for side, one in account.positions.get(key, {}).items()
            }
        interest = sides.setdefault(order.position_side, Interest())
        interest.add(order.side, (order.quantity - order.filled) * order.price)
    return found


def beyond(sides: dict[PositionSide, Interest]) -> Decimal:
    """What the orders of one contract may add to its positions, in quote."""
    return sum((interest.beyond(side) for side, interest in sides.items()), ZERO)
