"""The venue's instruments as the engine lists them: filters, margin brackets, what can be borrowed against.

Tick, step and minima are the instrument's own. Brackets are recorded nowhere: the tables follow the shape of
Binance's published ones (https://www.binance.com/en/futures/trading-rules/perpetual/leverage-margin): each
bracket allows less leverage than the one before, and its maintenance ratio is half of the initial margin.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Final

from libs.common.subjects import Kind
from libs.exchange.engine.types import Listing, MarketStatus, Tier
from services.venue.books import MAJORS
from services.venue.instruments import Instrument, Protocol

QUOTE: Final = "USDT"

# (largest notional in USDT, leverage) of each bracket, by how deep the coin's book is.
_GIANT: Final = ((50_000, 125), (600_000, 100), (3_000_000, 50), (12_000_000, 20), (70_000_000, 10))
_MAJOR: Final = ((50_000, 75), (500_000, 50), (1_000_000, 25), (5_000_000, 10), (25_000_000, 5))
_TAIL: Final = ((25_000, 50), (100_000, 25), (500_000, 10), (1_000_000, 5), (5_000_000, 2))
_LAST_FACTOR: Final = 4  # the last bracket: leverage 1, so many times the notional of the one before

LEVERAGE_MAX: Final[dict[Protocol, int]] = {"binance": 125, "bitget": 75}

# What the public instruments lists announce (binance_perp, binance_spot, bitget): the engine holds to it.
# Binance's spot filter allows a fifth to five times the price: its lower end is not looked at.
LIQUIDATION_FEE: Final = Decimal("0.012")
PRICE_BANDS: Final[dict[tuple[Protocol, str], Decimal]] = {
    ("binance", "perp"): Decimal("0.15"),
    ("binance", "spot"): Decimal(4),
    ("bitget", "perp"): Decimal("0.05"),
    ("bitget", "spot"): Decimal("0.05"),
}

# What one hour of a loan costs, by the year's rate: VIP 0 of the cross-margin table, rounded.
_YEARLY: Final = {"USDT": Decimal("0.08"), "BTC": Decimal("0.01"), "ETH": Decimal("0.025")}
_YEARLY_ELSE: Final = Decimal("0.12")
_HOURS_A_YEAR: Final = 8_760


def borrow_rate_hourly(asset: str) -> Decimal:
    """The fraction of a loan that one hour costs, to 8 digits as the venues state it. Synthesised."""
    return (_YEARLY.get(asset, _YEARLY_ELSE) / _HOURS_A_YEAR).quantize(Decimal("1e-8"))


def tiers_of(protocol: Protocol, base: str) -> tuple[Tier, ...]:
    """Margin brackets; the maintenance amount makes the maintenance continuous from one to the next."""
    rows = _GIANT if base in ("BTC", "ETH") else _MAJOR if base in MAJORS else _TAIL
    most = LEVERAGE_MAX[protocol]
    table = [*((notional, min(most, leverage)) for notional, leverage in rows)]
    table.append((rows[-1][0] * _LAST_FACTOR, 1))
    ratios = [Decimal(1) / (2 * leverage) for _, leverage in table]
    amounts = [Decimal(0)]
    for (lower, upper), (below, _) in zip(pairwise(ratios), table, strict=False):
        amounts.append(amounts[-1] + Decimal(below) * (upper - lower))
    return tuple(
        Tier(
            notional_max=Decimal(notional),
            leverage_max=leverage,
            maintenance_ratio=ratio,
            maintenance_amount=amount,
        )
        for (notional, leverage), ratio, amount in zip(table, ratios, amounts, strict=True)
    )


def key_of(kind: str, symbol: str) -> str:
    """The engine's name of a market: `perp:BTCUSDT`."""
    return f"{kind}:{symbol}"


def listing_of(instrument: Instrument, *, trading: bool) -> Listing:
    """An instrument as the engine knows it; `trading` False makes it delisted."""
    contract = instrument.kind == "perp"
    return Listing(
        key=key_of(instrument.kind, instrument.symbol),
        symbol=instrument.symbol,
        kind=Kind(instrument.kind),
        base=instrument.base,
        quote=QUOTE,
        price_tick=instrument.tick,
        quantity_step=instrument.step,
        quantity_min=instrument.min_qty,
        quantity_max=instrument.max_qty,
        market_quantity_max=instrument.max_qty,
        notional_min=instrument.min_notional,
        price_band=PRICE_BANDS[instrument.protocol, instrument.kind],
        price_band_both_ways=(instrument.protocol, instrument.kind) == ("binance", "spot"),
        tiers=tiers_of(instrument.protocol, instrument.base) if contract else (),
        liquidation_fee=LIQUIDATION_FEE if contract else Decimal(0),
        marginable=not contract,
        status=MarketStatus.TRADING if trading else MarketStatus.DELISTED,
    )
