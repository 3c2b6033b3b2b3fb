"""Bitget's v3 market data about borrowing and margin: what loans cost, and the brackets of contracts."""

from __future__ import annotations

from decimal import Decimal

from libs.exchange.engine.types import AccountKind, AccountSpec
from services.venue.bitget_common import body, category_of, refuse, required, trimmed
from services.venue.desk import Desk
from services.venue.house import FEES
from services.venue.listings import borrow_rate_hourly, tiers_of
from services.venue.wire import Answer, Call, answer

# What an account of this venue may owe at most, in USD.
LOAN_MAX_USD = AccountSpec(account="", user="", kind=AccountKind.UNIFIED, fees=FEES["bitget"]).borrow_max_usd


def margin_loans(desk: Desk, call: Call) -> Answer:
    """What a loan of a coin costs, by the day and by the year, and how much of it the venue lends."""
    coin = call.query.get("coin", "").upper()
    if not coin:
        raise refuse(call, "40019", "Parameter coin cannot be empty")
    listed = {one.base: one for one in desk.market.listed("bitget", "spot", call.now.market_ms)}
    if coin != "USDT" and coin not in listed:
        raise refuse(call, "25201", "Currency does not exist")
    hourly = borrow_rate_hourly(coin)
    price = Decimal(str(desk.price(listed[coin], call.now))) if coin in listed else Decimal(1)
    data = {
        "dailyInterest": trimmed(f"{hourly * 24:.8f}"),
        "annualInterest": trimmed(f"{hourly * 24 * 365:.8f}"),
        "limit": trimmed(f"{LOAN_MAX_USD / price:.8f}"),
    }
    return answer(body(call.now.wall_ms, data))


def position_tier(desk: Desk, call: Call) -> Answer:
    """Margin brackets of a contract; values in quote."""
    instrument = required(desk, call, category_of(call))
    lower = Decimal(0)
    rows = []
    for number, tier in enumerate(tiers_of("bitget", instrument.base), start=1):
        rows.append(
            {
                "tier": str(number),
                "minTierValue": f"{lower:f}",
                "maxTierValue": f"{tier.notional_max:f}",
                "leverage": str(tier.leverage_max),
                "mmr": trimmed(f"{tier.maintenance_ratio:.8f}"),
            }
        )
        lower = tier.notional_max
    return answer(body(call.now.wall_ms, rows))
