"""Bitget's v3 positions: open ones, closed ones, their rank in the queue of deleveraging; and as the stream
shows them.

Formulas were checked against published payloads: break-even is the price at which closing as a taker leaves
nothing of entry cost, fees and funding; the profit rate is the unrealised PnL over the position's margin.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from libs.exchange.engine.orders import is_closing
from libs.exchange.engine.types import (
    ZERO,
    Listing,
    MarginMode,
    Position,
    PositionFigures,
)
from services.venue.bitget_common import PERPS, body
from services.venue.bitget_private_fields import Fields, figure, ms_text, page, plain, ratio
from services.venue.bitget_private_lives import Life, lives_of, living_of
from services.venue.bitget_private_place import account_of, listing_of
from services.venue.bitget_private_rows import hold_mode, symbol_of
from services.venue.house import House
from services.venue.keys import Key
from services.venue.wire import Answer, Call, answer

_MODES: Final = {MarginMode.CROSS: "crossed", MarginMode.ISOLATED: "isolated"}


# --- calls ---------------------------------------------------------------------------------------


def current_position(house: House, call: Call, key: Key) -> Answer:
    """Open positions of a category, or of one symbol or side of it."""
    fields = Fields.of(call)
    category = fields.category()
    symbol = listing_of(house, fields, category).symbol if fields.text("symbol") else ""
    side = fields.choice("posSide", ("long", "short")) if fields.text("posSide") else ""
    rows = [
        row
        for row in rows_of(house, account_of(house, key))
        if category == PERPS and symbol in ("", row["symbol"]) and side in ("", row["posSide"])
    ]
    return answer(body(call.now.wall_ms, {"list": rows}))


def history_position(house: House, call: Call, key: Key) -> Answer:
    """Closed positions, the last one first."""
    fields = Fields.of(call)
    category = fields.category()
    symbol = fields.text("symbol").upper()
    lives = [
        life
        for life in _lives(house, account_of(house, key))
        if life.closed_us and category == PERPS and symbol in ("", symbol_of(life.instrument))
    ]
    chosen = page(fields, lives, number=lambda life: life.number, stamp=lambda life: life.closed_us // 1_000)
    cursor = str(chosen[-1].number) if chosen else ""
    return answer(body(call.now.wall_ms, {"list": [_past(life) for life in chosen], "cursor": cursor}))


def adl_rank(house: House, call: Call, key: Key) -> Answer:
    """Where positions stand in the queue of deleveraging: the higher, the sooner."""
    rows = [
        {
            "symbol": symbol_of(figures.position.instrument),
            "marginCoin": "USDT",
            "adlRank": figure(_rank(figures)),
            "holdSide": side_of(figures.position),
        }
        for figures in house.engine.positions(account_of(house, key))
    ]
    return answer(body(call.now.wall_ms, rows))


# --- rows ----------------------------------------------------------------------------------------


def rows_of(house: House, account: str) -> list[dict[str, Any]]:
    """All open positions as REST shows them."""
    lives = _lives(house, account)
    return [_row(house, figures, lives) for figures in house.engine.positions(account)]


def stream_rows(house: House, account: str) -> list[dict[str, Any]]:
    """All open positions as the stream shows them."""
    lives = _lives(house, account)
    return [_stream_row(house, figures, lives) for figures in house.engine.positions(account)]


def stream_row(house: House, position: Position) -> dict[str, Any]:
    """One position after a change; an ended one has no size and few figures."""
    for figures in house.engine.positions(position.account):
        if (figures.position.instrument, figures.position.side) == (position.instrument, position.side):
            return _stream_row(house, figures, _lives(house, position.account))
    return _ended(house, position)


def side_of(position: Position) -> str:
    """`long` or `short`, in one-way mode by the sign."""
    return "long" if position.quantity > ZERO else "short"


def _lives(house: House, account: str) -> list[Life]:
    return lives_of(house.engine.fills(account), house.engine.entries(account))


def _row(house: House, figures: PositionFigures, lives: list[Life]) -> dict[str, Any]:
    position = figures.position
    life = living_of(lives, position.instrument, position.side)
    total, frozen = abs(position.quantity), frozen_of(house, position)
    return {
        "category": PERPS,
        "symbol": symbol_of(position.instrument),
        "marginCoin": "USDT",
        "holdMode": hold_mode(position.side),
        "posSide": side_of(position),
        "marginMode": _MODES[position.margin_mode],
        "positionBalance": figure(figures.initial),
        "available": plain(total - frozen),
        "frozen": plain(frozen),
        "total": plain(total),
        "leverage": str(position.leverage),
        "curRealisedPnl": plain(position.realised),
        "avgPrice": plain(position.entry_price),
        "positionStatus": "normal",
        "unrealisedPnl": figure(figures.unrealised),
        "liquidationPrice": _price(figures.liquidation_price),
        "mmr": figure(_mmr(house.engine.listing(position.instrument), figures.notional)),
        "profitRate": figure(ratio(figures.unrealised, figures.initial)),
        "markPrice": plain(figures.mark),
        "breakEvenPrice": figure(_break_even(house, position)),
        "totalFunding": plain(position.funding),
        "openFeeTotal": plain(-life.opened_fees if life is not None else -position.fees),
        "closeFeeTotal": plain(-life.closed_fees if life is not None else ZERO),
        "createdTime": ms_text(position.opened_us),
        "updatedTime": ms_text(position.updated_us),
    }


def _stream_row(house: House, figures: PositionFigures, lives: list[Life]) -> dict[str, Any]:
    """The names of some fields differ from those of REST."""
    row = _row(house, figures, lives)
    del row["category"]
    row["liqPrice"] = row.pop("liquidationPrice")
    row["totalFundingFee"] = row.pop("totalFunding")
    row["marginSize"] = row.pop("positionBalance")
    row["size"] = row.pop("total")
    return row | {"positionStatus": "opening"}


def _ended(house: House, position: Position) -> dict[str, Any]:
    """A one-way position that has ended has no sign any more: the last of its lives tells what it was."""
    mine = [life for life in _lives(house, position.account) if life.instrument == position.instrument]
    last = next((life for life in reversed(mine) if life.side is position.side), None)
    mark = house.engine.mark(position.instrument)
    return {
        "symbol": symbol_of(position.instrument),
        "leverage": str(position.leverage),
        "openFeeTotal": "",
        "mmr": "",
        "breakEvenPrice": "",
        "available": "0",
        "liqPrice": "",
        "marginMode": _MODES[position.margin_mode],
        "unrealisedPnl": "0",
        "markPrice": plain(mark) if mark is not None else "0",
        "createdTime": ms_text(position.opened_us),
        "avgPrice": "0",
        "totalFundingFee": plain(position.funding),
        "updatedTime": ms_text(position.updated_us),
        "marginCoin": "USDT",
        "frozen": "0",
        "profitRate": "",
        "closeFeeTotal": "",
        "marginSize": "0",
        "curRealisedPnl": plain(position.realised),
        "size": "0",
        "positionStatus": "ended",
        "posSide": "long" if last is None or last.long else "short",
        "holdMode": hold_mode(position.side),
    }


def _past(life: Life) -> dict[str, Any]:
    net = life.realised + life.funding - life.opened_fees - life.closed_fees
    return {
        "positionId": str(life.number),
        "category": PERPS,
        "symbol": symbol_of(life.instrument),
        "marginCoin": "USDT",
        "holdMode": hold_mode(life.side),
        "posSide": "long" if life.long else "short",
        "marginMode": "crossed",
        "openPriceAvg": figure(life.open_price),
        "closePriceAvg": figure(life.close_price),
        "openTotalPos": plain(life.opened),
        "closeTotalPos": plain(life.closed),
        "cumRealisedPnl": plain(life.realised),
        "netProfit": plain(net),
        "totalFunding": plain(life.funding),
        "openFeeTotal": plain(-life.opened_fees),
        "closeFeeTotal": plain(-life.closed_fees),
        "createdTime": ms_text(life.opened_us),
        "updatedTime": ms_text(life.closed_us),
    }


# --- figures -------------------------------------------------------------------------------------


def frozen_of(house: House, position: Position) -> Decimal:
    """What resting orders are about to close, at most all of it."""
    closing = [
        order.remaining
        for order in house.engine.open_orders(position.account, position.instrument)
        if order.position_side is position.side
        and is_closing(order.side, order.position_side, reduce_only=order.reduce_only)
    ]
    return min(sum(closing, ZERO), abs(position.quantity))


def _mmr(listing: Listing, notional: Decimal) -> Decimal:
    """The maintenance ratio of the bracket; the last one's beyond it."""
    for tier in listing.tiers:
        if notional <= tier.notional_max:
            return tier.maintenance_ratio
    return listing.tiers[-1].maintenance_ratio if listing.tiers else ZERO


def _price(price: Decimal | None) -> str:
    """0 says that no price liquidates it."""
    return figure(price) if price is not None and price > ZERO else "0"


def _break_even(house: House, position: Position) -> Decimal:
    """Where closing as a taker ends at zero: (cost + fees - funding) / (quantity * (1 - taker)), a short's
    with the signs turned.
    """
    taker = house.engine.accounts[position.account].fees.perp.taker
    spent = position.cost + position.fees - position.funding - position.realised
    return ratio(spent, position.quantity - abs(position.quantity) * taker)


def _rank(figures: PositionFigures) -> Decimal:
    """Profit over margin, from 0 to 1."""
    return min(max(ratio(figures.unrealised, figures.initial), ZERO), Decimal(1))
