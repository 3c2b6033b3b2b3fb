"""Whether an order that claims to reduce does so: what the gate knows of the pair's legs, and the rule. Pure.

An order of class REDUCE passes without a permit, so the claim is proven at the wire: it makes its leg smaller
and does not carry it across zero, or it strictly lowers the pair's net delta (execution.md, 3). Whatever else
of the pair is open in the same direction counts as filled.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec

from libs.common.subjects import SPOT

if TYPE_CHECKING:
    from services.executor.lane import Draft, Lane
    from services.executor.model import Intent

ZERO: Final = Decimal(0)
TWO: Final = Decimal("0.02")

COLLAR: Final = Decimal("0.1")
"""The last step of the ladder is 5 % from the best price (spot buys) or a market order. The gate measures
from the mid: half a spread lies between, which a thin book has wide.
"""

OLD_COLLAR: Final = Decimal("0.55")
"""The same from the mid of a quote that is too old to go by alone (`old_prices.MOVED_MAX`)."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The legs when an order was decided. `held`: signed; `buys`, `sells`: what other orders of the pair may
    still get, by leg; `slack`: by how much a purchase of owed coins may exceed them, since the last one has
    to reach the venue's minimum, and a fee is taken from it. `collars`: how far beyond the mid limits may be.
    """

    held: tuple[Decimal, Decimal]
    buys: tuple[Decimal, Decimal] = (ZERO, ZERO)
    sells: tuple[Decimal, Decimal] = (ZERO, ZERO)
    slack: tuple[Decimal, Decimal] = (ZERO, ZERO)
    collars: tuple[Decimal, Decimal] = (COLLAR, COLLAR)


def standing_of(lane: Lane, draft: Draft, together: Iterable[Intent]) -> Standing:
    """What stands beside the orders that are sent together."""
    sent = {one.id for one in together}
    first, second = draft.state.legs
    beside = [one for one in draft.live if one.id not in sent]
    old = [lane.world.is_old(key, draft.now) for key in lane.keys]
    buys, sells = ((_left(beside, 0, side), _left(beside, 1, side)) for side in ("buy", "sell"))
    return Standing(
        held=(first.quantity, second.quantity),
        buys=buys,
        sells=sells,
        slack=(_slack(lane, draft, 0), _slack(lane, draft, 1)),
        collars=(OLD_COLLAR if old[0] else COLLAR, OLD_COLLAR if old[1] else COLLAR),
    )


def _left(orders: Iterable[Intent], leg: int, side: str) -> Decimal:
    found = (one.quantity - one.filled for one in orders if one.leg == leg and one.side == side)
    return sum(found, ZERO)


def _slack(lane: Lane, draft: Draft, leg: int) -> Decimal:
    held, rules = draft.state.legs[leg], lane.rules(leg)
    if held.kind is not SPOT or held.quantity >= 0 or rules is None:
        return ZERO
    return lane.least(leg, reduces=True) + rules.step * 2 - held.quantity * TWO


def why_not(intent: Intent, standing: Standing | None) -> str:
    """Why an order does not reduce, in words; empty when it does."""
    if standing is None:
        return "it is not known what the pair holds"
    leg, sign = intent.leg, 1 if intent.side == "buy" else -1
    moving = standing.buys if sign > 0 else standing.sells
    held = standing.held[leg]
    on_leg = intent.quantity + moving[leg]
    if held * sign < 0 and on_leg <= abs(held) + standing.slack[leg]:
        return _too_far(intent, standing.collars[leg])
    delta = sum(standing.held, ZERO)
    if abs(delta + sign * (intent.quantity + sum(moving, ZERO))) < abs(delta):
        return _too_far(intent, standing.collars[leg])
    what = f"{intent.side} {intent.quantity:f} with {held:f} on its leg and a net {delta:f}"
    return f"{what} neither makes the leg smaller nor lowers the net"


def _too_far(intent: Intent, collar: Decimal) -> str:
    if intent.price is None or not intent.mid:
        return ""
    away = (intent.price / intent.mid - 1) * (1 if intent.side == "buy" else -1)
    if away <= collar:
        return ""
    return f"{intent.side} limit {away:.4%} beyond the mid, {collar:.0%} are the ladder's end"
