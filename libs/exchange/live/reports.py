"""From ccxt's structures to reports in base units. Pure; figures are text on the way, so no digit is lost.

The trading instances are made with `number = str`: ccxt's parsers then hand on what the venue wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from libs.exchange.live.causes import cause_of
from libs.exchange.live.orders import ZERO, base_units
from libs.exchange.live.record import Ids
from libs.exchange.port import Instrument
from libs.exchange.trading_values import (
    BalanceReport,
    FillReport,
    Liquidity,
    MarginMode,
    OrderReport,
    PositionReport,
    PositionSide,
    Side,
    Wallet,
)
from libs.exchange.trading_values import OrderState as State
from libs.exchange.units import decimal_of, int_of, positive

Find = Callable[[str], Instrument | None]
"""The instrument of a unified symbol."""

_ENDED: Final[dict[str, State]] = {
    "canceled": "canceled",
    "expired": "expired",
    "expired_in_match": "expired",
    "rejected": "rejected",
}


class Unreadable(ValueError):
    """A structure without what makes it what it is (an order without id)."""


def state_of(status: object, filled: Decimal, quantity: Decimal) -> State:
    """A ccxt order status. `closed` below its quantity has ended unfilled: some venues say so of IOC orders.

    >>> state_of("closed", Decimal(1), Decimal(2)), state_of("open", Decimal(1), Decimal(2))
    ('expired', 'partial')
    """
    text = str(status or "open").lower()
    if text == "closed":
        return "filled" if filled >= quantity else "expired"
    ended = _ENDED.get(text)
    if ended is not None:
        return "filled" if filled >= quantity > 0 else ended
    return "partial" if filled > 0 else "open"


def _average(raw: Mapping[str, Any]) -> Decimal | None:
    """Mean fill price; Bitget's v3 `avgPrice` is not read by ccxt."""
    info = raw.get("info")
    return positive(raw.get("average")) or (
        positive(info.get("avgPrice")) if isinstance(info, dict) else None
    )


def order_of(raw: Mapping[str, Any], item: Instrument, ids: Ids, *, asked: Any = None) -> OrderReport:
    """A report of a ccxt order. `asked` (an OrderRequest) fills in what a bare acknowledgement lacks."""
    order_id = raw.get("id")
    if order_id in (None, ""):
        raise Unreadable("an order without id")
    amount = positive(raw.get("amount"))
    quantity = base_units(amount, item) if amount is not None else (asked.quantity if asked else None)
    side = raw.get("side") or (asked.side if asked else None)
    if quantity is None or side not in ("buy", "sell"):
        raise Unreadable(f"order {order_id} without quantity or side")
    filled = base_units(decimal_of(raw.get("filled")) or ZERO, item)
    client_id = ids.to_ours(item.kind, raw.get("clientOrderId"))
    price = positive(raw.get("price"))
    return OrderReport(
        client_id=client_id or (asked.client_id if asked else ""),
        order_id=str(order_id),
        instrument=item.slug,
        side=Side(side),
        status=state_of(raw.get("status"), filled, quantity),
        quantity=quantity,
        filled=filled,
        average=_average(raw) if filled > 0 else None,
        price=price if price is not None or asked is None else asked.price,
        ts_ms=int_of(raw.get("lastUpdateTimestamp")) or int_of(raw.get("timestamp")) or 0,
        reason=_why(raw.get("info")),
    )


def _why(info: object) -> str:
    """The venue's own word for how an order ended, where it has one."""
    if not isinstance(info, dict):
        return ""
    return str(info.get("cancelReason") or info.get("expireReason") or info.get("rejectReason") or "")


def fill_of(raw: Mapping[str, Any], item: Instrument, ids: Ids, *, streamed: bool = False) -> FillReport:
    """A report of a ccxt trade. `Unreadable` without id, price, amount or side.

    `streamed`: by ccxt.pro, whose parser of Bitget's fees takes the absolute value where the one for REST
    turns the sign around.
    """
    trade_id, price = raw.get("id"), positive(raw.get("price"))
    amount, side = positive(raw.get("amount")), raw.get("side")
    if trade_id in (None, "") or price is None or amount is None or side not in ("buy", "sell"):
        raise Unreadable(f"a trade without id, price, amount or side: {trade_id}")
    found = raw.get("fee")
    fee: Mapping[str, Any] = found if isinstance(found, dict) else {}
    cost = decimal_of(fee.get("cost"))
    if cost is not None and ids.fee_negated and not streamed:
        cost = -cost
    maker = raw.get("takerOrMaker")
    info = raw.get("info")
    written = info.get("clientOid") or info.get("clientOrderId") if isinstance(info, dict) else None
    return FillReport(
        trade_id=str(trade_id),
        order_id=str(raw.get("order") or ""),
        client_id=ids.to_ours(item.kind, written) or None,
        instrument=item.slug,
        side=Side(side),
        price=price,
        quantity=base_units(amount, item),
        fee=cost,
        fee_asset=str(fee["currency"]) if cost is not None and fee.get("currency") else None,
        liquidity=Liquidity(maker) if maker in ("maker", "taker") else None,
        ts_ms=int_of(raw.get("timestamp")) or 0,
        cause=cause_of(info),
    )


def forced_trade(raw: Mapping[str, Any]) -> dict[str, Any] | None:
    """The trade in a frame about an order of Binance USD-M's own: ccxt makes trades of TRADE executions, and
    these may be CALCULATED. As ccxt would write it; None where there is no such trade.
    """
    info = raw.get("info")
    if not isinstance(info, dict) or info.get("x") != "CALCULATED" or not int_of(info.get("t")):
        return None
    if positive(info.get("L")) is None or positive(info.get("l")) is None:
        return None
    return {
        "info": info,
        "id": str(info["t"]),
        "order": raw.get("id"),
        "symbol": raw.get("symbol"),
        "side": raw.get("side"),
        "price": info["L"],
        "amount": info["l"],
        "timestamp": info.get("T"),
        "takerOrMaker": "maker" if info.get("m") is True else "taker",
        "fee": {"cost": info.get("n"), "currency": info.get("N")},
    }


def fills_in(raw: Mapping[str, Any], item: Instrument, ids: Ids, client_id: str) -> tuple[FillReport, ...]:
    """The trades that an order's own answer holds (Binance spot: FULL), those without id left out."""
    found = []
    for trade in raw.get("trades") or ():
        if not isinstance(trade, dict) or trade.get("id") in (None, ""):
            continue
        whole = {
            **trade,
            "side": trade.get("side") or raw.get("side"),
            "order": trade.get("order") or raw.get("id"),
        }
        whole["timestamp"] = trade.get("timestamp") or raw.get("timestamp")
        try:
            one = fill_of(whole, item, ids)
        except Unreadable:
            continue  # the fill will be read by `fills`; the order's report counts it already
        found.append(
            FillReport(
                **{name: getattr(one, name) for name in one.__struct_fields__} | {"client_id": client_id}
            )
        )
    return tuple(found)


def position_of(raw: Mapping[str, Any], item: Instrument) -> PositionReport | None:
    """An open position, None for an empty one."""
    contracts = decimal_of(raw.get("contracts")) or ZERO
    if contracts == 0:
        return None
    side = str(raw.get("side") or "")
    sign = -1 if side == "short" or contracts < 0 else 1
    leverage, mode = decimal_of(raw.get("leverage")), raw.get("marginMode")
    return PositionReport(
        instrument=item.slug,
        side=PositionSide(side) if raw.get("hedged") and side in ("long", "short") else PositionSide.BOTH,
        quantity=base_units(abs(contracts), item) * sign,
        entry_price=positive(raw.get("entryPrice")),
        mark=positive(raw.get("markPrice")),
        unrealised=decimal_of(raw.get("unrealizedPnl")),
        liquidation_price=positive(raw.get("liquidationPrice")),
        leverage=None if leverage is None else int(leverage),
        margin_mode=MarginMode(mode) if mode in ("cross", "isolated") else None,
        margin=decimal_of(raw.get("initialMargin")),
        maintenance=decimal_of(raw.get("maintenanceMargin")),
    )


def balances_of(raw: Mapping[str, Any], wallet: Wallet) -> list[BalanceReport]:
    """Assets of a ccxt balance that are not all zero. `debt` is ccxt's sum of borrowed and interest."""
    found = []
    totals = raw.get("total")
    for asset in totals if isinstance(totals, dict) else ():
        row = raw.get(asset)
        if not isinstance(row, dict):
            continue
        total, free = decimal_of(row.get("total")) or ZERO, decimal_of(row.get("free"))
        debt = decimal_of(row.get("debt")) or ZERO
        if total == 0 and debt == 0 and not free:
            continue
        found.append(
            BalanceReport(
                wallet=wallet,
                asset=str(asset),
                total=total,
                free=total if free is None else free,
                borrowed=debt,
            )
        )
    return found
