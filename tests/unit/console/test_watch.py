"""The console's fold of the bus, and the page drawn from it."""

from __future__ import annotations

import io
import json
from collections import Counter
from typing import Any

import msgspec
import pytest
from rich.console import Console

from libs.common import messages as m
from libs.common import subjects
from libs.common.bus import Frame
from libs.common.subjects import Kind
from libs.console.live import screen
from libs.console.watch import Watch

WALL_US = 1_790_000_000_000_000


def leg(side: str, kind: Kind, **given: Any) -> m.LegFigures:
    instrument = "BTC-USDT" if kind is Kind.SPOT else "BTC-USDT-PERP"
    return m.LegFigures(venue="binance", instrument=instrument, kind=kind, side=side, **given)  # type: ignore[arg-type]


def opportunity(pair: str = "BTC-USDT_binance-spot_binance-perp", **given: Any) -> m.Opportunity:
    figures: dict[str, Any] = {
        "symbol": "BTC/USDT",
        "direction": "forward",
        "long": leg("long", Kind.SPOT),
        "short": leg("short", Kind.PERP, rate=0.0001, interval_hours=8.0, next_ms=1_790_000_100_000),
        "notional_usd": 1000.0,
        "hold_days": 30.0,
        "forecast": "flat",
        "passes": True,
        "market_ms": WALL_US // 1000,
        "eval_us": WALL_US,
    }
    return m.Opportunity(pair=pair, **{**figures, **given})


def hear(watch: Watch, subject: str, message: m.Message) -> None:
    watch.feed(Frame(subject=subject, payload=m.encode(message), recv_us=WALL_US))


def evaluation(total: int, **given: Any) -> m.Evaluation:
    figures: dict[str, Any] = {"pairs": 1, "passing": 0, "market_ms": WALL_US // 1000, "eval_us": WALL_US}
    return m.Evaluation(evaluations_total=total, **{**figures, **given})


def test_evaluations_of_a_restarted_signal_are_added() -> None:
    watch = Watch(started_us=WALL_US)
    for total in (10, 25, 4, 9):
        hear(watch, subjects.EVALUATION, evaluation(total))
    assert watch.evaluations == 25 + 9


def test_refusals_are_summed_over_rounds_and_passing_pairs_counted_once() -> None:
    watch = Watch(started_us=WALL_US)
    for _ in range(3):
        hear(watch, subjects.EVALUATION, evaluation(1, refusals={"basis_too_wide": 2}))
        hear(watch, subjects.opportunity("P"), opportunity("P", net_daily_usd=1.0))
    summary = watch.summary(wall_us=WALL_US, services={}, extra={})
    assert summary["refusals"] == {"basis_too_wide": 6}
    assert summary["opportunities"] == 1


# --- how often signal goes over all pairs (monitor.interval_sec) must not change what is told ------

P, Q = "P", "Q"


def one_round(watch: Watch, total: int, *items: m.Opportunity) -> None:
    """What signal publishes when its interval is over: every pair, then the counts."""
    refusals = Counter(reason for item in items for reason in item.refusals)
    for item in items:
        hear(watch, subjects.opportunity(item.pair), item)
    passing = sum(item.passes for item in items)
    counts = evaluation(total, pairs=len(items), passing=passing, refusals=dict(refusals))
    hear(watch, subjects.EVALUATION, counts)


def refused(pair: str, *reasons: str, **given: Any) -> m.Opportunity:
    return opportunity(pair, passes=False, refusals=reasons, **given)


def told(watch: Watch) -> dict[str, Any]:
    return watch.summary(wall_us=WALL_US, services={}, extra={})


def test_with_rare_rounds_each_opportunity_counts() -> None:
    """A round at the start, then 200 single evaluations and no other round for 30 s."""
    watch = Watch(started_us=WALL_US)
    one_round(watch, 2, refused(P, "no_data"), refused(Q, "no_data"))
    for number in range(200):
        hear(watch, subjects.opportunity(P), opportunity(P, net_daily_usd=float(number)))
    hear(watch, subjects.opportunity(Q), refused(Q, "carry_low", net_daily_usd=0.5))
    assert (watch.evaluations, watch.passing, watch.pairs) == (203, 1, 2)
    assert watch.refusals_now == {"carry_low": 1}
    assert watch.nearest is not None
    assert watch.nearest.pair == Q
    assert told(watch)["evaluations"] == 203
    assert told(watch)["refusals"] == {"carry_low": 1, "no_data": 2}


def test_with_frequent_rounds_signal_s_own_count_holds() -> None:
    """A round each second: most evaluations are never published, and refusals count once a round."""
    watch = Watch(started_us=WALL_US)
    for second in range(1, 11):
        hear(watch, subjects.opportunity(P), refused(P, "basis_too_wide"))
        one_round(watch, 500 * second, opportunity(P), refused(Q, "carry_low"))
    assert (watch.evaluations, watch.passing, watch.pairs) == (5000, 1, 2)
    assert watch.refusals_now == {"carry_low": 1}
    assert told(watch)["refusals"] == {"carry_low": 10}


def test_what_passes_no_more_is_told_before_the_next_round() -> None:
    watch = Watch(started_us=WALL_US)
    one_round(watch, 1, opportunity(P))
    assert (watch.passing, watch.nearest) == (1, None)
    hear(watch, subjects.opportunity(P), refused(P, "stale_quote"))
    assert watch.passing == 0
    assert watch.why_nothing() == "nothing is worth doing: stale_quote 1; nearest is P"
    assert told(watch)["opportunities"] == 1  # it has passed once


def test_before_the_first_round_opportunities_are_enough() -> None:
    watch = Watch(started_us=WALL_US)
    ready = [watch.ready]
    hear(watch, subjects.opportunity(P), opportunity(P, market_ms=WALL_US // 1000 - 5000))
    assert [*ready, watch.ready] == [False, True]
    assert (watch.evaluations, watch.passing, watch.pairs) == (1, 1, 1)
    assert told(watch)["market_seconds"] == 5.0


def test_who_comes_in_the_middle_of_a_round_believes_its_counts() -> None:
    """Half of its pairs were said before we listened; from the next round on each pair is known."""
    watch = Watch(started_us=WALL_US)
    hear(watch, subjects.opportunity(Q), refused(Q, "carry_low"))
    half = evaluation(40, pairs=2, passing=1, refusals={"carry_low": 1})
    hear(watch, subjects.EVALUATION, half)
    assert (watch.passing, watch.pairs, watch.refusals_now) == (1, 2, {"carry_low": 1})
    hear(watch, subjects.opportunity(P), refused(P, "no_data"))
    assert (watch.passing, watch.refusals_now) == (0, {"carry_low": 1, "no_data": 1})


def test_pairs_that_signal_no_longer_has_are_forgotten() -> None:
    """It was restarted with another config: its round names fewer pairs than were heard."""
    watch = Watch(started_us=WALL_US)
    one_round(watch, 9, opportunity(P), opportunity(Q))
    later_us = WALL_US + 60_000_000
    hear(watch, subjects.opportunity(Q), refused(Q, "no_data", eval_us=later_us))
    hear(watch, subjects.EVALUATION, evaluation(1, refusals={"no_data": 1}, eval_us=later_us))
    assert set(watch.opportunities) == {Q}
    assert (watch.passing, watch.pairs, watch.evaluations) == (0, 1, 10)


def test_the_nearest_pair_has_the_fewest_reasons_then_the_best_net() -> None:
    watch = Watch(started_us=WALL_US)
    one_round(
        watch,
        4,
        refused("A", "x", "y", net_daily_usd=9.0),
        refused("B", "x", net_daily_usd=-1.0),
        refused("C", "x", net_daily_usd=0.5),
        refused("D", "x"),
    )
    assert watch.nearest is not None
    assert watch.nearest.pair == "C"


def test_what_does_not_fit_is_counted_and_never_raised() -> None:
    watch = Watch(started_us=WALL_US)
    for subject, payload in (
        ("signal.evaluation", b"{"),
        ("signal.opportunity.X", b"[]"),
        ("nobody.knows", b"{}"),
        ("md.health.x", b"\xff"),
    ):
        watch.feed(Frame(subject=subject, payload=payload, recv_us=1))
    assert watch.summary(wall_us=WALL_US, services={}, extra={})["malformed_messages"] == 4


def test_a_silent_service_is_not_ok() -> None:
    watch = Watch(started_us=WALL_US)
    beat = m.ServiceHealth(
        service="feed", ok=True, build="b", pid=1, uptime_sec=1, lag_ms=0, inbox_depth=0, wall_us=WALL_US
    )
    hear(watch, subjects.health("feed"), beat)
    assert watch.service_states(("feed", "signal"), WALL_US + 1_000_000) == {
        "feed": "ok",
        "signal": "not heard yet",
    }
    assert watch.service_states(("feed",), WALL_US + 9_000_000) == {"feed": "silent for 9 s"}
    hear(watch, subjects.health("feed"), msgspec.structs.replace(beat, ok=False, problems=("bus down",)))
    assert watch.service_states(("feed",), WALL_US) == {"feed": "bus down"}


def test_why_nothing_names_what_is_not_seen_before_the_gates() -> None:
    watch = Watch(started_us=WALL_US)
    hear(watch, subjects.EVALUATION, evaluation(1, refusals={"funding_below_min": 3, "no_data": 9}))
    assert watch.why_nothing() == "nothing is worth doing: no_data 9, funding_below_min 3"
    hear(
        watch, subjects.md_health("okx"), m.VenueHealth(venue="okx", connected=False, ages_sec={}, recv_us=1)
    )
    assert watch.why_nothing() == "nothing can pass: okx cannot be seen"


def test_the_summary_is_one_json_object_with_the_contract_s_keys() -> None:
    watch = Watch(started_us=WALL_US)
    hear(watch, subjects.opportunity("P"), opportunity("P", net_daily_usd=1.0, breakeven_days=None))
    text = msgspec.json.encode(watch.summary(wall_us=WALL_US + 5_000_000, services={"feed": "ok"}, extra={}))
    summary = json.loads(text)
    assert summary["seconds"] == 5.0
    assert summary["best"][0]["breakeven_days"] is None
    assert set(summary["pnl"]) == {
        "funding", "fees", "slippage", "basis", "borrow", "transfer", "rebalance", "total",
    }  # fmt: skip


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (140, 44)])
def test_the_page_fits_and_says_the_verdict(width: int, height: int) -> None:
    watch = Watch(started_us=WALL_US)
    for number in range(60):
        hear(
            watch,
            subjects.opportunity(f"P{number}"),
            opportunity(
                f"P{number}",
                passes=number == 0,
                refusals=() if number == 0 else ("basis_too_wide", "no_data"),
                daily=0.0003,
                apr=0.11,
                net_daily_usd=0.2,
                allocated_usd=1000.0 if number == 0 else 0.0,
            ),
        )
    hear(watch, subjects.EVALUATION, evaluation(60, pairs=60, passing=1, refusals={"basis_too_wide": 59}))
    venue = m.VenueHealth(venue="binance", connected=True, ages_sec={"quote": 0.2}, recv_us=WALL_US)
    hear(watch, subjects.md_health("binance"), venue)
    out = io.StringIO()
    page = screen(
        watch,
        title="fundarb",
        notes=("recorded: " + "x" * 200,),
        states={"feed": "ok", "signal": "silent for 9 s"},
        wall_us=WALL_US,
        width=width,
        height=height,
    )
    Console(file=out, width=width, height=height).print(page)
    lines = out.getvalue().splitlines()
    assert len(lines) <= height
    text = "\n".join(lines)
    assert "hold $1,000" in text
    assert "basis too wide" in text
    assert "1 of 60 pairs pass" in text
    assert "silent for 9 s" in text
