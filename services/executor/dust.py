"""What is left of positions below the venues' minimums: kept by pair and leg, netted into the next opening.

Capped in total per coin of a venue: one pair leaves less than a minimum, many of them, or a price that rises,
leave real money that nobody hedges.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from libs.common.messages import AlertLevel
from libs.common.subjects import SPOT
from services.executor.debts import asset_of
from services.executor.lane import Draft, Lane
from services.executor.model import ZERO

replace = msgspec.structs.replace

USD_MAX: Final = Decimal(50)
"""Of one coin at one venue, all pairs together: what execution.md (I4) lets a leg be naked by."""


def in_usd(lane: Lane, leg: int) -> Decimal:
    """What dust of a leg's coin all pairs have at its venue; 0 while no price is known.

    Long and short dust are added up: coins and a contract's rest do not cancel out where they lie.
    """
    asset = asset_of(lane, leg)
    amounts = (
        abs(one.dust[index])
        for one in (lane, *(other for other in lane.world.lanes.values() if other is not lane))
        for index in (0, 1)
        if one.dust[index] and asset_of(one, index) == asset
    )
    return sum(amounts, ZERO) * (lane.world.mid(lane.keys[leg]) or ZERO)


def too_much(lane: Lane) -> str:
    """Why a pair may not open since it could leave more dust, in words. One that has some itself may: it nets
    it, and leaves no more than there was.
    """
    for leg, (venue, _) in enumerate(lane.keys):
        usd, (_, coin) = in_usd(lane, leg), asset_of(lane, leg)
        nets = any(lane.dust[one] and asset_of(lane, one) == (venue, coin) for one in (0, 1))
        if usd > USD_MAX and not nets:
            return f"{usd:.2f} USD of {coin} at {venue} are dust of other pairs, {USD_MAX} are allowed"
    return ""


def to_dust(lane: Lane, draft: Draft) -> None:
    """What is left below the venue's minimum leaves the pair: it waits under `dust` for the next opening."""
    legs = list(draft.state.legs)
    dust = list(lane.dust)
    for index, leg in enumerate(legs):
        if leg.quantity != 0 and draft.borrows(index):
            legs[index] = replace(leg, quantity=ZERO, quote=ZERO, spare=leg.spare + leg.quantity)
            draft.set(legs=(legs[0], legs[1]))  # it lies on the margin desk, for the next loan there
        elif leg.quantity != 0:
            dust[index] += leg.quantity
            legs[index] = replace(leg, quantity=ZERO, quote=ZERO)
            draft.dust[f"{lane.pair}|{index}"] = str(dust[index]).encode()
    if tuple(dust) != lane.dust:
        lane.dust = (dust[0], dust[1])
        draft.set(legs=(legs[0], legs[1]))
        _tell(lane, draft)


def from_dust(lane: Lane, draft: Draft) -> None:
    """What an earlier position has left counts towards the new one; not towards coins that are borrowed.

    Contracts are looked at before the first order: what the venue took of them while the pair was idle nobody
    has booked yet, and an order that crosses zero would hide it (a trade is only booked where it reduces).
    """
    legs, dust = list(draft.state.legs), list(lane.dust)
    for index, amount in enumerate(lane.dust):
        if amount and not draft.borrows(index):
            legs[index] = replace(legs[index], quantity=legs[index].quantity + amount)
            draft.dust[f"{lane.pair}|{index}"] = None
            dust[index] = ZERO
            lane.look_first |= lane.kinds[index] is not SPOT
    lane.dust = (dust[0], dust[1])
    draft.set(legs=(legs[0], legs[1]))


def _tell(lane: Lane, draft: Draft) -> None:
    """A person is told when there is too much of it: it is theirs to trade away."""
    for leg, (venue, _) in enumerate(lane.keys):
        if lane.dust[leg] and (usd := in_usd(lane, leg)) > USD_MAX:
            coin = asset_of(lane, leg)[1]
            text = f"{usd:.2f} USD of {coin} at {venue} are dust of closed pairs, {USD_MAX} are allowed"
            draft.alert(AlertLevel.WARNING, f"dust:{venue}:{coin}", f"{text}: no other pair opens on it")
