"""Coins that were bought back are repaid before more are bought, where funds were short for that. Pure.

A loan binds margin until it is repaid, whether or not its coins were bought back, and in a unified account
coins count for less than what was paid for them. An account that cannot buy all at once buys what it can
(`portions`), repays that, and has margin for more.
"""

from __future__ import annotations

from typing import Final

from libs.common.instant import US_PER_SEC
from services.executor import loans
from services.executor.debts import repayable, short_leg
from services.executor.lane import Draft, Lane
from services.executor.model import Purpose

LOOK_US_MAX: Final = 2 * US_PER_SEC
"""So long after the next order is due a look at the account is waited for."""


def frees(lane: Lane, draft: Draft) -> bool:
    """Whether such a repayment goes out now, or waits for the look that it needs. Not for long, and nothing
    waits for one that was refused: `loans.cleared` tries that again, when all is bought.
    """
    leg = short_leg(draft)
    if leg is None or not _is_poor(draft, leg) or loans.failures(draft):
        return False
    held = draft.state.legs[leg]
    if held.coins < lane.least(leg, reduces=True):
        return False
    debt = loans.fresh(lane, draft, leg, after_us=lane.changed_us)
    if debt is None:
        return draft.now.mono_us - max(lane.changed_us, lane.not_before_us) < LOOK_US_MAX
    if not (amount := repayable(held, debt)):
        return False
    loans.move(lane, draft, leg, Purpose.REPAY, amount, before=debt.owed)
    return True


def _is_poor(draft: Draft, leg: int) -> bool:
    """Whether funds were short for an order of this leg since the pair is in its state."""
    orders = (one for one in draft.intents.values() if one.leg == leg and one.n > draft.state.since_n)
    return any(one.failure == "funds" for one in orders)
