"""The fast ranking of a universe is the plain evaluation of every pair: order, figures, refusals, counts."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.carry.case import LegInput
from libs.carry.gates import CODES
from libs.carry.ranking import order_of
from libs.carry.screen import Row, Screen, codes_of, mask_of
from libs.carry.slippage import Depth
from libs.common.config.schema import Config, Costs, Limits, Position, Thresholds, VenueCosts
from libs.common.messages import Settlement
from libs.common.subjects import Kind, instrument_slug
from libs.exchange.scan_rank import Judge, Ranked, Universe, pairs_of, rank, ranking_of
from tests.unit.carry.build import DAY_MS, HOUR_MS, NOW_MS, config, perp, series, spot, terms_of

VENUES = ("binance", "binance-sub1", "okx", "gate")
MANY = settings(derandomize=True, max_examples=150, deadline=None)

configs = st.builds(
    Config,
    position=st.builds(
        Position, notional_usd=st.sampled_from([100.0, 1_000.0, 25_000.0]), hold_days=st.floats(0.5, 60)
    ),
    thresholds=st.builds(
        Thresholds,
        forecast=st.sampled_from([None, "flat", "expected"]),
        consecutive_periods=st.sampled_from([0, 3]),
        daily_funding_min=st.sampled_from([0.0, 0.0003]),
        max_entry_basis_bps=st.sampled_from([0.0, 20.0]),
        max_breakeven_days=st.sampled_from([0.5, 21.0]),
    ),
    costs=st.builds(
        Costs,
        taker=st.sampled_from([-0.0005, 0.0, 0.0006]),
        borrow_daily=st.sampled_from([0.0, 0.0004]),
        capital_daily=st.sampled_from([0.0, 0.0001]),
        fixed_daily_usd=st.sampled_from([0.0, 0.5]),
        transfer_usd=st.sampled_from([0.0, 2.0]),
        transfer_hours=st.sampled_from([0.0, 1.0]),
        slippage=st.sampled_from(["assumed", "depth"]),
        venues=st.sampled_from([{}, {"okx-spot": VenueCosts(taker=0.002, borrow_daily=0.001)}]),
    ),
    limits=st.builds(Limits, max_notional_per_venue_usd=st.sampled_from([None, 1_500.0])),
)
# What may be odd about a leg: nothing, most of the time.
ODD: list[dict[str, object]] = [
    *([{}] * 12),
    {"bid": None},
    {"bid": 101.0, "ask": 100.0},
    {"bid": 0.0999, "ask": 0.1001},
    {"shortable": False},
    {"quote_age_sec": 9.0},
    {"refused": "not trading", "quarantine": "rate_null: no rate"},
    {"notional_min": 5_000.0},
    {"quantity_min": 11.0},
    {"described": False},
    {"settle": "BTC"},
    {"depth": Depth(slip_buy=0.001, slip_sell=None, depth_usd=4_000.0, reach=0.002)},
]
ODD_PERP: list[dict[str, object]] = [
    *ODD,
    {"rate": None},
    {"interval_hours": None},
    {"interval_hours": 0.0},
    {"next_ms": None},
    {"next_ms": NOW_MS + 30_000},
    {"next_ms": NOW_MS - 9 * HOUR_MS},
    {"rate": 0.4},
    {"rate": 0.0},
    {"funding_age_sec": 130.0, "mark_age_sec": 130.0},
]


@st.composite
def universes(draw: st.DrawFn) -> Universe:
    """Up to three bases on four venues; rates from few values, so that scores tie."""
    legs: list[LegInput] = []
    for base in ("AAA", "BBB", "CCC")[: draw(st.integers(1, 3))]:
        for venue in VENUES:
            for kind in draw(st.sampled_from([(), (Kind.PERP,), (Kind.SPOT, Kind.PERP)])):
                bid = draw(st.sampled_from([99.99, 99.8, 98.0]))
                at = {"venue": venue, "instrument": instrument_slug(base, "USDT", kind), "base": base}
                leg = (spot if kind is Kind.SPOT else perp)(**at, settle="USDT", bid=bid, ask=bid + 0.02)
                odd = draw(st.sampled_from(ODD if kind is Kind.SPOT else ODD_PERP))
                if kind is Kind.PERP:
                    rate = draw(st.sampled_from([0.0003, -0.0003, 0.0009]) | st.floats(-0.01, 0.01))
                    leg = msgspec.structs.replace(
                        leg, rate=rate, interval_hours=draw(st.sampled_from([1.0, 4.0, 8.0]))
                    )
                legs.append(msgspec.structs.replace(leg, **odd))
    return Universe(legs=tuple(legs), market_ms=NOW_MS)


@MANY
@given(universe=universes(), cfg=configs, known=st.sets(st.sampled_from(VENUES)))
def test_the_fast_ranking_is_the_plain_one(universe: Universe, cfg: Config, known: set[str]) -> None:
    prints: dict[tuple[str, str], tuple[Settlement, ...]] = {
        (leg.venue, leg.instrument): series(0.0003)
        for leg in universe.legs
        if leg.kind is Kind.PERP and leg.venue in known
    }
    judge = Judge(cfg, market_ms=NOW_MS, eval_us=7)
    plain = ranking_of(
        (judge.assess(*pair, prints) for pair in pairs_of(universe.legs)), market_ms=universe.market_ms
    )
    fast = rank(cfg, universe, prints, eval_us=7)
    assert (fast.pairs, fast.passing) == (plain.pairs, plain.passing)
    assert list(fast.refusals.items()) == list(plain.refusals.items())
    assert tuple(fast.opportunities) == plain.opportunities


@MANY
@given(universe=universes(), cfg=configs)
def test_a_screened_pair_has_the_score_and_the_refusals_of_its_evaluation(
    universe: Universe, cfg: Config
) -> None:
    judge = Judge(cfg, market_ms=NOW_MS, eval_us=7)
    screen = Screen(cfg, judge.terms, market_ms=NOW_MS)
    for first, second in pairs_of(universe.legs):
        row = screen.row(first, second)
        full = judge.evaluated(first, second, None)
        if row is None:
            continue
        assert (row.key, codes_of(row.refused)) == (order_of(full), full.refusals)


@MANY
@given(
    rates=st.lists(
        st.floats(-0.0012, 0.0012) | st.sampled_from([0.0, 0.0001, 0.0002, -0.0002]), min_size=20, max_size=40
    ),
    cfg=configs,
)
def test_what_a_pair_has_taught_about_its_way_holds_for_the_next_one(rates: list[float], cfg: Config) -> None:
    judge = Judge(cfg, market_ms=NOW_MS, eval_us=7)
    screen = Screen(cfg, judge.terms, market_ms=NOW_MS)
    for place, rate in enumerate(rates):
        base = f"B{place}"
        at = {"base": base, "settle": "USDT", "bid": 99.99, "ask": 100.01}
        first = perp(venue="binance", instrument=f"{base}-USDT-PERP", rate=rates[-place], **at)
        second = perp(venue="okx", instrument=f"{base}-USDT-PERP", rate=rate, **at)
        row, full = screen.row(first, second), judge.evaluated(first, second, None)
        assert row is not None
        assert (row.key, codes_of(row.refused)) == (order_of(full), full.refusals)


def test_plain_pairs_are_screened_and_others_are_not() -> None:
    screen = Screen(config(), lambda first, second: terms_of(config(), first, second), market_ms=NOW_MS)
    other = perp(venue="okx")
    dated = perp(kind=Kind.FUTURE, instrument="BTC-USDT-250328", expiry_ms=NOW_MS + 30 * DAY_MS)
    book = Depth(slip_buy=0.0, slip_sell=0.0, depth_usd=4_000.0, reach=0.002)
    assert isinstance(screen.row(spot(), perp()), Row)
    assert isinstance(screen.row(perp(), other), Row)
    assert isinstance(screen.row(spot(shortable=False, quote_age_sec=9.0), perp()), Row)
    for first, second in [
        (spot(), dated),
        (spot(), spot(venue="okx")),
        (spot(bid=None), perp()),
        (spot(), perp(rate=None)),
        (spot(depth=book), perp()),
        (spot(base="WBTC"), perp()),
        (spot(quote="USDC"), perp()),
        (spot(), perp(settle="BTC")),
        (spot(described=False), perp()),
    ]:
        assert screen.row(first, second) is None


def test_a_mask_is_a_set_of_codes_in_the_order_told() -> None:
    assert codes_of(mask_of(reversed(CODES))) == CODES
    assert codes_of(mask_of(["capital", "no_data", "capital"])) == ("no_data", "capital")
    assert codes_of(0) == ()


def test_a_ranking_is_read_like_any_sequence() -> None:
    legs = tuple(perp(venue=venue) for venue in ("binance", "okx", "gate"))
    found = rank(config(), Universe(legs=legs, market_ms=NOW_MS), {}, eval_us=1).opportunities
    assert isinstance(found, Ranked)
    assert len(found) == 3
    assert found[:2] == (found[0], found[1])
    assert found[-1] == list(found)[2]
    with pytest.raises(IndexError):
        found[3]
