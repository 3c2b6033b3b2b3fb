"""Steps that several states share: prices, ladders, what is balanced, giving up."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from libs.common.effects import SetTimer
from libs.common.instant import US_PER_SEC
from libs.common.messages import AlertLevel
from libs.common.subjects import SPOT
from services.executor import portions, wallet
from services.executor.debts import cover, goal_of
from services.executor.lane import Draft, Lane, plan_of
from services.executor.model import ZERO, Purpose, Side, Trigger
from services.executor.old_prices import last_collar, reducing_price
from services.executor.sizing import (
    FINEST,
    LADDER,
    SPOT_BUY_LAST,
    floor_to,
    ladder_collar,
    ladder_pause_us,
    limit_price,
)

replace = msgspec.structs.replace

TRIES_MAX: Final = 40
UNWIND_US_MAX: Final = 120 * US_PER_SEC


def tick_name(pair: str) -> str:
    """The timer that wakes a pair's lane up."""
    return f"{pair}|tick"


def wake_name(pair: str) -> str:
    """The timer that ends a pause."""
    return f"{pair}|wake"


def permit_name(pair: str) -> str:
    """The timer that looks after what rests when a permit has come."""
    return f"{pair}|permit"


def wake(lane: Lane, draft: Draft, after_us: int) -> None:
    """Come back to this pair after a pause."""
    draft.effects.append(SetTimer(name=wake_name(lane.pair), after_us=max(1, after_us)))


def pause(lane: Lane, draft: Draft, after_us: int) -> None:
    """Do nothing for this pair before then."""
    lane.not_before_us = draft.now.mono_us + after_us
    wake(lane, draft, after_us)


def price_for(lane: Lane, leg: int, side: Side, collar: Decimal | None) -> Decimal | None:
    """The limit of an order, None for a market order (or where no price was ever seen)."""
    best = lane.world.price(lane.keys[leg], side)
    if best is None or collar is None:
        return None
    rules = lane.rules(leg)
    return limit_price(side, best, collar, rules.tick if rules is not None else FINEST)


def give_up(draft: Draft, reason: str) -> None:
    """Only a person goes on from here."""
    draft.move(Trigger.GIVE_UP, reason)
    draft.set(plan=None, halts=True)
    pair = draft.state.pair
    text = f"{pair} is stuck: {reason}. Look at both venues: it does nothing by itself, and nothing opens"
    draft.alert(AlertLevel.CRITICAL, "stuck", text)


def over_goal(draft: Draft, leg: int) -> Decimal:
    """How much a leg has beyond where it is to end now, unsigned; all of it on the wrong side of zero."""
    quantity, goal = draft.state.legs[leg].quantity, goal_of(draft, leg)
    if quantity == 0:
        return ZERO
    if quantity * goal < 0:
        return abs(quantity)
    return max(ZERO, abs(quantity) - abs(goal))


def reducible(lane: Lane, draft: Draft, leg: int) -> Decimal:
    """What of the excess can be traded away, 0 below the venue's minimum."""
    rules = lane.rules(leg)
    if rules is None:
        return over_goal(draft, leg)
    if draft.borrows(leg) and draft.state.legs[leg].quantity < 0:
        return cover(lane, draft, leg, over_goal(draft, leg))
    amount = _nearest(draft, leg, over_goal(draft, leg), rules.step)
    return amount if amount >= lane.least(leg, reduces=True) else ZERO


def _nearest(draft: Draft, leg: int, amount: Decimal, step: Decimal) -> Decimal:
    """The nearest multiple of the step that the leg has. Rounding down would leave almost a step, which on a
    coarse contract is real money.
    """
    held = floor_to(abs(draft.state.legs[leg].quantity), step)
    return min(held, floor_to(amount + step / 2, step))


def reduce_leg(
    lane: Lane, draft: Draft, leg: int, purpose: Purpose, *, collar: Decimal | None = None
) -> bool:
    """Send the next try for a leg that is over its goal; False when there is nothing to send.

    Without `collar` the ladder decides: 0.5 %, 2 %, then market (a spot buy ends with 5 %).
    """
    amount = reducible(lane, draft, leg)
    if amount <= 0:
        return False
    plan, held = plan_of(draft), draft.state.legs[leg]
    side: Side = "sell" if held.quantity > 0 else "buy"
    if collar is None:
        collar = ladder_collar(plan.tries[leg], spot_buy=held.kind is SPOT and side == "buy")
        refused = collar is None and portions.learned(draft, leg, market=True) is not None
        if refused and (plan.tries[leg] - len(LADDER)) % 2:
            collar = SPOT_BUY_LAST  # by turns with a market order, which a filter has refused
        elif collar == SPOT_BUY_LAST:
            collar = last_collar(lane, draft, leg, plan.tries[leg])
    amount = wallet.within(lane, draft, leg, amount) if side == "sell" else amount
    if amount == 0:
        count_try(draft, leg)  # nothing can be sold now: the next try looks again
        return False
    draft.order(leg, side, amount, purpose, price=reducing_price(lane, draft, leg, side, collar))
    count_try(draft, leg)
    return True


def count_try(draft: Draft, leg: int) -> None:
    """One more try of a leg towards its goal."""
    plan = plan_of(draft)
    tries = (plan.tries[0] + (leg == 0), plan.tries[1] + (leg == 1))
    draft.set(plan=replace(plan, tries=tries))


def ladder_pause(lane: Lane, draft: Draft) -> None:
    """The next try of this ladder comes after its pause."""
    plan = plan_of(draft)
    lane.not_before_us = draft.now.mono_us + ladder_pause_us(max(plan.tries))


def out_of_tries(lane: Lane, draft: Draft) -> str:
    """Why it is time to call a person; empty while it is not. What fills part by part has time."""
    portions.go_on(lane, draft, [leg for leg in (0, 1) if reducible(lane, draft, leg) > 0])
    plan = plan_of(draft)
    if max(plan.tries) >= TRIES_MAX:
        return f"{max(plan.tries)} tries did not bring it to its goal ({plan.reason})"
    if draft.now.mono_us - lane.entered_us > UNWIND_US_MAX and max(plan.tries) > 0:
        return f"{UNWIND_US_MAX // US_PER_SEC} s did not bring it to its goal ({plan.reason})"
    return ""


def unbalanced(lane: Lane, draft: Draft) -> bool:
    """Whether one leg has more than the other by an amount that could be traded away: what `reducible` would
    take, to the nearest step. A contract beside crumbs of a coin is almost a step too much, and a naked one.
    """
    state = draft.state
    delta = abs(state.delta)
    if delta == 0:
        return False
    larger = 0 if abs(state.legs[0].quantity) >= abs(state.legs[1].quantity) else 1
    rules = lane.rules(larger)
    if rules is not None and not (draft.borrows(larger) and state.legs[larger].quantity < 0):
        delta = _nearest(draft, larger, delta, rules.step)
    return delta >= lane.least(larger, reduces=True)


def worth_keeping(lane: Lane, draft: Draft) -> bool:
    """Whether the hedged part can be closed again on both venues: at least both minima."""
    hedged = draft.state.hedged
    return hedged > 0 and all(hedged >= lane.least(leg, reduces=False) for leg in (0, 1))


def last_reason(draft: Draft, purpose: Purpose) -> str:
    """What the venue said about the newest order of this kind that did not fill."""
    for intent in reversed(draft.intents.values()):
        if intent.purpose is purpose and intent.filled < intent.quantity:
            text = intent.reason or "not filled in full"
            return f"{draft.lane.keys[intent.leg][0]} {draft.lane.keys[intent.leg][1]}: {text}"
    return "no order was sent"


def hedged_goals(lane: Lane, draft: Draft) -> tuple[Decimal, Decimal]:
    """Goals that leave what is hedged as it is, so that only the excess is worked on; nothing where the
    hedged part is below a venue's minimum and cannot be held.
    """
    kept = draft.state.hedged if worth_keeping(lane, draft) else ZERO
    first, second = ((1 if leg.quantity > 0 else -1) * kept for leg in draft.state.legs)
    return first, second
