"""The opening rules: each refuses by a stable code and one sentence with the figures, or lets pass.

| code | refuses when |
|---|---|
| `no_data` | an instrument, its quote or its current rate is not known yet |
| `not_tradable` | the venue or the adapter says the instrument cannot be traded |
| `quarantined` | the instrument or its venue is shut out for nonsense or failures |
| `base_mismatch`, `quote_mismatch`, `not_linear` | two assets, two kinds of money, not settled in it |
| `interval_unknown`, `settlement_unknown` | a rate without its interval or without its next settlement |
| `rate_implausible` | more than 100 % a day |
| `stale_quote`, `stale_funding`, `stale_mark`, `stale_history` | older than risk.md allows |
| `near_settlement` | within 60 s (market time) before or after a settlement |
| `funding_below_min`, `not_consecutive`, `history_short` | too small, of changing sign, too little known |
| `net_not_positive`, `breakeven_too_long` | not worth its costs, flat or expected as configured |
| `basis_too_wide`, `legs_diverge` | entered at a loss, or two prices that cannot be of one asset |
| `depth_too_thin` | more than 20 % of the size within 0.5 % of mid, or the book cannot fill it |
| `not_borrowable` | the short leg is a spot market that cannot be borrowed |
| `expires_soon` | a dated leg expires within a day or before the break-even |
| `notional_below_min` | below the venue's smallest order |
| `capital` | the position alone is above `limits` |

The rules themselves are in `gates_data` and `gates_worth`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from libs.carry import gates_data, gates_worth
from libs.carry.case import Case, LegCase, Refusal

LegCheck = Callable[[LegCase], Refusal | None]
PairCheck = Callable[[Case], Refusal | None]

# Rules that look at one leg alone; of two legs that break the same one, the long leg is named.
LEG_CHECKS: Final[tuple[LegCheck, ...]] = (
    gates_data.data_known,
    gates_data.tradable,
    gates_data.not_quarantined,
    gates_data.interval_known,
    gates_data.settlement_known,
    gates_data.rate_plausible,
    gates_data.quote_fresh,
    gates_data.funding_fresh,
    gates_data.mark_fresh,
    gates_data.settlement_away,
    gates_worth.large_enough,
)
PAIR_CHECKS: Final[tuple[PairCheck, ...]] = (
    gates_data.same_asset,
    gates_data.history_fresh,
    gates_worth.funding_enough,
    gates_worth.consecutive,
    gates_worth.history_enough,
    gates_worth.net_positive,
    gates_worth.breakeven_soon,
    gates_worth.basis_narrow,
    gates_worth.legs_agree,
    gates_worth.deep_enough,
    gates_worth.borrowable,
    gates_worth.far_from_expiry,
    gates_worth.capital_allows,
)
CHECKS: Final = (*LEG_CHECKS, *PAIR_CHECKS)
# Every code, in the order in which refusals are told.
CODES: Final = (
    "no_data",
    "not_tradable",
    "quarantined",
    "base_mismatch",
    "quote_mismatch",
    "not_linear",
    "interval_unknown",
    "settlement_unknown",
    "rate_implausible",
    "stale_quote",
    "stale_funding",
    "stale_mark",
    "stale_history",
    "near_settlement",
    "funding_below_min",
    "not_consecutive",
    "history_short",
    "net_not_positive",
    "breakeven_too_long",
    "basis_too_wide",
    "legs_diverge",
    "depth_too_thin",
    "not_borrowable",
    "expires_soon",
    "notional_below_min",
    "capital",
)
PLACES: Final = {code: place for place, code in enumerate(CODES)}


def leg_refusals(case: LegCase) -> list[Refusal]:
    """Everything that speaks against one leg in any pair."""
    return [refusal for check in LEG_CHECKS if (refusal := check(case)) is not None]


def refusals(case: Case) -> tuple[Refusal, ...]:
    """Everything that speaks against opening, in the order of `CODES`; empty means it passes."""
    found = leg_refusals(LegCase(case.long, case.long_mid, case.market_ms, case.notional_usd))
    short = leg_refusals(LegCase(case.short, case.short_mid, case.market_ms, case.notional_usd))
    if short:
        told = {refusal.code for refusal in found}
        found += [refusal for refusal in short if refusal.code not in told]
    alone = len(found)
    found += [refusal for check in PAIR_CHECKS if (refusal := check(case)) is not None]
    if alone:
        found.sort(key=lambda refusal: PLACES[refusal.code])
    return tuple(found)
