"""What the simulated venues list, what they charge, and what our account starts with."""

from __future__ import annotations

from decimal import Decimal

from libs.common.subjects import SPOT, Kind, kind_of
from libs.exchange.engine.commands import Reason
from libs.exchange.engine.types import Balance, FeeRates, FeeSchedule, Listing, Tier
from libs.exchange.trading_values import BalanceReport

BOT = "bot"
FEES = FeeSchedule(
    spot=FeeRates(maker=Decimal("0.001"), taker=Decimal("0.001")),
    perp=FeeRates(maker=Decimal("0.0002"), taker=Decimal("0.0005")),
    future=FeeRates(maker=Decimal("0.0002"), taker=Decimal("0.0005")),
)
STEPS = {
    ("BTC", SPOT): (Decimal("0.00001"), Decimal("0.00001"), Decimal(5)),
    ("BTC", Kind.PERP): (Decimal("0.001"), Decimal("0.001"), Decimal(100)),
    ("ETH", SPOT): (Decimal("0.0001"), Decimal("0.0001"), Decimal(5)),
    ("ETH", Kind.PERP): (Decimal("0.001"), Decimal("0.001"), Decimal(20)),
}
"""Step, minimum quantity, minimum notional; the perps' are the real ones of Binance."""

TIERS = (Tier(notional_max=Decimal(10**9), leverage_max=50, maintenance_ratio=Decimal("0.01")),)
USER_COINS = Decimal(3)
ROUNDED_TO = Decimal("1e-8")
"""The last digit of a standing profit that a venue tells."""


REASONS = {
    Reason.INSUFFICIENT_BALANCE: "funds",
    Reason.INSUFFICIENT_MARGIN: "funds",
    Reason.REDUCE_ONLY: "reduce_only",
    Reason.POST_ONLY: "post_only",
    Reason.NOT_TRADING: "not_tradable",
}
"""What the exchange port calls the venue's refusals; any other is a filter."""


def listing_key(instrument: str) -> str:
    """`BTC-USDT-PERP` -> `perp:BTCUSDT`."""
    base, quote = instrument.split("-")[:2]
    return f"{kind_of(instrument).value}:{base}{quote}"


def make_listing(key: str, name: str) -> Listing:
    base, quote = name.split("-")[:2]
    kind = kind_of(name)
    step, least, notional = STEPS[base, kind]
    return Listing(
        key=key,
        symbol=f"{base}{quote}",
        kind=kind,
        base=base,
        quote=quote,
        price_tick=Decimal("0.1"),
        quantity_step=step,
        quantity_min=least,
        notional_min=notional,
        marginable=kind is SPOT,
        tiers=() if kind is SPOT else TIERS,
    )


def balance_of(asset: str, held: Balance) -> BalanceReport:
    """An asset of our account, debts included."""
    return BalanceReport(
        wallet="unified",
        asset=asset,
        total=held.total,
        free=held.free,
        borrowed=held.borrowed,
        interest=held.interest,
    )
