"""Known equity: what all accounts are worth with both legs of every pair valued at one index price. Pure.

    known = sum over venues: equity - coins that are not dollars      as the venues value them
          + sum over pairs:  spot quantity x index                    only what the pairs own
          + sum of contracts: quantity x (index - mark)               profit at the index, not at the mark

A basis spike moves marks and spot apart and is no loss; what the user's own coins do is nobody's loss here.
The index of a base asset is that of its first contract that tells one, else its mark, else a mid: one price
for all legs in any case.
"""

from __future__ import annotations

from typing import Final

from libs.carry.case import FUNDING_AGE_MAX_SEC
from libs.carry.identity import USD_COINS
from libs.common.instant import US_PER_SEC, Now
from libs.common.messages_exec import AccountStatus
from libs.common.subjects import SPOT, pair_stem, slug
from services.risk.facts import Facts

ACCOUNT_US_MAX: Final = 20 * US_PER_SEC
"""Accounts are looked at every 5 s; the executor itself gives up on one after 15."""

PRICE_US_MAX: Final = int(FUNDING_AGE_MAX_SEC) * US_PER_SEC


class Unknown(Exception):
    """Why the equity is not known."""


def known_usd(facts: Facts, now: Now) -> float:
    """Raises `Unknown` with the reason: an account, a pair or a price that is missing."""
    for pair in facts.scopes.specs:
        if pair not in facts.pairs:
            raise Unknown(f"what is held of {pair} is not known")
    total = sum(account_usd(facts, venue, now) for venue in sorted(facts.scopes.venues))
    for status in facts.held().values():
        for leg in status.legs:
            if leg.kind is SPOT and leg.quantity:
                total += float(leg.quantity) * index_of(facts, leg.instrument, now)
    return total


def index_of(facts: Facts, instrument: str, now: Now) -> float:
    """The one price of an instrument's base asset."""
    base = _base(instrument)
    kin = [leg for (_, name), leg in sorted(facts.legs.items()) if _base(name) == base]
    told = [leg.funding.message for leg in kin if leg.funding and leg.funding.age_us(now) <= PRICE_US_MAX]
    prices = [one.index for one in told] + [one.mark for one in told]
    prices += [leg.mid() for leg in kin if leg.quote and leg.quote.age_us(now) <= PRICE_US_MAX]
    for price in prices:
        if price is not None and price > 0:
            return price
    raise Unknown(f"no price of {base} that is younger than {PRICE_US_MAX // US_PER_SEC} s")


def account_usd(facts: Facts, venue: str, now: Now) -> float:
    """One venue's part of it, without the pairs' coins. Raises `Unknown`."""
    heard = facts.accounts.get(venue)
    if heard is None:
        raise Unknown(f"nothing has been said of the account at {venue} yet")
    status = heard.message
    if not status.trusted:
        raise Unknown(
            f"the account at {venue} cannot be read: {'; '.join(status.problems) or 'no reason given'}"
        )
    if (age_us := heard.age_us(now)) > ACCOUNT_US_MAX:
        raise Unknown(f"the account at {venue} was read {age_us // US_PER_SEC} s ago")
    if status.equity_usd is None:
        raise Unknown(f"the equity at {venue} is not told")
    coins = sum(one.usd or 0.0 for one in status.balances if slug(one.asset) not in USD_COINS)
    return status.equity_usd - coins + _at_index(facts, status, now)


def _at_index(facts: Facts, status: AccountStatus, now: Now) -> float:
    """What contracts of configured pairs gain by being valued at the index in place of their marks."""
    total = 0.0
    for one in status.positions:
        if one.quantity and one.mark is not None and (status.venue, one.instrument) in facts.legs:
            total += float(one.quantity) * (index_of(facts, one.instrument, now) - one.mark)
    return total


def _base(instrument: str) -> str:
    return pair_stem(instrument).split("-", 1)[0]
