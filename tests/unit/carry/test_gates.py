"""Each opening rule refuses by its own name, says the figures, and at its bound lets pass."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libs.carry import gates, gates_data, gates_worth
from libs.carry.case import LegInput, mark_age_max_sec, quote_age_max_sec
from libs.carry.funding import SettledCarry
from libs.carry.slippage import Depth
from libs.common.config.schema import Config, Costs, Limits, Position, Thresholds
from libs.common.subjects import Kind
from tests.unit.carry.build import (
    DAY_MS,
    HOUR_MS,
    NOW_MS,
    config,
    evaluated,
    perp,
    print_at,
    series,
    settled,
    spot,
)

EXPECTED = config(thresholds=Thresholds(forecast="expected"))
RULES = (gates_data, gates_worth)
HISTORY = settled(None, series(0.0003))
THIN = Depth(slip_buy=0.0, slip_sell=0.0, depth_usd=4_000.0, reach=0.002)

#  code | first leg | second leg | history | config | words that the text must have
REFUSED: list[tuple[str, LegInput, LegInput, SettledCarry, Config, str]] = [
    ("no_data", spot(bid=None), perp(), HISTORY, config(), "no usable quote of binance BTC-USDT yet"),
    ("no_data", spot(bid=101.0, ask=100.0), perp(), HISTORY, config(), "no usable quote"),
    (
        "no_data",
        spot(),
        perp(rate=None),
        HISTORY,
        config(),
        "no current funding rate of binance BTC-USDT-PERP",
    ),
    ("no_data", spot(described=False), perp(), HISTORY, config(), "not been described"),
    (
        "not_tradable",
        spot(),
        perp(refused="contracts are settled in BTC"),
        HISTORY,
        config(),
        "settled in BTC",
    ),
    (
        "quarantined",
        spot(quarantine="quote_crossed: bid above ask"),
        perp(),
        HISTORY,
        config(),
        "bid above ask",
    ),
    ("base_mismatch", spot(base="WBTC"), perp(), HISTORY, config(), "WBTC"),
    ("quote_mismatch", spot(quote="USDC"), perp(), HISTORY, config(), "priced in USDC"),
    ("not_linear", spot(), perp(settle="BTC"), HISTORY, config(), "settles in BTC"),
    ("interval_unknown", spot(), perp(interval_hours=None), HISTORY, config(), "without its interval"),
    ("interval_unknown", spot(), perp(interval_hours=0.0), HISTORY, config(), "without its interval"),
    ("settlement_unknown", spot(), perp(next_ms=None), HISTORY, config(), "next settlement"),
    ("rate_implausible", spot(), perp(rate=0.4), HISTORY, config(), "120.0000 % a day"),
    ("stale_quote", spot(quote_age_sec=2.1), perp(), HISTORY, config(), "2.1 s old, at most 2.0 s"),
    ("stale_funding", spot(), perp(funding_age_sec=121.0), HISTORY, config(), "121 s old, at most 120 s"),
    ("stale_funding", spot(), perp(next_ms=NOW_MS - 9 * HOUR_MS), HISTORY, config(), "settled 9.0 h ago"),
    ("stale_mark", spot(), perp(mark_age_sec=5.1), HISTORY, config(), "5.1 s old, at most 5.0 s"),
    ("stale_history", spot(), perp(), settled(None, series(0.0003, until_hours=928)), config(), "33.0 h old"),
    ("near_settlement", spot(), perp(next_ms=NOW_MS + 60_000), HISTORY, config(), "settles in 60 s"),
    ("near_settlement", spot(), perp(next_ms=NOW_MS - 59_000), HISTORY, config(), "59 s ago"),
    ("near_settlement", spot(), perp(next_ms=NOW_MS + 8 * HOUR_MS - 1_000), HISTORY, config(), "1 s ago"),
    ("funding_below_min", spot(), perp(rate=0.00006), HISTORY, config(), "below the minimum 0.0200 %"),
    (
        "net_not_positive",
        spot(),
        perp(rate=0.00007),
        HISTORY,
        config(position=Position(hold_days=10)),
        "over 10 days",
    ),
    ("breakeven_too_long", spot(), perp(rate=0.00006), HISTORY, config(), "at most 21 (1.22 too long)"),
    ("basis_too_wide", spot(bid=100.29, ask=100.31), perp(), HISTORY, config(), "at most 20.00 bps"),
    ("legs_diverge", spot(bid=0.0999, ask=0.1001), perp(), HISTORY, config(), "wrong multiplier"),
    ("depth_too_thin", spot(depth=THIN), perp(), HISTORY, config(), "known to 0.2000 %"),
    ("not_borrowable", spot(shortable=False), perp(rate=-0.0003), HISTORY, config(), "cannot be borrowed"),
    ("notional_below_min", spot(notional_min=1_001.0), perp(), HISTORY, config(), "minimum 1001"),
    ("notional_below_min", spot(), perp(quantity_min=10.1), HISTORY, config(), "least quantity 10.1"),
    (
        "capital",
        spot(),
        perp(),
        HISTORY,
        config(limits=Limits(max_notional_usd=999)),
        "limits.max_notional_usd 999",
    ),
    (
        "capital",
        spot(),
        perp(),
        HISTORY,
        config(limits=Limits(max_notional_per_venue_usd=1_999)),
        "limits.max_notional_per_venue_usd 1,999",
    ),
    (
        "not_consecutive",
        spot(),
        perp(),
        settled(None, series(0.0003, days=0.7)),
        config(),
        "2 settled carries",
    ),
    ("history_short", spot(), perp(), settled(None, series(0.0003, days=6.9)), EXPECTED, "6.7 days"),
    (
        "net_not_positive",
        spot(),
        perp(),
        settled(None, series(0.0001)),
        EXPECTED,
        "expected net after 30 days",
    ),
    ("breakeven_too_long", spot(), perp(), settled(None, series(0.00012)), EXPECTED, "expected break-even"),
]


@pytest.mark.parametrize("row", REFUSED, ids=[f"{row[0]}-{number}" for number, row in enumerate(REFUSED)])
def test_a_rule_refuses_by_name_and_says_what_is_missing(
    row: tuple[str, LegInput, LegInput, SettledCarry, Config, str],
) -> None:
    code, first, second, history, cfg, words = row
    seen = evaluated(first, second, history, cfg=cfg)
    assert not seen.passes
    assert code in seen.refusals
    assert words in seen.reasons[code]
    assert set(seen.reasons) == set(seen.refusals)


ENOUGH = Depth(slip_buy=0.0, slip_sell=0.0, depth_usd=5_000.0, reach=0.01)
AT_THE_BOUND: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("quote age", {"quote_age_sec": 2.0}, {}, {}),
    ("funding age", {}, {"funding_age_sec": 120.0}, {}),
    ("mark age", {}, {"mark_age_sec": 5.0}, {}),
    ("settles in 61 s", {}, {"next_ms": NOW_MS + 61_000}, {}),
    ("settled 60 s ago", {}, {"next_ms": NOW_MS - 60_000}, {}),
    (
        "minimum carry by 4 h",
        {},
        {"rate": 0.0002 / 6, "interval_hours": 4.0},
        {"thresholds": Thresholds(max_breakeven_days=30)},
    ),
    (
        "basis of 20 bps",
        {"bid": 100.19, "ask": 100.21},
        {"bid": 99.99, "ask": 100.01},
        {"thresholds": Thresholds(max_entry_basis_bps=19.98002)},
    ),
    ("a fifth of depth", {"depth": ENOUGH}, {"depth": ENOUGH}, {}),
    ("limits", {}, {}, {"limits": Limits(max_notional_usd=1_000, max_notional_per_venue_usd=2_000)}),
    ("minimums", {"notional_min": 1_000.0, "quantity_min": 10.0}, {}, {}),
    ("break-even", {}, {"rate": 0.004 / 21 / 3}, {"thresholds": Thresholds(daily_funding_min=0.0001)}),
]


@pytest.mark.parametrize("row", AT_THE_BOUND, ids=[row[0] for row in AT_THE_BOUND])
def test_a_figure_at_its_bound_passes(
    row: tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]],
) -> None:
    _, first, second, sections = row
    seen = evaluated(spot(**first), perp(**second), cfg=config(**({"costs": Costs()} | sections)))
    if row[0] == "minimum carry by 4 h":  # 20 days of 0.0002 pay for 40 bps, and 30 days leave a net
        assert seen.daily == pytest.approx(0.0002)
    assert seen.passes, seen.reasons


def test_the_case_itself_passes_in_both_views() -> None:
    assert evaluated().refusals == ()
    assert evaluated(cfg=EXPECTED).refusals == ()


def test_the_flat_view_needs_no_thirty_days() -> None:
    short = settled(None, series(0.0003, days=2))
    assert evaluated(history=short).passes
    assert evaluated(history=short, cfg=EXPECTED).refusals == ("history_short",)


def test_without_a_single_settlement_nothing_passes() -> None:
    first, second = spot(), perp()
    for cfg in (config(), EXPECTED):
        seen = gates_only(first, second, cfg)
        assert "not_consecutive" in seen


def gates_only(first: LegInput, second: LegInput, cfg: Config) -> tuple[str, ...]:
    from libs.carry.evaluate import evaluate  # noqa: PLC0415 - beside its only use: evaluated() fills history in
    from tests.unit.carry.build import terms_of  # noqa: PLC0415

    return evaluate(terms_of(cfg, first, second), first, second, None, market_ms=NOW_MS, eval_us=1).refusals


def test_a_carry_that_changed_sign_lately_is_not_consecutive() -> None:
    prints = (*series(0.0003, until_hours=944), print_at(952, -0.0001), print_at(960, 0.0003))
    seen = evaluated(history=settled(None, prints))
    assert seen.refusals == ("not_consecutive",)
    assert seen.consecutive == 1


def test_the_reverse_direction_counts_negative_prints() -> None:
    seen = evaluated(second=perp(rate=-0.0003), history=settled(None, series(-0.0003)))
    assert seen.direction == "reverse"
    assert seen.passes, seen.reasons
    assert seen.consecutive > 3


def test_many_refusals_are_all_named() -> None:
    seen = evaluated(spot(quote_age_sec=9.0), perp(rate=0.00001, quarantine="rate_null: no rate"))
    assert {"stale_quote", "quarantined", "funding_below_min", "net_not_positive"} <= set(seen.refusals)


def test_ages_of_polled_data_follow_the_polls() -> None:
    assert quote_age_max_sec("stream", 30) == 2.0
    assert quote_age_max_sec("poll", 30) == 75.0
    assert mark_age_max_sec(30, streamed=True) == 5.0
    assert mark_age_max_sec(30, streamed=False) == 75.0
    assert mark_age_max_sec(1, streamed=False) == 5.0


def test_every_code_is_in_the_modules_table_and_the_other_way_round() -> None:
    assert gates.__doc__ is not None
    rows = [line.split("|")[1] for line in gates.__doc__.splitlines() if line.startswith("| `")]
    documented = {code for row in rows for code in re.findall(r"`([a-z_]+)`", row)}
    source = "".join(Path(module.__file__ or "").read_text(encoding="utf-8") for module in RULES)
    used = set(re.findall(r"Refusal\(\s*\"([a-z_]+)\"", source))
    assert documented == used
    assert {row[0] for row in REFUSED} | {"expires_soon"} == used


def test_every_rule_stands_in_the_tuple_once() -> None:
    assert len(set(gates.CHECKS)) == len(gates.CHECKS)
    rules: set[object] = {
        value
        for module in RULES
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    }
    assert rules == set(gates.CHECKS)


# --- dated legs -----------------------------------------------------------------------------------


def future(days: float, **changes: Any) -> LegInput:
    leg = perp(
        instrument="BTC-USDT-250328",
        kind=Kind.FUTURE,
        rate=None,
        interval_hours=None,
        next_ms=None,
        expiry_ms=NOW_MS + int(days * DAY_MS),
        bid=102.99,
        ask=103.01,
    )
    return msgspec.structs.replace(leg, **changes)


def test_a_dated_leg_earns_its_convergence_and_nothing_else() -> None:
    seen = evaluated_dated(spot(), future(30))
    assert seen.direction == "forward"
    assert seen.convergence_daily == pytest.approx(0.001)
    assert seen.daily == pytest.approx(0.001)
    assert seen.expected_daily == pytest.approx(0.001)
    assert seen.passes, seen.reasons


def evaluated_dated(first: LegInput, second: LegInput, cfg: Config | None = None) -> Any:
    from libs.carry.evaluate import evaluate  # noqa: PLC0415
    from tests.unit.carry.build import terms_of  # noqa: PLC0415

    cfg = cfg or config()
    return evaluate(terms_of(cfg, first, second), first, second, None, market_ms=NOW_MS, eval_us=1)


def test_a_cheap_future_is_bought_and_spot_sold() -> None:
    seen = evaluated_dated(spot(), future(30, bid=96.99, ask=97.01))
    assert seen.direction == "reverse"
    assert seen.long.kind is Kind.FUTURE
    assert seen.daily == pytest.approx(0.001)


def test_the_pair_closes_before_expiry() -> None:
    assert "expires_soon" in evaluated_dated(spot(), future(0.9)).refusals
    late = evaluated_dated(
        spot(), future(4, bid=100.39, ask=100.41)
    )  # 40 bps in four days: pays on the last one
    assert "break-even takes" in late.reasons["expires_soon"]
    assert late.hold_days == pytest.approx(4.0)


def test_an_expired_leg_earns_nothing() -> None:
    seen = evaluated_dated(spot(), future(-1))
    assert seen.convergence_daily == 0.0
    assert "expires_soon" in seen.refusals


def test_a_future_of_unknown_expiry_is_no_data() -> None:
    assert "no_data" in evaluated_dated(spot(), future(30, expiry_ms=None)).refusals


def test_two_dated_legs_converge_once() -> None:
    near = future(30)
    far = future(30, venue="okx", bid=99.99, ask=100.01)
    seen = evaluated_dated(far, near)
    assert seen.daily == pytest.approx(0.001)


def test_a_perp_against_a_future_trades_funding_and_convergence() -> None:
    cfg = config()
    history = settled(series(0.0001), None)
    seen = evaluated(perp(rate=0.0001), future(30), history, cfg=cfg)
    assert seen.daily == pytest.approx(0.001 - 0.0003)
    assert seen.consecutive >= 3  # each settled carry with the convergence has the sign
