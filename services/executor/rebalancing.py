"""What keeps a held pair in shape: delta drift by the cheaper way. (Collateral drift: `shrink`.)

Delta drift: |Q_long - Q_short| / Q of the larger leg; either the leg that is too large is trimmed (REDUCE) or
the other one is added to (INCREASE, with risk's permit), whichever costs less now, fee and half a spread. A
draw is trimmed. What a venue took is followed (`holding.follow`), and added back only where the other leg's
market has refused for as long as the ladder presses.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from libs.common.subjects import SPOT
from services.executor.model import ZERO, Plan, Purpose, Side
from services.executor.neighbours import in_doubt
from services.executor.sizing import floor_to, grossed_up
from services.executor.slicing import ENOUGH

if TYPE_CHECKING:
    from services.executor.lane import Draft, Lane

replace = msgspec.structs.replace


def drift(draft: Draft) -> Decimal:
    """How far apart the legs of a pair are, as a share of the larger one."""
    larger = max(abs(leg.quantity) for leg in draft.state.legs)
    return abs(draft.state.delta) / larger if larger else ZERO


def trim_plan(draft: Draft) -> Plan:
    """The leg that is too large comes down; nothing is added."""
    off = draft.state.delta
    goals = [_less(leg.quantity, off) for leg in draft.state.legs]
    return Plan(goals=(goals[0], goals[1]), purpose=Purpose.TRIM, reason=f"the legs are {abs(off)} apart")


def _less(quantity: Decimal, off: Decimal) -> Decimal:
    """A leg on the side of the surplus without it, at least zero; the other leg as it is."""
    if quantity * off <= 0:
        return quantity
    return quantity - off if abs(off) < abs(quantity) else ZERO


def best_plan(lane: Lane, draft: Draft) -> Plan:
    """Trim, or add where that costs less and is allowed."""
    trim = trim_plan(draft)
    small = _addable(lane, draft)
    if small is None:
        return trim
    costs = [taking_cost(lane, leg) for leg in (small, 1 - small)]
    if costs[0] is None or costs[1] is None or costs[0] >= costs[1]:
        return trim
    return replace(trim, goals=_with(draft, small))


def restoring_plan(draft: Draft, reason: str) -> Plan | None:
    """The leg that has too little is brought back to the other one, which cannot be reduced; None where risk,
    prices or a minimum forbid it.
    """
    small = _addable(draft.lane, draft)
    if small is None:
        return None
    return Plan(goals=_with(draft, small), purpose=Purpose.RESTORE, reason=reason)


def _addable(lane: Lane, draft: Draft) -> int | None:
    """The leg that may be made larger by what the other one has too much, if there is one."""
    off = draft.state.delta
    small = next((leg for leg in (0, 1) if draft.state.legs[leg].quantity * off < 0), None)
    return small if small is not None and _may_add(lane, draft, small, abs(off)) else None


def _with(draft: Draft, small: int) -> tuple[Decimal, Decimal]:
    goals = [leg.quantity for leg in draft.state.legs]
    goals[small] -= draft.state.delta
    return goals[0], goals[1]


def taking_cost(lane: Lane, leg: int) -> Decimal | None:
    """What taking costs on a leg, as a fraction: the taker's fee and half the spread; None when unknown."""
    seen, fee = lane.world.quotes.get(lane.keys[leg]), lane.world.taker(lane.keys[leg])
    if seen is None or fee is None or seen.mid <= 0:
        return None
    return fee + (seen.ask - seen.mid) / seen.mid


def _may_add(lane: Lane, draft: Draft, leg: int, amount: Decimal) -> bool:
    """Whether risk, prices and the venue's minimum allow it; nothing is borrowed for it.

    The size of a pair is a quantity, and what is added goes up to the other leg: at today's price the same
    coins may be worth more USD than at the opening, and have to be hedged all the same.
    """
    if draft.borrows(leg) or lane.world.forbidden(lane.pair, lane.keys, draft.now):
        return False
    if in_doubt(lane, others=True) or not all(lane.world.fresh(key, draft.now) for key in lane.keys):
        return False
    return _order_of(lane, leg, amount) > 0


def _order_of(lane: Lane, leg: int, amount: Decimal) -> Decimal:
    """An amount as one order brings it, 0 below the venue's minimum. At most the configured notional: more
    the gate refuses, and after a rise what is missing may be worth more. The rest is the next order's.
    """
    rules, mid = lane.rules(leg), lane.world.mid(lane.keys[leg])
    if rules is None or not mid:
        return ZERO
    amount = floor_to(min(amount, Decimal(str(lane.world.config.position.notional_usd)) / mid), rules.step)
    return amount if amount >= lane.least(leg, reduces=False) else ZERO


def to_add(lane: Lane, draft: Draft) -> tuple[int, Side, Decimal] | None:
    """(leg, side, quantity) that a plan still adds, of those that may; None when it adds nothing."""
    plan = draft.state.plan
    if plan is None or plan.purpose not in (Purpose.TRIM, Purpose.RESTORE):
        return None
    return towards(lane, draft, plan.goals)


def towards(lane: Lane, draft: Draft, goals: tuple[Decimal, Decimal]) -> tuple[int, Side, Decimal] | None:
    """(leg, side, quantity) of the next order that makes a leg larger; None when both have their goals."""
    for leg in (0, 1):
        goal, held, rules = goals[leg], draft.state.legs[leg].quantity, lane.rules(leg)
        missing = goal - held if goal > 0 else held - goal
        amount = _order_of(lane, leg, missing) if missing > 0 else ZERO
        if amount > 0 and rules is not None:
            buys = goal > 0
            whole = grossed_up(amount, rules) if buys and rules.kind is SPOT else amount
            return leg, "buy" if buys else "sell", whole
    return None


def begins_anew(draft: Draft, leg: int) -> bool:
    """Whether the newest order that brought a leg back filled: its market trades, its tries count anew."""
    mine = (one for one in reversed(draft.intents.values()) if one.leg == leg)
    newest = next((one for one in mine if one.purpose is Purpose.RESTORE), None)
    return newest is not None and newest.n > draft.state.since_n and newest.filled >= newest.quantity * ENOUGH
