"""Coins that the venue sells and buys for an account in trouble: at the mark and without fee.

The steps of a real liquidation (orders canceled, assets sold for the currency that is owed, debts repaid)
at the mark instead of through the book: our book is a sample of the market's and would make up slippage.
Each sale is an order and a fill of the venue's own, so that its owner sees it as any other. Lots and
minimum sizes do not apply.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_UP, Decimal

from libs.common.instant import Now
from libs.exchange.engine.collateral import debt_price, owed, value
from libs.exchange.engine.commands import Event, Ordered
from libs.exchange.engine.debts import pay_back
from libs.exchange.engine.fills import Fee, Match, record_fill
from libs.exchange.engine.ledger import move
from libs.exchange.engine.orders import filled, register
from libs.exchange.engine.positions import MONEY_STEP
from libs.exchange.engine.state import INSURANCE, MARKET, USD, Account, State
from libs.exchange.engine.types import (
    ZERO,
    EntryKind,
    Liquidity,
    Order,
    OrderStatus,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
)


def raise_usd(state: State, account: Account, wanted: Decimal, now: Now) -> list[Event]:
    """Sell coins, the most valuable holding first, until the wallet has `wanted` USDT or nothing is left to
    sell. The account has no open spot orders, and coins that it owes are kept for that.
    """
    holdings = []
    for asset, balance in account.balances.items():
        price = value(state, asset)
        spare = balance.total - owed(balance)
        if asset != USD and price and spare > 0:
            holdings.append((spare * price, asset, spare, price))
    events: list[Event] = []
    for _, asset, spare, price in sorted(holdings, key=lambda each: (-each[0], each[1])):
        missing = wanted - account.balance(USD).total
        if missing <= 0:
            break
        quantity = min((missing / price).quantize(MONEY_STEP, rounding=ROUND_UP), spare)
        events += _trade(state, account, asset, Side.SELL, Match(price, quantity, Liquidity.TAKER), now=now)
    return events


def repay_all(state: State, account: Account, now: Now) -> list[Event]:
    """Pay all debts: in kind, then with USDT, then by selling coins; what is missing the insurance fund pays.

    Afterwards nothing is owed.
    """
    events: list[Event] = []
    debts = [asset for asset, balance in account.balances.items() if owed(balance)]
    for asset in debts:
        events += _in_kind(state, account, asset, now)
    wanted = ZERO
    for asset in debts:
        wanted += owed(account.balance(asset)) * debt_price(state, asset)
    events += raise_usd(state, account, wanted, now)
    for asset in sorted(debts, key=lambda name: name == USD):  # dollars buy what else is owed first
        missing, price = owed(account.balance(asset)), debt_price(state, asset)
        if missing and asset != USD and price:
            affordable = (account.balance(USD).total / price).quantize(MONEY_STEP, rounding=ROUND_DOWN)
            quantity = min(missing, affordable)
            if quantity:
                events += _trade(
                    state, account, asset, Side.BUY, Match(price, quantity, Liquidity.TAKER), now=now
                )
        events += _in_kind(state, account, asset, now)
        missing = owed(account.balance(asset))
        if missing:
            events += _insured(state, account, asset, missing, now)
            events += _in_kind(state, account, asset, now)
    return events


def _in_kind(state: State, account: Account, asset: str, now: Now) -> list[Event]:
    balance = account.balance(asset)
    amount = min(balance.total, owed(balance))
    return pay_back(state, account, asset, amount, now) if amount else []


def _insured(state: State, account: Account, asset: str, amount: Decimal, now: Now) -> list[Event]:
    return move(
        state,
        now,
        source=INSURANCE,
        target=account.spec.account,
        asset=asset,
        amount=amount,
        kind=EntryKind.INSURANCE,
        ref="liquidation",
    )


def _trade(state: State, account: Account, asset: str, side: Side, match: Match, *, now: Now) -> list[Event]:
    name, key = account.spec.account, state.spot_markets[f"{asset}/{USD}"]
    state.last_order_id += 1
    order = Order(
        order_id=state.last_order_id,
        client_id="",
        account=name,
        instrument=key,
        side=side,
        type=OrderType.MARKET,
        tif=TimeInForce.IOC,
        quantity=match.quantity,
        price=None,
        reduce_only=False,
        position_side=PositionSide.BOTH,
        status=OrderStatus.OPEN,
        created_us=now.wall_us,
        updated_us=now.wall_us,
        margin=True,
        cause="liquidation",
    )
    register(state, account, order)
    fill = record_fill(state, order, match, Fee(USD, ZERO), ZERO, now=now)
    events: list[Event] = [Ordered(order=filled(state, order, match, now), fill=fill)]
    coin, dollars = (asset, match.quantity), (USD, match.quote)
    given, got = (coin, dollars) if side is Side.SELL else (dollars, coin)
    ref = str(fill.trade_id)
    for (leg, amount), source, target in ((given, name, MARKET), (got, MARKET, name)):
        events += move(
            state,
            now,
            source=source,
            target=target,
            asset=leg,
            amount=amount,
            kind=EntryKind.TRADE,
            instrument=key,
            ref=ref,
        )
    return events
