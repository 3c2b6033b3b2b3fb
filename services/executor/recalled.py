"""What the last life knew of an instrument: filters and a price, for a leg that is to become smaller. Pure.

A restarted executor knows neither before the feed has told them. While that is away a leg may stand alone,
and can be reduced all the same: by filters that hardly ever change, at a price that is as old as it is
(`old_prices` does with it what it does with any old quote). Nothing increases by them, and no
position is valued; the slippage of what they size is measured from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.executor.model import Known, Leg, State
from services.executor.sizing import Rules
from services.executor.world import QUOTE_AGE_US_MAX, Recalled, Seen

if TYPE_CHECKING:
    from services.executor.lane import Draft, Lane
    from services.executor.world import World


def known_of(lane: Lane, draft: Draft, leg: int) -> Known | None:
    """What is worth remembering of a leg's instrument with what is written now: nothing of an idle pair."""
    if draft.state.state is State.IDLE:
        return None
    rules, seen = lane.world.rules.get(lane.keys[leg]), lane.world.quotes.get(lane.keys[leg])
    if rules is None or seen is None:
        return draft.state.legs[leg].known
    return Known(
        step=rules.step,
        tick=rules.tick,
        quantity_min=rules.quantity_min,
        quantity_max=rules.quantity_max,
        market_quantity_max=rules.market_quantity_max,
        notional_min=rules.notional_min,
        base_fee=rules.base_fee,
        mid=seen.mid,
        wall_us=draft.now.wall_us - (draft.now.mono_us - seen.mono_us),
    )


def take(world: World, draft: Draft) -> None:
    """A pair has been read: what it remembers counts until the feed tells, or a pair knows it better."""
    for leg in draft.state.legs:
        if leg.known is None:
            continue
        key, found = (leg.venue, leg.instrument), _recalled(leg, leg.known, draft)
        before = world.recalled.get(key)
        if before is None or before.seen.mono_us < found.seen.mono_us:
            world.recalled[key] = found


def _recalled(leg: Leg, known: Known, draft: Draft) -> Recalled:
    base, quote = leg.instrument.split("-")[:2]
    rules = Rules(
        kind=leg.kind,
        base=base,
        quote=quote,
        settle=quote,
        step=known.step,
        tick=known.tick,
        quantity_min=known.quantity_min,
        quantity_max=known.quantity_max,
        market_quantity_max=known.market_quantity_max,
        notional_min=known.notional_min,
        base_fee=known.base_fee,
    )
    age_us = max(draft.now.wall_us - known.wall_us, QUOTE_AGE_US_MAX + 1)  # never young, whatever clocks say
    seen = Seen(
        bid=known.mid,
        ask=known.mid,
        bid_size=known.step,
        ask_size=known.step,
        mono_us=draft.now.mono_us - age_us,
    )
    return Recalled(rules=rules, seen=seen)
