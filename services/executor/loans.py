"""Borrowed coins of a short spot leg, which are lent before it is sold (`borrowing`): paid back after it was
bought back, and each loan from its request to its fate.

A loan goes out like an order: its intent is durable before the request, and each is sent once. It has no id
at the venue, so that an unknown one is resolved by comparing what the account owes with what it owed before
(`Intent.owed_before`), and what coins it has: moved, or not moved in two looks after W. Only what this pair
has borrowed is repaid.
"""

from __future__ import annotations

from decimal import ROUND_UP, Decimal
from typing import Final

import msgspec

from libs.common.effects import Answered, SetTimer
from libs.common.instant import US_PER_SEC
from libs.common.messages import AlertLevel
from libs.common.money import plain
from services.executor import news, resolve
from services.executor.debts import (
    FINEST,
    HELD_UP_US_MAX,
    RESIDUE_SHARE,
    asset_of,
    is_held_up,
    is_uncovered,
    owed_of,
    put_leg,
    repaid,
    repayable,
    sharers_of,
    short_leg,
    stands_alone,
)
from services.executor.events import MoveLoan, ReadAccount
from services.executor.gate import Refusal
from services.executor.ids import order_id
from services.executor.lane import Draft, Lane
from services.executor.lending import REFUSED, Debt, Memory
from services.executor.loan_fate import Fate, fate, in_words
from services.executor.model import LOANS, ZERO, Intent, IntentState, OrderClass, Purpose, State
from services.executor.steps import give_up, last_reason

replace = msgspec.structs.replace

ASK_US: Final = US_PER_SEC // 2
MOVE_US_MAX: Final = 60 * US_PER_SEC
"""A claim on an asset outlives the longest request."""

REPAY_TRIES: Final = 3
WHY_NOT: Final = {
    Fate.STILL: "neither what is owed nor the coins show it: it was not carried out",
    Fate.RECALLED: "less is owed, and the coins are there: the venue took the loan back by itself",
}
REPAY_AGAIN_US: Final = 5 * US_PER_SEC
"""So long after a repayment that was refused the next one waits."""


def timer_name(pair: str) -> str:
    """The timer of the next look at a loan."""
    return f"{pair}|loan"


# --- paying back ------------------------------------------------------------------------------------------


def cleared(lane: Lane, draft: Draft) -> bool:
    """Whether nothing is owed any more for this pair, as the venue shows it; else on the way to it.

    Call it when the legs are where they should end. Less than a step that no coins are left for stays owed,
    said and counted (`Leg.owed`): the end of the next loan pays it.
    """
    leg = short_leg(draft)
    if leg is None:
        return True
    held = draft.state.legs[leg]
    rules = lane.rules(leg)
    if held.owed == 0:
        return _verified(lane, draft, leg)
    debt = fresh(lane, draft, leg, after_us=_repay_after_us(lane, draft))
    if debt is None:
        return False
    if amount := repayable(held, debt):
        if failures(draft) >= REPAY_TRIES:
            reason = f"{held.owed:f} {asset_of(lane, leg)[1]} cannot be repaid"
            give_up(draft, f"{reason}: {last_reason(draft, Purpose.REPAY)}")
        else:
            move(lane, draft, leg, Purpose.REPAY, amount, before=debt.owed)
        return False
    if rules is None or held.owed >= rules.step:
        return False  # to be bought first, or a recall that is being looked into
    text = f"{held.owed:f} {asset_of(lane, leg)[1]} stay owed at {lane.keys[leg][0]}: less than can be bought"
    draft.alert(AlertLevel.INFO, "residue", f"{lane.pair}: {text}")
    lane.world.claims.free(asset_of(lane, leg), lane.pair, draft.now.mono_us)
    return True


def _verified(lane: Lane, draft: Draft, leg: int) -> bool:
    """Whether a look after the last repayment has shown that all of it arrived."""
    last = repayment(draft)
    if last is not None and last.owed_after is None:
        fresh(lane, draft, leg, after_us=lane.loan.settled_us)
        return False
    lane.world.claims.free(asset_of(lane, leg), lane.pair, draft.now.mono_us)
    return True


def verify(lane: Lane, draft: Draft, leg: int, debt: Debt) -> None:
    """The first look after a repayment. Interest of which we did not know yet was paid first, so that as much
    principal is left, of which this pair bears its part. More than that is somebody's doing: nothing that is
    owed may stay behind a pair that ends.
    """
    last, rules, held = repayment(draft), lane.rules(leg), draft.state.legs[leg]
    asked_late = debt.asked_us > lane.loan.settled_us
    if last is None or last.owed_after is not None or rules is None or not asked_late:
        return
    draft.put(replace(last, owed_after=debt.owed))
    before = last.owed_before or last.quantity
    left = debt.owed - (before - last.quantity) - max(ZERO, debt.interest - held.interest)
    left = (left * min(Decimal(1), (last.quantity + held.owed) / before)).quantize(FINEST, rounding=ROUND_UP)
    if 0 < left <= max(rules.step, last.quantity * RESIDUE_SHARE):
        put_leg(draft, leg, replace(held, borrowed=held.borrowed + left, quantity=held.quantity - left))
    elif left > 0:
        venue, coin = asset_of(lane, leg)
        text = f"{left:f} {coin} are still owed at {venue} after {last.quantity:f} were repaid"
        if draft.state.state is not State.ACTIVE and not is_uncovered(lane, draft):
            give_up(draft, text)
            return
        level = AlertLevel.WARNING if draft.state.state is State.ACTIVE else AlertLevel.CRITICAL
        hint = "unless you have borrowed them yourself, repay them by hand"
        draft.alert(level, "still_owed", f"{lane.pair}: {text}: {hint}")


def is_unverified(lane: Lane) -> bool:
    """Whether a look is yet to show what a pair's last repayment has left owed: another one's loan must not
    be taken for that.
    """
    last = _repayment(lane.intents, lane.state.attempt)
    awaits = lane.state.state not in (State.IDLE, State.STUCK)
    return awaits and last is not None and last.owed_after is None


def repayment(draft: Draft) -> Intent | None:
    """The last loan of this attempt, if it was a repayment."""
    return _repayment(draft.intents, draft.state.attempt)


def _repayment(intents: dict[str, Intent], attempt: int) -> Intent | None:
    last = next((one for one in reversed(intents.values()) if one.purpose in LOANS), None)
    if last is None or last.state is not IntentState.DONE or last.attempt != attempt:
        return None
    return last if last.purpose is Purpose.REPAY else None


def pay_surplus(lane: Lane, draft: Draft) -> None:
    """A standing pair pays back the coins that it has no use for (a smaller part was kept, or it shrank)."""
    leg = short_leg(draft)
    if leg is None:
        return
    held = draft.state.legs[leg]
    idle = held.owed == 0 or held.coins < lane.least(leg, reduces=True) or failures(draft) >= REPAY_TRIES
    if idle:
        _verified(lane, draft, leg)
        return
    debt = fresh(lane, draft, leg, after_us=_repay_after_us(lane, draft))
    if debt is not None and (amount := repayable(held, debt)):
        move(lane, draft, leg, Purpose.REPAY, amount, before=debt.owed)


def _repay_after_us(lane: Lane, draft: Draft) -> int:
    """A repayment is decided by a look after all that was done, and a while after one that failed."""
    return max(lane.changed_us, lane.loan.settled_us + (REPAY_AGAIN_US if failures(draft) else 0))


def failures(draft: Draft) -> int:
    """Repayments that did not happen since the pair came into this state."""
    return sum(
        one.purpose is Purpose.REPAY and one.n > draft.state.since_n and one.state is not IntentState.DONE
        for one in draft.intents.values()
    )


# --- one loan ---------------------------------------------------------------------------------------------


def last_of(draft: Draft, purpose: Purpose) -> Intent | None:
    """The last loan of that purpose."""
    return next((one for one in reversed(draft.intents.values()) if one.purpose is purpose), None)


def move(lane: Lane, draft: Draft, leg: int, purpose: Purpose, amount: Decimal, *, before: Decimal) -> None:
    """An intent for a loan, and the request behind it. Borrowing increases, so the gate asks for a permit."""
    venue, coin = asset = asset_of(lane, leg)
    borrows, counter = purpose is Purpose.BORROW, draft.state.counter + 1
    mid = lane.world.sizing_mid(lane.keys[leg])
    intent = Intent(
        id=order_id(
            store_id=lane.world.store_id,
            deployment=lane.world.deployment,
            pair=lane.pair,
            leg=leg,
            purpose=purpose.value,
            n=counter,
        ),
        n=counter,
        pair=lane.pair,
        leg=leg,
        purpose=purpose,
        order_class=OrderClass.INCREASE if borrows else OrderClass.REDUCE,
        side="buy" if borrows else "sell",
        quantity=amount,
        price=mid,
        tif="ioc",
        reduce_only=False,
        margin=True,
        fence=lane.fence,
        attempt=draft.state.attempt,
        state=IntentState.SENT,
        created_us=draft.now.wall_us,
        mid=mid,
        owed_before=before,
    )
    draft.set(counter=counter)
    draft.put(intent)
    lane.world.claims.take(asset, lane.pair, draft.now.mono_us, for_us=MOVE_US_MAX)
    draft.requests.append(
        MoveLoan(
            pair=lane.pair,
            id=intent.id,
            venue=venue,
            asset=coin,
            amount=amount if borrows else -amount,
            intent=intent,
            legs=lane.keys,
            load=lane.loads,
        )
    )


def on_answer(lane: Lane, draft: Draft, order_id: str, answer: Answered) -> None:
    """Moved; refused by the gate, or by the venue in so many words; or an error, which proves nothing."""
    intent = draft.intents.get(order_id)
    if intent is None or intent.state is not IntentState.SENT:
        return
    if isinstance(refusal := answer.result, Refusal):
        _end(lane, draft, intent, IntentState.VOID, f"{refusal.text} ({refusal.code})")
    elif answer.error is not None and answer.error_class in REFUSED:
        _end(lane, draft, intent, IntentState.NOT_ACCEPTED, answer.error)
    elif answer.error is not None:
        doubted = replace(intent, state=IntentState.UNKNOWN, reason=answer.error)
        draft.put(doubted)
        doubt(lane, draft, doubted)
    else:
        _done(lane, draft, intent)


def doubt(lane: Lane, draft: Draft, intent: Intent) -> None:
    """Begin to compare balances: from now on, which is after the send, or after a restart (`news.doubt`)."""
    asset = asset_of(lane, intent.leg)
    poll_sec = lane.world.config.timeouts.poll_interval_sec
    since_us = lane.heed.sent_us.setdefault(intent.id, draft.now.mono_us)
    lane.loan.doubt = resolve.begin(venue=asset[0], since_us=since_us, poll_interval_sec=poll_sec)
    ask(lane, draft, intent.leg)


def _done(lane: Lane, draft: Draft, intent: Intent) -> None:
    held = draft.state.legs[intent.leg]
    if intent.purpose is Purpose.BORROW:
        held = replace(held, borrowed=held.borrowed + intent.quantity)
    else:
        held = repaid(held, intent.quantity)
    put_leg(draft, intent.leg, held)
    _end(lane, draft, intent, IntentState.DONE, "")


def _end(lane: Lane, draft: Draft, intent: Intent, state: IntentState, reason: str) -> None:
    draft.put(replace(intent, state=state, reason=reason))
    lane.loan.doubt = None
    lane.loan.settled_us = draft.now.mono_us
    lane.world.claims.free(asset_of(lane, intent.leg), lane.pair, draft.now.mono_us)


# --- looks ------------------------------------------------------------------------------------------------


def fresh(lane: Lane, draft: Draft, leg: int, *, after_us: int) -> Debt | None:
    """A look at the debt that began after then, while nobody else moves it; None while it is on its way."""
    asset, claims = asset_of(lane, leg), lane.world.claims
    if not claims.take(asset, lane.pair, draft.now.mono_us):
        draft.effects.append(SetTimer(name=timer_name(lane.pair), after_us=ASK_US))
        return None
    calm = lane.loan.calm
    if calm is not None and calm.asked_us > max(after_us, claims.since_us(asset)):
        return calm
    ask(lane, draft, leg)
    return None


def ask(lane: Lane, draft: Draft, leg: int) -> None:
    """Look at the account, unless a look is on its way."""
    pause_us = ASK_US if lane.loan.doubt is None else lane.loan.doubt.pause_us
    last_us, now_us = lane.loan.asked_us, draft.now.mono_us
    if last_us is None or now_us - last_us >= pause_us:
        lane.loan.asked_us = now_us
        draft.requests.append(ReadAccount(venue=lane.keys[leg][0], pair=lane.pair))
    draft.effects.append(SetTimer(name=timer_name(lane.pair), after_us=pause_us))


def on_timer(lane: Lane, draft: Draft) -> None:
    """Look again while a loan is unknown; what waits for a look otherwise asks by itself."""
    for intent in draft.live:
        if intent.purpose in LOANS and lane.loan.doubt is not None:
            asset = asset_of(lane, intent.leg)
            lane.world.claims.take(asset, lane.pair, draft.now.mono_us, for_us=MOVE_US_MAX)
            ask(lane, draft, intent.leg)


def judge(lane: Lane, draft: Draft, loan: Intent, debt: Debt, gone: Decimal | None) -> None:
    """Whether a loan of unknown fate has moved what is owed. `gone`: as `loan_fate.fate` wants it."""
    begun = lane.loan.doubt
    if begun is None:
        return
    asset, borrows = asset_of(lane, loan.leg), loan.purpose is Purpose.BORROW
    sharers = sharers_of(lane, asset)
    found = fate(loan, debt, gone, owed_of((lane, *sharers), asset))
    if found is Fate.MOVED:
        _done(lane, draft, loan)
        return
    lane.loan.doubt, then = resolve.on_answer(begun, "not_found", debt.asked_us)
    waits = borrows and found is Fate.UNCLEAR and draft.now.mono_us - begun.since_us < HELD_UP_US_MAX
    if then != "compare" or (waits and is_held_up(sharers)):
        return
    if found is Fate.UNCLEAR and not borrows:
        if stands_alone(lane, draft, loan.leg):  # what waits for no look that would tell (`debt_watch`)
            text = f"whether {plain(loan.quantity)} {asset[1]} were repaid at {asset[0]} could not be told"
            draft.alert(AlertLevel.WARNING, "more_coins", f"{lane.pair}: {text}: what is too much is yours")
        _done(lane, draft, loan)
    elif found in (Fate.OTHERWISE, Fate.UNCLEAR):
        text = in_words(loan, debt, gone)
        _end(lane, draft, loan, IntentState.FOREIGN, text)
        news.foreign(draft, f"{lane.keys[loan.leg][0]}: {text}")
    else:
        _end(lane, draft, loan, IntentState.NOT_ACCEPTED, f"{loan.reason}; {WHY_NOT[found]}")


def restart(lane: Lane) -> None:
    """What was remembered belongs to another time of this pair."""
    lane.loan = Memory()
