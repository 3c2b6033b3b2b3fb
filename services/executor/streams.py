"""From what a venue's user stream tells to events of the pairs that it concerns. Pure.

An order is ours when a pair knows its id; everything else that moves an account makes the pairs concerned
look at it at once, instead of at their next round.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec

from libs.common.effects import Event
from libs.common.subjects import SPOT, kind_of, slug
from libs.exchange.port import GapSeen
from libs.exchange.trading_values import (
    BalanceReport,
    FillReport,
    LedgerRecord,
    OrderReport,
    PositionReport,
    TradingEvent,
)
from services.executor.events import AccountMoved, FillSeen, OrderSeen
from services.executor.model import Intent

Key = tuple[str, str]


class Books(Protocol):
    """What is needed of a lane: its legs and the orders that it remembers."""

    keys: tuple[Key, Key]
    intents: dict[str, Intent]


def events_of(venue: str, event: TradingEvent, lanes: Mapping[str, Books]) -> list[Event]:
    """What the pairs are told. `lanes`: pair id -> its legs and orders."""
    match event:
        case OrderReport(client_id=client_id):
            pair = pair_of_order(lanes, client_id)
            return [OrderSeen(pair=pair, venue=venue, report=event)] if pair else []
        case FillReport():
            pair = pair_of_fill(lanes, venue, event)
            if pair:
                return [FillSeen(pair=pair, venue=venue, fill=event)]
            return _moved(venue, (p for p, one in lanes.items() if (venue, event.instrument) in one.keys))
        case PositionReport(instrument=instrument):
            return _moved(venue, (pair for pair, one in lanes.items() if (venue, instrument) in one.keys))
        case BalanceReport(asset=asset):
            return _moved(venue, (pair for pair, one in lanes.items() if _holds(one, venue, asset)))
        case GapSeen():
            return _moved(venue, (pair for pair, one in lanes.items() if venue in (k[0] for k in one.keys)))


def _moved(venue: str, pairs: Iterable[str]) -> list[Event]:
    return [AccountMoved(pair=pair, venue=venue) for pair in pairs]


def _holds(one: Books, venue: str, asset: str) -> bool:
    """Whether a pair has a spot leg of this coin; quote balances move with every fill and say nothing new."""
    return any(
        key[0] == venue and kind_of(key[1]) is SPOT and key[1].split("-", 1)[0] == slug(asset)
        for key in one.keys
        if asset
    )


def pair_of_order(lanes: Mapping[str, Books], client_id: str) -> str:
    """The pair that remembers an order of this id, "" when none does."""
    return next((pair for pair, one in lanes.items() if client_id and client_id in one.intents), "")


def pair_of_fill(lanes: Mapping[str, Books], venue: str, fill: FillReport) -> str:
    """The pair of a trade: by our id, else by the venue's order id at this venue and instrument."""
    if fill.client_id:
        return pair_of_order(lanes, fill.client_id)
    key = (venue, fill.instrument)
    for pair, one in lanes.items():
        for intent in one.intents.values():
            if intent.order_id and intent.order_id == fill.order_id and one.keys[intent.leg] == key:
                return pair
    return ""


def taken(fills: Iterable[FillReport], records: Iterable[LedgerRecord]) -> list[FillReport]:
    """Of the trades in one instrument those that the venue made by itself.

    A trade says so itself, or a line of the venue's books about a liquidation names it or its order.
    """
    named = {ref for one in records for ref in (one.ref, one.record_id) if ref}
    found = []
    for fill in fills:
        if fill.cause != "order":
            found.append(fill)
        elif not fill.client_id and (fill.trade_id in named or fill.order_id in named):
            found.append(msgspec.structs.replace(fill, cause="liquidation"))
    return found
