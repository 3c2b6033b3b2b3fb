"""From IDLE to a hedged position: both legs at once, the thin one first, or slice by slice. Borrowed coins
are sold before the contract is bought.

An attempt is not chased: as soon as a leg has failed, the hedged part stays when both venues could close it
again, and only the excess is unwound.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal

import msgspec

from libs.common.instant import US_PER_SEC, Now
from libs.common.messages import AlertLevel
from libs.common.subjects import SPOT
from services.executor import borrowing, dust, loans, making, recovery, reserve
from services.executor.debts import is_uncovered, sellable, short_leg
from services.executor.lane import Draft, Lane, plan_of
from services.executor.leaving import thin_leg
from services.executor.model import (
    ZERO,
    Direction,
    Intent,
    IntentState,
    Plan,
    Purpose,
    Side,
    State,
    Trigger,
    sign_of,
)
from services.executor.neighbours import in_doubt, opposed, over_limits, quarantined
from services.executor.portions import slices_of
from services.executor.sizing import (
    CannotSize,
    Rules,
    ceil_to,
    check_pair,
    common_step,
    floor_to,
    grossed_up,
    order_min,
    pair_quantity,
    slice_goal,
)
from services.executor.steps import (
    last_reason,
    pause,
    price_for,
    unbalanced,
    worth_keeping,
)

replace = msgspec.structs.replace

ENOUGH: Final = Decimal("0.98")
"""A slice that filled this much of its goal counts as filled: base fees and steps take the rest."""

ATTEMPTS_A_SECOND: Final = 2
ATTEMPTS_A_MINUTE: Final = 20
MINUTE_US: Final = 60 * US_PER_SEC
SLACK_US: Final = US_PER_SEC // 20
"""Risk counts the same attempts by the wall clock, which may be slewed, and a reset by hand follows."""

DOUBT_US: Final = US_PER_SEC // 2
"""So long the next slice waits, each time, while an order of another pair at one of its venues is unknown."""

DESCRIBED_US: Final = 2 * US_PER_SEC
"""So long an attempt that a restart has cut off waits for the feed before it ends."""


def why_not(lane: Lane, draft: Draft, notional_usd: Decimal, direction: Direction) -> str:
    """Why a pair cannot be opened now, in words; empty when it can. Permits are the gate's to judge."""
    state, now = draft.state, draft.now
    if state.state is not State.IDLE:
        return f"the pair is {state.state}"
    if why := why_none(lane, now) or over_limits(lane, notional_usd):
        return why
    rules = [lane.rules(leg) for leg in (0, 1)]
    short = 1 if direction == "forward" else 0
    sides = (sign_of(direction, 0), sign_of(direction, 1))
    if against := opposed(lane, lane.world.lanes.values(), sides, direction):
        return against
    first, second = (one for one in rules if one is not None)
    short_rules = (first, second)[short]
    if short_rules.kind is SPOT and not short_rules.shortable:
        return f"{lane.keys[short][0]} lends no {short_rules.base}: it cannot be sold short there"
    try:
        check_pair(first, second)
        _quantity(lane, notional_usd, first, second)
    except CannotSize as error:
        return str(error)
    return ""


def why_none(lane: Lane, now: Now) -> str:
    """Why nothing at all can be opened for an idle pair, whatever is wished; empty when something can."""
    closed = quarantined(lane) or (0, "")
    unknown = any(key not in lane.world.rules for key in lane.keys)
    unset = lane.world.why_not_set_up(lane.keys)
    checks = (
        (not lane.ready or lane.lease is None, lane.blocked or "the pair is not reconciled yet"),
        (now.market_ms < closed[0], closed[1]),
        (unknown, "the instruments are not described yet"),
        (bool(full := reserve.no_room(lane.world, now)), full),
        (bool(doubt := in_doubt(lane)), doubt),
        (_too_often(lane, now), "it was begun too often lately"),
        (bool(unset), unset),
        (bool(near := lane.world.near_settlement(lane.keys, now)), near),
        (bool(full := dust.too_much(lane)), full),
        (not all(lane.world.fresh(key, now) for key in lane.keys), "a quote is missing or too old"),
    )
    return next((text for wrong, text in checks if wrong), "")


def _too_often(lane: Lane, now: Now) -> bool:
    """Whether the budget of attempts is used up (risk.md), whoever asks for them."""
    ages = [now.mono_us - at_us for at_us in lane.heed.attempts_us]
    second = sum(age < US_PER_SEC + SLACK_US for age in ages)
    minute = sum(age < MINUTE_US + SLACK_US for age in ages)
    return second >= ATTEMPTS_A_SECOND or minute >= ATTEMPTS_A_MINUTE


def _quantity(lane: Lane, notional_usd: Decimal, first: Rules, second: Rules) -> Decimal:
    price = max(lane.world.mid(key) or ZERO for key in lane.keys)
    if price <= 0:
        raise CannotSize("no price")
    return pair_quantity(notional_usd, price, first, second)


def begin(lane: Lane, draft: Draft, *, notional_usd: Decimal, direction: Direction, reason: str) -> None:
    """IDLE -> OPENING with goals for both legs. Call `why_not` first."""
    first, second = lane.rules(0), lane.rules(1)
    if first is None or second is None:
        raise AssertionError("a pair is opened with its instruments known")
    quantity = _quantity(lane, notional_usd, first, second)
    draft.set(direction=direction, attempt=draft.state.attempt + 1, notional_usd=notional_usd, full=ZERO)
    lane.heed.attempts_us = (*lane.heed.attempts_us[1 - ATTEMPTS_A_MINUTE :], draft.now.mono_us)
    dust.from_dust(lane, draft)
    if lane.look_first:
        recovery.compare(lane, draft)
    slices = _slices(lane, quantity, notional_usd, first, second)
    goals = (sign_of(direction, 0) * quantity, sign_of(direction, 1) * quantity)
    plan = Plan(
        goals=goals,
        purpose=Purpose.OPEN,
        reason=reason,
        style=_style(lane, draft),
        slices=slices,
        notional_usd=notional_usd,
    )
    draft.set(plan=plan)
    draft.move(Trigger.OPEN, reason)


def _style(lane: Lane, draft: Draft) -> Literal["concurrent", "sequential", "maker_first"]:
    """As configured. With borrowed coins these are sold before the contract is bought (execution.md): as a
    maker where the coins are what is posted, else in sequence.
    """
    style, short = lane.world.config.execution.style, short_leg(draft)
    if short is None or (style == "maker_first" and making.maker_leg(lane, draft) == short):
        return style
    return "sequential"


def _slices(lane: Lane, quantity: Decimal, notional_usd: Decimal, first: Rules, second: Rules) -> int:
    """As configured, and enough that a slice is at most `limits.max_naked_usd`; each of them tradable."""
    config = lane.world.config
    naked = Decimal(str(config.limits.max_naked_usd))
    wanted = max(config.execution.slices, int(ceil_to(notional_usd, naked) / naked))
    wanted = max(wanted, slices_of(quantity, first, second))
    price = min(mid for key in lane.keys if (mid := lane.world.mid(key)) is not None)
    least = max(order_min(rules, price, reduces=False) for rules in (first, second))
    step = common_step(first.step, second.step)
    while wanted > 1 and slice_goal(quantity, wanted, 1, step) < least:
        wanted -= 1
    return wanted


def advance(lane: Lane, draft: Draft) -> None:
    """The next orders of the attempt, or its end. What is to be sold short is borrowed first."""
    if _cut_off(lane, draft) or not borrowing.lent(lane, draft):
        return
    plan = plan_of(draft)
    if plan.style == "maker_first":
        _make(lane, draft)
        return
    if plan.tries == (0, 0) and making.not_on(lane, draft):
        _end(lane, draft)
        return
    if plan.tries == (0, 0) and in_doubt(lane, others=True):
        pause(lane, draft, DOUBT_US)
        return
    due = legs_due(lane, draft)
    if due and (not failed(draft) or _follows(lane, plan, due)):
        for leg in due:
            _send(lane, draft, leg, slice_goals(lane, plan)[leg])
        tries = (plan.tries[0] + (0 in due), plan.tries[1] + (1 in due))
        draft.set(plan=replace(plan_of(draft), tries=tries))
        return
    if not unbalanced(lane, draft) and not failed(draft) and plan.slice < plan.slices:
        _next_slice(lane, draft)
    else:
        _end(lane, draft)


def _cut_off(lane: Lane, draft: Draft) -> bool:
    """Whether an attempt that a restart has cut off gets no more: not by what an earlier life has known."""
    if lane.world.why_not_set_up(lane.keys):
        _end(lane, draft)
        return True
    if lane.world.describes(lane.keys):
        return False
    if draft.now.mono_us - lane.entered_us >= DESCRIBED_US:
        _end(lane, draft)
    else:
        pause(lane, draft, DOUBT_US)
    return True


def _end(lane: Lane, draft: Draft) -> None:
    if unbalanced(lane, draft):
        orphan(lane, draft, last_reason(draft, Purpose.OPEN))
    else:
        settle(lane, draft)


def _next_slice(lane: Lane, draft: Draft) -> None:
    plan = plan_of(draft)
    draft.set(plan=replace(plan, slice=plan.slice + 1, tries=(0, 0)))
    pause(lane, draft, int(lane.world.config.execution.slice_interval_sec * US_PER_SEC))


def _make(lane: Lane, draft: Draft) -> None:
    """Maker first: what is left of a slice at its deadline, and all later ones, are taken.

    A net rest below the other venue's minimum is no orphan: a held pair trims it.
    """
    plan = plan_of(draft)
    match making.advance(lane, draft, slice_goals(lane, plan)):
        case "wait":
            return
        case "slice_done" if plan.slice < plan.slices:
            _next_slice(lane, draft)
        case "take":
            style: Literal["concurrent", "sequential"] = (
                "concurrent" if short_leg(draft) is None else "sequential"
            )
            draft.set(plan=replace(plan, style=style, tries=(0, 0)))
        case "unwind":
            orphan(lane, draft, last_reason(draft, Purpose.HEDGE))
        case "stop" if not lane.world.config.execution.keep_partial and not draft.state.is_flat:
            orphan(lane, draft, making.forbidden(lane, draft) or "prices are too old to go on")
        case _:
            settle(lane, draft)


def _follows(lane: Lane, plan: Plan, due: list[int]) -> bool:
    """Whether the second leg of a sequence may hedge what the thin one got, though that was not all."""
    return plan.style == "sequential" and len(due) == 1 and lane.world.config.execution.keep_partial


def legs_due(lane: Lane, draft: Draft) -> list[int]:
    """Which legs are to be sent now: each once a slice; in sequence borrowed coins or the thin leg first."""
    plan = plan_of(draft)
    unsent = [leg for leg in (0, 1) if plan.tries[leg] == 0]
    if plan.style != "sequential" or len(unsent) < 2:
        return unsent
    short = short_leg(draft)
    return [thin_leg(lane) if short is None else short]


def slice_goals(lane: Lane, plan: Plan) -> tuple[Decimal, Decimal]:
    """Signed quantities after the current slice."""
    first, second = lane.rules(0), lane.rules(1)
    step = common_step(first.step, second.step) if first and second else Decimal(1)
    goals = [
        (1 if goal > 0 else -1) * slice_goal(abs(goal), plan.slices, plan.slice, step) for goal in plan.goals
    ]
    return goals[0], goals[1]


def _send(lane: Lane, draft: Draft, leg: int, goal: Decimal) -> None:
    """One leg of a slice. In sequential style the second one follows what the first has really got."""
    rules, plan = lane.rules(leg), plan_of(draft)
    if rules is None:
        return
    other, up = draft.state.legs[1 - leg].quantity, plan.goals[leg] > 0
    if plan.style == "sequential" and plan.tries[1 - leg] > 0:
        goal = (1 if up else -1) * min(abs(goal), abs(other))
    held = draft.state.legs[leg].quantity  # dust of an earlier position may be on the other side of zero
    missing = goal - held if up else held - goal
    side: Side = "buy" if up else "sell"
    amount = floor_to(missing, rules.step) if missing > 0 else ZERO
    if amount > 0 and rules.kind is SPOT and side == "buy":
        amount = grossed_up(amount, rules)
    amount = sellable(lane, draft, leg, amount) if side == "sell" else amount
    if amount < lane.least(leg, reduces=False):
        return  # the rest is dust: it is counted as tried, and the slice ends without it
    price = price_for(lane, leg, side, lane.world.collar)
    draft.order(leg, side, amount, Purpose.OPEN, price=price, increase=True)


def failed(draft: Draft) -> bool:
    """Whether an order of this slice ended without filling what it should."""
    return any(not _filled(intent) for intent in _of_attempt(draft) if intent.state.is_final)


def _of_attempt(draft: Draft) -> list[Intent]:
    attempt = draft.state.attempt
    mine = (one for one in draft.intents.values() if one.attempt == attempt and one.purpose is Purpose.OPEN)
    return [one for one in mine if one.tif != "post_only"]  # a post that came to nothing is no failure


def _filled(intent: Intent) -> bool:
    return intent.state is IntentState.DONE and intent.filled >= intent.quantity * ENOUGH


def orphan(lane: Lane, draft: Draft, reason: str) -> None:
    """One leg has more than the other: keep what is hedged and worth it, unwind the rest."""
    plan, state = plan_of(draft), draft.state
    keep = lane.world.config.execution.keep_partial and worth_keeping(lane, draft)
    kept = state.hedged if keep else ZERO
    goals = (sign_of(state.direction, 0) * kept, sign_of(state.direction, 1) * kept)
    what = "the excess is unwound" if kept else "what was filled is unwound"
    text = f"{state.pair}: a leg failed ({reason}); {what}"
    draft.move(Trigger.ORPHAN, reason)
    draft.set(plan=Plan(goals=goals, purpose=Purpose.UNWIND, reason=reason, notional_usd=plan.notional_usd))
    draft.alert(AlertLevel.WARNING, f"unwind:{state.attempt}", text)
    lane.not_before_us = 0


def settle(lane: Lane, draft: Draft) -> None:
    """The attempt ends balanced: with a position, too small a one, or none."""
    state, plan = draft.state, plan_of(draft)
    if worth_keeping(lane, draft):
        draft.move(Trigger.OPENED, plan.reason)
        draft.set(plan=None, opened_ms=draft.now.market_ms, close_failures=0, full=state.hedged)
    elif is_uncovered(lane, draft) or any(
        lane.least(leg, reduces=True) <= abs(state.legs[leg].quantity) for leg in (0, 1)
    ):
        orphan(lane, draft, "what was filled is below what the venues take")
    elif loans.cleared(lane, draft):
        reason = last_reason(draft, Purpose.OPEN)
        dust.to_dust(lane, draft)
        draft.move(Trigger.NOTHING_FILLED, reason)
        draft.set(plan=None)
