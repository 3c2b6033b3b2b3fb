"""What answers, reports and fills make of an intent. Idempotent: the same news twice changes nothing.

Cumulative figures only rise, trades count once by id, and a final intent never becomes another kind of
final: what comes late is a fill of it, or FOREIGN (the caller's to judge).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from libs.exchange.trading_values import (
    Done,
    FillReport,
    NeverSent,
    OrderReport,
    Outcome,
    Rejected,
    Unknown,
)
from services.executor.model import Intent, IntentState

replace = msgspec.structs.replace

# Where news may still move an intent; what is final stays.
_LIVE: Final = frozenset({IntentState.SENT, IntentState.WORKING, IntentState.UNKNOWN})


def on_outcome(intent: Intent, outcome: Outcome, *, base: str) -> Intent:
    """What the answer to the send makes of it. `base` is the leg's base coin (for fees taken in it)."""
    match outcome:
        case Done(report=report, fills=fills):
            changed = on_report(intent, report)
            for fill in fills:
                changed = on_fill(changed, fill, base=base)
            return changed
        case Rejected(code=code, reason=rule, text=text) if intent.state in _LIVE:
            return replace(intent, state=IntentState.REJECTED, reason=f"{text} ({code})", failure=rule)
        case NeverSent(why=why) if intent.state in _LIVE:
            return replace(intent, state=IntentState.VOID, reason=why)
        case Unknown(why=why) if intent.state is IntentState.SENT:
            return replace(intent, state=IntentState.UNKNOWN, reason=why)
        case _:
            return intent


def on_report(intent: Intent, report: OrderReport) -> Intent:
    """What the venue says of the order: by the answer, the user stream or a query, in any order.

    An order that the venue itself rejected is DONE with nothing filled: it existed.
    """
    filled = max(intent.filled, report.filled)
    quote = intent.filled_quote
    if report.filled > intent.filled and report.average is not None:
        quote = report.filled * report.average
    state = intent.state
    if state in _LIVE or state in (IntentState.NOT_ACCEPTED, IntentState.VOID):
        # NOT_ACCEPTED and VOID were conclusions: the venue's own word is stronger than they
        state = IntentState.DONE if report.is_final else IntentState.WORKING
    return replace(
        intent,
        state=state,
        filled=filled,
        filled_quote=quote,
        order_id=report.order_id or intent.order_id,
        reason=report.reason or intent.reason,
    )


def on_fill(intent: Intent, fill: FillReport, *, base: str) -> Intent:
    """One trade of it. Counted once by trade id; the total rises to at least the sum of trades.

    A trade may come twice, first without its fee: the fee is taken over from whichever tells it. What the
    order cost is known to the last digit as soon as its trades are: totals by mean price are rounded.
    """
    known = fill.trade_id in intent.fills
    if known and (fill.trade_id not in intent.feeless or fill.fee is None):
        return intent
    fee_base = intent.fee_base
    if fill.fee is not None and fill.fee_asset == base:
        fee_base += fill.fee
    if known:
        feeless = tuple(one for one in intent.feeless if one != fill.trade_id)
        return replace(intent, fee_base=fee_base, feeless=feeless)
    fills = {**intent.fills, fill.trade_id: fill.quantity}
    fills_quote = intent.fills_quote + fill.quantity * fill.price
    booked = sum(fills.values(), Decimal(0))
    quote = intent.filled_quote
    if booked >= intent.filled:
        quote = fills_quote
    state = intent.state
    if state in _LIVE and booked >= intent.quantity:
        state = IntentState.DONE
    return replace(
        intent,
        fills=fills,
        fills_quote=fills_quote,
        filled=max(intent.filled, booked),
        filled_quote=quote,
        fee_base=fee_base,
        feeless=intent.feeless if fill.fee is not None else (*intent.feeless, fill.trade_id),
        state=state,
        order_id=fill.order_id or intent.order_id,
    )


def fills_complete(intent: Intent) -> bool:
    """Whether every filled unit is booked by trade id, and the fee of each is known."""
    if not intent.fills and not intent.feeless:
        return not intent.filled
    return not intent.feeless and sum(intent.fills.values(), Decimal(0)) >= intent.filled


def on_restart(intent: Intent) -> Intent:
    """After a crash every open intent is unknown: what was stored may have been sent."""
    if intent.state.is_final:
        return intent
    return replace(intent, state=IntentState.UNKNOWN, reason="the executor was restarted")


def fee_taken(intent: Intent) -> Decimal:
    """What fees took of the coins, as far as is told; at least what is assumed until all is."""
    return intent.fee_base if fills_complete(intent) else max(intent.fee_base, intent.fee_assumed)


def signed_change(before: Intent, after: Intent) -> tuple[Decimal, Decimal]:
    """(base, quote) that a leg gains by the news: base signed, less fees in base; quote > 0 is paid."""
    sign = 1 if after.side == "buy" else -1
    base = sign * (after.filled - before.filled) - (fee_taken(after) - fee_taken(before))
    quote = sign * (after.filled_quote - before.filled_quote)
    return base, quote
