"""Coins that were bought back are repaid before more are bought, where funds were short for that. Pure.

A loan binds margin until it is repaid, whether or not its coins were bought back, and in a unified account
coins count for less than what was paid for them. An account that cannot buy all at once buys what it can
(`portions`), repays that, and has margin for more.
"""

from __future__ import annotations

from typing import Final

from libs.common.instant import US_PER_SEC
from services.executor import loans
from services.executor.debts import asset_of, repayable, short_leg, stands_alone
from services.executor.lane import Draft, Lane
from services.executor.model import Purpose

LOOK_US_MAX: Final = 2 * US_PER_SEC
"""So long after the next order is due a look at the account is waited for."""

NEWEST: Final = 2
"""Funds are short while one of so many buys says so: they may be there again."""


def frees(lane: Lane, draft: Draft) -> bool:
    """Whether such a repayment goes out now, or waits for the look that it needs. Not for long, not while
    the other leg is what stands alone, and not at once after one that failed: these are bought on.
    """
    leg = short_leg(draft)
    if leg is None or not _is_poor(draft, leg) or not stands_alone(lane, draft, leg):
        return False
    held, failed, now_us = draft.state.legs[leg], loans.failures(draft), draft.now.mono_us
    again_us = lane.loan.settled_us + (loans.REPAY_AGAIN_US if failed else 0)
    if held.coins < lane.least(leg, reduces=True) or failed >= loans.REPAY_TRIES or now_us < again_us:
        return False
    debt = loans.fresh(lane, draft, leg, after_us=lane.changed_us)
    if debt is None and now_us - max(lane.changed_us, lane.not_before_us, again_us) < LOOK_US_MAX:
        return True
    amount = None if debt is None else repayable(held, debt)
    if debt is None or not amount:
        lane.world.claims.free(asset_of(lane, leg), lane.pair, now_us)
        return False
    loans.move(lane, draft, leg, Purpose.REPAY, amount, before=debt.owed)
    return True


def _is_poor(draft: Draft, leg: int) -> bool:
    """Whether funds are short for what this leg buys."""
    buys = [one for one in draft.intents.values() if one.leg == leg and one.side == "buy"]
    return any(one.failure == "funds" for one in buys[-NEWEST:] if one.n > draft.state.since_n)
