"""Contracts that end: a dated future at its expiry, any contract that is delisted. No fee is taken."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from libs.common.instant import Now
from libs.common.subjects import Kind
from libs.exchange.engine.commands import Deliver, Event, Listed, Reason, Refused
from libs.exchange.engine.liquidation import after_change, close
from libs.exchange.engine.orders import cancel_market
from libs.exchange.engine.state import Market, State
from libs.exchange.engine.transfers import check_amount
from libs.exchange.engine.types import Listing, MarketStatus

REASON: Final = "the contract was delivered"


def deliver(state: State, command: Deliver, now: Now) -> list[Event]:
    """All positions of a dated future close at the delivery price; the market is delisted.

    Refused: UNKNOWN_INSTRUMENT, NOT_TRADING (it was delivered already), BAD_VALUE.
    """
    market = state.contract(command.instrument)
    if market.listing.kind is not Kind.FUTURE:
        raise Refused(Reason.BAD_VALUE, f"{command.instrument} has no delivery")
    if market.listing.status is MarketStatus.DELISTED:
        raise Refused(Reason.NOT_TRADING, f"{command.instrument} is delisted")
    check_amount(command.price)
    events = cancel_market(state, market, REASON, now)
    market.listing = replace(market.listing, status=MarketStatus.DELISTED)
    market.mark = command.price
    events.append(Listed(listing=market.listing))
    return events + _settled(state, market, command.price, now)


def delist(state: State, listing: Listing, now: Now) -> list[Event]:
    """Settle what is held of a contract at its mark, without one at the entry price; its orders are canceled
    already. Coins of a spot market stay where they are.
    """
    market = state.markets[listing.key]
    if listing.kind is Kind.SPOT:
        return []
    return _settled(state, market, market.mark, now)


def _settled(state: State, market: Market, price: Decimal | None, now: Now) -> list[Event]:
    events: list[Event] = []
    key = market.listing.key
    for name in list(market.holders):
        for position in list(state.accounts[name].positions[key].values()):
            at = position.entry_price if price is None else price
            events += close(state, position, abs(position.quantity), at, cause="delivery", now=now)
        events += after_change(state, name, now)
    return events
