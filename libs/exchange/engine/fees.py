"""What a fill costs: the rate by product and liquidity, and in which coin it is paid."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

from libs.common.subjects import Kind
from libs.exchange.engine.fills import Fee, Match
from libs.exchange.engine.ledger import QUANTUM, money
from libs.exchange.engine.state import Account, State
from libs.exchange.engine.types import ZERO, FeeRates, FeeSchedule, Liquidity, Listing, Side


def rates(schedule: FeeSchedule, kind: Kind) -> FeeRates:
    """An account's rates for one kind of market."""
    match kind:
        case Kind.SPOT:
            return schedule.spot
        case Kind.PERP:
            return schedule.perp
        case Kind.FUTURE:
            return schedule.future


def rate(schedule: FeeSchedule, kind: Kind, liquidity: Liquidity) -> Decimal:
    """Fraction of the notional; negative is a rebate."""
    found = rates(schedule, kind)
    return found.maker if liquidity is Liquidity.MAKER else found.taker


def lock_rate(schedule: FeeSchedule, side: Side) -> Decimal:
    """What an open spot order sets aside for its fee, per unit of quote: only a buy that pays in quote needs
    it, at the dearer rate, since a resting order may also have taken before.
    """
    if side is Side.SELL or schedule.spot_buy_fee == "base":
        return ZERO
    return max(schedule.spot.maker, schedule.spot.taker, ZERO)


def fee_money(amount: Decimal) -> Decimal:
    """A fee as it is booked: 8 decimals, the rest cut off. The venues publish no rule; this one never takes
    more than the rate says, so that the fees of an order's fills never exceed what was checked or locked.
    """
    return amount.quantize(QUANTUM, rounding=ROUND_DOWN)


def spot_fee(state: State, account: Account, listing: Listing, side: Side, match: Match) -> Fee:
    """Of a spot fill whose two legs are booked already.

    Buys pay in base or quote as the schedule says, sells in quote. A buy whose quote no longer covers the fee
    (the schedule was changed while it rested) pays in base. The third coin is not used where it is what the
    order gives away: its next fill needs it.
    """
    schedule = account.spec.fees
    fraction = rate(schedule, Kind.SPOT, match.liquidity)
    amount = match.quote * fraction
    given = listing.quote if side is Side.BUY else listing.base
    in_coin = _in_coin(state, account, listing.quote, amount) if schedule.coin != given else None
    if in_coin is not None:
        return in_coin
    due = fee_money(amount)
    if side is Side.BUY and (schedule.spot_buy_fee == "base" or account.balance(listing.quote).free < due):
        return Fee(listing.base, fee_money(match.quantity * fraction))
    return Fee(listing.quote, due)


def contract_fee(state: State, account: Account, listing: Listing, match: Match) -> Fee:
    """Of a contract fill: in what the contract settles in, or in the third coin."""
    amount = match.quote * rate(account.spec.fees, listing.kind, match.liquidity)
    return _in_coin(state, account, listing.quote, amount) or Fee(listing.quote, fee_money(amount))


def in_quote(state: State, fee: Fee, quote: str) -> Decimal:
    """What a fee is worth in quote: a position sums up its fees in one currency."""
    if fee.asset == quote:
        return fee.amount
    return money(fee.amount * (state.price(fee.asset, quote) or ZERO))


def _in_coin(state: State, account: Account, quote: str, amount: Decimal) -> Fee | None:
    """A fee of `amount` quote in the schedule's coin; None without one, without its price or with too little
    of it free. Rebates are never paid in it.
    """
    coin = account.spec.fees.coin
    if coin is None or amount <= ZERO:
        return None
    price = state.price(coin, quote)
    if not price:
        return None
    due = fee_money(amount * account.spec.fees.coin_factor / price)
    return Fee(coin, due) if account.balance(coin).free >= due else None
