"""What one look says of a loan whose fate is unknown. Pure.

                    what is owed         coins
    lent            rises by all         come
    paid back       falls                go
    recalled        falls                go (taken), or stay (the venue has bought others for it)

Principal moves by nothing but loans, interest grows. A venue that takes a loan back while a repayment of it
is unknown leaves the same debt; only the coins tell whether the repayment has taken them. Were they taken
for paid, a position as large as the loan would stand alone, and be nobody's.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Final

from libs.common.money import plain
from services.executor.lending import Debt
from services.executor.model import ZERO, Intent, Purpose

PART: Final = Decimal("0.01")
"""More of a loan's coins than this did not come by themselves."""


class Fate(StrEnum):
    """`unclear`: what is owed has fallen, and this look does not tell what coins are there."""

    MOVED = "moved"
    STILL = "still"
    UNCLEAR = "unclear"
    RECALLED = "recalled"
    OTHERWISE = "otherwise"


def fate(loan: Intent, debt: Debt, gone: Decimal | None, owed: Decimal) -> Fate:
    """`gone`: coins that would be there if the loan had not moved, less those that are; None: not known.
    `owed`: the principal that pairs have borrowed of the coin, as far as they know.

    Interest that came in between is little beside a loan: half of the debt decides. It moves no coins: all of
    them must be gone. Where some are, a recall's purchases are looked for next; but not where a debt of the
    user's hides that something is missed: then he may as well have brought in coins.
    """
    before = loan.owed_before or ZERO
    if loan.purpose is Purpose.BORROW:
        return _lent(loan, debt.borrowed - before, gone, owed)
    fallen = before - debt.owed
    if fallen * 2 < loan.quantity:
        return Fate.STILL
    if gone is None:
        return Fate.UNCLEAR
    if gone >= loan.quantity:
        return Fate.MOVED
    is_hidden = owed - debt.borrowed < fallen - loan.quantity * PART
    return Fate.OTHERWISE if is_hidden else Fate.RECALLED


def in_words(loan: Intent, debt: Debt, gone: Decimal | None) -> str:
    """What a look has shown that is neither the one nor the other."""
    borrows = loan.purpose is Purpose.BORROW
    more = (debt.borrowed if borrows else debt.owed) - (loan.owed_before or ZERO)
    what = "loan" if borrows else "repayment"
    than = f"{plain(abs(more))} {'more' if more > 0 else 'less'} are" if more else "as much is"
    text = f"a {what} of {plain(loan.quantity)} is unknown, and {than} owed"
    coins = "" if gone is None else f"{plain(abs(gone))} coins {'more' if gone < 0 else 'fewer'} than before"
    return f"{text}, with {coins}" if coins else text


def _lent(loan: Intent, change: Decimal, gone: Decimal | None, owed: Decimal) -> Fate:
    """Where less is owed, another pair's loan was taken back meanwhile, no more of it than pairs owe. All
    of the coins are a proof then that they were lent, and none of them that they were not: what a recall has
    taken from under this loan leaves the same. A part proves nothing; nor do as many coins where nothing was
    taken back, or more debt than was asked for: the user brings in, and borrows, what he likes.
    """
    wanted = loan.quantity
    recalled = change < 0 and -change <= owed
    if recalled and gone is None:
        return Fate.UNCLEAR
    came = ZERO if gone is None else -gone
    under_a_recall = recalled and came == wanted and came - change <= owed
    if under_a_recall or wanted <= change <= wanted * (1 + PART):
        return Fate.MOVED
    if came > wanted * PART or (change and not recalled):
        return Fate.OTHERWISE
    return Fate.STILL
