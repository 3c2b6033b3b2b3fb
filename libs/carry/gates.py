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
from libs.carry.case import Case, Refusal

Check = Callable[[Case], Refusal | None]

CHECKS: Final[tuple[Check, ...]] = (
    gates_data.data_known,
    gates_data.tradable,
    gates_data.not_quarantined,
    gates_data.same_asset,
    gates_data.interval_known,
    gates_data.settlement_known,
    gates_data.rate_plausible,
    gates_data.quote_fresh,
    gates_data.funding_fresh,
    gates_data.mark_fresh,
    gates_data.history_fresh,
    gates_data.settlement_away,
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
    gates_worth.large_enough,
    gates_worth.capital_allows,
)


def refusals(case: Case) -> tuple[Refusal, ...]:
    """Everything that speaks against opening, in the order of `CHECKS`; empty means it passes."""
    return tuple(refusal for check in CHECKS if (refusal := check(case)) is not None)
