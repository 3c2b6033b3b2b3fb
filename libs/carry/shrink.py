"""How much of its size a pair may keep while collateral is short: one rule, for risk and for the executor.

Risk says it in the permit (`max_ratio`); the executor applies the same function by itself once it has been
without a permit for `ALONE_AFTER_US`. Both legs come down together: 0.25 of the size each 30 s while the
condition holds, all of it allowed again after ten calm minutes (risk.md).

    squeeze = after(squeeze, collateral_of(status, instruments), now.mono_us)    # squeeze.share is max_ratio

Distance to liquidation = |mark - liquidation| / mark; margin ratio = maintenance margin / equity. The
distance governs: the ratio counts only while some position has no distance, since an account with a high
maintenance rate may be far from liquidation at a high ratio. Of coins that a pair has borrowed in a margin
wallet the distance is by how much their price may rise until the venue calls the loan.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Final

import msgspec

from libs.common.instant import US_PER_SEC
from libs.common.messages_exec import AccountBalance, AccountPosition, AccountStatus
from libs.common.subjects import slug

DISTANCE_WARN: Final = 0.15
DISTANCE_SHRINK: Final = 0.10
DISTANCE_FLATTEN: Final = 0.05
DISTANCE_CALM: Final = 0.18
RATIO_WARN: Final = 0.04
RATIO_SHRINK: Final = 0.06
RATIO_FLATTEN: Final = 0.10
RATIO_CALM: Final = 0.03

STEP: Final = Decimal("0.25")
EVERY_US: Final = 30 * US_PER_SEC
CALM_US: Final = 600 * US_PER_SEC
ALONE_AFTER_US: Final = 30 * US_PER_SEC
"""So long without a permit (monotonic) the executor waits before it applies this by itself."""

CALL_LEVEL: Final = 1.1
"""Assets / liabilities at which a cross margin wallet is liquidated (Binance; `engine/collateral.py`)."""

_ZERO: Final = Decimal(0)
_WHOLE: Final = Decimal(1)


class Collateral(msgspec.Struct, frozen=True, kw_only=True):
    """What backs some positions, as fractions; None is "the venue does not say".

    `ratio` is None too while every position has a distance, which then governs.
    """

    distance: float | None = None
    ratio: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether it says anything at all."""
        return self.distance is not None or self.ratio is not None

    @property
    def warns(self) -> bool:
        """Nearer than a person wants to find out in the morning."""
        return _within(self.distance, DISTANCE_WARN) or _beyond(self.ratio, RATIO_WARN)

    @property
    def is_short(self) -> bool:
        """Both legs come down, step by step."""
        return _within(self.distance, DISTANCE_SHRINK) or _beyond(self.ratio, RATIO_SHRINK)

    @property
    def is_exhausted(self) -> bool:
        """Hard close, now."""
        return _within(self.distance, DISTANCE_FLATTEN) or _beyond(self.ratio, RATIO_FLATTEN)

    @property
    def is_calm(self) -> bool:
        """Far enough from trouble for the way back."""
        return (
            self.is_known
            and not _not_above(self.distance, DISTANCE_CALM)
            and not _beyond(self.ratio, RATIO_CALM)
        )


class Squeeze(msgspec.Struct, frozen=True, kw_only=True):
    """`share` of their size that pairs may keep. Times are monotonic: the last step down, calm since."""

    share: Decimal = _WHOLE
    lowered_us: int | None = None
    calm_since_us: int | None = None


def collateral_of(
    status: AccountStatus, instruments: Collection[str] | None = None, coins: Collection[str] = ()
) -> Collateral:
    """Of the positions in `instruments` (None: all), and of debts in `coins` (slugs) in margin wallets. Where
    the venue shows no position at all the account's own figures count, and where there is none in
    `instruments` nothing is at stake: ratio 0, no distance.
    """
    found = _of_positions(status, instruments)
    owed = [_debt_distance(status.balances, wallet, coin) for wallet, coin in _debts(status.balances, coins)]
    if not owed:
        return found
    known = [one for one in (found.distance, *owed) if one is not None]
    return Collateral(distance=min(known, default=None), ratio=None if None in owed else found.ratio)


def _of_positions(status: AccountStatus, instruments: Collection[str] | None) -> Collateral:
    if not status.positions:
        return Collateral(distance=status.liquidation_distance, ratio=status.margin_ratio or 0.0)
    held = [
        one
        for one in status.positions
        if one.quantity and (instruments is None or one.instrument in instruments)
    ]
    if not held:
        return Collateral(ratio=0.0)
    distances = [distance_of(one) for one in held]
    known = [one for one in distances if one is not None]
    governs = len(known) == len(distances)
    return Collateral(distance=min(known, default=None), ratio=None if governs else status.margin_ratio)


def _debts(balances: Iterable[AccountBalance], coins: Collection[str]) -> list[tuple[str, str]]:
    """(wallet, asset) of what is owed beyond the coins that lie there. A unified account is judged as one, by
    the venue's figures.
    """
    return [
        (one.wallet, one.asset)
        for one in balances
        if one.wallet == "margin" and slug(one.asset) in coins and _owned(one) < 0
    ]


def _debt_distance(balances: Iterable[AccountBalance], wallet: str, coin: str) -> float | None:
    """By how much a borrowed coin may rise until (assets) / (liabilities) is CALL_LEVEL, other prices as they
    are; None while a price is missing.
    """
    room = at_stake = 0.0
    for one in balances:
        if one.wallet != wallet:
            continue
        owned = _owned(one)
        if one.usd is None or not owned:
            return None
        price = one.usd / float(owned)
        beyond = (float(one.total) - CALL_LEVEL * float(one.borrowed + one.interest)) * price
        if one.asset == coin:
            at_stake = -beyond
        else:
            room += beyond
    return max(0.0, room / at_stake - 1.0) if at_stake > 0 else None


def _owned(balance: AccountBalance) -> Decimal:
    return balance.total - balance.borrowed - balance.interest


def distance_of(position: AccountPosition) -> float | None:
    """|mark - liquidation| / mark; None when the venue does not say."""
    mark, end = position.mark, position.liquidation_price
    if mark is None or end is None or not mark > 0:
        return None
    return abs(mark - end) / mark


def after(before: Squeeze, collateral: Collateral, now_us: int) -> Squeeze:
    """Fold one look in. One that says nothing changes nothing, and breaks no calm either: what is not known
    for long is another rule's matter (data age, equity unknown).
    """
    if not collateral.is_known:
        return before
    if collateral.is_short:
        due = before.lowered_us is None or now_us - before.lowered_us >= EVERY_US
        if not due:
            return msgspec.structs.replace(before, calm_since_us=None)
        return Squeeze(share=max(_ZERO, before.share - STEP), lowered_us=now_us)
    if not collateral.is_calm:
        return msgspec.structs.replace(before, calm_since_us=None)
    since_us = now_us if before.calm_since_us is None else before.calm_since_us
    if now_us - since_us >= CALM_US:
        return Squeeze(calm_since_us=since_us)
    return msgspec.structs.replace(before, calm_since_us=since_us)


def _beyond(ratio: float | None, bound: float) -> bool:
    return ratio is not None and not ratio < bound  # NaN is beyond


def _within(distance: float | None, bound: float) -> bool:
    return distance is not None and not distance >= bound


def _not_above(distance: float | None, bound: float) -> bool:
    return distance is not None and not distance > bound
