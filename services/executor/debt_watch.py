"""Watching what is owed for a short spot leg: interest that accrues, and loans that the venue takes back."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

import msgspec

from libs.common.instant import US_PER_MS
from libs.common.messages import AlertLevel
from libs.common.money import plain
from libs.common.subjects import SPOT
from services.executor import booked, closing, loans, news, order, watch
from services.executor.debts import (
    HELD_UP_US_MAX,
    RECALL_AFTER_US,
    RESIDUE_SHARE,
    as_interest,
    asset_of,
    debt_of,
    forgiven,
    is_held_up,
    owed_of,
    own_of,
    put_leg,
    repaid,
    share,
    sharers_of,
    short_leg,
    stands_alone,
    stuck_of,
    with_interest,
    with_spare,
)
from services.executor.events import AccountSeen, FindTaken
from services.executor.lane import Draft, Lane
from services.executor.lending import Asset, Debt
from services.executor.model import LOANS, ZERO, Intent, Leg, Purpose, State

replace = msgspec.structs.replace


def on_account(lane: Lane, draft: Draft, seen: AccountSeen, lanes: Collection[Lane]) -> None:
    """A look at the account: judge an unknown loan, take over interest, see a recall. `lanes`: all pairs."""
    _unowned(lane, draft, seen, lanes)
    leg = short_leg(draft)
    if leg is None or lane.keys[leg][0] != seen.venue:
        return
    asset = asset_of(lane, leg)
    debt = lane.loan.seen = debt_of(seen.balances, asset[1], seen.asked_mono_us)
    loan = next((one for one in draft.live if one.purpose in LOANS), None)
    nothing = {one.id for one in draft.live if one is loan or news.is_silent(lane, one, seen)}
    gone = None
    others = sharers_of(lane, asset)
    denied = {
        one.id for other in others for one in other.intents.values() if news.is_silent(other, one, seen)
    }
    if is_whole(draft, debt, lanes, asset, but=nothing | denied):
        gone = draft.state.legs[leg].others + own_of(lanes, asset) - debt.total
    if loan is not None:
        loans.judge(lane, draft, loan, debt, None if lane.loan.blind else gone)
        return
    if len(nothing) < len(draft.live) or _is_early(lane, draft, asset, debt):
        return
    only_recalls = bool(nothing) or not lane.ready
    if only_recalls or not _met(lane, draft, leg, debt, gone):
        only_recalls = only_recalls or _waits_for_coins(lane, draft, debt, gone)
        _compare(lane, draft, leg, debt, lanes=lanes, gone=gone, only_recalls=only_recalls)


def _is_early(lane: Lane, draft: Draft, asset: Asset, debt: Debt) -> bool:
    """Whether nothing is to be compared yet, or what a look shows may be another loan on its way."""
    claims, now_us = lane.world.claims, draft.now.mono_us
    if not lane.loaded or draft.state.state in (State.IDLE, State.STUCK):
        return True
    return claims.is_others(asset, lane.pair, now_us) or debt.asked_us <= claims.since_us(asset)


def _compare(
    lane: Lane,
    draft: Draft,
    leg: int,
    debt: Debt,
    *,
    lanes: Collection[Lane],
    gone: Decimal | None,
    only_recalls: bool,
) -> None:
    """What is owed with what is ours. `gone`: coins that should be there, less those that are; None when this
    look does not tell. `only_recalls`: orders that the venue has denied to the end are yet to be judged, or
    the pair was just read from the store: `watch` does that, when what is owed is as it should be.
    """
    if not only_recalls:
        loans.verify(lane, draft, leg, debt)
    held, asset = draft.state.legs[leg], asset_of(lane, leg)
    before = lane.state.legs[leg]  # this turn may have changed it
    owed = owed_of(lanes, asset) + held.borrowed - before.borrowed
    all_owed = owed_of(lanes, asset, interest=True) + held.owed - before.owed
    after = (
        as_interest(held, owed - debt.borrowed) if owed > debt.borrowed and all_owed <= debt.owed else held
    )
    owed -= held.borrowed - after.borrowed
    stuck = owed_of(stuck_of(lane, asset), asset)
    persons = lane.loan.persons = max(ZERO, min(lane.loan.persons, stuck, owed - debt.borrowed))
    owed -= persons
    if held.borrowed > 0 and owed > debt.borrowed:
        principal = min(held.borrowed, owed - debt.borrowed)
        interest = max(ZERO, held.interest - share(held, debt))  # is paid first
        _recalled(lane, draft, leg, principal + interest, gone)
        return
    lane.loan.recalled_us = None
    if only_recalls:
        return
    another_ones = owed > debt.borrowed  # a recall, which that pair has yet to book
    lane.loan.calm, lane.loan.bought, lane.loan.blind = debt, ZERO, gone is None or another_ones
    lane.missing.pop(leg, None)
    if held.borrowed > 0:
        after = with_interest(after, debt)
        after = after if draft.state.state is State.OPENING else with_spare(after)
    if gone is not None and not another_ones:
        after = replace(after, others=held.others - gone)
    put_leg(draft, leg, after)
    rules = lane.rules(leg)
    if rules is not None and -after.coins >= max(rules.step, _interest_most(draft, after)):
        _leave(draft)


def _interest_most(draft: Draft, held: Leg) -> Decimal:
    """Interest that no look has shown is no more than this: little beside the loan."""
    lent = loans.last_of(draft, Purpose.BORROW)
    of_this = lent is not None and lent.attempt == draft.state.attempt
    return RESIDUE_SHARE * (lent.quantity if lent is not None and of_this else held.borrowed)


def is_whole(
    draft: Draft, debt: Debt, lanes: Collection[Lane], asset: Asset, *, but: Collection[str] = ()
) -> bool:
    """Whether a look shows all that the pairs with this coin have done, and all of them are known here.

    `but`: a loan whose fate the look is to tell, and orders, of any pair, that the venue has denied to the
    end: two that each waited for the other one's look would wait for ever.
    """
    if draft.unsettled:
        return False
    for lane in lanes:
        legs = [leg for leg, kind in enumerate(lane.kinds) if kind is SPOT and asset_of(lane, leg) == asset]
        told = all(
            one.state.is_final and (one.side == "sell" or order.fills_complete(one))
            for one in lane.intents.values()
            if one.leg in legs and one.id not in but
        )
        if legs and (not lane.loaded or not told or debt.asked_us <= lane.changed_us):
            return False
    return True


def _recalled(lane: Lane, draft: Draft, leg: int, amount: Decimal, gone: Decimal | None) -> None:
    """The venue shows less debt than is ours: it has bought the coins back, or taken some that were there.

    A purchase is a trade of the venue's own, which `watch` books. Without one the coins must have vanished
    from the wallet; anything else is foreign. `gone`: coins that should be there, less those that are; None
    when this look does not tell.
    """
    loan, now_us, rules, asset = lane.loan, draft.now.mono_us, lane.rules(leg), asset_of(lane, leg)
    if loan.recalled_us is None or amount > loan.recalled:  # another one meanwhile makes it a bigger one
        loan.recalled_us, loan.recalled, loan.searched = now_us, amount, False
    if not loan.searched or now_us - loan.recalled_us < RECALL_AFTER_US:
        _search(lane, draft, leg, amount)
        return
    small = tiny = rules is not None and amount < rules.step
    if sharers_of(lane, asset):  # what another one has paid went to the interest of both
        small = tiny or amount <= _interest_most(draft, draft.state.legs[leg])
    found = gone is not None and gone >= amount * (1 - RESIDUE_SHARE)
    part = not found and (gone is None or (not small and rules is not None and gone >= rules.step))
    held_up = gone is None and is_held_up(sharers_of(lane, asset))
    patience_us = HELD_UP_US_MAX if held_up else watch.OTHERS_US
    if part and not tiny and now_us - loan.recalled_us < patience_us:
        loan.searched = (
            gone is None and loan.searched
        )  # coins have paid a part: the rest was bought, it seems
        watch.on_moved(lane, draft)
        return
    if not small and gone is not None and _is_persons(lane, draft, leg, gone):
        return
    name = f"{amount:f} {asset[1]} of a loan"
    if not found and not small:
        news.foreign(draft, f"{name} are no longer owed, and neither trades nor coins say why")
        return
    loan.recalled_us = None
    lane.missing.pop(leg, None)
    if gone is None or not found:  # no coins that could be traded: interest that was shared otherwise
        taken = ZERO if tiny or gone is None else max(ZERO, gone)
        put_leg(draft, leg, forgiven(repaid(draft.state.legs[leg], taken), amount - taken))
        return
    _taken(draft, leg, amount, gone)
    if small:
        return
    draft.alert(AlertLevel.CRITICAL, "recall", f"{lane.pair}: {name} were recalled, and coins taken for them")
    _leave(draft)


def _is_persons(lane: Lane, draft: Draft, leg: int, gone: Decimal) -> bool:
    """Whether what is missed was a stuck pair's, with no coins gone but its own: a person repays by hand what
    it owes, and its books follow when he resets it. A loan is a loan: had the venue taken one back, it would
    not matter whose.
    """
    asset, seen = asset_of(lane, leg), lane.loan.seen
    stuck = stuck_of(lane, asset)
    missed = owed_of(lane.world.lanes.values(), asset) - (seen.borrowed if seen is not None else ZERO)
    if not 0 < missed <= owed_of(stuck, asset) or gone > max(ZERO, own_of(stuck, asset)):
        return False
    lane.loan.persons, lane.loan.recalled_us = missed, None
    lane.missing.pop(leg, None)
    if missed <= lane.loan.persons_told:
        return True
    lane.loan.persons_told = missed
    text = f"{missed:f} {asset[1]} at {asset[0]} that {stuck[0].pair} has borrowed seem to be repaid by hand"
    draft.alert(AlertLevel.WARNING, "repaid", f"{lane.pair}: {text}: reset that pair, it is stuck")
    return True


def _leave(draft: Draft) -> None:
    """No loan stands behind what was sold, which were somebody else's coins: it is bought back by force, and
    no hedge is restored for it.
    """
    reason = "its loan was recalled"
    if draft.state.state is State.ACTIVE:
        closing.begin(draft, reason=reason, hard=True)
    elif draft.state.state is State.CLOSING:
        closing.harden(draft, reason)


def _search(lane: Lane, draft: Draft, leg: int, amount: Decimal) -> None:
    """Look for what the venue has bought, and at the account again."""
    lane.missing[leg] = amount
    since_ms = _calm_ms(lane, draft) - booked.LOOK_BACK_MS
    venue, instrument = lane.keys[leg]
    draft.requests.append(
        FindTaken(pair=lane.pair, venue=venue, instrument=instrument, since_ms=since_ms, margin=True)
    )
    watch.on_moved(lane, draft)


def _met(lane: Lane, draft: Draft, leg: int, debt: Debt, gone: Decimal | None) -> bool:
    """Whether a repayment seems to have met a recall: a purchase of the venue's had paid the debt, and the
    coins of the repayment are there yet. With that trade they are the pair's, and nothing ends before; where
    there is none they are the user's.
    """
    last, rules, loan, now_us = _unverified(lane, draft, debt), lane.rules(leg), lane.loan, draft.now.mono_us
    if last is None:
        return False
    if gone is None or rules is None or -gone < rules.step:
        return False
    if loan.recalled_us is None:
        loan.recalled_us, loan.recalled, loan.searched = now_us, -gone, False
    if not loan.searched or now_us - loan.recalled_us < RECALL_AFTER_US:
        known = draft.state.legs[leg].owed  # interest that the repayment left, and the purchase has paid
        _search(lane, draft, leg, -gone + max(ZERO, known - debt.owed))
        return True
    venue, coin = asset_of(lane, leg)
    text = f"{plain(-gone)} {coin} more are at {venue} than there should be"
    text += f" after {plain(last.quantity)} were repaid: they are taken for yours"
    draft.alert(AlertLevel.WARNING, "more_coins", f"{lane.pair}: {text}")
    return False


def _unverified(lane: Lane, draft: Draft, debt: Debt) -> Intent | None:
    """The last repayment, where this look is the first that may show what it has done."""
    last = loans.repayment(draft)
    known = last is None or last.owed_after is not None or debt.asked_us <= lane.loan.settled_us
    return None if known else last


def _waits_for_coins(lane: Lane, draft: Draft, debt: Debt, gone: Decimal | None) -> bool:
    """Whether a repayment is not over yet, since no look has told what coins are there: another pair is
    trading them. Coins that a recall has left would be taken for the user's, and nothing would hedge them.
    Not for ever: a person is told then; not for trades of its own that are not told, which may never be; and
    not while more is sold than hedged, and no debt is missed: that cannot wait, and more is to be repaid.
    """
    last = _unverified(lane, draft, debt)
    if last is None or gone is not None or draft.unsettled:
        return False
    is_missed = owed_of(lane.world.lanes.values(), asset_of(lane, last.leg)) > debt.borrowed
    if stands_alone(lane, draft, last.leg) and not is_missed:
        return False
    if draft.now.mono_us - lane.loan.settled_us < watch.OTHERS_US:
        return True
    venue, coin = asset_of(lane, last.leg)
    text = f"what {coin} are at {venue} could not be told after {plain(last.quantity)} were repaid"
    draft.alert(AlertLevel.WARNING, "more_coins", f"{lane.pair}: {text}: more than there should be are yours")
    return False


def _taken(draft: Draft, leg: int, amount: Decimal, gone: Decimal) -> None:
    """Coins have paid so much. A little more than is missed of the debt was interest that no look had shown,
    which is paid first: little beside all that was taken back since the debt was seen whole, since a purchase
    may have met a part of it.
    """
    held, extra = draft.state.legs[leg], gone - amount
    if 0 < extra <= (amount + draft.lane.loan.bought) * RESIDUE_SHARE:
        held = replace(held, interest=held.interest + extra, quantity=held.quantity - extra)
        amount = gone
    put_leg(draft, leg, repaid(held, amount))


def _calm_ms(lane: Lane, draft: Draft) -> int:
    """When the debt was seen whole last, or its position or loan is that old (venue time): a pair that waits
    for an unknown order looks at no debt meanwhile, and what an earlier process saw is gone with it.
    """
    calm, state, now = lane.loan.calm, draft.state, draft.now
    if calm is not None:
        return (now.wall_us - (now.mono_us - calm.asked_us)) // US_PER_MS
    entered_ms = min(state.since_us or now.wall_us, now.wall_us) // US_PER_MS
    lent = loans.last_of(draft, Purpose.BORROW)
    lent_ms = entered_ms if lent is None else lent.created_us // US_PER_MS
    return min(entered_ms, lent_ms, entered_ms if state.opened_ms is None else state.opened_ms)


def _unowned(lane: Lane, draft: Draft, seen: AccountSeen, lanes: Collection[Lane]) -> None:
    """A debt beside a pair of which the store has never heard: the user's own, or what a lost store has left
    behind. Nobody can tell them apart, so that nothing is repaid and nothing refused: a person is told.
    """
    if not lane.loaded or lane.ready or lane.stored_version or lane.loan.told:
        return
    for leg, kind in enumerate(lane.kinds):
        venue, coin = asset = asset_of(lane, leg)
        sharers = [one for one in lanes if any(asset_of(one, other) == asset for other in (0, 1))]
        if kind is not SPOT or venue != seen.venue or not all(one.loaded for one in sharers):
            continue
        unowned = debt_of(seen.balances, coin, seen.asked_mono_us).borrowed - owed_of(lanes, asset)
        if unowned > 0:
            lane.loan.told = True
            text = (
                f"{unowned:f} {coin} are owed at {venue} that no pair here has borrowed. Unless that is your"
            )
            hint = "own debt, an earlier store was lost while they were lent: repay them by hand"
            draft.alert(AlertLevel.WARNING, "unowned_debt", f"{lane.pair}: {text} {hint}")


def on_searched(lane: Lane, draft: Draft, key: tuple[str, str]) -> None:
    """The venue's own trades have been read after a recall was noticed, and no order kept them unbooked."""
    leg = short_leg(draft)
    if leg is None or lane.keys[leg] != key or lane.loan.recalled_us is None:
        return
    lane.loan.searched |= all(news.is_denied(lane, one) for one in draft.live)
