"""Bitget's envelope, its refusals and how its parameters are read."""

from __future__ import annotations

from typing import Any, Final

from services.venue.desk import Desk
from services.venue.instruments import Instrument, Kind
from services.venue.wire import Call, Refused, answer, number

OK: Final = "00000"
SPOT: Final = "SPOT"
PERPS: Final = "USDT-FUTURES"
CATEGORIES: Final = frozenset({SPOT, "MARGIN", PERPS, "USDC-FUTURES", "COIN-FUTURES"})


def body(now_ms: int, data: Any, *, code: str = OK, text: str = "success") -> dict[str, Any]:
    """Bitget's envelope."""
    return {"code": code, "msg": text, "requestTime": now_ms, "data": data}


def refuse(call: Call, code: str, text: str, *, status: int = 400) -> Refused:
    """Bitget's error body."""
    return Refused(answer(body(call.now.wall_ms, None, code=code, text=text), status=status))


def unified(call: Call) -> Refused:
    """What a unified account's key hears on private paths of the classic account."""
    text = "You are in Unified Account mode, and the Classic Account API is not supported at this time"
    return refuse(call, "40085", text)


def category_of(call: Call) -> str:
    """The category asked for, or Bitget's refusal."""
    category = call.query.get("category", "").upper()
    if category not in CATEGORIES:
        raise refuse(call, "40017", "Parameter category is error")
    return category


_KINDS: Final[dict[str, Kind]] = {SPOT: "spot", PERPS: "perp"}


def kind_of(category: str) -> Kind | None:
    """The kind of instrument in a category; None where the venue has none."""
    return _KINDS.get(category)


def chosen_of(desk: Desk, call: Call, category: str) -> list[Instrument]:
    """The instrument that `symbol` names, or all of the category; margin and other futures have none here."""
    kind = kind_of(category)
    symbol = call.query.get("symbol", "").upper()
    if not symbol:
        return desk.market.listed("bitget", kind, call.now.market_ms) if kind is not None else []
    found = desk.market.find("bitget", kind, symbol, call.now.market_ms) if kind is not None else None
    if found is None:
        raise refuse(call, "40034", f"Parameter {symbol} does not exist")
    return [found]


def required(desk: Desk, call: Call, category: str) -> Instrument:
    """The instrument that the parameter `symbol` names."""
    if not call.query.get("symbol"):
        raise refuse(call, "40019", "Parameter symbol cannot be empty")
    return chosen_of(desk, call, category)[0]


def number_of(call: Call, name: str, default: int) -> int:
    """A positive whole number."""

    def refused(wrong: str) -> Refused:
        return refuse(call, "40017", f"Parameter {wrong} is error")

    value = number(call.query, name, default, refused)
    if value < 1:
        raise refused(name)
    return value


def trimmed(rate: str) -> str:
    """Bitget cuts the zeros at the end: 0.00010000 is 0.0001."""
    return rate.rstrip("0").rstrip(".") if "." in rate else rate
