"""What is said of the books: parts, equity, residual, and the money metrics. Pure projections.

    equity = opening + deposits - withdrawals + total + residual          per venue, USD
    residual = units that no line explains, at today's prices

So d(equity) leaves out what the prices of the user's own coins did.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, localcontext
from typing import Final

import msgspec

from libs.carry.identity import Explained, in_usd
from libs.carry.pnl import EXACT, Prices, summed
from libs.common.effects import Effect, Measure
from libs.common.instant import Now
from libs.common.messages_exec import BookSummary, ProfitAndLoss
from libs.common.subjects import NOBODY
from services.executor.account import prices_of
from services.executor.books import Books
from services.executor.lane import Lane
from services.executor.model import ZERO
from services.executor.world import World

BPS: Final = Decimal(10_000)


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """All parts, by pair and by venue (USD); equity by venue where its opening is known."""

    whole: ProfitAndLoss
    by_pair: dict[str, ProfitAndLoss]
    equity: dict[str, Decimal]
    residual: dict[str, Decimal]


def totals(
    books: Books, prices: Prices, residuals: Mapping[str, Mapping[str, Decimal]], world: World
) -> Totals:
    """`residuals`: venue -> asset -> units, as the last quiet looks have shown. Raises `NoPrice`."""
    parts = {
        (pair, venue): sums.parts(prices)
        for pair, venues in books.pairs.items()
        for venue, sums in venues.items()
    }
    left = {
        venue: in_usd(units, prices_of(world, venue, units))[0] for venue, units in residuals.items() if units
    }
    with localcontext(EXACT):
        equity = {
            venue: opening.usd
            + books.explained.get(venue, Explained()).outside
            + sum((one.total for (_, where), one in parts.items() if where == venue), ZERO)
            + left.get(venue, ZERO)
            for venue, opening in books.openings.items()
        }
    by_pair = {
        pair or NOBODY: summed(one for (whose, _), one in parts.items() if whose == pair)
        for pair in books.pairs
    }
    return Totals(whole=summed(parts.values()), by_pair=by_pair, equity=equity, residual=left)


def summary_of(books: Books, found: Totals, venues: Iterable[str], now: Now) -> BookSummary:
    """The message. Equity is told when the opening of every venue is known."""
    known = all(venue in books.openings for venue in venues)
    with localcontext(EXACT):
        start = sum((one.usd for one in books.openings.values()), ZERO)
        equity = sum(found.equity.values(), ZERO)
        residual = sum(found.residual.values(), ZERO)
    return BookSummary(
        pnl=found.whole,
        by_pair=found.by_pair,
        equity_start_usd=start if known else None,
        equity_usd=equity if known else None,
        residual_usd=residual if known else None,
        equity_by_venue=dict(found.equity),
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
    """The money metrics of contract.md. Fees and rebalance cost are costs: > 0 was paid."""
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
    yield _usd("fundarb_equity_residual_usd", sum(found.residual.values(), ZERO))
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
    """Whether a residual is more than so many bps of what is held; a cent is never."""
    held = sum((notional(lane) for lane in lanes.values()), ZERO)
    return abs(residual) > max(Decimal("0.01"), held * bps / BPS)


def _usd(metric: str, usd: Decimal, **labels: str) -> Measure:
    return Measure(metric=metric, value=float(usd), labels=labels)
