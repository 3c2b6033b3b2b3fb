"""Leaving STUCK: a person says so, and the venues must show what our books say. Pure.

    asked -> look at both venues -> orders, positions, coins, debt agree -> idle, or active with what is held

Only looks that were begun after the request count. Where a venue is slow the request is refused, and the next
one within ten seconds finds the look that has come meanwhile. What a person has closed and repaid by
hand is taken over when nothing of either leg is left, and so is what is missed of coins that stood alone
(`beside`); anything in between is refused by name, and what only he can tell is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from libs.common.commands import Asked
from libs.common.instant import US_PER_SEC
from libs.common.messages import AlertLevel
from libs.common.money import plain
from libs.common.subjects import SPOT
from services.executor import assumed, beside, news, recovery
from services.executor.beside import Fate
from services.executor.debts import asset_of, debt_of, owed_of
from services.executor.dust import to_dust
from services.executor.events import AccountSeen
from services.executor.lane import Draft, Lane
from services.executor.model import ZERO, IntentState, Leg, State, Trigger, sign_of
from services.executor.obeying import Said, by_hand, no
from services.executor.pair import IllegalTransition, target_of
from services.executor.together import Together

replace = msgspec.structs.replace

AGAIN_US: Final = 10 * US_PER_SEC
"""So long a request that had no answer from a venue waits for being made again."""

Looks = Mapping[str, AccountSeen]
"""Venue -> what its account has shown."""


def begin(lane: Lane, draft: Draft, asked: Asked, together: Together) -> Said | None:
    """The answer, or None while the venues are being looked at: then `judge` is called again."""
    state = draft.state
    if asked.command.coins and asked.pair is None:
        return no("pair", "whether coins were sold is said of one pair: name it")
    if state.state is not State.STUCK:
        draft.set(flattened="")
        ended = {"ended": state.flattened} if state.flattened else {"why": "it is not stuck"}
        return Said(result={"state": state.state.value, **ended})
    heed, now_us = lane.heed, draft.now.mono_us
    if heed.reset_us is None or now_us - heed.reset_us > AGAIN_US:
        heed.reset_us, heed.looks = now_us, {}
    said = judge(lane, draft, asked, together)
    if said is None:
        recovery.compare(lane, draft)
    return said


def judge(lane: Lane, draft: Draft, asked: Asked, together: Together) -> Said | None:
    """Leave STUCK, or say why not; None while a look is missing."""
    since_us = max(lane.heed.reset_us or 0, lane.changed_us + 1)
    looks = {venue: seen for venue, seen in lane.heed.looks.items() if seen.asked_mono_us >= since_us}
    if not lane.world.describes(lane.keys):
        return no("not_described", "prices or rules of its instruments are missing: is the feed running?")
    if any(venue not in looks for venue, _ in lane.keys):
        return None
    lane.heed.reset_us, lane.heed.looks = None, {}
    if unknown := _unknown(lane, draft, looks):
        return no("unknown_order", unknown)
    fates = _fates(lane, looks, asked, together)
    wrong = [
        text for leg in (0, 1) if not fates[leg].taken and (text := _differs(lane, leg, looks, together))
    ]
    if wrong and not all(_gone(lane, leg, looks, together) or _sold(lane, leg, fates) for leg in (0, 1)):
        hint = "make it so again, or close and repay both legs by hand"
        return no("differs", f"{'; '.join(wrong)}: {hint}{_ask(fates)}")
    if any(fate.unclear for fate in fates):
        return no("coins", f"nothing is changed{_ask(fates)}")
    if wrong:
        lacking = [text for leg in (0, 1) if (text := _lacks(lane, leg, looks))]
        _take_over(draft, "; ".join(wrong), "".join(f". {text}" for text in lacking))
    else:
        _take_sold(lane, draft, fates)
    lane.heed.beside.clear()  # what lies there now is seen anew
    return _leave(lane, draft, asked)


def silence(lane: Lane) -> Said:
    """What is answered when the looks have not come in time."""
    missing = dict.fromkeys(venue for venue, _ in lane.keys if venue not in lane.heed.looks)
    who = " and ".join(missing) or "the other venue"
    text = f"no look at {who} yet that no open order disturbs, nothing is changed: ask again in a moment"
    return no("no_look", text)


def _unknown(lane: Lane, draft: Draft, looks: Looks) -> str:
    """Why orders stand against it; empty when the fate of all is known, or proven by these looks."""
    for one in draft.live:
        venue, instrument = lane.keys[one.leg]
        if not news.is_silent(lane, one, looks[venue]):
            return f"the fate of an order is unknown: {venue} {instrument}, {one.reason or one.state.value}"
    untold = any(assumed.is_unknown(one) for one in draft.unsettled)
    return "what fees took from a buy is not known yet" if untold else ""


def _differs(lane: Lane, leg: int, looks: Looks, together: Together) -> str:
    """How a venue contradicts our books of a leg; empty when it does not."""
    venue, instrument = lane.keys[leg]
    ours, seen = together.own(venue, instrument), looks[venue]
    if not news.agrees(lane, leg, seen, ours):
        shown = news.shown_of(lane, leg, seen)
        return f"{venue} {instrument} shows {shown:f}, our fills add up to {ours:f}"
    owed, shown_debt = _debts(lane, leg, looks)
    if abs(owed - shown_debt) >= _step(lane, leg):
        coin = asset_of(lane, leg)[1]
        return f"{venue} lends {shown_debt:f} {coin}, pairs have borrowed {owed:f}"
    return ""


def _fates(lane: Lane, looks: Looks, asked: Asked, together: Together) -> tuple[Fate, Fate]:
    """What has become of each leg's coins, judged by what still hedges them."""
    first, second = (
        beside.fate_of(
            lane,
            leg,
            looks[lane.keys[leg][0]],
            other=ZERO if _gone(lane, 1 - leg, looks, together) else abs(lane.state.legs[1 - leg].quantity),
            word=asked.command.coins,
        )
        for leg in (0, 1)
    )
    return first, second


def _sold(lane: Lane, leg: int, fates: tuple[Fate, Fate]) -> bool:
    """Whether so much of a leg's coins was sold by hand that what is left cannot be traded."""
    rest = lane.state.legs[leg].coins - fates[leg].taken
    return fates[leg].taken > 0 and rest < lane.least(leg, reduces=True)


def _ask(fates: tuple[Fate, Fate]) -> str:
    """What only the user can tell, as a part of a refusal; empty when it is clear."""
    texts = [fate.unclear for fate in fates if fate.unclear]
    hint = "say `--coins sold` if you have sold all of this pair's, `--coins held` if they still lie there"
    return f". There are {'; '.join(texts)}: {hint}" if texts else ""


def _take_sold(lane: Lane, draft: Draft, fates: tuple[Fate, Fate]) -> None:
    """Coins that a person has sold by hand leave the pair, and he is told."""
    legs = list(draft.state.legs)
    for leg, fate in enumerate(fates):
        if not fate.taken:
            continue
        held, coin = legs[leg], asset_of(lane, leg)[1]
        rest = held.coins - fate.taken
        part = rest / held.coins
        legs[leg] = (
            replace(held, quantity=rest, quote=held.quote * part, spare=ZERO) if rest else _emptied(held)
        )
        text = f"{plain(fate.taken)} {coin} at {held.venue} are taken for sold by hand: they are no longer"
        text += f" this pair's ({plain(rest)} are); what still lies there is yours, but for what pairs hold"
        draft.alert(AlertLevel.WARNING, "taken_over", f"{draft.state.pair}: {text}")
    draft.set(legs=(legs[0], legs[1]))


def _debts(lane: Lane, leg: int, looks: Looks) -> tuple[Decimal, Decimal]:
    """Principal that all pairs owe of a leg's coin, and that the venue shows; nothing of a leg that does not
    borrow, since the user's own debts are none of ours.
    """
    venue, coin = asset_of(lane, leg)
    if lane.kinds[leg] is not SPOT or sign_of(lane.state.direction, leg) > 0:
        return ZERO, ZERO
    shown = debt_of(looks[venue].balances, coin, looks[venue].asked_mono_us)
    return owed_of(lane.world.lanes.values(), (venue, coin)), shown.borrowed


def _step(lane: Lane, leg: int) -> Decimal:
    rules = lane.rules(leg)
    return Decimal("1e-8") if rules is None else rules.step


def _gone(lane: Lane, leg: int, looks: Looks, together: Together) -> bool:
    """Whether a venue shows nothing of a leg beside what other pairs own, not even enough to be traded."""
    venue, instrument = lane.keys[leg]
    held = lane.state.legs[leg]
    mine = held.coins + lane.dust[leg]
    left = news.shown_of(lane, leg, looks[venue]) - (together.own(venue, instrument) - mine)
    owed, shown_debt = _debts(lane, leg, looks)
    repaid = shown_debt - (owed - held.borrowed) < _step(lane, leg)
    if held.borrowed:
        return repaid  # the coins that stay are the user's: he has repaid the loan
    return repaid and abs(left) < lane.least(leg, reduces=True)


def _lacks(lane: Lane, leg: int, looks: Looks) -> str:
    """How many of the coins that were no pair's went into a loan that is gone, or how many more than those
    are there (borrowed ones, or bought by the venue for the loan); empty when neither.

    The look is the same whether the venue has recalled it or the user has repaid it: he knows, we do not.
    """
    venue, held = lane.keys[leg][0], lane.state.legs[leg]
    theirs = beside.ours_of(lane, leg) - held.coins - lane.dust[leg]
    short = held.others + theirs - news.shown_of(lane, leg, looks[venue])
    if not held.borrowed or abs(short) < _step(lane, leg):
        return ""
    coin = asset_of(lane, leg)[1]
    if short < 0:
        there = f"{plain(-short)} {coin} more than the {plain(held.others)} beside the pair are at {venue}"
        return f"{there}, and no loan of it: they are yours, and nothing hedges them"
    text = f"{plain(short)} {coin} of the {plain(held.others)} beside the pair at {venue} went into the loan"
    return f"{text}: buy them back if you have not repaid it yourself"


def _take_over(draft: Draft, text: str, lacking: str) -> None:
    """A person has closed it by hand: our books follow, and say so; `lacking`: what it took of his coins."""
    legs = [_emptied(leg) for leg in draft.state.legs]
    held = ", ".join(f"{leg.quantity:f} {leg.venue} {leg.instrument}" for leg in draft.state.legs)
    draft.set(legs=(legs[0], legs[1]))
    told = f"{draft.state.pair}: {text}. Taken for closed by hand: {held} are no longer this pair's{lacking}"
    draft.alert(AlertLevel.WARNING, "taken_over", told)


def _emptied(leg: Leg) -> Leg:
    return replace(leg, quantity=ZERO, quote=ZERO, borrowed=ZERO, interest=ZERO, spare=ZERO)


def _leave(lane: Lane, draft: Draft, asked: Asked) -> Said:
    for one in draft.live:
        lane.doubts.pop(one.id, None)
        draft.put(replace(one, state=IntentState.NOT_ACCEPTED, reason="the venue never had it"))
    state, reason = draft.state, f"reset {by_hand(asked)}"
    owing = any(leg.owed >= _step(lane, index) for index, leg in enumerate(state.legs))
    small = all(abs(leg.quantity) < lane.least(index, reduces=True) for index, leg in enumerate(state.legs))
    trigger = Trigger.RESET_IDLE if small and not owing else Trigger.RESET_ACTIVE
    if trigger is Trigger.RESET_IDLE:
        try:
            target_of(state, trigger)
        except IllegalTransition as owes:
            return no("owes", str(owes))
        to_dust(lane, draft)
    draft.move(trigger, reason)
    idle = trigger is Trigger.RESET_IDLE
    opened_ms = None if idle else state.opened_ms or draft.now.market_ms
    draft.set(plan=None, halts=False, close_failures=0, opened_ms=opened_ms)
    if idle:
        draft.set(flattened="", forced="")  # else it is done now: its page has promised that
    draft.set(full=ZERO if idle else draft.state.hedged)
    lane.doubted_us.clear()
    lane.searched.clear()
    lane.missing.clear()
    lane.look_first, lane.not_before_us, lane.close_after_us = False, 0, 0
    held = [plain(leg.quantity) for leg in draft.state.legs]
    demanded = draft.state.flattened or draft.state.forced
    then = {"then": demanded} if demanded else {}
    return Said(result={"state": draft.state.state.value, "held": held, "was": state.reason, **then})


def on_look(lane: Lane, draft: Draft, seen: AccountSeen, together: Together) -> None:
    """Keep a look for who has asked for a reset; one during which other pairs' orders were open proves
    nothing.
    """
    if draft.state.state is State.STUCK and not together.disturbed(lane, seen):
        lane.heed.looks[seen.venue] = seen
