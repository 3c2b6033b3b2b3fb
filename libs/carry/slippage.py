"""What a market order pays beyond the mid, assumed or read from an order book.

Levels are (price, base size), best first. Slippage is a fraction of notional and holds the half spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

BPS: Final = 10_000.0
DEPTH_BAND: Final = 0.005  # size within 0.5 % of mid is what a position is measured against
DEPTH_SHARE_MAX: Final = 0.2

Level = tuple[float, float]


class Depth(msgspec.Struct, frozen=True, kw_only=True):
    """A book as the gates see it, worked out once per book and not once per tick.

    `slip_buy` and `slip_sell` are None when the book cannot fill the notional. `depth_usd` is the
    thinner side's size within 0.5 % of mid (what is entered must also be left); `reach` is how far from
    mid the thinner known side goes, since a venue's snapshot may end before the band does.
    """

    slip_buy: float | None
    slip_sell: float | None
    depth_usd: float
    reach: float


def assumed(slippage_bps: float) -> float:
    """The configured slippage as a fraction."""
    return slippage_bps / BPS


def mid_of(bid: float | None, ask: float | None) -> float | None:
    """Middle of the best prices; None when one is missing, not positive, or they are crossed."""
    if bid is None or ask is None or not 0 < bid <= ask:
        return None
    return (bid + ask) / 2


def vwap(levels: Sequence[Level], quantity: float) -> float | None:
    """Average price of taking `quantity` base units; None when the levels do not hold that much."""
    if not quantity > 0:
        raise ValueError(f"a quantity to fill is positive, not {quantity}")
    left, cost = quantity, 0.0
    for price, size in levels:
        taken = min(left, size)
        cost += taken * price
        left -= taken
        if left <= quantity * 1e-12:  # float residue of the subtraction, not size
            return cost / (quantity - left)
    return None


def from_depth(levels: Sequence[Level], mid: float, quantity: float) -> float | None:
    """|vwap(levels, quantity) - mid| / mid; None is a refusal: the book cannot fill it."""
    price = vwap(levels, quantity)
    return None if price is None else abs(price - mid) / mid


def size_within(levels: Sequence[Level], mid: float, *, band: float = DEPTH_BAND) -> float:
    """USD of one side within `band` of mid."""
    total = 0.0
    for price, size in levels:
        if abs(price - mid) > band * mid:
            break
        total += price * size
    return total


def depth_of(bids: Sequence[Level], asks: Sequence[Level], notional_usd: float) -> Depth | None:
    """A book's figures for positions of `notional_usd`; None when a side is empty or the book is crossed."""
    if not bids or not asks:
        return None
    mid = mid_of(bids[0][0], asks[0][0])
    if mid is None:
        return None
    quantity = notional_usd / mid
    return Depth(
        slip_buy=from_depth(asks, mid, quantity),
        slip_sell=from_depth(bids, mid, quantity),
        depth_usd=min(size_within(bids, mid), size_within(asks, mid)),
        reach=min(mid - bids[-1][0], asks[-1][0] - mid) / mid,
    )


def slip_of(depth: Depth | None, side: Literal["buy", "sell"], fallback: float) -> tuple[float | None, bool]:
    """Slippage of one fill, and whether it came from depth; (None, True) when the book cannot fill it."""
    if depth is None:
        return fallback, False
    return (depth.slip_buy if side == "buy" else depth.slip_sell), True
