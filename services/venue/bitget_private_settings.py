"""Bitget's v3 account desk, what it changes: leverage, hold mode, transfers, repayment."""

from __future__ import annotations

from decimal import ROUND_UP, Decimal
from typing import Final

from libs.exchange.engine import commands
from libs.exchange.engine.commands import (
    Booked,
    Event,
    Reason,
    Repay,
    SetLeverage,
    SetPositionMode,
    Submit,
    Transfer,
)
from libs.exchange.engine.types import ZERO, Balance, EntryKind, OrderType, Side, TimeInForce
from services.venue.bitget_account import HOLD_MODES, WALLETS, coin_of
from services.venue.bitget_common import PERPS, body
from services.venue.bitget_private_errors import (
    BALANCE,
    TRANSFER_MAX,
    UNSUPPORTED,
    Subject,
    code_of,
    refusing,
    said,
)
from services.venue.bitget_private_fields import Fields, plain
from services.venue.bitget_private_place import WALLET, account_of, listing_of, net_debts
from services.venue.bitget_private_worth import SETTLE, owed
from services.venue.house import House
from services.venue.keys import Key
from services.venue.wire import Answer, Call, answer

_SHORT: Final = frozenset({Reason.INSUFFICIENT_BALANCE, Reason.INSUFFICIENT_MARGIN})


def set_leverage(house: House, call: Call, key: Key) -> Answer:
    """Leverage of one contract. That of a coin on the margin desk is the venue's and cannot be set here."""
    fields = Fields.of(call)
    category = fields.category()
    if category != PERPS:
        raise said(call, UNSUPPORTED)
    listing = listing_of(house, fields, category)
    wanted = fields.amount("leverage")
    if wanted != int(wanted):
        raise fields.wrong("leverage")
    command = SetLeverage(account=account_of(house, key), instrument=listing.key, leverage=int(wanted))
    with refusing(call, Subject(symbol=listing.symbol, listing=listing)):
        house.apply(command, call.now)
    return answer(body(call.now.wall_ms, "success"))


def set_hold_mode(house: House, call: Call, key: Key) -> Answer:
    """One-way or hedge, for all contracts; what is so already simply stands."""
    mode = HOLD_MODES[Fields.of(call).choice("holdMode", HOLD_MODES)]
    account = account_of(house, key)
    if house.engine.position_mode(account) is not mode:
        with refusing(call, Subject()):
            house.apply(SetPositionMode(account=account, mode=mode), call.now)
    return answer(body(call.now.wall_ms, "success"))


def transfer(house: House, call: Call, key: Key) -> Answer:
    """Between the unified account and the funding wallet (`spot`), at once."""
    fields = Fields.of(call)
    source, target = (WALLETS[fields.choice(name, WALLETS)] for name in ("fromType", "toType"))
    if source == target:
        raise fields.wrong("toType")
    command = Transfer(
        source=house.account(key.user, source),
        target=house.account(key.user, target),
        asset=coin_of(house, fields, "coin"),
        amount=fields.amount("amount"),
    )
    try:
        events = house.apply(command, call.now)
    except commands.Refused as refused:
        if refused.reason in _SHORT:
            raise said(call, TRANSFER_MAX if source == WALLET else BALANCE) from refused
        raise said(call, code_of(refused, Subject())) from refused
    booked = next(event for event in events if isinstance(event, Booked))
    net_debts(house, account_of(house, key), call.now)
    return answer(body(call.now.wall_ms, {"transferId": str(booked.entry.entry_id)}))


# --- repayment -----------------------------------------------------------------------------------


def repay(house: House, call: Call, key: Key) -> Answer:
    """Repay one coin with one coin: what is there of it, or what a market order makes of another.

    The real venue converts without an order; here the order's fee, minimum and whole steps apply.
    """
    fields = Fields.of(call)
    debts, means = fields.texts("repayableCoinList"), fields.texts("paymentCoinList")
    if len(debts) > 1 or len(means) > 1:
        raise fields.wrong("maxSelection")
    coin, payment, account = debts[0].upper(), means[0].upper(), account_of(house, key)
    due = owed(_balance(house, account, coin))
    if not due:
        return _repaid(call, ZERO)
    if coin != payment:
        events = _converted(house, fields, account, coin=coin, payment=payment)
    else:
        amount = min(due, _balance(house, account, coin).free)
        if not amount:
            raise said(call, BALANCE)
        with refusing(call, Subject()):
            events = house.apply(Repay(account=account, asset=coin, amount=amount), call.now)
    return _repaid(call, _sum_of(events, coin))


def _repaid(call: Call, amount: Decimal) -> Answer:
    data = {"result": "YES" if amount else "NO", "repayAmount": plain(amount)}
    return answer(body(call.now.wall_ms, data))


def _balance(house: House, account: str, coin: str) -> Balance:
    return house.engine.balances(account).get(coin, Balance())


def _sum_of(events: list[Event], coin: str) -> Decimal:
    """What repayments took of a coin."""
    paid = [
        -event.entry.amount
        for event in events
        if isinstance(event, Booked) and event.entry.kind is EntryKind.REPAY and event.entry.asset == coin
    ]
    return sum(paid, ZERO)


def _converted(house: House, fields: Fields, account: str, *, coin: str, payment: str) -> list[Event]:
    """A market order that turns the payment into what is owed, and repays with it."""
    call = fields.call
    if SETTLE not in (coin, payment):
        raise said(call, UNSUPPORTED)
    base = payment if coin == SETTLE else coin
    listing = listing_of(house, Fields(call, {"symbol": base + SETTLE}), "MARGIN")
    taker = house.engine.accounts[account].fees.spot.taker
    buying = coin != SETTLE
    needed = owed(_balance(house, account, coin)) / (1 - taker)
    if not buying:
        mark = house.engine.mark(listing.key)
        needed = needed / mark if mark else ZERO
    step = listing.quantity_step
    quantity = (needed / step).to_integral_value(rounding=ROUND_UP) * step
    if not buying:
        quantity = min(quantity, _balance(house, account, payment).free // step * step)
    submit = Submit(
        account=account,
        instrument=listing.key,
        side=Side.BUY if buying else Side.SELL,
        type=OrderType.MARKET,
        tif=TimeInForce.IOC,
        quantity=quantity,
        margin=True,
        borrow="auto_repay",
    )
    with refusing(
        call, Subject(symbol=listing.symbol, category="MARGIN", listing=listing, quantity=quantity)
    ):
        return house.apply(submit, call.now)
