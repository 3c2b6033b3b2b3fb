"""`maker_first`: post on the leg where the maker's fee saves most, hedge every fill on the other leg at once.

    post at our own side's best price -> fills are hedged as taker -> re-post when the book moves away
    -> at the deadline the rest of both legs is taken, as `concurrent` does

The deadline is `timeouts.open_timeout_sec` after a slice's first post. What rests is INCREASE: it is
cancelled as soon as a permit lapses, a level rises, another order is in doubt, or prices are old. A hedge is
REDUCE and waits for no permit. `watch` looks after what rests at every turn of the pair, a quarter second
apart at most; `advance` decides what comes next when all orders but the resting one are settled.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal

from libs.common.instant import US_PER_SEC
from libs.common.subjects import SPOT
from services.executor.debts import sellable
from services.executor.events import CancelOrder
from services.executor.lane import Draft, Lane
from services.executor.model import ZERO, Intent, IntentState, Purpose, Side, State
from services.executor.neighbours import in_doubt
from services.executor.old_prices import reducing_price
from services.executor.sizing import LADDER, ceil_to, floor_to, grossed_up, ladder_pause_us
from services.executor.steps import pause, wake

REPOST_US_MIN: Final = US_PER_SEC
"""The least time between two posts: a book that moves with every tick is not chased."""

CANCEL_AGAIN_US: Final = US_PER_SEC
"""A cancel that has not been answered by the order's end is sent again after this."""

POLL_US: Final = US_PER_SEC
"""What rests is asked for this often: a fill that the user stream has lost is a naked leg."""

REFUSED_MAX: Final = 3
"""After so many posts in a row that a venue or the gate refused, the slice is taken."""

LATE_US: Final = 60 * US_PER_SEC
"""So much longer than planned an opening may take: orders of unknown fate take their time."""

HEDGE_TRIES: Final = 3
"""After so many hedges in a row that did not fill, the excess is unwound."""

ENOUGH: Final = Decimal("0.98")

Then = Literal["wait", "slice_done", "take", "stop", "unwind"]
"""wait: nothing now; take: the rest as taker; stop: end with what is hedged; unwind: a hedge failed."""


def makes(draft: Draft) -> bool:
    """Whether a resting order belongs to the plan: of an opening, or of a soft close."""
    plan, state = draft.state.plan, draft.state.state
    makers = plan is not None and plan.style == "maker_first" and not plan.hard
    return makers and state in (State.OPENING, State.CLOSING)


def is_planned(lane: Lane, draft: Draft, intent: Intent) -> bool:
    """Whether an order rests because the plan wants it to; all others that rest are to be cancelled."""
    ours = lane.ready and intent.fence == lane.fence
    return makes(draft) and ours and intent.tif == "post_only" and intent.state is IntentState.WORKING


def rests(lane: Lane, draft: Draft) -> bool:
    """Whether everything that is open is what the plan wants to rest."""
    return all(is_planned(lane, draft, one) for one in draft.live)


def watch(lane: Lane, draft: Draft) -> None:
    """Cancel what rests and should not any longer; again after a while when nothing came of it."""
    for intent in draft.live:
        if intent.tif != "post_only" or intent.state is not IntentState.WORKING:
            continue
        since_us = lane.posts.cancels.get(intent.id)
        if since_us is not None and draft.now.mono_us - since_us < CANCEL_AGAIN_US:
            continue
        if not is_planned(lane, draft, intent) or _is_over(lane, draft, intent):
            lane.posts.cancels[intent.id] = draft.now.mono_us
            venue, name = lane.keys[intent.leg]
            draft.requests.append(
                CancelOrder(pair=lane.pair, id=intent.id, venue=venue, instrument=name, margin=intent.margin)
            )


def _is_over(lane: Lane, draft: Draft, intent: Intent) -> bool:
    """Whether a planned order has had its time: risk, doubt, old prices, the deadline, or a better price."""
    if any(other.state is IntentState.UNKNOWN for other in draft.live):
        return True
    increases = draft.state.state is State.OPENING
    if (increases and forbidden(lane, draft)) or not fresh(lane, draft) or is_late(lane, draft):
        return True
    price = post_price(lane, intent.leg, intent.side)
    if intent.price is None or price is None or draft.now.mono_us - lane.posts.posted_us < REPOST_US_MIN:
        return False
    return price > intent.price if intent.side == "buy" else price < intent.price


def forbidden(lane: Lane, draft: Draft) -> str:
    """Why nothing may increase now, in words."""
    return lane.world.forbidden(lane.pair, lane.keys, draft.now)


def not_on(lane: Lane, draft: Draft) -> str:
    """Why no further slice is begun, in words: what was wished for has to be so still when it is sent."""
    if not fresh(lane, draft):
        return "prices are too old to go on"
    timeouts, execution = lane.world.config.timeouts, lane.world.config.execution
    slices = 1 if draft.state.plan is None else draft.state.plan.slices
    each_sec = timeouts.open_timeout_sec + execution.slice_interval_sec
    if draft.now.wall_us - draft.state.since_us > int(slices * each_sec * US_PER_SEC) + LATE_US:
        return "it was begun too long ago"
    return forbidden(lane, draft)


def fresh(lane: Lane, draft: Draft) -> bool:
    """Whether both quotes are young enough to trade by."""
    return all(lane.world.fresh(key, draft.now) for key in lane.keys)


def is_late(lane: Lane, draft: Draft) -> bool:
    """Whether the deadline of a slice, or of a close, is over."""
    timeout_us = int(lane.world.config.timeouts.open_timeout_sec * US_PER_SEC)
    return lane.posts.since_us is not None and draft.now.mono_us - lane.posts.since_us >= timeout_us


def advance(lane: Lane, draft: Draft, goals: tuple[Decimal, Decimal]) -> Then:
    """The next order of a slice whose signed goals these are; called when at most a planned order is open."""
    leg = maker_leg(lane, draft)
    then = _hedge(lane, draft, leg, goals)
    if then is None and any(intent.tif == "post_only" for intent in draft.live):
        return "wait"
    if then is None:
        then = _post_or_end(lane, draft, leg, goals)
    if then not in ("wait", None):
        lane.posts.since_us = None
    return then


def _post_or_end(lane: Lane, draft: Draft, leg: int, goals: tuple[Decimal, Decimal]) -> Then:
    if forbidden(lane, draft) or (lane.posts.since_us is None and not_on(lane, draft)):
        return "stop"
    amount = _missing(lane, draft, leg, goals[leg])
    if amount < lane.least(leg, reduces=False):
        return "slice_done"
    if lane.posts.since_us is None:
        lane.posts.since_us = draft.now.mono_us
    if is_late(lane, draft) or _refused(draft) >= REFUSED_MAX:
        return "take" if fresh(lane, draft) else "stop"
    wait_us = lane.posts.posted_us + REPOST_US_MIN - draft.now.mono_us
    side: Side = "buy" if goals[leg] > 0 else "sell"
    price = post_price(lane, leg, side)
    if wait_us > 0 or price is None or not fresh(lane, draft) or in_doubt(lane, others=True):
        wake(lane, draft, max(wait_us, REPOST_US_MIN // 4))
        return "wait"
    lane.posts.posted_us = draft.now.mono_us
    draft.order(leg, side, amount, Purpose.OPEN, price=price, increase=True, post_only=True)
    return "wait"


def _missing(lane: Lane, draft: Draft, leg: int, goal: Decimal) -> Decimal:
    """What a leg lacks, as an order: whole steps, grossed up by a fee in base, no more than may be sold."""
    rules = lane.rules(leg)
    held = draft.state.legs[leg].quantity
    missing = goal - held if goal > 0 else held - goal
    if rules is None or missing <= 0:
        return ZERO
    return _tradable(lane, draft, leg, floor_to(missing, rules.step), buys=goal > 0)


def _tradable(lane: Lane, draft: Draft, leg: int, amount: Decimal, *, buys: bool) -> Decimal:
    rules = lane.rules(leg)
    if rules is None or amount <= 0:
        return ZERO
    if not buys:
        return sellable(lane, draft, leg, amount)
    return grossed_up(amount, rules) if rules.kind is SPOT else amount


def post_price(lane: Lane, leg: int, side: Side) -> Decimal | None:
    """Our own side's best price, on the tick that does not cross; None where no quote was seen."""
    seen, rules = lane.world.quotes.get(lane.keys[leg]), lane.rules(leg)
    if seen is None or rules is None:
        return None
    return floor_to(seen.bid, rules.tick) if side == "buy" else ceil_to(seen.ask, rules.tick)


def maker_leg(lane: Lane, draft: Draft) -> int:
    """The leg that is posted: once chosen in an attempt it stays; by what a maker saves, then by spread."""
    for intent in reversed(draft.intents.values()):
        if intent.tif == "post_only" and intent.attempt == draft.state.attempt:
            return intent.leg
    scores = [(lane.world.maker_saves(key), _spread(lane, key)) for key in lane.keys]
    return 0 if scores[0] >= scores[1] else 1


def _spread(lane: Lane, key: tuple[str, str]) -> Decimal:
    seen = lane.world.quotes.get(key)
    return (seen.ask - seen.bid) / seen.mid if seen is not None and seen.mid > 0 else ZERO


# --- hedges -------------------------------------------------------------------------------------------


def _hedge(lane: Lane, draft: Draft, maker: int, goals: tuple[Decimal, Decimal]) -> Then | None:
    """Bring the other leg up to what the maker's has got; None when there is nothing to hedge."""
    other = 1 - maker
    buys = goals[other] > 0
    naked = to_hedge(lane, draft, maker, buys=buys)
    rules = lane.rules(other)
    if rules is None or naked <= 0:
        return None
    amount = _tradable(lane, draft, other, floor_to(naked, rules.step), buys=buys)
    if amount < lane.least(other, reduces=False):
        return None
    tries = _failed_hedges(draft)
    if tries >= HEDGE_TRIES:
        return "unwind"
    side: Side = "buy" if buys else "sell"
    collar = (lane.world.collar, *LADDER)[tries]
    price = reducing_price(lane, draft, other, side, collar)
    draft.order(other, side, amount, Purpose.HEDGE, price=price)
    if tries:
        pause(lane, draft, ladder_pause_us(tries))
    return "wait"


def to_hedge(lane: Lane, draft: Draft, maker: int, *, buys: bool) -> Decimal:
    """How much the maker's leg is ahead of the other, in base units, when the other one `buys`.

    Trades of a spot buy whose fees are not known yet count less what they will cost.
    """
    net = -draft.state.delta if buys else draft.state.delta
    rules = lane.rules(maker)
    if rules is None or rules.kind is not SPOT or buys:
        return net
    unbooked = sum(
        (
            intent.filled - sum(intent.fills.values(), ZERO)
            for intent in draft.intents.values()
            if intent.leg == maker and intent.attempt == draft.state.attempt and intent.side == "buy"
        ),
        ZERO,
    )
    return net - max(ZERO, unbooked) * rules.base_fee


def _failed_hedges(draft: Draft) -> int:
    """How many of the newest hedges of this attempt, without a break, did not fill."""
    count = 0
    for intent in reversed(_of_attempt(draft, Purpose.HEDGE)):
        if intent.filled >= intent.quantity * ENOUGH:
            break
        count += 1
    return count


def _refused(draft: Draft) -> int:
    """How many of the newest posts, without a break, were refused and not for crossing the book."""
    count = 0
    for intent in reversed([one for one in _of_attempt(draft, Purpose.OPEN) if one.tif == "post_only"]):
        if intent.state not in (IntentState.REJECTED, IntentState.VOID):
            break
        count += 1
    return count


def _of_attempt(draft: Draft, purpose: Purpose) -> list[Intent]:
    attempt = draft.state.attempt
    return [one for one in draft.intents.values() if one.attempt == attempt and one.purpose is purpose]
