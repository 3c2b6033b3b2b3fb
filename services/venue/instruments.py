"""Instruments of the simulated venue with their filters: recorded where they still fit, else derived."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Final, Literal

import msgspec

Protocol = Literal["binance", "bitget"]
Kind = Literal["spot", "perp"]

# A recorded filter of 2021 is kept while it fits today's price: the tick is at most 2 bps of the lowest
# price of the recording, and one step is worth at most 150 USD at the highest.
TICK_BPS_MAX: Final = 2.0
STEP_USD_MAX: Final = 150.0


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue lists. Steps are exact; `listed_ms` and `ended_ms` (exclusive) are market times."""

    protocol: Protocol
    kind: Kind
    symbol: str
    base: str
    tick: Decimal
    step: Decimal
    min_qty: Decimal
    max_qty: Decimal
    min_notional: Decimal
    recorded_filters: bool
    listed_ms: int
    ended_ms: int

    @property
    def price_decimals(self) -> int:
        """Digits behind the point of a price."""
        return decimals_of(self.tick)

    @property
    def quantity_decimals(self) -> int:
        """Digits behind the point of a quantity."""
        return decimals_of(self.step)


# The one instrument of Bitget that was recorded (2026): tick and step of the BTCUSDT perpetual.
_RECORDED_BITGET: Final = {("perp", "BTCUSDT"): (Decimal("0.1"), Decimal("0.0001"))}


def decimals_of(step: Decimal) -> int:
    """Digits behind the point that a step needs: 0.0010 -> 3, 10 -> 0."""
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _derived_tick(price_low: float) -> Decimal:
    """Between 0.1 and 1 bps of the lowest price, at most a cent."""
    return min(Decimal("0.01"), Decimal(1).scaleb(math.floor(math.log10(price_low)) - 4))


def _derived_step(price_high: float) -> Decimal:
    """Worth between 0.1 and 1 USD, at most one coin."""
    return min(Decimal(1), Decimal(1).scaleb(-math.floor(math.log10(price_high)) - 1))


def make(
    protocol: Protocol,
    kind: Kind,
    symbol: str,
    base: str,
    *,
    prices: tuple[float, float],
    window_ms: tuple[int, int],
    recorded: dict[str, str] | None,
) -> Instrument:
    """An instrument from its lowest and highest price, its listing window and recorded filters, if any."""
    low, high = prices
    tick, step = _derived_tick(low), _derived_step(high)
    kept = False
    if protocol == "binance" and recorded is not None:
        old_tick, old_step = Decimal(recorded["tick"]), Decimal(recorded["step"])
        tick_fits = float(old_tick) / low * 1e4 <= TICK_BPS_MAX
        step_fits = float(old_step) * high <= STEP_USD_MAX
        tick = old_tick if tick_fits else tick
        step = old_step if step_fits else step
        kept = tick_fits and step_fits
    if protocol == "bitget" and (kind, symbol) in _RECORDED_BITGET:
        (tick, step), kept = _RECORDED_BITGET[kind, symbol], True
    if recorded is not None and protocol == "binance":
        notional = Decimal(recorded["min_notional"])
    else:
        notional = Decimal(1 if (protocol, kind) == ("bitget", "spot") else 5)
    return Instrument(
        protocol=protocol,
        kind=kind,
        symbol=symbol,
        base=base,
        tick=tick.normalize(),
        step=step.normalize(),
        min_qty=step.normalize(),
        max_qty=Decimal(math.ceil(50_000_000 / high)),
        min_notional=notional.normalize(),
        recorded_filters=kept,
        listed_ms=window_ms[0],
        ended_ms=window_ms[1],
    )
