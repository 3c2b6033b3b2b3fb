"""A whole universe at once: which pairs come first, and by which codes each is refused, without the words.

`evaluate` works out every figure and sentence of a pair; of thousands of pairs a person reads twenty. Here
each pair gets what the order and the counts need: the same formulas (`funding`, `costs`, `breakeven`) and
the same bounds (`bounds`), with what its legs and its venues have in common worked out once:

- `LegView`: an instrument's mid, carry a day and own refusals, for all the pairs that it takes part in;
- `Way`: costs of one direction between two (venue, kind)s, and from which carry on they are worth it.

That holds for pairs without settled history, books and expiries. A pair with any of them, or with something
unknown, gets no shortcut: `Screen.row` answers None, and the caller evaluates it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Final

import msgspec

from libs.carry.bounds import apart_max, enough, narrow, paying, soon, together, unborrowable
from libs.carry.breakeven import breakeven_days, net_daily_usd
from libs.carry.case import Forecast, LegCase, LegInput, PairTerms, linear
from libs.carry.costs import basis_entry, transfer_usd
from libs.carry.evaluate import evaluate
from libs.carry.funding import carry_daily
from libs.carry.gates import CODES, LEG_CHECKS, PLACES
from libs.carry.pair import costs_of, leg_daily, reverse_is_better
from libs.carry.ranking import OrderKey, place_of, score_of
from libs.carry.slippage import BPS, mid_of
from libs.common.config.schema import Config
from libs.common.messages import Opportunity
from libs.common.subjects import FUTURE, PERP, leg_name, pair_name, pair_stem

TermsOf = Callable[[LegInput, LegInput], PairTerms]

# Refusals that are the same for every pair of two (venue, kind)s, either way, while nothing has settled.
OF_THE_WAY: Final = ("not_consecutive", "history_short", "capital")


def mask_of(codes: Iterable[str]) -> int:
    """A set of refusals as bits, in the order of `CODES`."""
    return sum(1 << PLACES[code] for code in set(codes))


def codes_of(mask: int) -> tuple[str, ...]:
    """The codes of a mask, in the order in which they are told.

    >>> codes_of(mask_of(["capital", "no_data"]))
    ('no_data', 'capital')
    """
    return tuple(code for place, code in enumerate(CODES) if mask >> place & 1)


_FUNDING: Final = mask_of(["funding_below_min"])
_NET: Final = mask_of(["net_not_positive"])
_BREAKEVEN: Final = mask_of(["breakeven_too_long"])
_BASIS: Final = mask_of(["basis_too_wide"])
_APART: Final = mask_of(["legs_diverge"])
_BORROW: Final = mask_of(["not_borrowable"])


class LegView(msgspec.Struct, frozen=True, gc=False):
    """A leg with what every pair reads of it; `plain`: nothing about it needs the full evaluation."""

    leg: LegInput
    side: int
    name: str
    stem: str
    plain: bool
    mid: float
    daily: float
    refused: int
    lent: bool


class Way(msgspec.Struct, gc=False):
    """One direction between two (venue, kind)s: constant costs as `evaluate` has them.

    What a pair's carry breaks only gets less as the carry grows, in floats as on paper: each step of the
    formulas rounds monotonically. So a carry that broke every rule answers for all below it, and one that
    broke none for all above. Most pairs are far below.
    """

    holding: float
    round_trip: float
    capital_usd: float
    borrow: float
    hopeless_to: float = -math.inf
    worthy_from: float = math.inf


class Ways(msgspec.Struct, frozen=True, gc=False):
    """Both directions, and what they share; `hopeless`: all that a carry can break."""

    forward: Way
    reverse: Way
    same_venue: bool
    forecast: Forecast
    refused: int
    hopeless: int


class Row(msgspec.Struct, frozen=True, gc=False):
    """One pair as screened: its place in the order and its refusals; `found` where it was evaluated."""

    first: LegInput
    second: LegInput
    place: float
    pair: str
    refused: int
    found: Opportunity | None = None

    @property
    def key(self) -> OrderKey:
        """As `order_key` has it."""
        return (self.refused != 0, self.place, self.pair)


def row_of(first: LegInput, second: LegInput, found: Opportunity) -> Row:
    """An evaluated pair among screened ones."""
    return Row(first, second, place_of(found.score), found.pair, mask_of(found.refusals), found)


def in_order(rows: Iterable[Row]) -> list[Row]:
    """By `Row.key`: stable sorts by one plain value each, which compare much faster than tuples do."""
    ordered = sorted(rows, key=attrgetter("pair"))
    ordered.sort(key=attrgetter("place"))
    return [row for row in ordered if not row.refused] + [row for row in ordered if row.refused]


class Screen:
    """Screens pairs of one universe under one config at one moment; holds nothing beyond that."""

    def __init__(self, config: Config, terms_of: TermsOf, *, market_ms: int) -> None:
        self._terms_of = terms_of
        self._market_ms = market_ms
        self._views: dict[int, LegView] = {}  # by id: a view keeps its leg, so that no other gets the same
        self._sides: dict[tuple[str, bool], int] = {}
        self._named: dict[str, tuple[str, str]] = {}  # by slug, which venues share: stem and tail of ids
        self._ways: dict[tuple[int, int], Ways] = {}
        thresholds, costs = config.thresholds, config.costs
        self._notional_usd = config.position.notional_usd
        self._hold_days = config.position.hold_days
        self._transfer_usd, self._transfer_hours = costs.transfer_usd, costs.transfer_hours
        self._moving_costs = bool(costs.transfer_usd or costs.transfer_hours)
        self._daily_min = thresholds.daily_funding_min
        self._breakeven_max = thresholds.max_breakeven_days
        self._basis_max = thresholds.max_entry_basis_bps / BPS
        self._apart_max = apart_max(dated=False)

    def read(self, legs: Iterable[LegInput]) -> None:
        """Look at legs before pairs mix them: in the order they were made in, neighbours in memory, and rule
        by rule, since a call that stays the same is the interpreter's quickest.
        """
        market_ms, notional_usd = self._market_ms, self._notional_usd
        cases = [LegCase(leg, mid_of(leg.bid, leg.ask), market_ms, notional_usd) for leg in legs]
        refused = [0] * len(cases)
        for check in LEG_CHECKS:
            for number, case in enumerate(cases):
                refusal = check(case)
                if refusal is not None:
                    refused[number] |= 1 << PLACES[refusal.code]
        for number, case in enumerate(cases):
            self._views[id(case.leg)] = self._view(case, refused[number])

    def row(self, first: LegInput, second: LegInput) -> Row | None:
        """A pair's place and refusals, None when it needs the full evaluation."""
        a, b = self._views.get(id(first)), self._views.get(id(second))
        if a is None or b is None:
            self.read((first, second))
            a, b = self._views[id(first)], self._views[id(second)]
        if not (a.plain and b.plain) or first.base != second.base or first.quote != second.quote:
            return None
        ways = self._ways.get((a.side, b.side)) or self._ways_of(a, b)
        if ways is None:
            return None
        daily = carry_daily(a.daily, b.daily)
        if reverse_is_better(daily, ways.forward.borrow, ways.reverse.borrow):
            daily, way, long, short = -daily, ways.reverse, b, a
        else:
            way, long, short = ways.forward, a, b
        notional_usd, transfer = self._notional_usd, 0.0
        if self._moving_costs:
            transfer = transfer_usd(
                self._transfer_usd,
                self._transfer_hours,
                same_venue=ways.same_venue,
                daily=daily,
                notional_usd=notional_usd,
            )
        net = net_daily_usd(
            daily,
            holding_daily=way.holding,
            notional_usd=notional_usd,
            round_trip=way.round_trip,
            transfer_usd=transfer,
            hold_days=self._hold_days,
        )
        refused = a.refused | b.refused | ways.refused | self._apart(long, short)
        if daily <= way.hopeless_to:
            refused |= ways.hopeless
        elif not daily >= way.worthy_from:
            refused |= self._unworthy(ways, way, daily, net, transfer)
        score = score_of(ways.forecast, net, None, self._hold_days, way.capital_usd)
        return Row(first, second, place_of(score), pair_name(a.stem, a.name, b.name), refused)

    def _unworthy(self, ways: Ways, way: Way, daily: float, net: float, transfer: float) -> int:
        """What a carry of so much a day breaks; the way learns from it."""
        refused = 0 if enough(daily, self._daily_min) else _FUNDING
        if ways.forecast == "flat":
            days = breakeven_days(
                daily,
                holding_daily=way.holding,
                notional_usd=self._notional_usd,
                round_trip=way.round_trip,
                transfer_usd=transfer,
            )
            if not paying(net):
                refused |= _NET
            if not soon(days, self._breakeven_max):
                refused |= _BREAKEVEN
        if self._moving_costs:  # what is missed meanwhile grows with the carry: nothing follows for others
            return refused
        if refused == ways.hopeless:
            way.hopeless_to = daily
        elif not refused:
            way.worthy_from = daily
        return refused

    def _apart(self, long: LegView, short: LegView) -> int:
        """What speaks against buying the one and selling the other, whatever they pay."""
        basis = basis_entry(long.mid, short.mid)
        refused = 0 if short.lent else _BORROW
        if not narrow(basis, self._basis_max):
            refused |= _BASIS
        if not together(basis, self._apart_max):
            refused |= _APART
        return refused

    def _view(self, case: LegCase, refused: int) -> LegView:
        leg, mid = case.leg, case.mid
        daily, slug = leg_daily(leg), leg.instrument
        plain = (
            mid is not None
            and daily is not None
            and leg.described
            and leg.depth is None
            and leg.kind is not FUTURE
            and linear(leg)
        )
        named = self._named.get(slug)
        if named is None:
            named = self._named[slug] = (pair_stem(slug), leg_name("", slug))
        return LegView(
            leg=leg,
            side=self._sides.setdefault((leg.venue, leg.kind is PERP), len(self._sides)),
            name=leg.venue + named[1],
            stem=named[0],
            plain=plain,
            mid=mid or 0.0,
            daily=daily or 0.0,
            refused=refused,
            lent=not unborrowable(leg),
        )

    def _ways_of(self, a: LegView, b: LegView) -> Ways | None:
        """Read off one pair of these venues and kinds, whichever comes first; None without any funding."""
        first, second = a.leg, b.leg
        if PERP not in (first.kind, second.kind):
            return None
        terms = self._terms_of(first, second)

        def way(long: LegInput, short: LegInput, *, forward: bool) -> Way:
            costs = costs_of(terms, long, short, forward=forward, pair_daily=None)
            return Way(
                holding=costs.figures["holding_daily"],
                round_trip=costs.figures["round_trip"],
                capital_usd=costs.capital_usd,
                borrow=costs.borrow,
            )

        seen = evaluate(terms, first, second, None, market_ms=self._market_ms, eval_us=0)
        found = self._ways[a.side, b.side] = Ways(
            forward=way(first, second, forward=True),
            reverse=way(second, first, forward=False),
            same_venue=terms.same_venue,
            forecast=terms.forecast,
            refused=mask_of(code for code in seen.refusals if code in OF_THE_WAY),
            hopeless=_FUNDING | _NET | _BREAKEVEN if terms.forecast == "flat" else _FUNDING,
        )
        return found
