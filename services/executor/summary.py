"""What is said of the books: parts, equity, residual, and the money metrics. Pure projections.

    equity   = opening + what the account shows more, or less, than at its opening      per venue, USD
    residual = units that no line explains, at today's prices
    equity - opening = total + residual + deposits - withdrawals        two ways to one figure

Equity comes from the account as the venue tells it, total from the lines: a line that is missing shows in
one of them only. What the prices of the user's own coins did is in none of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal, localcontext
from typing import Final

import msgspec

from libs.carry.identity import in_usd, residuals
from libs.carry.pnl import EXACT, Prices, summed
from libs.common.effects import Effect, Measure
from libs.common.instant import Now
from libs.common.messages_exec import BookSummary, ProfitAndLoss
from libs.common.subjects import NOBODY, SPOT, kind_of, pair_stem
from services.executor.account import prices_of
from services.executor.books import Books
from services.executor.comparing import CENT, Shown
from services.executor.lane import Lane
from services.executor.model import ZERO
from services.executor.world import World

BPS: Final = Decimal(10_000)


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """All parts, by pair and by venue (USD); equity by venue where opening and account are known, residual
    (signed) where it was compared. `known`: everywhere, as of the last looks and lines.
    """

    whole: ProfitAndLoss
    by_pair: dict[str, ProfitAndLoss]
    equity: dict[str, Decimal]
    residual: dict[str, Decimal]
    known: bool

    @property
    def unexplained(self) -> Decimal:
        """By absolute value: what one venue lacks and another has too much is twice a fault."""
        return sum((abs(usd) for usd in self.residual.values()), ZERO)


def totals(books: Books, prices: Prices, shown: Mapping[str, Shown], world: World) -> Totals:
    """`shown`: by venue, all of them. Raises `NoPrice`."""
    parts = {
        (pair, venue): sums.parts(prices)
        for pair, venues in books.pairs.items()
        for venue, sums in venues.items()
    }
    by_pair = {
        pair or NOBODY: summed(one for (whose, _), one in parts.items() if whose == pair)
        for pair in books.pairs
    }
    equity, residual = {}, {}
    for venue, one in shown.items():
        opening = books.openings.get(venue)
        if one.units is not None and opening is not None:
            gained = residuals(one.units, opening.units, {})
            equity[venue] = EXACT.add(opening.usd, _usd_of(gained, venue, prices, world))
        if one.left is not None:
            residual[venue] = _usd_of(one.left, venue, prices, world)
    return Totals(
        whole=summed(parts.values()),
        by_pair=by_pair,
        equity=equity,
        residual=residual,
        known=all(one.known for one in shown.values()),
    )


def _usd_of(units: Mapping[str, Decimal], venue: str, prices: Prices, world: World) -> Decimal:
    """At the prices of the parts, where they have one: a coin has one price in both ways to a figure."""
    coins = {
        pair_stem(name).split("-")[0]: price
        for (where, name), price in prices.items()
        if where == venue and kind_of(name) is SPOT
    }
    return in_usd(units, {**prices_of(world, venue, units), **coins})[0]


def summary_of(books: Books, found: Totals, venues: Collection[str], now: Now) -> BookSummary:
    """The message. Equity is told when opening and account of every venue are known, the residual when it
    was compared since the last line and the last move of every account.
    """
    seen = all(venue in found.equity for venue in venues)
    known = seen and found.known and all(venue in found.residual for venue in venues)
    with localcontext(EXACT):
        start = sum((books.openings[venue].usd for venue in found.equity), ZERO)
        equity = sum(found.equity.values(), ZERO)
    return BookSummary(
        pnl=found.whole,
        by_pair=found.by_pair,
        equity_start_usd=start if seen else None,
        equity_usd=equity if seen else None,
        residual_usd=found.unexplained if known else None,
        equity_by_venue=dict(found.equity),
        residual_by_venue=dict(found.residual),
        funding_expected_usd=books.expected,
        funding_received_usd=books.received,
        settlements=books.settlements,
        settlements_missing=books.missing,
        naked_usd_seconds=sum(books.naked.values()),
        orders=sum(books.counts.orders.values()),
        unwinds=books.counts.unwinds,
        pairs_opened=books.counts.opened,
        pairs_closed=books.counts.closed,
        market_ms=now.market_ms,
        wall_us=now.wall_us,
    )


def measures(books: Books, found: Totals, lanes: Mapping[str, Lane]) -> Iterator[Effect]:
    """The money metrics of contract.md. Fees and rebalance cost are costs: > 0 was paid. The residual is that
    of the last comparisons, and none is told before the first.
    """
    for pair, parts in found.by_pair.items():
        sums = books.pairs.get("" if pair == NOBODY else pair, {}).values()
        yield _usd("fundarb_funding_received_usd", parts.funding, pair=pair)
        yield _usd("fundarb_rebalance_cost_usd", -parts.rebalance, pair=pair)
        with localcontext(EXACT):
            maker = -sum((one.fees_maker for one in sums), ZERO)
            taker = -sum((one.fees_taker for one in sums), ZERO)
        yield _usd("fundarb_fees_usd", maker, pair=pair, liquidity="maker")
        yield _usd("fundarb_fees_usd", taker, pair=pair, liquidity="taker")
    for venue, usd in found.equity.items():
        yield _usd("fundarb_equity_usd", usd, venue=venue)
    if found.residual:
        yield _usd("fundarb_equity_residual_usd", found.unexplained)
    for pair, lane in lanes.items():
        yield _usd("fundarb_pair_notional_usd", notional(lane), pair=pair)


def notional(lane: Lane) -> Decimal:
    """USD of the larger leg at its mid; 0 while it has none."""
    values = (
        abs(leg.quantity) * (lane.world.mid(key) or ZERO)
        for leg, key in zip(lane.state.legs, lane.keys, strict=True)
    )
    return max(values)


def naked_usd(lane: Lane) -> float:
    """|net quantity| at the first known mid."""
    mid = lane.world.mid(lane.keys[0]) or lane.world.mid(lane.keys[1])
    return float(abs(lane.state.delta) * mid) if mid else 0.0


def is_large(residual: Decimal, lanes: Mapping[str, Lane], *, bps: Decimal = Decimal(1)) -> bool:
    """Whether a residual is more than so many bps of N, the largest leg that is held; a cent is never."""
    held = max((notional(lane) for lane in lanes.values()), default=ZERO)
    return abs(residual) > max(CENT, held * bps / BPS)


def _usd(metric: str, usd: Decimal, **labels: str) -> Measure:
    return Measure(metric=metric, value=float(usd), labels=labels)
