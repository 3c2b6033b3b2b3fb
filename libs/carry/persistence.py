"""How long a carry lasts, from the recorded settled rates of the instrument and never from a constant."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec


class Persistence(msgspec.Struct, frozen=True, kw_only=True):
    """Runs are stretches of one sign, in settlements; a zero ends a run and starts none.

    `sign_change_share`: changes of sign over the steps between settlements; None with fewer than two.
    `current_run` is signed: +5 means that the last five were positive.
    """

    settlements: int
    sign_change_share: float | None
    runs: tuple[int, ...]
    mean_run: float | None
    longest_run: int
    current_run: int


def sign_of(value: float) -> int:
    """-1, 0 or 1."""
    return (value > 0) - (value < 0)


def persistence(rates: Sequence[float]) -> Persistence:
    """Persistence of settled rates (or of a pair's settled carry), oldest first."""
    signs = [sign_of(rate) for rate in rates]
    changes = sum(1 for before, after in pairwise(signs) if before != after)
    runs: list[int] = []
    length = 0
    for index, sign in enumerate(signs):
        length = length + 1 if sign and index and sign == signs[index - 1] else abs(sign)
        ends = index + 1 == len(signs) or signs[index + 1] != sign
        if sign and ends:
            runs.append(length)
    return Persistence(
        settlements=len(signs),
        sign_change_share=changes / (len(signs) - 1) if len(signs) > 1 else None,
        runs=tuple(runs),
        mean_run=sum(runs) / len(runs) if runs else None,
        longest_run=max(runs, default=0),
        current_run=signs[-1] * runs[-1] if signs and signs[-1] else 0,
    )
