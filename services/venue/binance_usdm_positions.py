"""USD-M positions as the wire shows them: positionRisk, the positions of an account, ADL, forced orders.

The v3 answers list only what is open or has orders, the v2 answers every contract. `positionRisk` of both has
leverage and margin type, as the recorded payloads do; the live v3 leaves these four fields out, so that no
client should read them there: `symbolConfig` says them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from libs.exchange.engine.demand import Interest
from libs.exchange.engine.types import (
    ZERO,
    Listing,
    MarginMode,
    Order,
    Position,
    PositionFigures,
    PositionMode,
    PositionSide,
)
from services.venue.binance_usdm_params import account_of, contracts, instrument_filter, read
from services.venue.binance_usdm_rows import brief, entry_text, money, quantity_text, query_row
from services.venue.wire import Answer, Call, answer

if TYPE_CHECKING:
    from services.venue.desk import Instant
    from services.venue.house import House
    from services.venue.keys import Key

_SIDES: Final = {
    PositionMode.ONE_WAY: (PositionSide.BOTH,),
    PositionMode.HEDGE: (PositionSide.LONG, PositionSide.SHORT),
}
_FORCED: Final = {"LIQUIDATION": ("liquidation",), "ADL": ("adl",), "": ("liquidation", "adl")}
_PRICE_STEP: Final = Decimal("1e-8")


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """One side of one contract of an account: what is held (None: nothing) and what its orders would add."""

    listing: Listing
    side: PositionSide
    figures: PositionFigures | None
    leverage: int
    mode: MarginMode
    max_notional: Decimal
    mark: Decimal
    bids: Decimal
    asks: Decimal

    @property
    def position(self) -> Position | None:
        return self.figures.position if self.figures is not None else None

    @property
    def notional(self) -> Decimal:
        """Signed, at the mark."""
        return self.position.quantity * self.mark if self.position is not None else ZERO

    @property
    def isolated_margin(self) -> Decimal:
        """The margin set aside and what the position gains or loses; 0 in cross mode."""
        if self.figures is None or self.mode is not MarginMode.ISOLATED:
            return ZERO
        return self.figures.position.isolated_margin + self.figures.unrealised

    @property
    def isolated_wallet(self) -> Decimal:
        """The margin set aside alone."""
        return self.position.isolated_margin if self.position is not None else ZERO

    @property
    def orders_initial(self) -> Decimal:
        """What open orders need beyond the position, by the engine's rule."""
        interest = Interest(held=self.notional, buys=self.bids, sells=self.asks)
        return interest.beyond(self.side) / self.leverage

    @property
    def initial(self) -> Decimal:
        """What the position needs at the mark."""
        return self.figures.initial if self.figures is not None else ZERO

    @property
    def maintenance(self) -> Decimal:
        return self.figures.maintenance if self.figures is not None else ZERO

    @property
    def unrealised(self) -> Decimal:
        return self.figures.unrealised if self.figures is not None else ZERO

    @property
    def is_used(self) -> bool:
        """Whether anything is held or ordered."""
        return self.figures is not None or bool(self.bids or self.asks)


def slots(house: House, account: str, listings: list[Listing]) -> list[Slot]:
    """All sides of these contracts, in their order."""
    engine = house.engine
    held = {(one.position.instrument, one.position.side): one for one in engine.positions(account)}
    orders: dict[tuple[str, PositionSide], Interest] = {}
    for order in engine.open_orders(account):
        if order.price is not None and not order.reduce_only:
            place = (order.instrument, order.position_side)
            orders.setdefault(place, Interest()).add(order.side, order.remaining * order.price)
    found = []
    for listing in listings:
        leverage = engine.leverage(account, listing.key)
        for side in _SIDES[engine.position_mode(account)]:
            figures = held.get((listing.key, side))
            interest = orders.get((listing.key, side), Interest())
            own = figures.position if figures is not None else None
            found.append(
                Slot(
                    listing=listing,
                    side=side,
                    figures=figures,
                    leverage=own.leverage if own is not None else leverage,
                    mode=own.margin_mode if own else engine.margin_mode(account, listing.key),
                    max_notional=max_notional(listing, leverage),
                    mark=(figures.mark if figures is not None else engine.mark(listing.key)) or ZERO,
                    bids=interest.buys,
                    asks=interest.sells,
                )
            )
    return found


def max_notional(listing: Listing, leverage: int) -> Decimal:
    """The largest position that a leverage allows: the last bracket that allows so much."""
    allowed = [tier.notional_max for tier in listing.tiers if tier.leverage_max >= leverage]
    return allowed[-1] if allowed else ZERO


def break_even(position: Position) -> Decimal:
    """The price at which closing repays the fees as well."""
    price = position.entry_price + position.fees / position.quantity
    return price.quantize(_PRICE_STEP)


# --- positionRisk -----------------------------------------------------------------------------------------


def risk_v3(house: House, call: Call, key: Key) -> Answer:
    """GET /fapi/v3/positionRisk: what is open or has orders."""
    return answer([risk_row(one) for one in _chosen(house, call, key) if one.is_used])


def risk_v2(house: House, call: Call, key: Key) -> Answer:
    """GET /fapi/v2/positionRisk: every contract."""
    return answer([_risk_v2(one) for one in _chosen(house, call, key)])


def _chosen(house: House, call: Call, key: Key) -> list[Slot]:
    return slots(house, account_of(house, key), contracts(house, read(call), call.now))


def _risk_v2(slot: Slot) -> dict[str, Any]:
    position, figures = slot.position, slot.figures
    price = figures.liquidation_price if figures is not None else None
    return {
        "symbol": slot.listing.symbol,
        "positionAmt": quantity_text(slot.listing, position.quantity if position is not None else ZERO),
        "entryPrice": entry_text(position.entry_price if position is not None else ZERO),
        "breakEvenPrice": entry_text(break_even(position) if position is not None else ZERO),
        "markPrice": money(slot.mark),
        "unRealizedProfit": money(slot.unrealised),
        "liquidationPrice": money(price) if price is not None else "0",
        "leverage": str(slot.leverage),
        "maxNotionalValue": f"{slot.max_notional:f}",
        "marginType": "isolated" if slot.mode is MarginMode.ISOLATED else "cross",
        "isolatedMargin": money(slot.isolated_margin),
        "isAutoAddMargin": "false",
        "positionSide": slot.side.upper(),
        "notional": brief(slot.notional),
        "isolatedWallet": brief(slot.isolated_wallet),
        "updateTime": position.updated_us // 1_000 if position is not None else 0,
    }


def risk_row(slot: Slot) -> dict[str, Any]:
    """A row of v3: what v2 has, and the margins."""
    return {
        **_risk_v2(slot),
        "marginAsset": slot.listing.quote,
        "initialMargin": brief(slot.initial + slot.orders_initial),
        "maintMargin": brief(slot.maintenance),
        "positionInitialMargin": brief(slot.initial),
        "openOrderInitialMargin": brief(slot.orders_initial),
        "adl": adl_quantile(slot),
        "bidNotional": brief(slot.bids),
        "askNotional": brief(slot.asks),
    }


# --- ADL and forced orders --------------------------------------------------------------------------------


def adl_quantile(slot: Slot) -> int:
    """0 (nothing held) to 4 (first in the queue). Synthesised, since the venue has no queue of others: by
    the profit on the margin, 25 % a step.
    """
    if slot.figures is None:
        return 0
    gained = slot.unrealised / slot.initial if slot.initial else ZERO
    return min(4, 1 + int(max(gained, ZERO) * 4))


def adl_quantiles(house: House, call: Call, key: Key) -> Answer:
    """GET /fapi/v1/adlQuantile: of contracts with a position."""
    quantiles: dict[str, dict[str, int]] = {}
    for slot in _chosen(house, call, key):
        if slot.figures is None:
            continue
        hedged = slot.side is not PositionSide.BOTH
        row = {"LONG": 0, "SHORT": 0, "HEDGE" if hedged else "BOTH": 0}
        quantiles.setdefault(slot.listing.symbol, row)[slot.side.upper()] = adl_quantile(slot)
    return answer([{"symbol": symbol, "adlQuantile": row} for symbol, row in quantiles.items()])


def force_orders(house: House, call: Call, key: Key) -> Answer:
    """GET /fapi/v1/forceOrders: what liquidations and ADL did, oldest first."""
    wanted = read(call)
    limit = wanted.limit(50, 100)
    start, end = wanted.window(call.now.wall_ms, days=7)
    causes = _FORCED.get(wanted.text("autoCloseType"), ())
    forced = [
        one
        for one in house.engine.orders(account_of(house, key), _instrument(house, call))
        if one.cause in causes and _within(one, start, end, call.now)
    ]
    return answer([_forced_row(house.engine.listing(one.instrument), one) for one in forced[-limit:]])


def _instrument(house: House, call: Call) -> str:
    return instrument_filter(house, read(call), call.now)


def _within(order: Order, start: int | None, end: int | None, now: Instant) -> bool:
    stamp_ms = order.created_us // 1_000
    return (start or 0) <= stamp_ms <= (end or now.wall_ms)


def _forced_row(listing: Listing, order: Order) -> dict[str, Any]:
    row = query_row(listing, order)
    for name in ("priceProtect", "priceMatch", "selfTradePreventionMode", "goodTillDate"):
        del row[name]
    return row
