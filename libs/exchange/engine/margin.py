"""What the engine asks about margin: may this order be taken, how does the account stand, what may leave."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import Final

from libs.common.subjects import Kind
from libs.exchange.engine.collateral import (
    BORROW_LEVEL,
    BORROWING,
    DEBT_INITIAL,
    WITHDRAW_LEVEL,
    assets_usd,
    liabilities_usd,
    ratio,
    value,
)
from libs.exchange.engine.commands import Reason, Refused, Submit
from libs.exchange.engine.demand import Interest, interests
from libs.exchange.engine.fees import rates
from libs.exchange.engine.pools import (
    asset_of,
    available,
    leverage_of,
    mark_of,
    open_orders_initial,
    pool_of,
    rate_of,
    unrealised,
)
from libs.exchange.engine.positions import MONEY_STEP
from libs.exchange.engine.state import USD, Account, Market, State
from libs.exchange.engine.tiers import liquidation_price, maintenance, notional_max
from libs.exchange.engine.types import (
    ZERO,
    AccountKind,
    MarginFigures,
    MarginMode,
    Position,
    PositionFigures,
    Side,
)

EXACT_DECIMALS: Final = 30


def figures(state: State, account_id: str, asset: str) -> MarginFigures:
    """The margin side of a FUTURES or UNIFIED account; `available` never below zero."""
    account = state.account(account_id)
    pool = pool_of(state, account, asset)
    orders = open_orders_initial(state, account, asset)
    positions = pool.initial + pool.isolated
    return MarginFigures(
        asset=asset,
        wallet=account.balance(asset).total,
        unrealised=pool.unrealised + pool.unrealised_isolated,
        equity=pool.equity,
        initial=positions + orders,
        initial_positions=positions,
        initial_orders=orders,
        maintenance=pool.maintenance,
        available=max(available(state, account, asset, pool), ZERO),
    )


def position_figures(state: State, account_id: str, position: Position) -> PositionFigures:
    """A position at the mark, with the mark that would liquidate it."""
    account, market = state.account(account_id), state.market(position.instrument)
    listing, mark = market.listing, mark_of(market, position)
    notional = abs(position.quantity) * mark
    isolated = position.margin_mode is MarginMode.ISOLATED
    return PositionFigures(
        position=position,
        mark=mark,
        notional=notional,
        unrealised=unrealised(position, mark),
        initial=position.isolated_margin if isolated else notional / position.leverage,
        maintenance=maintenance(listing, notional),
        liquidation_price=_liquidation_price(state, account, market, position),
    )


def _liquidation_price(state: State, account: Account, market: Market, position: Position) -> Decimal | None:
    listing, mark = market.listing, mark_of(market, position)
    if position.margin_mode is MarginMode.ISOLATED:
        return liquidation_price(position, listing, mark, position.isolated_margin)
    pool = pool_of(state, account, asset_of(account, listing))
    rate = rate_of(state, account, listing)
    held = [
        one
        for one in account.positions[listing.key].values()
        if one.margin_mode is MarginMode.CROSS and one.side is not position.side
    ]
    rest = (pool.equity - pool.maintenance) / (rate or 1)
    for one in (position, *held):
        notional = abs(one.quantity) * mark
        rest -= unrealised(one, mark) - maintenance(listing, notional)
    return liquidation_price(position, listing, mark, rest, held)


def order_demand(state: State, account_id: str, submit: Submit, worst_price: Decimal) -> Decimal:
    """What an order needs of `available`, in its pool's asset; 0 for what only reduces.

    Contracts: the growth of initial margin, what it would lose at once against the mark at `worst_price`,
    and the taker fee (Binance's cost of an order). A spot buy of a unified account: what USDT loses in
    weight by becoming the coin; spot orders of other accounts need coins, not margin.
    """
    account, market = state.account(account_id), state.market(submit.instrument)
    listing = market.listing
    if listing.kind is Kind.SPOT:
        return _coin_demand(state, account, submit, worst_price)
    interest = interests(state, account, market).get(submit.position_side, Interest())
    before = interest.beyond(submit.position_side)
    mark = worst_price if market.mark is None else market.mark
    notional = submit.quantity * (worst_price if submit.side is Side.BUY else max(worst_price, mark))
    interest.add(submit.side, notional)
    growth = interest.beyond(submit.position_side) - before
    if submit.reduce_only or not growth:
        return ZERO
    against = worst_price - mark if submit.side is Side.BUY else mark - worst_price
    loss = submit.quantity * max(against, ZERO)
    fee = notional * max(rates(account.spec.fees, listing.kind).taker, ZERO)
    demand = growth / leverage_of(account, listing) + loss + fee
    return demand * rate_of(state, account, listing)


def check_order(state: State, account_id: str, submit: Submit, worst_price: Decimal) -> None:
    """Refused when the margin does not suffice, or beyond the bracket of the leverage; changes nothing."""
    demand = order_demand(state, account_id, submit, worst_price)
    if not demand:
        return
    account, market = state.account(account_id), state.market(submit.instrument)
    listing = market.listing
    if listing.kind is not Kind.SPOT:
        _check_limit(state, account, market, submit, worst_price)
    asset = asset_of(account, listing)
    left = available(state, account, asset)
    if demand > left:
        raise Refused(
            Reason.INSUFFICIENT_MARGIN, f"needs {demand:f} {asset} of margin, {left:f} is available"
        )


def _check_limit(
    state: State, account: Account, market: Market, submit: Submit, worst_price: Decimal
) -> None:
    leverage = leverage_of(account, market.listing)
    interest = interests(state, account, market).get(submit.position_side, Interest())
    interest.add(submit.side, submit.quantity * worst_price)
    reached, most = interest.reached(submit.position_side), notional_max(market.listing, leverage)
    if reached > most:
        detail = f"{reached:f} {market.listing.quote} of position and orders; {leverage}x allows {most:f}"
        raise Refused(Reason.POSITION_LIMIT, detail)


def _coin_demand(state: State, account: Account, submit: Submit, worst_price: Decimal) -> Decimal:
    listing = state.markets[submit.instrument].listing
    if account.spec.kind is not AccountKind.UNIFIED or submit.side is Side.SELL:
        return ZERO
    price = value(state, listing.base) or ZERO
    paid, got = (value(state, listing.quote) or ZERO), price * ratio(state, account, listing.base)
    paid *= ratio(state, account, listing.quote)
    quantity = submit.quantity or (submit.quote_quantity or ZERO) / worst_price
    return max(quantity * (worst_price * paid - got), ZERO)


def margin_level(state: State, account_id: str) -> Decimal | None:
    """Assets / liabilities in USDT, unrealised PnL of a unified account included; None without debts."""
    account = state.account(account_id)
    liabilities = liabilities_usd(state, account)
    if not liabilities:
        return None
    assets = assets_usd(state, account)
    if account.spec.kind is AccountKind.UNIFIED:
        pool = pool_of(state, account, USD)
        assets += pool.unrealised + pool.unrealised_isolated
    return assets / liabilities


def max_borrow(state: State, account_id: str, asset: str) -> Decimal:
    """How much of an asset may be borrowed now; 0 where it cannot be.

    MARGIN: level 1.5 or more afterwards, and the coins come in as assets, so 2 * (assets - liabilities) -
    liabilities. UNIFIED: what `available` carries. Both: liabilities up to `borrow_max_usd`.
    """
    account, price = state.account(account_id), value(state, asset)
    if account.spec.kind not in BORROWING or not price:
        return ZERO
    liabilities = liabilities_usd(state, account)
    if account.spec.kind is AccountKind.MARGIN:
        # (assets + x) / (liabilities + x) >= level
        room = (assets_usd(state, account) - BORROW_LEVEL * liabilities) / (BORROW_LEVEL - 1)
    else:
        room = available(state, account, USD) / (1 - ratio(state, account, asset) + DEBT_INITIAL)
    return _down(min(room, account.spec.borrow_max_usd - liabilities) / price)


def max_withdraw(state: State, account_id: str, asset: str) -> Decimal:
    """What may leave an account: no locked coins, no margin in use, nothing that debts stand on."""
    account = state.account(account_id)
    free = account.balance(asset).free
    match account.spec.kind:
        case AccountKind.SPOT:
            return free
        case AccountKind.FUTURES:
            # The wallet itself keeps the maintenance margin, whatever profit is not realised yet
            # (https://www.binance.com/en/blog/futures/421499824684903916, "Available for withdrawal").
            pool = pool_of(state, account, asset)
            left = min(available(state, account, asset, pool), pool.backing - pool.maintenance)
            return _down(min(free - set_aside(state, account, asset), left))
        case AccountKind.MARGIN:
            liabilities, price = liabilities_usd(state, account), value(state, asset)
            if not liabilities or not price:
                return free
            return _down(min(free, (assets_usd(state, account) - WITHDRAW_LEVEL * liabilities) / price))
        case AccountKind.UNIFIED:
            weight = (value(state, asset) or ZERO) * ratio(state, account, asset)
            left = available(state, account, USD)
            mine = free - set_aside(state, account, asset)
            return _down(min(mine, left / weight) if weight else mine)


def set_aside(state: State, account: Account, asset: str) -> Decimal:
    """The part of a wallet that isolated positions hold."""
    return sum(
        (
            position.isolated_margin
            for key, sides in account.positions.items()
            if state.markets[key].listing.quote == asset
            for position in sides.values()
        ),
        ZERO,
    )


def _down(amount: Decimal) -> Decimal:
    """At least 0; a quotient's endless digits are cut, a wallet may leave to the last one."""
    if amount <= 0:
        return ZERO
    if int(amount.as_tuple().exponent) >= -EXACT_DECIMALS:
        return amount
    return amount.quantize(MONEY_STEP, rounding=ROUND_DOWN)
