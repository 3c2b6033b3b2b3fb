"""An instrument as the bus tells it, as the port shows it and as the engine lists it; its fees.

What a venue does not tell gets a default, the same for every venue: a step or tick of `FINEST`, a minimum of
one step, and the margin brackets of `TIERS` (the bus carries none).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from libs.carry.costs import leg_terms
from libs.common.config.schema import Costs
from libs.common.messages import InstrumentInfo
from libs.common.subjects import SPOT, Kind, kind_of
from libs.exchange.engine.filters import FILTER_DECIMALS_MAX, HIGHEST
from libs.exchange.engine.types import ZERO, FeeRates, Listing, MarketStatus, Tier
from libs.exchange.port import Instrument
from libs.exchange.units import positive

FINEST: Final = Decimal(1).scaleb(-FILTER_DECIMALS_MAX)
"""The finest step that the engine takes: 1e-12."""

LIQUIDATION_FEE: Final = Decimal("0.0125")
"""Of the notional; the highest that Binance publishes for USD-M contracts (0.5 % to 1.25 %)."""

# Careful for a coin whose brackets nobody has told us: those of Binance's smaller contracts. Each bracket's
# maintenance ratio is half of its initial margin, and amounts make the maintenance continuous.
_BRACKETS: Final = ((5_000, 50), (25_000, 25), (100_000, 20), (500_000, 10), (2_000_000, 5), (10_000_000, 2))
_LAST: Final = (100_000_000, 1)


def _tiers() -> tuple[Tier, ...]:
    found: list[Tier] = []
    amount, ratio, below = Decimal(0), None, Decimal(0)
    for notional, leverage in (*_BRACKETS, _LAST):
        steeper = Decimal(1) / (2 * leverage)
        amount += below * (steeper - ratio) if ratio is not None else 0
        found.append(
            Tier(
                notional_max=Decimal(notional),
                leverage_max=leverage,
                maintenance_ratio=steeper,
                maintenance_amount=amount,
            )
        )
        ratio, below = steeper, Decimal(notional)
    return tuple(found)


TIERS: Final = _tiers()
"""Margin brackets of every contract, in quote: up to 5,000 at 50x, ..., beyond 10 million at 1x."""


# --- names ------------------------------------------------------------------------------------------------


def key_of(slug: str) -> str:
    """The engine's name of an instrument.

    >>> key_of("BTC-USDT-PERP"), slug_of("spot:BTC-USDT")
    ('perp:BTC-USDT-PERP', 'BTC-USDT')
    """
    return f"{kind_of(slug).value}:{slug}"


def slug_of(key: str) -> str:
    """The slug behind an engine's name."""
    return key.partition(":")[2]


# --- instruments ------------------------------------------------------------------------------------------


def instrument_of(info: InstrumentInfo) -> Instrument:
    """As the port shows it. Quantities are base units, so that a contract is one of them."""
    step = _step(info.quantity_step)
    return Instrument(
        venue=info.venue,
        slug=info.instrument,
        symbol=info.symbol,
        venue_symbol=info.symbol,
        base=info.base,
        quote=info.quote,
        settle=info.settle,
        kind=info.kind,
        price_tick=_step(info.price_tick),
        quantity_step=step,
        quantity_min=_step(info.quantity_min, step),
        quantity_max=positive(info.quantity_max),
        market_quantity_max=positive(info.market_quantity_max),
        notional_min=positive(info.notional_min),
        taker=_rate(info.taker),
        maker=_rate(info.maker),
        expiry_ms=info.expiry_ms,
        shortable=info.shortable,
        refused=info.refused,
    )


def listing_of(item: Instrument) -> Listing:
    """As the engine lists it: halted while the venue does not trade it."""
    contract = item.kind is not SPOT
    step = item.quantity_step or FINEST
    return Listing(
        key=key_of(item.slug),
        symbol=item.slug,
        kind=item.kind,
        base=item.base,
        quote=item.settle if contract else item.quote,
        price_tick=item.price_tick or FINEST,
        quantity_step=step,
        quantity_min=item.quantity_min or step,
        quantity_max=_most(item.quantity_max),
        market_quantity_max=_most(item.market_quantity_max),
        notional_min=item.notional_min,
        tiers=TIERS if contract else (),
        liquidation_fee=LIQUIDATION_FEE if contract else Decimal(0),
        expiry_ms=item.expiry_ms,
        marginable=item.kind is SPOT and item.shortable,
        status=MarketStatus.TRADING if item.refused is None else MarketStatus.HALTED,
    )


def _most(value: Decimal | None) -> Decimal | None:
    """A maximum that the engine takes; venues write huge ones for none."""
    return value if value is not None and value < HIGHEST else None


def _step(text: str | None, default: Decimal = FINEST) -> Decimal:
    """A step as told; the default for none, and for one that is finer than the engine takes."""
    found = positive(text)
    if found is None:
        return default
    exponent = found.as_tuple().exponent
    fine = isinstance(exponent, int) and exponent >= -FILTER_DECIMALS_MAX
    return found if fine else default


def _rate(value: float | None) -> Decimal | None:
    return None if value is None else exact_rate(value)


def price_of(value: float) -> Decimal | None:
    """An observed price as a Decimal with at most 12 decimals; None for what cannot be one."""
    found = Decimal(repr(value))
    if not found.is_finite() or not ZERO < found < HIGHEST:
        return None
    return found.quantize(FINEST).normalize() + 0 or None


# --- costs ------------------------------------------------------------------------------------------------


def exact_rate(value: float) -> Decimal:
    """A fraction as it was written: 12 decimals undo what float arithmetic has added."""
    return Decimal(repr(value)).quantize(FINEST).normalize() + 0


def fees_of(item: Instrument, costs: Costs) -> FeeRates:
    """What a fill pays here: `costs.venues`, else the instrument's own rates, else `costs`, each by itself.

    A rebate share is not taken off: it comes back later and from elsewhere, a fill is charged in full.
    """
    return FeeRates(
        maker=_fee(item, costs, "maker", item.maker),
        taker=_fee(item, costs, "taker", item.taker),
    )


def _fee(item: Instrument, costs: Costs, role: str, own: Decimal | None) -> Decimal:
    venues = {name: msgspec.structs.replace(one, rebate_share=0.0) for name, one in costs.venues.items()}
    general: dict[str, object] = {"role": role, "venues": venues}
    if own is not None:
        general[role] = float(own)
    terms = leg_terms(msgspec.structs.replace(costs, **general), item.venue, item.kind)
    return exact_rate(terms.fee)


def slippage_of(costs: Costs, venue: str, kind: Kind) -> Decimal:
    """The slippage that is assumed of a fill here, as a fraction of the price."""
    return exact_rate(leg_terms(costs, venue, kind).slip)


def hourly_interest_of(costs: Costs, venue: str) -> Decimal:
    """What an hour of a loan costs, as a fraction of it."""
    daily = exact_rate(leg_terms(costs, venue, SPOT).borrow_daily)
    return (daily / 24).quantize(FINEST)
