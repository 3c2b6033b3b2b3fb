"""Watching that the venues show what our fills add up to, and following what a venue did by itself.

A trade that the venue made (ADL, liquidation, delivery) is booked to the pairs that share the instrument, and
the other leg follows within seconds. Anything else that changed a position was somebody else: the pair halts.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

import msgspec

from libs.common.instant import US_PER_SEC
from libs.common.messages import AlertLevel
from libs.common.subjects import SPOT
from libs.exchange.trading_values import FillReport
from services.executor import booked, crumbs, holding, ledger, news, recheck, wallet
from services.executor.debts import bought_back, is_recall, short_leg, taken_of, unseen_interest
from services.executor.events import AccountSeen, FindTaken
from services.executor.lane import Draft, Lane
from services.executor.model import ZERO, Intent, IntentState, State
from services.executor.news import Own
from services.executor.world import Key

replace = msgspec.structs.replace

EVERY_US: Final = 5 * US_PER_SEC
SLACK_US: Final = US_PER_SEC
"""The books look at every account each 5 s and tell all pairs; a pair asks for itself when none came."""

AGAIN_US: Final = US_PER_SEC // 2
AT_REST_US: Final = 15 * US_PER_SEC
"""Idle and stuck pairs: what nobody expects is seen as well, with less haste."""

FOREIGN_AFTER_US: Final = 4 * US_PER_SEC
"""So long a difference that no venue-made trade explains may last: reports of our own may be on their way."""

OTHERS_US: Final = 60 * US_PER_SEC
"""... unless the venue's trades explain it and another pair has yet to bear them."""

SEARCHES: Final = 2
"""... and so many times its trades were read without finding one."""

UNBROKEN_US: Final = 15 * US_PER_SEC
"""After so long without a look only the very same difference, with nothing of ours done meanwhile, is the old
one: where looks are rare it must ripen too, and two short lags of a venue must not add up to one.
"""


def is_due(lane: Lane, draft: Draft) -> bool:
    """Whether it is time to look at the account again; sooner while something does not agree."""
    every_us = AGAIN_US if lane.doubted_us or lane.look_first else _every_us(draft)
    return draft.now.mono_us - lane.compared_us >= every_us


def _every_us(draft: Draft) -> int:
    return AT_REST_US if draft.state.state in (State.IDLE, State.STUCK) else EVERY_US + SLACK_US


def since_us(lane: Lane, draft: Draft) -> int | None:
    """How old a look may be that a pair is content with; None: it needs a new one."""
    if lane.doubted_us or lane.look_first:
        return None
    return max(draft.now.mono_us - EVERY_US, lane.changed_us + 1, lane.heed.moved_us)


def on_moved(lane: Lane, draft: Draft) -> None:
    """The user stream tells of the account: look again soon, not only at the next round."""
    lane.compared_us = min(lane.compared_us, draft.now.mono_us - _every_us(draft) + AGAIN_US)
    lane.heed.moved_us = draft.now.mono_us


def on_account(lane: Lane, draft: Draft, seen: AccountSeen, own: Own, *, disturbed: frozenset[Key]) -> None:
    """Compare each leg at a venue with what it shows, and draw all conclusions from it.

    All legs agree: orders that the venue denied twice were never accepted, and a pair that was read from the
    store is ready when both venues have been compared. One does not: trades that the venue made by itself are
    looked for, and when nothing has explained the difference for a while the pair is halted.
    `disturbed`: instruments on which orders of other pairs were open meanwhile, so that it proves nothing of
    them. The other leg is judged all the same, since what a venue took is to be followed within seconds.
    """
    silent = [one for one in draft.live if news.is_silent(lane, one, seen)]
    moving = len(silent) < len(draft.live)
    untold = {intent.leg for intent in draft.unsettled}  # what fees took there is not known: proves nothing
    told = draft.state.legs != lane.state.legs  # by this very turn: what all pairs own does not know it yet
    if not lane.loaded or moving or told or seen.asked_mono_us <= lane.changed_us:
        return
    here = [leg for leg, key in enumerate(lane.keys) if key[0] == seen.venue]
    legs = [leg for leg in here if lane.keys[leg] not in disturbed and leg not in untold]
    wallet.note(lane, draft, seen, legs)
    missing = {leg: news.shown_of(lane, leg, seen) - own(*lane.keys[leg]) for leg in legs}
    differing = [leg for leg, amount in missing.items() if _differs(lane, leg, seen, amount, own)]
    if draft.state.state is State.STUCK:
        _look_on(lane, draft, silent, missing, differing)
        return
    for leg in differing:
        ours = own(*lane.keys[leg])
        if not _is_others(lane, draft, leg, ours, missing[leg]) and not _is_recalled(lane, draft, leg):
            _look_into(lane, draft, leg, missing[leg])
    if differing:
        return
    for leg in legs:
        lane.doubted_us.pop(leg, None)
        lane.searched.pop(leg, None)
        booked.on_agreed(lane, draft, leg, seen, missing[leg])
    _settle(lane, draft, silent, legs)
    if legs != here:
        return
    lane.look_first = False
    lane.compared.add(seen.venue)
    if lane.leftovers.holds:
        return
    if not lane.ready and not draft.live and lane.compared >= {key[0] for key in lane.keys}:
        lane.ready, lane.blocked = True, ""
        lane.entered_us = draft.now.mono_us


def _differs(lane: Lane, leg: int, seen: AccountSeen, missing: Decimal, own: Own) -> bool:
    if lane.kinds[leg] is SPOT and missing < 0:
        due = missing if -missing <= taken_of(lane, leg, seen.balances) else ZERO
        if not due and lane.others_due.get(leg):
            lane.doubted_us.pop(leg, None)  # it is another difference by now
        lane.others_due[leg] = due
    return not (news.agrees(lane, leg, seen, own(*lane.keys[leg])) or _is_stuck_ones(lane, leg, missing))


def _is_recalled(lane: Lane, draft: Draft, leg: int) -> bool:
    """Whether `debt_watch` looks into a recall: what it misses are the coins of the loan as well."""
    return leg == short_leg(draft) and lane.loan.recalled_us is not None


def _look_on(
    lane: Lane, draft: Draft, silent: list[Intent], missing: dict[int, Decimal], differing: list[int]
) -> None:
    """A stuck pair: nothing will be tried, so that it need not be looked at in haste. `missing`: by leg what
    the venue shows too much; `differing`: where that is no agreement.
    """
    lane.doubted_us.clear()
    lane.look_first = False
    _settle(lane, draft, silent, [leg for leg in missing if leg not in differing])
    for intent in [one for one in silent if one.leg in missing and one.id in lane.doubts]:
        _disown(lane, draft, intent)  # nothing will explain it any more: what it hangs on is a person's
    _tell(lane, draft, missing)


def _settle(lane: Lane, draft: Draft, silent: Iterable[Intent], legs: list[int]) -> None:
    """Orders that the venue has denied, on legs that agree with it, were never accepted."""
    for intent in silent:
        if intent.leg in legs:
            asks = lane.doubts.pop(intent.id).asks
            text = f"the venue never had it: {asks} queries, silence after the time it may take"
            state = IntentState.NOT_ACCEPTED
            if intent.filled:  # its trades are there: it was, and is over
                state, text = IntentState.DONE, f"the venue denies it after {intent.filled:f} have filled"
            draft.put(replace(intent, state=state, reason=text))


def _disown(lane: Lane, draft: Draft, intent: Intent) -> None:
    """Nobody can tell what became of an order."""
    lane.doubts.pop(intent.id)
    text = "the venue denies it, yet its position is not what our fills say"
    draft.put(replace(intent, state=IntentState.FOREIGN, reason=text))


def _is_others(lane: Lane, draft: Draft, leg: int, ours: Decimal, missing: Decimal) -> bool:
    """Whether a difference is for another pair to find out: this one is idle and has nothing there but dust,
    or more is missing than that.
    """
    if draft.state.state is not State.IDLE or crumbs.is_own_dust(lane, leg, missing):
        return False
    key = lane.keys[leg]
    if not lane.ready:
        if ours != 0:
            lane.blocked = f"another pair on {key[1]} is not what {key[0]} shows"
        return ours != 0
    if ours != 0:
        return True
    others = (one for one in lane.world.lanes.values() if one is not lane and key in one.keys)
    return any(one.state.state is not State.IDLE or not one.ready for one in others)


def _tell(lane: Lane, draft: Draft, missing: dict[int, Decimal]) -> None:
    """A stuck pair is left alone, but what becomes of its positions meanwhile is told: each new difference
    once, when it has lasted.
    """
    heed, now_us = lane.heed, draft.now.mono_us
    for leg, amount in missing.items():
        venue, instrument = lane.keys[leg]
        told = heed.differs_told.get(leg, ZERO)
        if amount == told or (lane.kinds[leg] is SPOT and amount >= 0):
            heed.differed.pop(leg, None)
            continue
        before, since_us = heed.differed.get(leg, (amount, now_us))
        if leg not in heed.differed:
            recheck.of_leg(lane, draft, leg)
        heed.differed[leg] = (amount, now_us if before != amount else since_us)
        if now_us - heed.differed[leg][1] >= FOREIGN_AFTER_US:
            heed.differs_told[leg] = amount
            text = f"{lane.pair} is stuck, and {venue} {instrument} now differs by {amount} from our fills"
            draft.alert(AlertLevel.CRITICAL, "differs", text)


def _look_into(lane: Lane, draft: Draft, leg: int, missing: Decimal) -> None:
    """A leg is not what its venue shows: look for the venue's own trades, and give up after a while."""
    venue, instrument = lane.keys[leg]
    broken = draft.now.mono_us - lane.looked_us > UNBROKEN_US
    if broken and (lane.missing.get(leg) != missing or lane.changed_us > lane.looked_us):
        lane.doubted_us.clear()  # nobody has looked in between, and it is another difference by now
        lane.searched.clear()
    lane.looked_us = draft.now.mono_us
    if leg not in lane.doubted_us:
        recheck.of_leg(lane, draft, leg)
    if lane.others_due.get(leg) and _held_up(lane, (venue, instrument)):
        lane.doubted_us[leg] = draft.now.mono_us
    since_us = lane.doubted_us.setdefault(leg, draft.now.mono_us)
    searched = lane.kinds[leg] is SPOT or lane.searched.get(leg, 0) >= SEARCHES
    patience_us = OTHERS_US if lane.others_due.get(leg) else FOREIGN_AFTER_US
    if searched and draft.now.mono_us - since_us >= patience_us:
        lane.doubted_us.clear()
        lane.searched.clear()
        if not crumbs.write_off(lane, draft, leg, missing):
            _foreign(lane, draft, leg, missing)
        return
    lane.missing[leg] = missing
    if lane.kinds[leg] is not SPOT:
        since_ms = booked.since_ms(lane, draft, leg)
        draft.requests.append(
            FindTaken(pair=lane.pair, venue=venue, instrument=instrument, since_ms=since_ms)
        )


def _is_stuck_ones(lane: Lane, leg: int, missing: Decimal) -> bool:
    """Whether what a leg's venue shows too much is what it took from stuck pairs, which book nothing until a
    person has looked (and tell what differs): no reason to stop the others on that instrument. Nor are coins
    that it took for what they owe.
    """
    if not missing or lane.others_due.get(leg) != missing:
        return False
    spot = lane.kinds[leg] is SPOT
    stuck = (
        held.owed if spot else held.quantity
        for one in lane.world.lanes.values()
        if one is not lane and one.state.state is State.STUCK
        for held, key in zip(one.state.legs, one.keys, strict=True)
        if key == lane.keys[leg] and (spot or held.quantity * missing < 0)
    )
    return abs(sum(stuck, ZERO)) >= abs(missing)


def _held_up(lane: Lane, key: Key) -> bool:
    """Whether a pair that shares an instrument cannot look now: an order may be unknown for a minute."""
    return any(
        not one.ready or any(not intent.state.is_final for intent in one.intents.values())
        for one in lane.world.lanes.values()
        if one is not lane and key in one.keys
    )


def _foreign(lane: Lane, draft: Draft, leg: int, missing: Decimal) -> None:
    """Orders whose fate hung on this look end as foreign, and the pair halts."""
    for intent in [one for one in draft.live if one.leg == leg and one.id in lane.doubts]:
        _disown(lane, draft, intent)
    venue, instrument = lane.keys[leg]
    lane.heed.differs_told[leg] = missing
    news.foreign(draft, f"{venue} {instrument} differs by {missing} from what our fills add up to")
    lane.ready, lane.blocked = True, ""


def on_taken(
    lane: Lane, draft: Draft, key: Key, trades: Iterable[FillReport], sharers: Iterable[Lane]
) -> None:
    """Book what the venue took from this pair's leg, and let the other leg follow.

    Where pairs share an instrument the first one with something left bears it; what is beyond that is the
    next one's, by its own look.
    """
    if key not in lane.keys or not lane.missing or any(not news.is_denied(lane, one) for one in draft.live):
        return  # what an order of ours is doing meanwhile is not known: the next look tells
    leg = lane.keys.index(key)
    lane.searched[leg] = lane.searched.get(leg, 0) + 1
    if draft.state.state is State.STUCK:
        return
    others = [one for one in sharers if one is not lane]
    made = {trade_name(key, trade): trade for trade in trades if trade.cause != "order"}
    states = (draft.state, *(one.state for one in others))
    mark_ms = booked.mark_ms(states, key)
    open_of = {
        name: ZERO if trade.ts_ms < mark_ms else trade.quantity - booked.borne_of(states, name)
        for name, trade in made.items()
    }
    bought = sum((open_of[name] for name, trade in made.items() if trade.side == "buy"), ZERO)
    if more := unseen_interest(lane, draft, leg, bought, others):
        lane.missing[leg] += more
    unborne, borne = ZERO, dict[str, Decimal]()
    for name, trade in sorted(made.items(), key=lambda one: one[1].ts_ms):
        amount = _book(lane, draft, leg, trade, open_of[name])
        if amount > 0:
            borne[name] = draft.state.taken.get(name, ZERO) + amount
        left = open_of[name] - amount
        unborne += left if trade.side == "buy" else -left
    if borne and leg == short_leg(draft):
        lane.loan.recalled_us = None  # with all of them: two purchases before a look are one recall
    if borne:
        booked.with_names(lane, draft, borne, {name: made[name].ts_ms for name in borne})
    missing = lane.missing.get(leg, ZERO)
    due = missing * unborne > 0 and abs(unborne) >= abs(missing)
    lane.others_due[leg] = missing if due else ZERO


def trade_name(key: Key, trade: FillReport) -> str:
    """A trade's id among all venues: venues number theirs alike, some by instrument."""
    return f"{booked.trade_prefix(key)}{trade.trade_id}"


def _book(lane: Lane, draft: Draft, leg: int, trade: FillReport, left: Decimal) -> Decimal:
    """Book this pair's share of what is `left` of a trade, and answer it. It may bear more of one later: what
    was another pair's share has been closed against this one's meanwhile.
    """
    again = trade_name(lane.keys[leg], trade) in draft.state.taken
    held, there = draft.state.legs[leg], crumbs.tradable(lane, draft, leg)
    sign = 1 if trade.side == "buy" else -1
    missing = lane.missing.get(leg, ZERO)
    amount = min(left, abs(missing))
    if not is_recall(draft, leg, sign):  # what repays a loan may be more than the leg was short of
        amount = ZERO if there * sign > 0 else min(amount, abs(there))
    if amount <= 0 or missing * sign < 0:
        return ZERO  # nothing of it is this pair's
    lane.missing[leg] = missing - sign * amount
    before = trade.quantity - left
    ledger.on_taken(lane, draft, leg, trade, before=before, amount=amount, again=again)
    legs = list(draft.state.legs)
    if there == held.quantity:
        quote = held.quote + sign * amount * trade.price
        legs[leg] = replace(held, quantity=held.quantity + sign * amount, quote=quote)
    else:
        crumbs.take_dust(lane, draft, leg, amount)
    lane.look_first = False
    draft.set(legs=(legs[0], legs[1]))
    bought_back(lane, draft, leg, amount)
    lane.doubted_us.pop(leg, None)
    lane.searched.pop(leg, None)
    venue, instrument = lane.keys[leg]
    text = f"{trade.cause} took {amount} of {venue} {instrument} at {trade.price}"
    if draft.state.state is State.ACTIVE:
        holding.follow(lane, draft, text)
    else:
        draft.set(reason=text)
    return amount
