"""The markets, fees and pairs of the lives in `pnl_life`, and what the engine tells as the port would."""

from __future__ import annotations

from decimal import Decimal

from libs.common.subjects import SPOT, kind_of
from libs.exchange.engine import types as t
from libs.exchange.trading_values import FillReport, RecordKind
from services.executor.model import Purpose

VENUE, ME = "binance", "me"
SPOT_NAME, PERP, OTHER = "BTC-USDT", "BTC-USDT-PERP", "ETH-USDT-PERP"
PRICES = {"BTC": Decimal(40_000), "ETH": Decimal(2_000), "BNB": Decimal(300)}
START_MS = 1_700_000_000_000
FEES = {
    "base": t.FeeSchedule(
        spot=t.FeeRates(maker=Decimal("-0.0001"), taker=Decimal("0.001")),
        perp=t.FeeRates(maker=Decimal("-0.00005"), taker=Decimal("0.0005")),
        future=t.FeeRates(maker=Decimal("0.0002"), taker=Decimal("0.0005")),
    ),
}
FEES["quote"] = t.FeeSchedule(
    spot=FEES["base"].spot, perp=FEES["base"].perp, future=FEES["base"].future, spot_buy_fee="quote"
)
FEES["coin"] = t.FeeSchedule(
    spot=FEES["base"].spot, perp=FEES["base"].perp, future=FEES["base"].future, coin="BNB"
)
PURPOSES = (Purpose.OPEN, Purpose.CLOSE, Purpose.TRIM, Purpose.SHRINK, Purpose.FOLLOW)
TIERS = (t.Tier(notional_max=Decimal(10**9), leverage_max=50, maintenance_ratio=Decimal("0.01")),)
RECORDS: dict[str, RecordKind] = {
    "funding": "funding",
    "interest": "interest",
    "deposit": "other",
    "withdrawal": "other",
    "liquidation_fee": "liquidation",
    "insurance": "liquidation",
}
PAIRS = (
    ((VENUE, SPOT_NAME), (VENUE, PERP)),
    ((VENUE, PERP), (VENUE, OTHER)),
)
"""Both have the perpetual of BTC; they trade it in the same direction or the engine nets them, as it does."""


def key_of(name: str) -> str:
    """`BTC-USDT-PERP` -> `perp:BTCUSDT`."""
    base, quote = name.split("-")[:2]
    return f"{kind_of(name).value}:{base}{quote}"


NAMES = {key_of(name): name for name in (SPOT_NAME, PERP, OTHER, "BNB-USDT")}


def listing_of(name: str) -> t.Listing:
    """A market without filters worth the name."""
    base, quote = name.split("-")[:2]
    kind = kind_of(name)
    return t.Listing(
        key=key_of(name),
        symbol=base + quote,
        kind=kind,
        base=base,
        quote=quote,
        price_tick=Decimal("0.1"),
        quantity_step=Decimal("0.00000001"),
        quantity_min=Decimal("0.001"),
        tiers=() if kind is SPOT else TIERS,
        marginable=kind is SPOT,
    )


def report_of(fill: t.Fill) -> FillReport:
    """A trade as the port tells it."""
    return FillReport(
        trade_id=str(fill.trade_id),
        order_id=str(fill.order_id),
        client_id=fill.client_id or None,
        instrument=NAMES[fill.instrument],
        side=fill.side,
        price=fill.price,
        quantity=fill.quantity,
        fee=fill.fee,
        fee_asset=fill.fee_asset,
        liquidity=fill.liquidity,
        ts_ms=fill.wall_us // 1_000,
        cause=fill.cause,
    )


def market_of(wall_us: int) -> int:
    """Market time is wall time here."""
    return wall_us // 1_000
