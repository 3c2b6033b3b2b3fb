"""Random lives of a paper account: money is conserved, the ledger explains it, a restart changes nothing."""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.exchange.paper.venue import PaperVenue
from libs.exchange.port import VenueError
from libs.exchange.trading_values import (
    Done,
    MarginMode,
    NeverSent,
    OrderType,
    PositionMode,
    RecordKind,
    Rejected,
    Side,
    TimeInForce,
    Unknown,
)
from tests.helpers.paper import COSTS, FUTURE, PERP, SPOT, START_MS, D, Market

SLUGS = (SPOT, PERP, FUTURE)
VENUES = ("binance", "bitget", "elsewhere")
RECORDS: tuple[RecordKind, ...] = get_args(RecordKind)
slugs = st.sampled_from(SLUGS)
sides = st.sampled_from(Side)
prices = st.integers(9_700, 10_300).map(lambda ticks: ticks / 10)
quantities = st.integers(1, 6_000).map(lambda steps: str(D(steps) / 1_000))

steps = st.one_of(
    st.tuples(st.just("quote"), slugs, prices, st.floats(0.1, 5.0)),
    st.tuples(st.just("mark"), st.sampled_from((PERP,)), st.floats(700.0, 1_400.0)),
    st.tuples(
        st.just("order"), slugs, sides, quantities, prices, st.sampled_from(TimeInForce), st.booleans()
    ),
    st.tuples(st.just("market"), st.sampled_from((PERP, FUTURE)), sides, quantities),
    st.tuples(st.just("cancel"), slugs),
    st.tuples(st.just("print"), st.floats(-0.01, 0.01), st.integers(0, 600_000)),
    st.tuples(st.just("borrow"), quantities),
    st.tuples(st.just("repay"), quantities),
    st.tuples(st.just("transfer"), quantities),
    st.tuples(st.just("settings"), st.integers(1, 60), st.sampled_from(MarginMode)),
    st.tuples(st.just("wait"), st.integers(1, 2_000_000)),
)


def take(market: Market, step: tuple[Any, ...], number: int) -> None:
    """One step; an outcome that the port does not know would fail here."""
    name, *rest = step
    paper, now = market.paper, market.now
    first = paper.wallets[0]
    try:
        match name:
            case "quote":
                market.quote(rest[0], rest[1], rest[1] + 0.2, size=rest[2])
            case "mark":
                market.current(rest[0], rest[1], next_ms=now.market_ms + 100_000)
            case "order":
                slug, side, quantity, price, tif, flag = rest
                fields = {"margin": flag} if slug == SPOT else {"reduce_only": flag}
                outcome = market.send(
                    slug, side, quantity, f"{price:.1f}", tif=tif, client_id=f"fa{number}", **fields
                )
                assert isinstance(outcome, Done | Rejected | NeverSent), outcome
            case "market":
                slug, side, quantity = rest
                outcome = market.send(
                    slug, side, quantity, None, type=OrderType.MARKET, client_id=f"fa{number}"
                )
                assert not isinstance(outcome, Unknown)
            case "cancel":
                for order in paper.open_orders(now, rest[0])[:1]:
                    paper.cancel(rest[0], order.client_id, now)
            case "print":
                market.settled(PERP, rest[0], now.market_ms - rest[1])
            case "borrow":
                paper.borrow("BTC", D(rest[0]), now)
            case "repay":
                paper.repay("BTC", D(rest[0]), now)
            case "transfer":
                paper.transfer("USDT", D(rest[0]), now, source=first, target=paper.wallets[-1])
            case "settings":
                mode = PositionMode.ONE_WAY
                paper.configure(PERP, now, margin_mode=rest[1], leverage=rest[0], position_mode=mode)
            case "wait":
                market.later(ms=rest[0])
    except VenueError as error:
        assert error.error_class in ("exchange", "not_supported", "refused"), error  # noqa: PT017


def agree(market: Market) -> None:
    """Books balance, no wallet is below zero, and what the ledger says is what there is."""
    paper, now = market.paper, market.now
    assert all(total == 0 for total in paper._floor.engine.totals().values())
    for one in paper.balances(now):
        assert one.total >= 0
        assert 0 <= one.free <= one.total
    moved: dict[str, D] = {}
    for kind in RECORDS:
        for line in paper.records(kind, now, since_ms=0):
            if kind == "interest":
                continue  # it moves no coin
            moved[line.asset] = moved.get(line.asset, D(0)) + line.amount
    held: dict[str, D] = {}
    for one in paper.balances(now):
        held[one.asset] = held.get(one.asset, D(0)) + one.total
    assert {asset: amount for asset, amount in moved.items() if amount} == held


def seen(market: Market) -> list[object]:
    """All that a customer sees of an account."""
    paper, now = market.paper, market.now
    lines = [paper.records(kind, now, since_ms=0) for kind in RECORDS]
    fills = [paper.fills(slug, now, since_ms=0) for slug in SLUGS]
    return [paper.balances(now), paper.positions(now), paper.open_orders(now), fills, lines]


@settings(derandomize=True, max_examples=60, deadline=None)
@given(venue=st.sampled_from(VENUES), life=st.lists(steps, min_size=20, max_size=60))
def test_a_life_conserves_money_and_survives_a_restart(venue: str, life: list[tuple[Any, ...]]) -> None:
    market, twin = Market(venue, slugs=SLUGS), Market(venue, slugs=SLUGS)
    for number, step in enumerate(life):
        if number == len(life) // 2:
            twin.paper = PaperVenue.restore(twin.paper.snapshot(), costs=COSTS)
            for one in (market, twin):  # what the restarted one has forgotten of the market comes again
                one.current(PERP, 1_000.0, next_ms=START_MS)
                for slug in SLUGS:
                    one.quote(slug)
        for one in (market, twin):
            take(one, step, number)
    agree(market)
    assert seen(market) == seen(twin)


@settings(derandomize=True, max_examples=30, deadline=None)
@given(venue=st.sampled_from(VENUES), life=st.lists(steps, min_size=20, max_size=60))
def test_the_same_life_gives_the_same_bytes(venue: str, life: list[tuple[Any, ...]]) -> None:
    lives = [Market(venue, slugs=SLUGS), Market(venue, slugs=SLUGS)]
    for market in lives:
        for number, step in enumerate(life):
            take(market, step, number)
    assert lives[0].paper.snapshot() == lives[1].paper.snapshot()
