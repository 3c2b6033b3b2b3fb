"""Ledger lines out of what a venue tells: a fill and its fee, and the lines of the venue's own books. Pure.

    {venue}:fill:{instrument}/{trade id}      quantity base units, amount = what it cost in quote
    {venue}:fee:{instrument}/{trade id}       amount < 0: paid; quantity: taken from the leg's own coin
    {venue}:{kind}:{record id}                funding, interest, transfers, deposits, withdrawals

A trade that the venue made, or a payment, that several pairs share has one line for each, told apart by
`@{pair}`, and a further share of one pair by `~{what was borne before}`; their amounts add up to the whole.
Fills are written together with the pair and the order that they belong to, so that a trade which the order
already counts is never booked again.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Final

import msgspec

from libs.carry.identity import USD_COINS
from libs.carry.pnl import EXACT
from libs.common.codec import encode
from libs.common.effects import Publish
from libs.common.messages_exec import FillEvent, LedgerKind, LedgerLine
from libs.common.subjects import SPOT, exec_fill, exec_ledger, slug
from libs.exchange.trading_values import FillReport
from services.executor.model import ZERO, Intent
from services.executor.world import World

if TYPE_CHECKING:
    from services.executor.lane import Draft, Lane

STREAM: Final = "ledger"
IDS: Final = "ledger_ids"


def on_trades(lane: Lane, draft: Draft, before: Intent, after: Intent, trades: Iterable[FillReport]) -> None:
    """Book the trades that `after` counts and `before` did not; their fees belong to the order's attempt.

    A trade may be told first without its fee: the fee is booked when it is told.
    """
    for trade in trades:
        if trade.trade_id in after.fills and trade.trade_id not in before.fills:
            line = fill_line(lane, draft, after.leg, trade, intent=after)
            if _take(draft, line):
                said = fill_event(lane, draft, after, trade)
                draft.effects.append(Publish(subject=exec_fill(lane.pair), message=said))
        elif trade.trade_id not in before.feeless or trade.trade_id in after.feeless:
            continue
        fee = fee_line(lane, draft, after.leg, trade, intent=after)
        if fee is not None:
            _take(draft, fee)


def on_taken(
    lane: Lane,
    draft: Draft,
    leg: int,
    trade: FillReport,
    *,
    before: Decimal,
    amount: Decimal,
    again: bool = False,
) -> None:
    """Book a pair's share of a trade that the venue made: `amount` of it, after `before` of other pairs, and
    of this one when it bears more of it (`again`), which makes a line of its own.
    """
    share = _share(trade, before, amount)
    fee = fee_line(lane, draft, leg, share, shared=True)
    for line in (fill_line(lane, draft, leg, share, shared=True), fee):
        if line is not None:
            _take(draft, msgspec.structs.replace(line, key=f"{line.key}~{before:f}") if again else line)


def fill_line(
    lane: Lane,
    draft: Draft,
    leg: int,
    trade: FillReport,
    *,
    intent: Intent | None = None,
    shared: bool = False,
) -> LedgerLine:
    """One trade. Of a contract `amount` is its notional, which no wallet sees until it is closed."""
    venue, instrument = lane.keys[leg]
    signed = trade.quantity if trade.side == "buy" else -trade.quantity
    quote = _quote(lane, leg)
    with localcontext(EXACT):
        amount = -signed * trade.price
        usd = amount * (usd_price(lane.world, venue, quote) or ZERO)
    return LedgerLine(
        key=_key(lane, leg, LedgerKind.FILL, trade, shared=shared),
        kind=LedgerKind.FILL,
        venue=venue,
        asset=quote,
        amount=amount,
        usd=usd,
        instrument=instrument,
        pair=lane.pair,
        leg=leg,
        purpose=trade.cause if intent is None else intent.purpose.value,
        quantity=signed,
        price=trade.price,
        mid=None if intent is None else intent.mid,
        liquidity=trade.liquidity or "taker",
        attempt=draft.state.attempt if intent is None else intent.attempt,
        venue_ms=trade.ts_ms,
        wall_us=draft.now.wall_us,
    )


def fee_line(
    lane: Lane,
    draft: Draft,
    leg: int,
    trade: FillReport,
    *,
    intent: Intent | None = None,
    shared: bool = False,
) -> LedgerLine | None:
    """What it was charged; None when that is nothing, or the venue has not told."""
    if not trade.fee:
        return None
    venue, instrument = lane.keys[leg]
    asset = trade.fee_asset or _quote(lane, leg)
    own = lane.kinds[leg] is SPOT and asset == _base(lane, leg)
    with localcontext(EXACT):
        usd = -_fee_usd(lane.world, venue, asset, trade, own=own)
    return LedgerLine(
        key=_key(lane, leg, LedgerKind.FEE, trade, shared=shared),
        kind=LedgerKind.FEE,
        venue=venue,
        asset=asset,
        amount=-trade.fee,
        usd=usd,
        instrument=instrument,
        pair=lane.pair,
        leg=leg,
        purpose=trade.cause if intent is None else intent.purpose.value,
        quantity=-trade.fee if own else None,
        price=trade.price,
        liquidity=trade.liquidity or "taker",
        attempt=draft.state.attempt if intent is None else intent.attempt,
        venue_ms=trade.ts_ms,
        wall_us=draft.now.wall_us,
    )


def fill_event(lane: Lane, draft: Draft, intent: Intent, trade: FillReport) -> FillEvent:
    """What is said of a trade. A fee that the venue has not told yet is 0 here, and no line."""
    venue, instrument = lane.keys[intent.leg]
    return FillEvent(
        pair=lane.pair,
        order=intent.id,
        trade=trade.trade_id,
        venue=venue,
        instrument=instrument,
        purpose=intent.purpose.value,
        side=intent.side,
        price=trade.price,
        quantity=trade.quantity,
        fee=trade.fee or ZERO,
        fee_asset=trade.fee_asset or _quote(lane, intent.leg),
        liquidity="maker" if trade.liquidity == "maker" else "taker",
        mid=intent.mid,
        attempt=intent.attempt,
        wall_us=draft.now.wall_us,
    )


def usd_price(world: World, venue: str, asset: str) -> Decimal | None:
    """What a coin is worth: 1 for USD coins, else its mid on this venue, else on another; None unknown."""
    if asset in USD_COINS:
        return Decimal(1)
    names = [f"{slug(asset)}-{quote}" for quote in ("USDT", "USDC")]
    for name in names:
        if (price := world.mid((venue, name))) is not None:
            return price
    others = (key for key in (*world.quotes, *world.marks) if key[1] in names)
    return next((price for key in others if (price := world.mid(key)) is not None), None)


def _fee_usd(world: World, venue: str, asset: str, trade: FillReport, *, own: bool) -> Decimal:
    """A fee's value: the leg's own coin at the trade's price. A coin that nobody quotes is taken at what the
    configured rate makes of the trade: dearer than it was, since such coins are a discount.
    """
    if trade.fee is None:
        return ZERO
    if own:
        return trade.fee * trade.price
    price = usd_price(world, venue, asset)
    if price is not None:
        return trade.fee * price
    assumed = trade.quantity * trade.price * Decimal(str(world.config.costs.taker))
    return assumed.copy_sign(trade.fee)


def _share(trade: FillReport, before: Decimal, amount: Decimal) -> FillReport:
    """A pair's part of a trade. Fees are cut where the parts meet, so that they add up to the whole."""
    fee = trade.fee
    if fee is not None:
        with localcontext(EXACT):
            fee = _cut(trade.fee, trade.quantity, before + amount) - _cut(trade.fee, trade.quantity, before)
    return FillReport(
        trade_id=trade.trade_id,
        order_id=trade.order_id,
        client_id=trade.client_id,
        instrument=trade.instrument,
        side=trade.side,
        price=trade.price,
        quantity=amount,
        fee=fee,
        fee_asset=trade.fee_asset,
        liquidity=trade.liquidity,
        ts_ms=trade.ts_ms,
        cause=trade.cause,
    )


def _cut(fee: Decimal | None, whole: Decimal, upto: Decimal) -> Decimal:
    """The fee of the first `upto` units."""
    if fee is None or upto == whole:
        return fee or ZERO
    return (fee * upto / whole).quantize(Decimal("1e-8"))


def _key(lane: Lane, leg: int, kind: LedgerKind, trade: FillReport, *, shared: bool) -> str:
    venue, instrument = lane.keys[leg]
    own = f"@{lane.pair}" if shared else ""
    return f"{venue}:{kind.value}:{instrument}/{trade.trade_id}{own}"


def _quote(lane: Lane, leg: int) -> str:
    """What the leg is paid in, and a contract settles in."""
    rules = lane.rules(leg)
    return rules.quote if rules is not None else lane.keys[leg][1].split("-")[1]


def _base(lane: Lane, leg: int) -> str:
    rules = lane.rules(leg)
    return rules.base if rules is not None else lane.keys[leg][1].split("-", 1)[0]


def _take(draft: Draft, line: LedgerLine) -> bool:
    """Into this turn's write, once: one answer may tell of a trade twice."""
    if line.key in draft.ledger_ids:
        return False
    draft.ledger.append(encode(line))
    draft.ledger_ids.append(line.key)
    draft.effects.append(Publish(subject=exec_ledger(line.pair), message=line))
    return True
