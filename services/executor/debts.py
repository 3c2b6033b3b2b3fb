"""A short spot leg's coins and debt: arithmetic, and who may move a venue's loan of an asset now.

For a leg that is short of borrowed coins `quantity` < 0 counts what was sold and the interest that it owes in
coins; `borrowed` + `interest` is owed to the venue for it. Interest moves no coin: it makes `quantity` fall
and `interest` rise, so that `Leg.coins`, what lies in the wallet because of this leg, stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from typing import Final

import msgspec

from libs.common.instant import US_PER_SEC
from libs.common.subjects import SPOT
from libs.exchange.trading_values import BalanceReport, Wallet
from services.executor.events import AccountSeen
from services.executor.lane import Draft, Lane, plan_of
from services.executor.lending import Asset, Debt
from services.executor.model import ZERO, Leg, State
from services.executor.sizing import ceil_to, floor_to, grossed_up

replace = msgspec.structs.replace

LENDERS: Final[frozenset[Wallet]] = frozenset({"margin", "unified"})
"""The wallets that owe what is borrowed."""

FINEST: Final = Decimal("1e-8")
"""Loans are moved in multiples of this."""

RECALL_AFTER_US: Final = 2 * US_PER_SEC
"""So long a debt that has shrunk by itself waits for the trade that explains it."""

RESIDUE_SHARE: Final = Decimal("0.01")
"""Interest that a payment met unseen is at most this share of it; more is somebody's doing."""

HELD_UP_US_MAX: Final = 180 * US_PER_SEC
"""An unknown order is known by then; orders that follow each other must not hide a recall for ever."""

CONTRACT_FIRST_TRIES: Final = 3
"""After so many tries the spot leg waits no longer for the contract's."""


def short_leg(draft: Draft) -> int | None:
    """The leg that sells borrowed coins in the pair's direction, if it has one."""
    return next((leg for leg in (0, 1) if draft.borrows(leg)), None)


def debt_of(balances: Iterable[BalanceReport], asset: str, asked_us: int) -> Debt:
    """What an account owes of an asset, to whomever it belongs, and the coins that it has."""
    rows = [one for one in balances if one.asset == asset]
    lent = [one for one in rows if one.wallet in LENDERS]
    return Debt(
        borrowed=sum((one.borrowed for one in lent), ZERO),
        interest=sum((one.interest for one in lent), ZERO),
        total=sum((one.total for one in rows), ZERO),
        asked_us=asked_us,
    )


def with_interest(held: Leg, debt: Debt) -> Leg:
    """The leg with its share of the interest that the venue shows: by principal, rounded up.

    The user's own debts in the same wallet bear theirs.
    """
    due = share(held, debt)
    return replace(held, interest=due, quantity=held.quantity - (due - held.interest))


def share(held: Leg, debt: Debt) -> Decimal:
    """The interest of a leg's principal."""
    if held.borrowed >= debt.borrowed:
        return debt.interest
    return (debt.interest * held.borrowed / debt.borrowed).quantize(FINEST, rounding=ROUND_UP)


def as_interest(held: Leg, amount: Decimal) -> Leg:
    """So much less principal, and so much more interest: a payment goes to interest first, of which the venue
    knew more than we did. As much is owed as before.
    """
    amount = min(amount, held.borrowed)
    return replace(held, borrowed=held.borrowed - amount, interest=held.interest + amount)


def with_spare(held: Leg) -> Leg:
    """Coins that an earlier close has left count towards a standing short position."""
    if held.quantity >= 0 or not held.spare:
        return held
    return replace(held, quantity=held.quantity + held.spare, spare=ZERO)


def repaid(held: Leg, amount: Decimal) -> Leg:
    """Interest first, then principal, as venues do it: so many coins and so much of the debt are gone."""
    interest = min(amount, held.interest)
    return replace(held, interest=held.interest - interest, borrowed=held.borrowed - (amount - interest))


def forgiven(held: Leg, amount: Decimal) -> Leg:
    """So much less is owed, and no coin has moved for it."""
    after = repaid(held, amount)
    return replace(after, quantity=held.quantity + held.owed - after.owed)


def repayable(held: Leg, debt: Debt) -> Decimal:
    """What this leg can pay back now out of its own coins; never what others owe."""
    amount = min(held.owed, held.coins, debt.owed)
    return max(ZERO, amount).quantize(FINEST, rounding=ROUND_DOWN)


def goal_of(draft: Draft, leg: int) -> Decimal:
    """Where a leg is to end now: with the slice under way, else with the plan."""
    plan = plan_of(draft)
    return (plan.step or plan.goals)[leg]


def cover(lane: Lane, draft: Draft, leg: int, over: Decimal) -> Decimal:
    """What to buy so that `over` of a short position is covered after a fee in base; 0 below a step.

    The last buy covers everything, also where the venue's minimum is more than is owed: coins that are left
    over are used by the next position, while a debt would go on costing interest.
    """
    rules = lane.rules(leg)
    if rules is None or over < rules.step:
        return ZERO
    least = lane.least(leg, reduces=True)
    if goal_of(draft, leg) != 0:
        amount = grossed_up(floor_to(over, rules.step), rules)
        return amount if amount >= least else ZERO
    return max(least, grossed_up(ceil_to(over, rules.step), rules))


def sellable(lane: Lane, draft: Draft, leg: int, amount: Decimal) -> Decimal:
    """At most the coins of this leg that are there: others in the wallet are the user's, never to be sold."""
    rules = lane.rules(leg)
    if not draft.borrows(leg) or rules is None:
        return amount
    return min(amount, floor_to(max(ZERO, draft.state.legs[leg].coins), rules.step))


def is_uncovered(lane: Lane, draft: Draft) -> bool:
    """Whether the short spot leg has sold at least a step that it must buy back before it can be repaid, with
    what an earlier one has left owed.
    """
    leg = short_leg(draft)
    rules = None if leg is None else lane.rules(leg)
    if leg is None or rules is None:
        return False
    held = draft.state.legs[leg]
    return -(held.quantity + min(held.spare, ZERO)) >= rules.step


def stands_alone(lane: Lane, draft: Draft, leg: int) -> bool:
    """Whether more is sold of a short leg than the other one holds against it, by what could be bought."""
    sold, against = -draft.state.legs[leg].quantity, max(ZERO, draft.state.legs[1 - leg].quantity)
    return sold - against >= lane.least(leg, reduces=True)


def in_order(draft: Draft, over: Sequence[int]) -> list[int]:
    """Contract first, then the coins that are owed (execution.md); both when the contract does not trade."""
    leg = short_leg(draft)
    if leg is None or len(over) < 2 or plan_of(draft).tries[1 - leg] >= CONTRACT_FIRST_TRIES:
        return list(over)
    return [1 - leg]


def asset_of(lane: Lane, leg: int) -> tuple[str, str]:
    """(venue, base coin) of a leg: what loans are made of."""
    rules, (venue, instrument) = lane.rules(leg), lane.keys[leg]
    return venue, rules.base if rules is not None else instrument.split("-", 1)[0]


def sharers_of(lane: Lane, asset: Asset) -> list[Lane]:
    """The other pairs of this executor with that coin at that venue."""
    lanes = (one for one in lane.world.lanes.values() if one is not lane)
    return [one for one in lanes if any(asset_of(one, leg) == asset for leg in (0, 1))]


def stuck_of(lane: Lane, asset: Asset) -> list[Lane]:
    """Those of them that wait for a person."""
    return [one for one in sharers_of(lane, asset) if one.state.state is State.STUCK]


def is_held_up(lanes: Iterable[Lane]) -> bool:
    """Whether an open order of one of these pairs hides what coins there are, and will be known some day: not
    one of a pair that waits for a person, or that is not known here.
    """
    lanes = (one for one in lanes if one.loaded and one.state.state is not State.STUCK)
    return any(not intent.state.is_final for one in lanes for intent in one.intents.values())


def owed_of(lanes: Iterable[Lane], asset: tuple[str, str], *, interest: bool = False) -> Decimal:
    """The principal that all pairs together owe of an asset at a venue; with their interest, if asked for."""
    return sum(
        (
            held.owed if interest else held.borrowed
            for lane in lanes
            for leg, held in enumerate(lane.state.legs)
            if held.kind is SPOT and asset_of(lane, leg) == asset
        ),
        ZERO,
    )


def own_of(lanes: Iterable[Lane], asset: tuple[str, str]) -> Decimal:
    """The coins that all pairs together have of an asset at a venue, whatever it is quoted in; dust and
    borrowed ones included.
    """
    return sum(
        (
            held.coins + lane.dust[leg]
            for lane in lanes
            for leg, held in enumerate(lane.state.legs)
            if held.kind is SPOT and asset_of(lane, leg) == asset
        ),
        ZERO,
    )


def recalled_of(lanes: Collection[Lane], seen: AccountSeen | None) -> frozenset[Asset]:
    """Coins of which a look shows less debt than the pairs have there: what was taken is yet to be booked."""
    venue, shown = ("", ()) if seen is None else (seen.venue, seen.balances)
    ours = {asset_of(lane, leg) for lane in lanes for leg, kind in enumerate(lane.kinds) if kind is SPOT}
    return frozenset(
        asset
        for asset in ours
        if asset[0] == venue and owed_of(lanes, asset) > debt_of(shown, asset[1], 0).borrowed
    )


def taken_of(lane: Lane, leg: int, balances: Iterable[BalanceReport]) -> Decimal:
    """Coins that may be gone for loans of the pairs that were recalled, and are yet to be booked: by so much
    less is owed than is theirs, and interest that no look had shown.
    """
    asset = asset_of(lane, leg)
    taken = owed_of(lane.world.lanes.values(), asset, interest=True) - debt_of(balances, asset[1], 0).owed
    return max(ZERO, taken) * (1 + RESIDUE_SHARE)


def put_leg(draft: Draft, leg: int, held: Leg) -> None:
    """A leg is another from now on."""
    legs = list(draft.state.legs)
    legs[leg] = held
    draft.set(legs=(legs[0], legs[1]))


def is_recall(draft: Draft, leg: int, sign: int) -> bool:
    """Whether a venue-made trade of that sign buys coins for a loan that the venue has taken back.

    It buys what it is owed, whether or not some of it had been bought already: by a close under way, or by a
    reduction whose coins were not repaid yet. What is too much is sold again.
    """
    return sign > 0 and leg == short_leg(draft) and draft.lane.loan.recalled_us is not None


def unseen_interest(lane: Lane, draft: Draft, leg: int, bought: Decimal, others: Iterable[Lane]) -> Decimal:
    """By how much a recall has bought more than the principal and the interest that are known to be gone: it
    paid interest first that no look had shown, which is the leg's from now on. 0 where more may be another's.

    `bought`: what nobody has booked of the venue's own trades; `others`: the pairs that share the coin.
    """
    missing, held, seen = lane.missing.get(leg, ZERO), draft.state.legs[leg], lane.loan.seen
    more = bought - missing
    if not is_recall(draft, leg, 1) or seen is None or not 0 < more <= missing * RESIDUE_SHARE:
        return ZERO
    if owed_of(others, asset_of(lane, leg)) > seen.borrowed:
        return ZERO  # another pair's loan was taken back as well: the trades have its part in them
    put_leg(draft, leg, replace(held, interest=held.interest + more, quantity=held.quantity - more))
    return more


def bought_back(lane: Lane, draft: Draft, leg: int, amount: Decimal) -> None:
    """A venue-made purchase has repaid so much of a short leg's debt."""
    if leg == short_leg(draft):
        held = draft.state.legs[leg]
        put_leg(draft, leg, repaid(held, min(amount, held.owed)))
        lane.loan.bought += amount
