"""What a venue checks of a listing, an order and a number before it looks at any money."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from libs.common.subjects import Kind
from libs.exchange.engine.commands import Reason, Refused, Submit
from libs.exchange.engine.orders import is_closing
from libs.exchange.engine.state import Account, Market, State
from libs.exchange.engine.types import (
    ZERO,
    AccountKind,
    FeeSchedule,
    Listing,
    MarketStatus,
    OrderType,
    PositionMode,
    PositionSide,
    Side,
    TimeInForce,
)

HIGHEST: Final = Decimal("1e15")
AMOUNT_DECIMALS_MAX: Final = 18
FILTER_DECIMALS_MAX: Final = 12  # of ticks, steps and rates: a price x quantity x rate then has at most 36

_SPOT_KINDS: Final = (AccountKind.SPOT, AccountKind.MARGIN, AccountKind.UNIFIED)
_CONTRACT_KINDS: Final = (AccountKind.FUTURES, AccountKind.UNIFIED)
_MARGIN_KINDS: Final = (AccountKind.MARGIN, AccountKind.UNIFIED)


# --- numbers ----------------------------------------------------------------------------------------------


def check_plain(value: Decimal, what: str) -> None:
    """A price, quantity or amount must be finite, above zero and below 1e15."""
    if not value.is_finite() or not ZERO < value < HIGHEST:
        raise Refused(Reason.BAD_VALUE, f"{what} {value} is not a positive number")


def check_fine(value: Decimal, what: str, decimals: int = AMOUNT_DECIMALS_MAX) -> None:
    """Like `check_plain`, and with so many decimals at most: the ledger adds up without rounding."""
    check_plain(value, what)
    exponent = value.normalize().as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -decimals:
        raise Refused(Reason.BAD_VALUE, f"{what} {value} has more than {decimals} decimals")


def check_listing(listing: Listing) -> None:
    """Filters must be numbers that orders can meet, and the key must name the kind of the market."""
    if listing.key != f"{listing.kind}:{listing.symbol}":
        raise Refused(Reason.BAD_VALUE, f"{listing.symbol} is listed as {listing.key}")
    for what in ("price_tick", "quantity_step", "quantity_min"):
        check_fine(getattr(listing, what), what, FILTER_DECIMALS_MAX)
    for what in ("quantity_max", "market_quantity_max", "notional_min", "price_band"):
        value = getattr(listing, what)
        if value is not None:
            check_plain(value, what)
    bounds = [tier.notional_max for tier in listing.tiers]
    if bounds != sorted(bounds):
        raise Refused(Reason.BAD_VALUE, f"the margin brackets of {listing.key} are out of order")


def check_fees(fees: FeeSchedule) -> None:
    """A fee takes less than the whole, and a rebate gives less."""
    for rates in (fees.spot, fees.perp, fees.future):
        for rate in (rates.maker, rates.taker):
            if not rate.is_finite() or abs(rate) >= 1:
                raise Refused(Reason.BAD_VALUE, f"a fee of {rate}")
            if rate:
                check_fine(abs(rate), "fee", FILTER_DECIMALS_MAX)
    check_plain(fees.coin_factor, "coin factor")


# --- orders -----------------------------------------------------------------------------------------------


def check_submit(state: State, account: Account, market: Market, submit: Submit) -> None:
    """Everything about an order that depends neither on money nor on positions."""
    listing = market.listing
    _check_allowed(account, listing, submit)
    if listing.status is not MarketStatus.TRADING:
        raise Refused(Reason.NOT_TRADING, f"{listing.key} is {listing.status}")
    _check_shape(listing, submit)
    _check_position_side(account, listing, submit)
    if submit.price is not None:
        _check_price(market, submit.side, submit.price)
    if submit.quote_quantity is None:
        _check_quantity(listing, submit)
    _check_notional(market, submit)
    _check_client_id(state, account, submit)


def reference(market: Market) -> Decimal | None:
    """The price that values what has none: the mark, else the middle of the book."""
    if market.mark is not None:
        return market.mark
    bid, ask = market.bids.best(), market.asks.best()
    if bid is None or ask is None:
        return bid or ask
    return (bid + ask) / 2


def _check_allowed(account: Account, listing: Listing, submit: Submit) -> None:
    kind = account.spec.kind
    if kind not in (_SPOT_KINDS if listing.kind is Kind.SPOT else _CONTRACT_KINDS):
        raise Refused(Reason.NOT_ALLOWED, f"a {kind} account does not trade {listing.key}")
    if submit.margin or submit.borrow != "none":
        if not submit.margin or listing.kind is not Kind.SPOT or kind not in _MARGIN_KINDS:
            raise Refused(Reason.NOT_ALLOWED, f"a {kind} account borrows nothing to trade {listing.key}")
        if not listing.marginable:
            raise Refused(Reason.NOT_ALLOWED, f"{listing.key} is not traded on margin")


def _check_shape(listing: Listing, submit: Submit) -> None:
    """Which fields go together."""
    if submit.type is OrderType.LIMIT:
        if submit.price is None:
            raise Refused(Reason.BAD_VALUE, "a limit order needs a price")
        check_plain(submit.price, "price")
    elif submit.price is not None:
        raise Refused(Reason.BAD_VALUE, "a market order has no price")
    elif submit.tif is TimeInForce.POST_ONLY:
        raise Refused(Reason.BAD_VALUE, "a market order always takes")
    spot = listing.kind is Kind.SPOT
    if spot and submit.reduce_only:
        raise Refused(Reason.BAD_VALUE, "reduce-only is for contracts")
    if submit.quote_quantity is None:
        check_plain(submit.quantity, "quantity")
        return
    check_fine(submit.quote_quantity, "quote quantity")
    if not spot or submit.type is not OrderType.MARKET or submit.side != "buy" or submit.quantity:
        raise Refused(Reason.BAD_VALUE, "only a spot market buy is given by its cost")


def _check_position_side(account: Account, listing: Listing, submit: Submit) -> None:
    hedged = listing.kind is not Kind.SPOT and account.position_mode is PositionMode.HEDGE
    if (submit.position_side is PositionSide.BOTH) is hedged:
        mode = PositionMode.HEDGE if hedged else PositionMode.ONE_WAY
        raise Refused(Reason.POSITION_SIDE, f"{submit.position_side} does not fit {mode} positions")


def _check_price(market: Market, side: Side, price: Decimal) -> None:
    """Tick and band. A band bounds a buy from above and a sale from below (Binance USD-M's PERCENT_PRICE,
    Bitget's price limits): a price that only waits for the market far away harms nobody.
    """
    listing = market.listing
    if price % listing.price_tick:
        raise Refused(Reason.PRICE_TICK, f"price {price} is not a multiple of {listing.price_tick}")
    if listing.price_band is None:
        return
    around = reference(market)
    if around is None:
        return
    beyond = price - around if side is Side.BUY else around - price
    if listing.price_band_both_ways:
        beyond = abs(beyond)
    if beyond > around * listing.price_band:
        raise Refused(Reason.PRICE_BAND, f"price {price} is more than {listing.price_band} from {around}")


def _check_quantity(listing: Listing, submit: Submit) -> None:
    quantity = submit.quantity
    if quantity % listing.quantity_step:
        raise Refused(
            Reason.QUANTITY_STEP, f"quantity {quantity} is not a multiple of {listing.quantity_step}"
        )
    if quantity < listing.quantity_min:
        raise Refused(Reason.QUANTITY_MIN, f"quantity {quantity} is below {listing.quantity_min}")
    most = listing.quantity_max
    if submit.type is OrderType.MARKET and listing.market_quantity_max is not None:
        most = min(most or listing.market_quantity_max, listing.market_quantity_max)
    if most is not None and quantity > most:
        raise Refused(Reason.QUANTITY_MAX, f"quantity {quantity} is above {most}")


def _check_notional(market: Market, submit: Submit) -> None:
    """Orders that only reduce are exempt, as on Binance (error -4164); so is what cannot be valued."""
    least = market.listing.notional_min
    if least is None or is_closing(submit.side, submit.position_side, reduce_only=submit.reduce_only):
        return
    if submit.quote_quantity is not None:
        notional = submit.quote_quantity
    else:
        price = submit.price if submit.price is not None else reference(market)
        if price is None:
            return
        notional = submit.quantity * price
    if notional < least:
        raise Refused(Reason.NOTIONAL_MIN, f"notional {notional} is below {least}")


def _check_client_id(state: State, account: Account, submit: Submit) -> None:
    taken = account.client_ids.get(submit.client_id)
    if not taken or not submit.client_id:
        return
    if state.rules.unique_ids == "ever" or any(order_id in account.open for order_id in taken):
        raise Refused(Reason.DUPLICATE_ID, f"client id {submit.client_id} is taken")
