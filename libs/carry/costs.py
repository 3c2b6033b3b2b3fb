"""What a pair costs: fees, entry and exit, holding, transfer, and the capital that it ties up.

Fractions of the notional per leg unless the name says USD; a negative fee is a rebate.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from libs.common.config.schema import Costs
from libs.common.subjects import SPOT, Kind

HOURS_PER_DAY = 24.0


class LegTerms(msgspec.Struct, frozen=True, kw_only=True):
    """One leg's costs as configured: fee and slippage per fill, borrow a day when it is a short spot leg."""

    fee: float
    slip: float
    borrow_daily: float


def fee_rate(
    taker: float, maker: float, role: Literal["taker", "maker"], *, rebate_share: float = 0.0
) -> float:
    """Fee of one fill. `rebate_share` of a paid fee comes back; a maker rebate is not shared again."""
    fee = taker if role == "taker" else maker
    return fee * (1.0 - rebate_share) if fee > 0 else fee


def venue_id(venue: str) -> str:
    """The exchange behind a venue slug: `binance` of `binance-sub1`."""
    return venue.split("-", 1)[0]


def leg_terms(costs: Costs, venue: str, kind: Kind) -> LegTerms:
    """A leg's terms: `costs.venues` by `{venue}-{kind}`, by venue, by exchange, then the general ones.

    Each field falls through by itself, so that an override of the fee keeps the general slippage.
    """
    keys = (f"{venue}-{kind.value}", venue, f"{venue_id(venue)}-{kind.value}", venue_id(venue))
    found = [costs.venues[key] for key in keys if key in costs.venues]

    def first(name: str, general: float) -> float:
        values = (getattr(override, name) for override in found)
        return next((float(value) for value in values if value is not None), general)

    rebate = next((override.rebate_share for override in found if override.rebate_share), 0.0)
    return LegTerms(
        fee=fee_rate(
            first("taker", costs.taker), first("maker", costs.maker), costs.role, rebate_share=rebate
        ),
        slip=first("slippage_bps", costs.slippage_bps) / 10_000.0,
        borrow_daily=first("borrow_daily", costs.borrow_daily),
    )


def fill_costs(long_fee: float, long_slip: float, short_fee: float, short_slip: float) -> float:
    """Entry or exit of a pair: fee and slippage of both legs."""
    return long_fee + long_slip + short_fee + short_slip


def round_trip(entry: float, exit_: float) -> float:
    """Entry plus exit."""
    return entry + exit_


def round_trip_usd(round_trip_share: float, notional_usd: float) -> float:
    """The same in USD."""
    return round_trip_share * notional_usd


def borrow_daily(rate: float, short_kind: Kind) -> float:
    """Borrowing is paid on a short spot leg and nowhere else."""
    return rate if short_kind is SPOT else 0.0


def capital_usd(long_kind: Kind, short_kind: Kind, notional_usd: float, leverage: float) -> float:
    """What a pair ties up: a spot leg in full (a short one as collateral), a derivative its margin."""
    return sum(notional_usd if kind is SPOT else notional_usd / leverage for kind in (long_kind, short_kind))


def capital_cost_daily(capital_daily: float, capital_used_usd: float, notional_usd: float) -> float:
    """`costs.capital_daily` on the capital that the pair ties up, as a fraction of its notional."""
    return capital_daily * capital_used_usd / notional_usd


def holding_daily(borrow: float, capital: float, fixed_daily_usd: float, notional_usd: float) -> float:
    """What a day of holding costs, as a fraction of notional."""
    return borrow + capital + fixed_daily_usd / notional_usd


def transfer_usd(
    fixed_usd: float, hours: float, *, same_venue: bool, daily: float, notional_usd: float
) -> float:
    """Moving funds between venues: the fixed fee, and what they would have earned on the way.

    On one venue nothing moves. Only a positive carry is missed.
    """
    if same_venue:
        return 0.0
    return fixed_usd + max(0.0, daily) * notional_usd * hours / HOURS_PER_DAY


def basis_entry(long_mid: float, short_mid: float) -> float:
    """Mid of the bought leg above that of the sold one (slippage holds the half spreads); + is a cost.

    It converges or reverses on exit: reported and gated, never sunk.
    """
    return (long_mid - short_mid) / ((long_mid + short_mid) / 2)
