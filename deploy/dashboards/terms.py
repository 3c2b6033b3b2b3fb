"""What several dashboards say in the same words: which series, which quantile, why nothing is a good answer."""

from __future__ import annotations

from typing import Final

D: Final = 'deployment=~"$deployment"'
P: Final = f'{D}, pair=~"$pair"'
V: Final = f'{D}, venue=~"$venue"'
NOTHING_HELD: Final = "nothing is held, which is a normal answer"


def quantile(metric: str, by: str = "", where: str = D, *, share: float = 0.99) -> str:
    """The quantile of a histogram over 5 minutes, apart by one label."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{{{where}}}[5m])))"
