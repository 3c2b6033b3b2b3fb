"""The most that one order may take: more goes by several, one after the other. Pure.

Venues have maxima, for market orders often a smaller one than for limits (Binance: LOT_SIZE and
MARKET_LOT_SIZE, Bitget: maxOrderQty and maxMarketOrderQty). Where they are not known, a refusal by a filter
teaches one: half of what was refused, and twice what has filled since. It may have been the step as well,
which venues make coarser at times: what reduces is rounded to coarser ones with each refusal of an order of
that kind. Where funds are short for coins that are owed, half is tried too: each part that is repaid frees
some. An order that was a part and has filled is no failed try: the ladder goes on where it is, and its time
begins anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec

from services.executor.model import LOANS, ZERO, Intent, IntentState
from services.executor.sizing import LADDER, Rules, ceil_to, common_step, floor_to, order_max

if TYPE_CHECKING:
    from services.executor.lane import Draft, Lane

replace = msgspec.structs.replace

COARSER_MAX: Final = 3
"""Up to a thousand steps: what was told of an instrument was wrong by no more."""

ENOUGH: Final = Decimal("0.98")
"""An order that filled this much of its quantity has filled: fees and steps take the rest."""


def within(lane: Lane, draft: Draft, leg: int, quantity: Decimal, *, market: bool, increase: bool) -> Decimal:
    """What of an amount one order takes: a venue's minimum at least, and no rest below that."""
    rules, least = lane.rules(leg), lane.least(leg, reduces=not increase)
    if rules is None:
        return quantity
    owes = draft.borrows(leg) and draft.state.legs[leg].quantity < 0 and not increase
    named, found = order_max(rules, market=market), learned(draft, leg, market=market, funds=owes)
    caps = [] if named is None or named < least else [named]  # less than the least is nonsense
    caps.extend([] if found is None else [found])
    step = rules.step if increase else rules.step * 10 ** _coarser(draft, leg, market=market)
    quantity = _rounded(quantity, step, least)
    if not caps or quantity <= min(caps):
        return quantity
    part = max(least, _rounded(floor_to(min(caps), rules.step), step, least))
    if ZERO < quantity - part < least:
        half = floor_to(quantity / 2, rules.step)
        part = half if half >= least else part
    return min(quantity, part)


def _rounded(quantity: Decimal, step: Decimal, least: Decimal) -> Decimal:
    rounded = floor_to(quantity, step)
    return rounded if rounded >= max(least, step) else quantity


def _coarser(draft: Draft, leg: int, *, market: bool) -> int:
    """By how many powers of ten the step is rounded up: one for each order of that kind that a filter has
    refused since the pair is in its state. What is left below such a step goes by the one that was told.
    """
    refused = [
        one
        for one in _orders(draft, leg)
        if one.n > draft.state.since_n and (one.price is None) is market and one.failure == "filter"
    ]
    return min(len(refused), COARSER_MAX)


def learned(draft: Draft, leg: int, *, market: bool, funds: bool = False) -> Decimal | None:
    """What refusals by a filter since the pair is in its state say of this leg's orders of that kind; with
    `funds` those of buys for want of funds as well.
    """
    cap: Decimal | None = None
    for one in _orders(draft, leg):
        if (one.price is None) is not market or one.n <= draft.state.since_n:
            continue
        short = funds and one.failure == "funds" and one.side == "buy"
        if one.state is IntentState.REJECTED and (one.failure == "filter" or short):
            cap = one.quantity / 2
        elif cap is not None and _filled(one):
            cap = max(cap, one.quantity * 2)
    return cap


def slices_of(quantity: Decimal, first: Rules, second: Rules) -> int:
    """Into how many slices an amount of both legs has to go, so that no limit order is above a maximum."""
    step = common_step(first.step, second.step)
    most = [
        floor_to(cap * max(ZERO, 1 - rules.base_fee), step) - step  # slices differ by a step
        for rules in (first, second)
        if (cap := order_max(rules, market=False)) is not None
    ]
    if not most or min(most) <= 0:
        return 1
    return max(1, int(ceil_to(quantity, min(most)) / min(most)))


def go_on(lane: Lane, draft: Draft, over: Collection[int]) -> None:
    """The tries of legs that have more to go: the newest order has not failed if it filled. Once an order."""
    from_here = draft.state.plan
    if from_here is None:
        return
    tries = list(from_here.tries)
    for leg in over:
        newest = next(_orders(draft, leg, newest_first=True), None)
        if tries[leg] > 0 and newest is not None and newest.n > draft.state.since_n and _filled(newest):
            if lane.credited.get(leg) == newest.id:
                continue
            lane.credited[leg] = newest.id
            tries[leg] = min(tries[leg] - 1, len(LADDER))
            lane.entered_us = draft.now.mono_us
    if tuple(tries) != from_here.tries:
        draft.set(plan=replace(from_here, tries=(tries[0], tries[1])))


def _orders(draft: Draft, leg: int, *, newest_first: bool = False) -> Iterator[Intent]:
    """A leg's orders that take, whose fate is known."""
    found = list(draft.intents.values())
    for one in reversed(found) if newest_first else found:
        if one.leg == leg and one.state.is_final and one.purpose not in LOANS and one.tif != "post_only":
            yield one


def _filled(one: Intent) -> bool:
    return one.filled > 0 and one.filled >= one.quantity * ENOUGH
