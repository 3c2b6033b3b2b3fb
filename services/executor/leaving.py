"""How a soft close goes about it: the thin leg first, or as a maker. A hard close does neither: it takes.

    sequential: a slice of the thin leg -> the other one down to what is left of it -> again, until nothing is
                left
    maker_first: post what reduces the dearer leg -> each fill is followed on the other leg as taker ->
                 at the deadline (`timeouts.open_timeout_sec`) both legs are taken

All of it is REDUCE: no permit is asked for. A short leg of borrowed coins is closed contract first, whatever
the style: what is owed is bought back last.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from services.executor import making, slicing, wallet
from services.executor.debts import short_leg
from services.executor.lane import Draft, Lane, plan_of
from services.executor.model import ZERO, Intent, IntentState, Purpose, Side
from services.executor.old_prices import reducing_price
from services.executor.sizing import LADDER, floor_to, ladder_pause_us
from services.executor.steps import pause, wake

replace = msgspec.structs.replace


def take_now(lane: Lane, draft: Draft) -> None:
    """From now on both legs are taken; the time and the tries of a soft close begin."""
    draft.set(plan=replace(plan_of(draft), style="concurrent", goals=(ZERO, ZERO), tries=(0, 0), step=None))
    lane.posts.since_us = None
    lane.entered_us = draft.now.mono_us


def prepare(lane: Lane, draft: Draft) -> bool:
    """Go about this try by the plan's style; False while a maker is at work and nothing is to be taken."""
    plan = plan_of(draft)
    if plan.goals != (ZERO, ZERO):  # a store of before there were slices has a sequence's next goal here
        draft.set(plan=replace(plan, goals=(ZERO, ZERO)))
    if plan.style != "concurrent" and (short_leg(draft) is not None or wallet.is_short(lane, draft)):
        take_now(lane, draft)
    elif plan.style == "maker_first":
        return _make(lane, draft)
    return True


def over(lane: Lane, draft: Draft) -> list[int]:
    """The legs to be taken from now, by slices; empty at the end of the close."""
    return slicing.over(lane, draft, _first if plan_of(draft).style == "sequential" else None)


def _first(lane: Lane, draft: Draft) -> int:
    """The leg that this close has begun with, else the thinner one; the one that is left at the end."""
    left = [leg for leg in (0, 1) if abs(draft.state.legs[leg].quantity) >= lane.least(leg, reduces=True)]
    if len(left) == 1:
        return left[0]
    begun = [one.leg for one in _orders(draft)]
    return begun[0] if begun else thin_leg(lane)


def thin_leg(lane: Lane) -> int:
    """The leg with less at its best prices, in base units."""
    sizes = []
    for key in lane.keys:
        seen = lane.world.quotes.get(key)
        sizes.append(min(seen.bid_size, seen.ask_size) if seen is not None else ZERO)
    return 0 if sizes[0] <= sizes[1] else 1


def _orders(draft: Draft) -> list[Intent]:
    """Orders of this close, oldest first."""
    since_n = draft.state.since_n
    return [one for one in draft.intents.values() if one.purpose is Purpose.CLOSE and one.n > since_n]


# --- as a maker -------------------------------------------------------------------------------------------


def _make(lane: Lane, draft: Draft) -> bool:
    """The next order of a close as a maker; True when it is time to take."""
    maker = making.maker_leg(lane, draft)
    if _follow(lane, draft, maker):
        return False
    if _failures(draft, 1 - maker) >= making.HEDGE_TRIES:
        take_now(lane, draft)  # what rests is cancelled first: taking beside it would close the leg twice
        return not draft.live
    if draft.live:
        return False
    amount = _slice(lane, draft, maker)
    if lane.posts.since_us is None:
        lane.posts.since_us = draft.now.mono_us
    if (
        amount < lane.least(maker, reduces=True)
        or making.is_late(lane, draft)
        or lane.world.leaving
        or _refusals(draft) >= making.REFUSED_MAX
    ):
        take_now(lane, draft)
        return True
    _post(lane, draft, maker, amount)
    return False


def _post(lane: Lane, draft: Draft, maker: int, amount: Decimal) -> None:
    side = _reducing(draft, maker)
    price = making.post_price(lane, maker, side)
    wait_us = lane.posts.posted_us + making.REPOST_US_MIN - draft.now.mono_us
    if wait_us > 0 or price is None or not making.fresh(lane, draft):
        wake(lane, draft, max(wait_us, making.REPOST_US_MIN // 4))
        return
    if _filled(draft):  # the deadline is of a slice
        lane.posts.since_us = draft.now.mono_us
    lane.posts.posted_us = draft.now.mono_us
    draft.order(maker, side, amount, Purpose.CLOSE, price=price, post_only=True)


def _follow(lane: Lane, draft: Draft, maker: int) -> bool:
    """Take from the other leg what the maker's has lost; whether an order was sent for it."""
    other, rules = 1 - maker, lane.rules(1 - maker)
    held = draft.state.legs
    ahead = abs(held[other].quantity) - abs(held[maker].quantity)
    amount = floor_to(ahead, rules.step) if rules is not None and ahead > 0 else ZERO
    failures = _failures(draft, other)
    if amount < lane.least(other, reduces=True) or failures >= making.HEDGE_TRIES:
        return False
    side, collar = _reducing(draft, other), (lane.world.collar, *LADDER)[failures]
    price = reducing_price(lane, draft, other, side, collar)
    draft.order(other, side, amount, Purpose.CLOSE, price=price)
    if failures:
        pause(lane, draft, ladder_pause_us(failures))
    return True


def _reducing(draft: Draft, leg: int) -> Side:
    return "sell" if draft.state.legs[leg].quantity > 0 else "buy"


def _slice(lane: Lane, draft: Draft, leg: int) -> Decimal:
    """What is posted of a leg: all of it that a slice takes."""
    rules, held = lane.rules(leg), abs(draft.state.legs[leg].quantity)
    return ZERO if rules is None else floor_to(slicing.part_of(lane, draft, held), rules.step)


def _filled(draft: Draft) -> bool:
    """Whether the newest post has brought its slice to an end."""
    newest = next((one for one in reversed(_orders(draft)) if one.tif == "post_only"), None)
    return newest is not None and newest.filled >= newest.quantity * making.ENOUGH


def _failures(draft: Draft, leg: int) -> int:
    """How many of the newest takers of a leg, without a break, did not fill."""
    count = 0
    for intent in reversed([one for one in _orders(draft) if one.leg == leg and one.tif != "post_only"]):
        if intent.filled >= intent.quantity * making.ENOUGH:
            break
        count += 1
    return count


def _refusals(draft: Draft) -> int:
    """How many of the newest posts, without a break, were refused."""
    count = 0
    for intent in reversed([one for one in _orders(draft) if one.tif == "post_only"]):
        if intent.state not in (IntentState.REJECTED, IntentState.VOID):
            break
        count += 1
    return count
