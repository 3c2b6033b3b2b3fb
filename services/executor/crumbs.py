"""What is missing and cannot be traded: fees that are paid in a leg's coin, balances that are rounded, dust
that the user has traded away. Pure.

Such a difference is no reason to halt a pair: it is written off, so that the books say what is there, and
told. As all pairs are compared with a venue together, it is less than one order of the venue in all.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from libs.common.messages import AlertLevel
from libs.common.money import plain
from libs.common.subjects import SPOT
from services.executor.lane import Draft, Lane
from services.executor.model import ZERO, State
from services.executor.recheck import given_up

replace = msgspec.structs.replace


def is_small(lane: Lane, leg: int, amount: Decimal) -> bool:
    """Whether the venue would not trade so much of a leg; False while its rules or its price are unknown."""
    known = lane.rules(leg) is not None and lane.world.mid(lane.keys[leg]) is not None
    return known and abs(amount) < lane.least(leg, reduces=True)


def is_own_dust(lane: Lane, leg: int, missing: Decimal) -> bool:
    """Whether an idle pair's own dust may be what a venue lacks: no pair has more than dust there."""
    key = lane.keys[leg]
    held = any(
        one.state.legs[index].coins
        for one in lane.world.lanes.values()
        for index in (0, 1)
        if one.keys[index] == key
    )
    return lane.dust[leg] * missing < 0 and not held and is_small(lane, leg, missing)


def write_off(lane: Lane, draft: Draft, leg: int, missing: Decimal) -> bool:
    """Take what is `missing` (< 0: of a long position) off the pair's dust, then off its bought coins; False
    where that cannot be what has become of it. A contract's position is never adjusted: only an order, or
    the venue's own trade, changes one.
    """
    late = any(one.leg == leg and one.side == "sell" for one in given_up(draft.intents.values()))
    if draft.live or late or not is_small(lane, leg, missing) or lane.others_due.get(leg):
        return False  # it may be an order's that the venue has denied, or a trade of its own
    held, dust = draft.state.legs[leg], lane.dust[leg]
    bought = lane.kinds[leg] is SPOT and not draft.borrows(leg) and missing < 0
    coins = max(ZERO, held.quantity) if bought else ZERO
    from_dust = min(abs(missing), abs(dust)) if dust * missing < 0 else ZERO
    from_leg = min(abs(missing) - from_dust, coins)
    if not from_dust + from_leg:
        return False
    if from_dust:
        take_dust(lane, draft, leg, from_dust)
    if from_leg:
        legs = list(draft.state.legs)
        legs[leg] = replace(held, quantity=held.quantity - from_leg)  # its cost stays: it is a loss
        draft.set(legs=(legs[0], legs[1]))
    venue, instrument = lane.keys[leg]
    text = f"{lane.pair}: {venue} {instrument} lacks {plain(abs(missing))}, less than it trades (a fee, a"
    text += f" rounded balance, or traded by hand): {plain(from_dust + from_leg)} is written off"
    draft.alert(AlertLevel.WARNING, "written_off", text)
    return True


def take_dust(lane: Lane, draft: Draft, leg: int, amount: Decimal) -> None:
    """So much less dust, unsigned."""
    dust = list(lane.dust)
    dust[leg] -= amount.copy_sign(dust[leg])
    lane.dust = (dust[0], dust[1])
    draft.dust[f"{lane.pair}|{leg}"] = str(dust[leg]).encode() if dust[leg] else None


def tradable(lane: Lane, draft: Draft, leg: int) -> Decimal:
    """What the venue can take from a pair by itself: its position; of an idle one its dust of a contract."""
    held = draft.state.legs[leg].quantity
    idle = draft.state.state is State.IDLE and lane.kinds[leg] is not SPOT
    return lane.dust[leg] if idle and not held else held
