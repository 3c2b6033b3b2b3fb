"""From a ccxt market to an `Instrument`: contracts become base units, oddities get a reason.

Decimals are made from the number's own digits (`str`), never by float arithmetic that adds some.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from libs.common.subjects import Kind, instrument_slug
from libs.exchange.port import Instrument

DIGITS_MAX: Final = (
    40  # before or behind the point: no price or amount has more, and a power of 10**6 fills memory
)
EXPIRY_MS_MAX: Final = 4_102_444_800_000  # 2100-01-01
EXACT_MAX: Final = 2**53  # beyond it a float, which is what most of JSON's numbers become, is no whole number


def decimal_of(value: object) -> Decimal | None:
    """A finite Decimal with the digits that `value` shows, None for anything else.

    >>> decimal_of(1e-05), decimal_of("NaN")
    (Decimal('0.00001'), None)
    """
    if value is None or isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value))
    except (InvalidOperation, ValueError):
        return None
    if not number.is_finite() or abs(number.adjusted()) > DIGITS_MAX:
        return None
    # without trailing zeros, and 1000 rather than 1E+3
    return Decimal(f"{number.normalize():f}")


def positive(value: object) -> Decimal | None:
    """As `decimal_of`, None unless above zero: a step or minimum of 0 says nothing."""
    number = decimal_of(value)
    return number if number is not None and number > 0 else None


def float_of(value: object) -> float | None:
    """A finite float, None for what is absent, null, NaN or no number."""
    if type(value) is float:  # what ccxt's parsers give: most values by far
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]  # whatever a venue put there
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def int_of(value: object) -> int | None:
    """A whole number (a stamp in ms), None for what is none."""
    if type(value) is int and abs(value) <= EXACT_MAX:
        return value
    number = float_of(value)
    return int(number) if number is not None else None


def expiry_code(expiry_ms: int | None) -> str | None:
    """`yymmdd` of an expiry in UTC, None for what is no moment of a calendar."""
    if expiry_ms is None or not 0 < expiry_ms <= EXPIRY_MS_MAX:
        return None
    return dt.datetime.fromtimestamp(expiry_ms / 1000, tz=dt.UTC).strftime("%y%m%d")


def section(market: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """A part of a market's structure, empty where there is none."""
    found: Any = market
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def kind_of_market(market: Mapping[str, Any]) -> Kind | None:
    """What a ccxt market is, None for options and whatever else is no leg."""
    if market.get("option"):
        return None
    if market.get("swap"):
        return Kind.PERP
    if market.get("future"):
        return Kind.FUTURE
    return Kind.SPOT if market.get("spot") else None


def refusal(market: Mapping[str, Any], kind: Kind, contract_size: Decimal | None) -> str | None:
    """Why an instrument cannot be a leg here, None when it can."""
    settle, quote, contract = market.get("settle"), market.get("quote"), kind is not Kind.SPOT
    inverse = market.get("inverse") or settle == market.get("base")
    checks = (
        (market.get("active") is False, "not trading"),
        (market.get("stock"), "a tokenised stock"),
        (contract and inverse, "inverse: margined and settled in its base coin"),
        (contract and settle != quote, f"quanto: quoted in {quote}, settled in {settle}"),
        (contract and market.get("linear") is not True, "not linear"),
        (contract_size is None, "no contract size"),
    )
    return next((reason for holds, reason in checks if holds), None)


def _market_max(market: Mapping[str, Any]) -> Decimal | None:
    """The most that a market order takes; of Bitget ccxt leaves it in the raw answer."""
    unified = positive(section(market, "limits", "market").get("max"))
    return unified or positive(section(market, "info").get("maxMarketOrderQty"))


def _times(amount: Decimal | None, unit: Decimal) -> Decimal | None:
    return None if amount is None else decimal_of(amount * unit)


def instrument_of(
    venue: str,
    market: Mapping[str, Any],
    *,
    interval_hours: Callable[[Mapping[str, Any]], float | None],
    spot_shortable: bool,
) -> Instrument | None:
    """The instrument of a ccxt market in base units; None when it is no leg at all (options, nameless).

    `precision` and `limits.amount` are in contracts on OKX, Gate, KuCoin, MEXC and HTX and are multiplied
    by `contractSize`. All ten venues use tick sizes (`precisionMode` TICK_SIZE), so precision *is* a step.
    """
    kind = kind_of_market(market)
    base, quote = market.get("base"), market.get("quote")
    if kind is None or not base or not quote:
        return None
    size = Decimal(1) if kind is Kind.SPOT else positive(market.get("contractSize"))
    refused = refusal(market, kind, size)
    expiry_ms = int_of(market.get("expiry")) if kind is Kind.FUTURE else None
    code = expiry_code(expiry_ms)
    if kind is Kind.FUTURE and code is None:
        return None  # without expiry it has no name either
    precision, least = section(market, "precision"), section(market, "limits", "amount")
    unit = size or Decimal(1)
    step = positive(precision.get("amount"))
    minimum = positive(least.get("min")) or step
    return Instrument(
        venue=venue,
        slug=instrument_slug(str(base), str(quote), kind, expiry=code or ""),
        symbol=str(market.get("symbol")),
        venue_symbol=str(market.get("id")),
        base=str(base),
        quote=str(quote),
        settle=str(market.get("settle") or quote),
        kind=kind,
        contract_size=unit,
        price_tick=positive(precision.get("price")),
        quantity_step=None if step is None else decimal_of(step * unit),
        quantity_min=None if minimum is None else decimal_of(minimum * unit),
        quantity_max=_times(positive(least.get("max")), unit),
        market_quantity_max=_times(_market_max(market), unit),
        notional_min=positive(section(market, "limits", "cost").get("min")),
        taker=decimal_of(market.get("taker")),
        maker=decimal_of(market.get("maker")),
        expiry_ms=expiry_ms,
        interval_hours=interval_hours(market) if kind is Kind.PERP else None,
        shortable=kind is not Kind.SPOT or (spot_shortable and market.get("margin") is True),
        refused=refused,
    )
