"""A recording out of a seed: no recorded rate or price in it, for rehearsals that want no history."""

from __future__ import annotations

from typing import Final

from services.venue import prices
from services.venue.dice import Dice
from services.venue.recording import (
    COMMON_PROVENANCE,
    Basis,
    Recording,
    Series,
    load_books,
    load_filters,
)

MS_PER_HOUR: Final = 3_600_000
DAYS: Final = 365

# Rough prices to start from, so that ticks and steps look like the real ones.
START_PRICES: Final = {
    "BTC": 60_000.0,
    "ETH": 3_000.0,
    "SOL": 150.0,
    "BNB": 600.0,
    "XRP": 0.6,
    "DOGE": 0.12,
    "ADA": 0.4,
    "AVAX": 30.0,
    "LINK": 15.0,
    "LTC": 80.0,
    "NEAR": 5.0,
    "ARB": 0.8,
    "OP": 1.5,
    "INJ": 20.0,
    "SUI": 1.2,
    "WIF": 2.0,
}
# Funding reverts to 1 bp every 8 h (the interest rate) with shocks; capped as the exchanges cap it.
_MEAN_8H: Final = 0.0001
_KEEP: Final = 0.92
_SHOCK: Final = 0.00006
_CAP: Final = 0.02


def generate(seed: int, *, begin_ms: int, days: int = DAYS) -> Recording:
    """A year of two exchanges; every coin's rate follows its own mean-reverting path."""
    series = {}
    for source in ("binance", "bybit"):
        for i, (base, start) in enumerate(START_PRICES.items()):
            hours = (8.0, 8.0, 8.0, 4.0)[i % 4]
            period = int(hours * MS_PER_HOUR)
            first = -(-begin_ms // period) * period
            stamps = tuple(first + k * period for k in range(int(days * 24 / hours)))
            rates = _rates(Dice(seed, f"funding {source} {base}"), len(stamps), hours)
            path = prices.walk(stamps, start=start, dice=Dice(seed, f"price {base}"))
            symbol = f"{base}USDT"
            series[source, symbol] = Series(
                source=source,
                symbol=symbol,
                base=base,
                stamps_ms=stamps,
                rates=rates,
                hours=(hours,) * len(stamps),
                marks=path.prices if source == "binance" else (None,) * len(stamps),
            )
    return Recording(
        series=series,
        basis={(source, "BTC"): _basis(Dice(seed, f"basis {source}")) for source in ("binance", "bybit")},
        books=load_books(),
        filters=load_filters(),
        provenance={
            "funding, prices, basis": f"generated from seed {seed}; nothing recorded",
            "current rate": "generated: the rate that settles next",
            **COMMON_PROVENANCE,
        },
    )


def _rates(dice: Dice, count: int, hours: float) -> tuple[float, ...]:
    rate = _MEAN_8H
    found = []
    for _ in range(count):
        rate = _MEAN_8H + _KEEP * (rate - _MEAN_8H) + _SHOCK * dice.normal()
        found.append(round(max(-_CAP, min(_CAP, rate * hours / 8.0)), 8))
    return tuple(found)


def _basis(dice: Dice) -> Basis:
    value = 0.0
    values = []
    for _ in range(1_000):
        value = 0.8 * value + 0.0001 * dice.normal()
        values.append(value)
    return Basis(step_ms=8 * MS_PER_HOUR, values=tuple(values))
