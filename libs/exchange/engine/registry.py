"""Markets and accounts themselves: listed, opened, priced, and the sums over all of them."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from libs.common.instant import Now
from libs.common.subjects import Kind
from libs.exchange.engine import delivery, liquidation
from libs.exchange.engine.commands import (
    Event,
    Listed,
    OpenAccount,
    Reason,
    Refused,
    SetFees,
    SetListing,
    SetMark,
)
from libs.exchange.engine.filters import check_fees, check_fine, check_listing
from libs.exchange.engine.orders import cancel_market
from libs.exchange.engine.state import USD, Account, Market, State, is_margined
from libs.exchange.engine.types import ZERO, Listing, MarketStatus

MARKET_CLOSED = "the market is delisted"


def set_listing(state: State, command: SetListing, now: Now) -> list[Event]:
    """List a market or change it. Delisting cancels its orders and settles its positions at the mark."""
    listing = command.listing
    check_listing(listing)
    market = state.markets.get(listing.key)
    if market is None:
        state.markets[listing.key] = Market(listing)
        if listing.kind is Kind.SPOT:
            state.spot_markets.setdefault(f"{listing.base}/{listing.quote}", listing.key)
        return [Listed(listing=listing)]
    _check_same(market.listing, listing)
    before, market.listing = market.listing, listing
    events: list[Event] = [Listed(listing=listing)]
    if listing.status is MarketStatus.DELISTED and before.status is not MarketStatus.DELISTED:
        events += cancel_market(state, market, MARKET_CLOSED, now)
        if listing.kind is not Kind.SPOT:
            events += delivery.delist(state, listing, now)
    return events


def open_account(state: State, command: OpenAccount, now: Now) -> list[Event]:
    """A new, empty account; ids that begin with @ are the house's own."""
    del now  # an account has no age
    spec = command.spec
    if not spec.account or spec.account.startswith("@"):
        raise Refused(Reason.BAD_VALUE, f"{spec.account!r} cannot name an account")
    if spec.account in state.accounts:
        raise Refused(Reason.ALREADY_SET, f"there is an account {spec.account}")
    if spec.leverage_default < 1:
        raise Refused(Reason.LEVERAGE, f"leverage {spec.leverage_default}")
    check_fees(spec.fees)
    state.accounts[spec.account] = Account(spec, spec.position_mode)
    return []


def set_fees(state: State, command: SetFees, now: Now) -> list[Event]:
    """Other fees from the next fill on; what resting orders have locked for fees stays."""
    del now  # in force at once
    account = state.account(command.account)
    check_fees(command.fees)
    account.spec = replace(account.spec, fees=command.fees)
    return []


def set_mark(state: State, command: SetMark, now: Now) -> list[Event]:
    """A new mark; whoever it leaves with too little margin is liquidated."""
    market = state.market(command.instrument)
    check_fine(command.mark, "mark")
    market.mark = command.mark
    events: list[Event] = []
    for account_id in state.exposed_accounts(command.instrument):
        events += liquidation.after_change(state, account_id, now)
    return events


def exposed(state: State) -> frozenset[str]:
    """See `Engine.exposed`."""
    found = {key for key, market in state.markets.items() if market.holders}
    for account in state.accounts.values():
        for asset, balance in account.balances.items():
            priced = state.spot_markets.get(f"{asset}/{USD}")
            if priced is None:
                continue
            if is_margined(account, asset) or (asset == account.spec.fees.coin and balance.total):
                found.add(priced)
    return frozenset(found)


def totals(state: State) -> dict[str, Decimal]:
    """See `Engine.totals`. Exact: what enters the ledger has few enough digits for the arithmetic's 60."""
    sums: dict[str, Decimal] = {}
    for account in state.accounts.values():
        for asset, balance in account.balances.items():
            sums[asset] = sums.get(asset, ZERO) + balance.total
    for assets in state.house.values():
        for asset, amount in assets.items():
            sums[asset] = sums.get(asset, ZERO) + amount
    return sums


def _check_same(before: Listing, after: Listing) -> None:
    """What a market is never changes; only what it allows."""
    for what in ("kind", "symbol", "base", "quote"):
        if getattr(before, what) != getattr(after, what):
            raise Refused(Reason.BAD_VALUE, f"{before.key} cannot change its {what}")
