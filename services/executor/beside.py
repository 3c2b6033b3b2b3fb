"""Coins that lie beside a pair's own, and what has become of ours while it was stuck. Pure.

A balance does not tell the user's coins from ours: who sells a leg by hand, as its page says, leaves a wallet
that may still cover it with coins of his own. What lay beside all pairs' coins at the last look that agreed
(`Leg.others`) tells them apart: what is missed of both together has been taken from ours. Where that does not
tell he is asked: nothing of his is sold on a guess.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Literal

import msgspec

from libs.common.money import plain
from libs.common.subjects import SPOT
from services.executor import crumbs, debt_watch, news
from services.executor.debts import asset_of, debt_of, own_of
from services.executor.events import AccountSeen
from services.executor.lane import Draft, Lane
from services.executor.model import ZERO, State

Word = Literal["sold", "held"] | None
"""What the user says of a pair's coins: he has sold all of them, or they still lie there."""


class Fate(msgspec.Struct, frozen=True):
    """Of a leg's coins: `taken` are no longer this pair's; `unclear`: why only he can tell, else empty."""

    taken: Decimal = ZERO
    unclear: str = ""


THERE = Fate()


def is_long_spot(lane: Lane, leg: int) -> bool:
    """Whether a leg holds coins that were bought; borrowed ones are told by their debt."""
    held = lane.state.legs[leg]
    return lane.kinds[leg] is SPOT and not held.borrowed and held.coins > 0


def ours_of(lane: Lane, leg: int) -> Decimal:
    """What all pairs have of a leg's coin at its venue, whatever it is quoted in; dust included."""
    return own_of(lane.world.lanes.values(), asset_of(lane, leg))


def remember(lane: Lane, draft: Draft, seen: AccountSeen, lanes: Collection[Lane]) -> None:
    """What a look shows beside all pairs' coins, where it shows enough and nothing is under way. Of a stuck
    pair what lay there before is kept: a person may have sold since.

    Written with the next change (`writing`): looks alone write nothing.
    """
    told = draft.state.legs != lane.state.legs
    if not lane.loaded or draft.live or told or draft.state.state is State.STUCK:
        return
    for leg, kind in enumerate(lane.kinds):
        if kind is not SPOT or lane.keys[leg][0] != seen.venue or draft.borrows(leg):
            continue
        asset = asset_of(lane, leg)
        debt = debt_of(seen.balances, asset[1], seen.asked_mono_us)
        rest = news.shown_of(lane, leg, seen) - ours_of(lane, leg)
        if rest >= 0 and debt_watch.is_whole(draft, debt, lanes, asset):
            lane.heed.beside[leg] = rest


def fate_of(lane: Lane, leg: int, seen: AccountSeen, *, other: Decimal, word: Word) -> Fate:
    """What has become of a long spot leg's coins while the pair was stuck. `other`: what the other leg still
    hedges of them, unsigned: what stands alone a page has asked him to sell, and nothing else. His word is of
    all of them.
    """
    if not is_long_spot(lane, leg):
        return THERE
    held, ours, shown = lane.state.legs[leg], ours_of(lane, leg), news.shown_of(lane, leg, seen)
    short, missed = ours - shown, held.others + ours - shown
    if word == "sold":
        return Fate(taken=held.coins)  # fewer may be missed: he may have brought in others meanwhile
    gone = short if word == "held" else max(missed, short)
    if 0 < short <= held.coins and crumbs.is_small(lane, leg, gone):
        return Fate(taken=short)  # no venue trades so little: it is written off
    return THERE if word == "held" else _guess(lane, leg, shown, missed, alone=max(ZERO, held.coins - other))


def _guess(lane: Lane, leg: int, shown: Decimal, missed: Decimal, *, alone: Decimal) -> Fate:
    """Without a word: what is missed of coins that stood alone was sold, as the page says; else: ask."""
    held, (venue, coin) = lane.state.legs[leg], asset_of(lane, leg)
    step, taken = _step(lane, leg), min(missed, held.coins)
    what = f"{plain(shown)} {coin} at {venue}, where {plain(held.coins)} of this pair"
    what += f" and {plain(held.others)} beside it were seen last"
    if missed >= step:
        return Fate(taken=taken) if taken < alone + step else Fate(unclear=what)
    if alone >= lane.least(leg, reduces=True) and -missed >= step:
        return Fate(unclear=what)  # brought in meanwhile, or never seen: ours may be sold among them
    return THERE


def _step(lane: Lane, leg: int) -> Decimal:
    rules = lane.rules(leg)
    return Decimal("1e-8") if rules is None else rules.step
