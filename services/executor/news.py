"""What comes in about a pair's orders, and what doubt asks next.

An unknown order is asked for until the venue's own word, or silence after W with two clean not-founds and a
position that agrees, ends the doubt (`resolve`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final

import msgspec

from libs.common.effects import SetTimer
from libs.common.instant import US_PER_SEC
from libs.common.messages import AlertLevel
from libs.common.subjects import SPOT
from libs.exchange.trading_values import (
    Done,
    FillReport,
    Found,
    NotFound,
    OrderReport,
    QueryFailed,
    QueryOutcome,
    Rejected,
)
from services.executor import fetching, ledger, making, order, recheck, resolve
from services.executor.events import (
    AccountSeen,
    CancelOrder,
    OrderAnswered,
    QueryOrder,
    ReadAccount,
)
from services.executor.lane import Draft, Lane
from services.executor.model import Intent, IntentState, State, Trigger

replace = msgspec.structs.replace

FIRST_LOOK_SEC: Final = 0.05
CANCEL_AFTER_US: Final = US_PER_SEC
"""An order that should not rest gets so long to be over by itself."""

AFTER_CANCEL_US: Final = US_PER_SEC // 4
"""An order is asked for so soon after a cancel that did not end it; less than between two cancels."""

CLEANS: Final = 2
"""So many clean not-founds make an order one that the venue never had, if its position agrees."""

_GIVEN_UP: Final = frozenset({IntentState.NOT_ACCEPTED, IntentState.VOID, IntentState.REJECTED})

Own = Callable[[str, str], Decimal]
"""(venue, instrument) -> what all pairs own of it together, dust included."""


def ask_name(pair: str, order_id: str) -> str:
    """The timer of the next query of an order."""
    return f"{pair}|ask|{order_id}"


def base_of(lane: Lane, leg: int) -> str:
    """The leg's base coin."""
    rules = lane.rules(leg)
    return rules.base if rules is not None else lane.keys[leg][1].split("-", 1)[0]


def fee_coin(lane: Lane, leg: int) -> str:
    """The coin in which fees make the leg smaller: a spot leg's own, none ("") of a contract, whose fees are
    paid beside it even when they are paid in its coin (BNB of a BNB perpetual).
    """
    return base_of(lane, leg) if lane.kinds[leg] is SPOT else ""


def on_answered(lane: Lane, draft: Draft, event: OrderAnswered) -> None:
    """The answer to a send, or the gate's refusal."""
    intent = draft.intents.get(event.id)
    if intent is None:
        return
    if event.refusal is not None:
        if intent.state is IntentState.SENT:
            reason = f"{event.refusal.text} ({event.refusal.code})"
            draft.put(replace(intent, state=IntentState.VOID, reason=reason, failure=event.refusal.code))
        return
    if event.outcome is None:
        raise AssertionError(f"{event.id}: an answer with neither outcome nor refusal")
    if isinstance(event.outcome, Rejected) and _denies(lane, intent, event.outcome):
        lane.look_first = True
    after = order.on_outcome(intent, event.outcome, base=fee_coin(lane, intent.leg))
    if isinstance(event.outcome, Done):
        ledger.on_trades(lane, draft, intent, after, event.outcome.fills)
    learn(lane, draft, intent, after, since_us=event.sent_mono_us)


def _denies(lane: Lane, intent: Intent, rejected: Rejected) -> bool:
    """Whether a venue denies that there is what we want to sell: look at its account before the next try."""
    sells = intent.side == "sell" and lane.kinds[intent.leg] is SPOT and not intent.margin
    return rejected.reason == "reduce_only" or (rejected.reason == "funds" and sells)


def on_report(lane: Lane, draft: Draft, report: OrderReport) -> None:
    """The user stream, a query or a reconciliation tells of an order."""
    intent = draft.intents.get(report.client_id)
    if intent is not None:
        learn(lane, draft, intent, order.on_report(intent, report))


def on_fills(lane: Lane, draft: Draft, venue: str, fills: Iterable[FillReport]) -> None:
    """Trades at a venue; those of orders that are not this pair's are not booked here.

    Without our id an order is known by the venue's: unique only together with venue and instrument.
    """
    for fill in fills:
        key = (venue, fill.instrument)
        intent = draft.intents.get(fill.client_id or "")
        if intent is None:
            same = (one for one in draft.intents.values() if one.order_id and one.order_id == fill.order_id)
            intent = next((one for one in same if lane.keys[one.leg] == key), None)
        if intent is not None and lane.keys[intent.leg] == key:
            after = order.on_fill(intent, fill, base=fee_coin(lane, intent.leg))
            ledger.on_trades(lane, draft, intent, after, (fill,))
            learn(lane, draft, intent, after)


def unanswered(lane: Lane, draft: Draft, ids: Iterable[str], why: str) -> None:
    """The shell failed after the write: what was sent is not known."""
    for order_id in ids:
        intent = draft.intents.get(order_id)
        if intent is not None and intent.state is IntentState.SENT:
            learn(lane, draft, intent, replace(intent, state=IntentState.UNKNOWN, reason=why))


def learn(lane: Lane, draft: Draft, before: Intent, after: Intent, *, since_us: int | None = None) -> None:
    """Take an order's news over, and see to it that what is still open is asked for."""
    late = before.state.is_final and after.filled > before.filled
    draft.take(before, after, order.signed_change(before, after))
    if late and before.state in _GIVEN_UP:
        text = f"order {after.id} filled although it had been given up: the position is looked at anew"
        draft.alert(AlertLevel.CRITICAL, "late_fill", f"{lane.pair}: {text}")
    if after.state.is_final:
        lane.doubts.pop(after.id, None)
        lane.posts.cancels.pop(after.id, None)
        return
    if after.id not in lane.doubts:
        doubt(lane, draft, after, since_us=since_us)


def doubt(lane: Lane, draft: Draft, intent: Intent, *, since_us: int | None = None) -> None:
    """Begin to ask for an order; `since_us`: its send, None when this process has not seen it.

    What was in doubt before in this process goes on: it had left by then, since what was decided before a
    reading of the pair never leaves after it (`gate`), and nobody sends an id twice. Its proofs begin anew.
    """
    venue = lane.keys[intent.leg][0]
    poll_sec = lane.world.config.timeouts.poll_interval_sec
    if intent.state is IntentState.WORKING:
        poll_sec = min(poll_sec, FIRST_LOOK_SEC)  # some venues only acknowledge: an IOC is over by now
    since_us = lane.heed.sent_us.setdefault(intent.id, since_us or draft.now.mono_us)
    begun = resolve.begin(venue=venue, since_us=since_us, poll_interval_sec=poll_sec)
    lane.doubts[intent.id] = begun
    draft.effects.append(SetTimer(name=ask_name(lane.pair, intent.id), after_us=begun.pause_us))


def ask(lane: Lane, draft: Draft, order_id: str) -> None:
    """The timer of a doubt has fired: query, or cancel what should not rest."""
    intent = draft.intents.get(order_id)
    if intent is None or intent.state.is_final or order_id not in lane.doubts:
        return
    venue, instrument = lane.keys[intent.leg]
    kind = CancelOrder if intent.cancel_asked else QueryOrder
    request = kind(pair=lane.pair, id=order_id, venue=venue, instrument=instrument, margin=intent.margin)
    draft.requests.append(request)


def on_queried(lane: Lane, draft: Draft, order_id: str, outcome: QueryOutcome, *, canceling: bool) -> None:
    """A query's or a cancel's answer."""
    intent = draft.intents.get(order_id)
    begun = lane.doubts.get(order_id)
    if intent is None or begun is None:
        recheck.on_queried(lane, order_id, outcome, canceling=canceling)
        _after_all(lane, draft, intent, outcome)
        return
    answer: resolve.Answer = "failed"
    match outcome:
        case Found(report=report):
            learn(lane, draft, intent, order.on_report(intent, report))
            intent = draft.intents[order_id]
            if intent.state.is_final:
                return
            answer = "open"
        case NotFound():
            # "no such open order" to a cancel proves nothing: it may have filled. Only queries count.
            answer = "failed" if canceling else "not_found"
        case QueryFailed():
            pass
    begun, then = resolve.on_answer(begun, answer, draft.now.mono_us)
    lane.doubts[order_id] = begun
    if then == "cancel" and making.is_planned(lane, draft, intent):
        then = "ask"
        begun = lane.doubts[order_id] = replace(begun, pause_us=making.POLL_US)
    if then == "cancel" and draft.now.mono_us - begun.since_us < CANCEL_AFTER_US:
        then = "ask"
    # ask for the order again after each cancel, and cancel again while it is found open
    asked = then == "cancel" and not canceling
    if intent.cancel_asked != asked:
        draft.put(replace(intent, cancel_asked=asked))
    if then == "compare":
        draft.requests.append(
            ReadAccount(venue=lane.keys[intent.leg][0], pair=lane.pair)
            if begun.searched
            else fetching.of_denied(lane, draft, intent)
        )
    # what a cancel does not find is over, most likely: the query that says so does not wait long
    after_us = min(begun.pause_us, AFTER_CANCEL_US) if canceling else begun.pause_us
    draft.effects.append(SetTimer(name=ask_name(lane.pair, order_id), after_us=after_us))


def _after_all(lane: Lane, draft: Draft, intent: Intent | None, outcome: QueryOutcome) -> None:
    """An order that was given up has been asked for again."""
    if intent is not None and isinstance(outcome, Found):
        learn(lane, draft, intent, order.on_report(intent, outcome.report))


def is_silent(lane: Lane, intent: Intent, seen: AccountSeen) -> bool:
    """Whether the venue had twice denied an order, after all the time it may take, and shown no trade of it,
    before this look began.
    """
    if not is_denied(lane, intent):
        return False
    begun = lane.doubts[intent.id]
    return begun.searched and begun.last_clean_us <= seen.asked_mono_us


def is_denied(lane: Lane, intent: Intent) -> bool:
    """Whether the venue has twice denied an order, after all the time that it may take."""
    begun = lane.doubts.get(intent.id)
    return begun is not None and begun.cleans >= CLEANS


def agrees(lane: Lane, leg: int, seen: AccountSeen, ours: Decimal) -> bool:
    """Whether the venue shows what our settled fills add up to: equal for contracts, enough for spot."""
    shown = shown_of(lane, leg, seen)
    if lane.kinds[leg] is SPOT:
        return shown >= ours
    rules = lane.rules(leg)
    return abs(shown - ours) < (rules.step if rules is not None else Decimal("1e-12"))


def shown_of(lane: Lane, leg: int, seen: AccountSeen) -> Decimal:
    """A contract's position, or all coins of the account; `Leg.coins` counts those that are owed too."""
    if lane.kinds[leg] is not SPOT:
        positions = (one.quantity for one in seen.positions if one.instrument == lane.keys[leg][1])
        return sum(positions, Decimal(0))
    base = base_of(lane, leg)
    return sum((one.total for one in seen.balances if one.asset == base), Decimal(0))


def foreign(draft: Draft, text: str) -> None:
    """The venue shows what nobody here has done: stop, and say so."""
    if draft.state.state is not State.STUCK:
        draft.move(Trigger.FOREIGN, text)
        draft.set(plan=None)
    draft.alert(AlertLevel.CRITICAL, "foreign", f"{draft.state.pair}: {text}. The pair is halted")
