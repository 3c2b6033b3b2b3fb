"""What coins are worth, for the sums in BTC and USDT that margin accounts show."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import Final

from services.venue.desk import Instant, rounded
from services.venue.house import House
from services.venue.listings import QUOTE, key_of

_SATOSHI: Final = Decimal("1e-8")
_BTC: Final = "BTC"


def price(house: House, asset: str, now: Instant) -> Decimal | None:
    """USDT a coin: the engine's mark when it has one, else the market's price; None for a strange coin."""
    if asset == QUOTE:
        return Decimal(1)
    key = key_of("spot", f"{asset}{QUOTE}")
    if key in house.engine.listings:
        mark = house.engine.mark(key)
        if mark is not None:
            return mark
    instrument = house.instrument(key)
    return None if instrument is None else Decimal(rounded(instrument, house.desk.price(instrument, now)))


def in_usdt(house: House, amounts: dict[str, Decimal], now: Instant) -> Decimal:
    """The value of amounts by coin; coins without a price count for nothing."""
    return _cut(_worth(house, amounts, now))


def in_btc(house: House, amounts: dict[str, Decimal], now: Instant) -> Decimal:
    """The same in BTC; zero while BTC has no price."""
    btc = price(house, _BTC, now)
    return _cut(_worth(house, amounts, now) / btc) if btc else Decimal(0)


def _worth(house: House, amounts: dict[str, Decimal], now: Instant) -> Decimal:
    total = Decimal(0)
    for asset, held in amounts.items():
        if held:
            total += held * (price(house, asset, now) or Decimal(0))
    return total


def _cut(value: Decimal) -> Decimal:
    return value.quantize(_SATOSHI, rounding=ROUND_DOWN)
