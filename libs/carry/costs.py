"""What a pair costs: fees, entry and exit, holding, transfer, and the capital that it ties up.

Fractions of the notional per leg unless the name says USD; a negative fee is a rebate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import msgspec

from libs.common.config.schema import Costs, VenueCosts
from libs.common.subjects import SPOT, Kind

HOURS_PER_DAY = 24.0
EPSILON_RATE: Final = 1e-9


# Above these a figure is a mistake of units: real fees are 0.1 % at most, borrowing about 1 % a day.
ACCOUNT_FEE_MAX: Final = 0.02
ACCOUNT_BORROW_DAILY_MAX: Final = 0.2


class LegTerms(msgspec.Struct, frozen=True, kw_only=True):
    """One leg's costs: fee and slippage per fill, borrow a day when it is a short spot leg."""

    fee: float
    slip: float
    borrow_daily: float


class AccountRates(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue charges this account for one instrument; None is not told, or not believable."""

    taker: float | None = None
    maker: float | None = None
    borrow_daily: float | None = None

    def __post_init__(self) -> None:
        """Raises ValueError on what no account pays, so that a wrong unit never becomes a cost."""
        fees = (self.taker, self.maker)
        if any(fee is not None and not abs(fee) <= ACCOUNT_FEE_MAX for fee in fees):
            raise ValueError(f"taker {self.taker}, maker {self.maker} are no fees")
        if self.borrow_daily is not None and not 0 <= self.borrow_daily <= ACCOUNT_BORROW_DAILY_MAX:
            raise ValueError(f"{self.borrow_daily} a day is no borrow rate")


NO_RATES: Final = AccountRates()


def fee_rate(
    taker: float, maker: float, role: Literal["taker", "maker"], *, rebate_share: float = 0.0
) -> float:
    """Fee of one fill. `rebate_share` of a paid fee comes back; a maker rebate is not shared again."""
    fee = taker if role == "taker" else maker
    return fee * (1.0 - rebate_share) if fee > 0 else fee


def venue_id(venue: str) -> str:
    """The exchange behind a venue slug: `binance` of `binance-sub1`."""
    return venue.split("-", 1)[0]


def _overrides(costs: Costs, venue: str, kind: Kind) -> list[VenueCosts]:
    """`costs.venues` by `{venue}-{kind}`, by venue, by exchange: the nearest first."""
    keys = (f"{venue}-{kind.value}", venue, f"{venue_id(venue)}-{kind.value}", venue_id(venue))
    return [costs.venues[key] for key in keys if key in costs.venues]


def _configured(costs: Costs, venue: str, kind: Kind) -> Callable[[str, float], float]:
    """Reads one field: of the nearest override that has it, else the general one."""
    found = _overrides(costs, venue, kind)

    def first(name: str, general: float) -> float:
        values = (getattr(override, name) for override in found)
        return next((float(value) for value in values if value is not None), general)

    return first


def leg_terms(costs: Costs, venue: str, kind: Kind, account: AccountRates = NO_RATES) -> LegTerms:
    """A leg's terms: what the account pays where that is known, else as configured (`_configured`).

    Each field falls through by itself, so that an override of the fee keeps the general slippage. A venue's
    API does not know of rebates: `rebate_share` comes off the account's fee as it does off a configured one.
    """
    first = _configured(costs, venue, kind)
    taker = first("taker", costs.taker) if account.taker is None else account.taker
    maker = first("maker", costs.maker) if account.maker is None else account.maker
    borrow = (
        first("borrow_daily", costs.borrow_daily) if account.borrow_daily is None else account.borrow_daily
    )
    rebate = next((found.rebate_share for found in _overrides(costs, venue, kind) if found.rebate_share), 0.0)
    return LegTerms(
        fee=fee_rate(taker, maker, costs.role, rebate_share=rebate),
        slip=first("slippage_bps", costs.slippage_bps) / 10_000.0,
        borrow_daily=borrow,
    )


def rates_apart(costs: Costs, venue: str, kind: Kind, account: AccountRates) -> str:
    """Where the account's rates differ from the configured ones, for people; empty where they agree."""
    first = _configured(costs, venue, kind)
    both = (
        (costs.role, getattr(account, costs.role), first(costs.role, getattr(costs, costs.role))),
        ("borrow a day", account.borrow_daily, first("borrow_daily", costs.borrow_daily)),
    )
    return ", ".join(
        f"{name} {real:.4%} by the account, {configured:.4%} by config".replace("%", " %")
        for name, real, configured in both
        if real is not None and abs(real - configured) > EPSILON_RATE
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
