"""Margin brackets: maintenance margin, what a leverage allows, and the price that liquidates; pure.

Binance's rule: maintenance = notional * ratio - amount, by the bracket that the notional falls into
(leverageBracket: `notionalCap`, `maintMarginRatio`, `cum`). A notional above the last bracket keeps the
last one's figures. A contract listed without brackets has one, `WITHOUT_BRACKETS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal
from typing import Final

from libs.exchange.engine.positions import PRICE_STEP
from libs.exchange.engine.types import ZERO, Listing, Position, Tier

WITHOUT_BRACKETS: Final = Tier(
    notional_max=Decimal("1E+15"), leverage_max=125, maintenance_ratio=Decimal("0.004")
)
Held = tuple[Position, Listing]


def bracket(listing: Listing, notional: Decimal) -> Tier:
    """The bracket of a notional >= 0; its upper bound belongs to it."""
    for tier in listing.tiers:
        if notional <= tier.notional_max:
            return tier
    return listing.tiers[-1] if listing.tiers else WITHOUT_BRACKETS


def maintenance(listing: Listing, notional: Decimal) -> Decimal:
    """Maintenance margin of a position of this notional, in quote; never below 0."""
    tier = bracket(listing, notional)
    return max(notional * tier.maintenance_ratio - tier.maintenance_amount, ZERO)


def leverage_max(listing: Listing) -> int:
    """The highest leverage of the market, at the smallest size."""
    return max((tier.leverage_max for tier in listing.tiers), default=WITHOUT_BRACKETS.leverage_max)


def notional_max(listing: Listing, leverage: int) -> Decimal:
    """What positions and orders on one side may reach at this leverage; 0 beyond the highest leverage."""
    tiers = listing.tiers or (WITHOUT_BRACKETS,)
    return max((tier.notional_max for tier in tiers if tier.leverage_max >= leverage), default=ZERO)


def liquidation_price(
    position: Position, listing: Listing, mark: Decimal, rest: Decimal, others: Sequence[Position] = ()
) -> Decimal | None:
    """The mark at which what backs `position` falls to the maintenance margin, other marks unchanged.

    rest: margin that this instrument's mark does not move (wallet or isolated margin, plus unrealised PnL
    less maintenance of positions elsewhere). others: positions that the same mark moves and the same margin
    backs (hedge mode). The surplus is linear between the prices where a bracket changes, so it is walked
    piece by piece away from the mark, down for a long and up for a short. None: no price above 0 does it.
    A position that is due at the mark already answers the mark.
    """
    held = (position, *others)
    if _surplus(held, listing, mark, rest) <= 0:
        return mark
    near = mark
    for far in _stops(held, listing, mark, up=position.quantity < 0):
        if _surplus(held, listing, far, rest) <= 0:
            return _root(held, listing, (near, far), rest) or None
        near = far
    return None


def _surplus(held: Sequence[Position], listing: Listing, mark: Decimal, rest: Decimal) -> Decimal:
    total = rest
    for one in held:
        notional = abs(one.quantity) * mark
        total += one.quantity * mark - one.cost - maintenance(listing, notional)
    return total


def _stops(held: Sequence[Position], listing: Listing, mark: Decimal, *, up: bool) -> list[Decimal]:
    """Prices between which the surplus is linear, away from the mark; the last one ends the search."""
    prices = {
        tier.notional_max / abs(one.quantity)
        for one in held
        for tier in (listing.tiers or (WITHOUT_BRACKETS,))
    }
    if not up:
        return [*sorted((price for price in prices if price < mark), reverse=True), ZERO]
    # Beyond the last bracket the surplus stays linear: one more stop, far enough to see where it goes.
    above = sorted(price for price in prices if price > mark)
    return [*above, (above[-1] if above else mark) * 1_000_000]


def _root(
    held: Sequence[Position], listing: Listing, between: tuple[Decimal, Decimal], rest: Decimal
) -> Decimal:
    """Where the surplus, linear between two prices, is zero: to 12 decimals."""
    near, far = between
    # The bracket of the piece itself: at its ends the surplus jumps where amounts do not make it continuous.
    inside = (near + far) / 2
    slope, offset = ZERO, rest
    for one in held:
        tier = bracket(listing, abs(one.quantity) * inside)
        slope += one.quantity - abs(one.quantity) * tier.maintenance_ratio
        offset += tier.maintenance_amount - one.cost
    if not slope:
        return far
    low, high = min(near, far), max(near, far)
    return min(max(-offset / slope, low), high).quantize(PRICE_STEP, rounding=ROUND_DOWN)
