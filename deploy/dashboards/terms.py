"""What several dashboards say in the same words: which series, which quantile, which pairs."""

from __future__ import annotations

from typing import Final

D: Final = 'deployment=~"$deployment"'
P: Final = f'{D}, pair=~"$pair"'
V: Final = f'{D}, venue=~"$venue"'
AT: Final = 'venue=~"$venue"'
SHUT: Final = (
    f'max by (kind, control) (label_replace(fundarb_control_level{{{D}}}, "kind", "$1", "scope", "([a-z]+).*"))'
    f' or label_replace(max(fundarb_breaker_level{{{D}, scope="global"}}), "kind", "everything", "", "")'
)
"""What kind of scope is not normal and which control says so; everything together in any case."""

HELD_ALONE: Final = f"and on (deployment, pair) (fundarb_pair_notional_usd{{{D}}} > 0)"
"""Ends an expression of pairs: a hundred that hold nothing hide the three that do."""


def quantile(metric: str, by: str = "", where: str = D, *, share: float = 0.99) -> str:
    """The quantile of a histogram over 5 minutes, apart by one label."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{{{where}}}[5m])))"
