from __future__ import annotations

from pathlib import Path

import pytest

from services.venue import faults
from services.venue.faults import Board, Fault, Kind, Plan, Where

ANY = Where("binance", "/fapi/v1/depth", "BTCUSDT")


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def board(*planned: Fault, seed: int = 1) -> tuple[Board, Clock]:
    clock = Clock()
    return Board(Plan(seed=seed, faults=planned), seconds=clock), clock


def strikes(of: Board, where: Where = ANY) -> bool:
    return of.strike(frozenset(Kind), where) is not None


def test_a_fault_strikes_in_its_window_only() -> None:
    found, clock = board(Fault(kind=Kind.DROP, after_sec=10, duration_sec=5))
    seen = []
    for second in (0.0, 9.99, 10.0, 14.99, 15.0, 100.0):
        clock.seconds = second
        seen.append(strikes(found))
    assert seen == [False, False, True, True, False, False]


def test_a_count_is_used_up() -> None:
    found, _ = board(Fault(kind=Kind.HTTP_429, count=2))
    assert [strikes(found) for _ in range(4)] == [True, True, False, False]
    assert found.struck == {"http_429": 2}


@pytest.mark.parametrize(
    ("scope", "hits"),
    [
        ({"venue": "bitget"}, False),
        ({"venue": "bin*"}, True),
        ({"endpoint": "/fapi/*"}, True),
        ({"endpoint": "/fapi/v1/premiumIndex"}, False),
        ({"symbol": "BTC*"}, True),
        ({"symbol": "ETHUSDT"}, False),
    ],
)
def test_a_fault_strikes_in_its_place_only(scope: dict[str, str], hits: bool) -> None:  # noqa: FBT001
    found, _ = board(Fault(kind=Kind.DROP, **scope))  # type: ignore[arg-type]
    assert strikes(found) is hits


def test_a_method_is_looked_at_where_there_is_one() -> None:
    found, _ = board(Fault(kind=Kind.REPLY_LOST, method="POST"))
    assert not strikes(found, Where("binance", "/fapi/v1/order", "BTCUSDT", "GET"))
    assert strikes(found, Where("binance", "/fapi/v1/order", "BTCUSDT", "POST"))
    assert strikes(found), "streams and prices have no method"


def test_asking_whether_a_fault_lasts_uses_nothing_up() -> None:
    found, clock = board(Fault(kind=Kind.MAINTENANCE, after_sec=5, duration_sec=5, count=1))
    kinds = frozenset({Kind.MAINTENANCE})
    assert found.holds(kinds)
    assert found.active(kinds, ANY) is None
    clock.seconds = 6.0
    assert found.active(kinds, ANY) == found.active(kinds, ANY) is not None
    assert found.struck == {}
    clock.seconds = 10.0
    assert found.active(kinds, ANY) is None


def test_a_state_fault_is_due_on_each_venue_it_names_until_it_has_struck_there() -> None:
    found, clock = board(Fault(kind=Kind.ADL, after_sec=1, duration_sec=9), Fault(kind=Kind.DROP))
    assert found.due("binance") == []
    clock.seconds = 2.0
    [(number, fault)] = found.due("binance")
    assert fault.kind is Kind.ADL
    found.befell(number, "binance")
    assert found.due("binance") == []
    assert len(found.due("bitget")) == 1
    assert found.struck == {"adl": 1}
    clock.seconds = 10.0
    assert found.due("bitget") == []


def test_how_much_a_fault_takes_when_nothing_is_said() -> None:
    shares = {kind: Fault(kind=kind).share for kind in (Kind.ADL, Kind.PARTIAL_FILL, Kind.MANUAL_CLOSE)}
    assert shares == {Kind.ADL: 0.5, Kind.PARTIAL_FILL: 0.5, Kind.MANUAL_CLOSE: 1.0}
    assert Fault(kind=Kind.MANUAL_CLOSE, fraction=0.25).share == 0.25


def test_a_kind_that_was_not_asked_for_does_not_strike() -> None:
    found, _ = board(Fault(kind=Kind.RATE_NAN))
    assert found.strike(faults.TRANSPORT, ANY) is None
    assert found.strike(faults.RATES, ANY) is not None


def test_chance_comes_from_the_seed() -> None:
    def pattern(seed: int) -> list[bool]:
        found, _ = board(Fault(kind=Kind.DROP, probability=0.5), seed=seed)
        return [strikes(found) for _ in range(64)]

    assert pattern(3) == pattern(3)
    assert pattern(3) != pattern(4)
    assert 16 < sum(pattern(3)) < 48


def test_a_random_plan_is_reproducible_and_fits_its_time() -> None:
    plan = faults.random_plan(11, duration_sec=300)
    assert plan == faults.random_plan(11, duration_sec=300)
    assert plan != faults.random_plan(12, duration_sec=300)
    assert len(plan.faults) == 30
    assert all(0 <= fault.after_sec <= 300 for fault in plan.faults)


def test_plans_by_seed_hold_every_kind_and_hit_single_markets_only() -> None:
    planned = [fault for seed in range(20) for fault in faults.random_plan(seed, duration_sec=300).faults]
    assert {fault.kind for fault in planned} == set(Kind)
    assert all(fault.symbol in faults.SYMBOLS for fault in planned if fault.kind in faults.STATE)
    assert all(fault.code for fault in planned if fault.kind is Kind.REJECTION)


def test_clear_takes_everything_off_and_describe_says_it() -> None:
    found, _ = board(Fault(kind=Kind.DROP, count=3))
    strikes(found)
    assert found.describe()["faults"][0]["left"] == 2
    found.clear()
    assert not strikes(found)
    assert found.describe()["faults"] == []


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"faults": [{"kind": "no_such"}]}',
        '{"faults": [{"kind": "drop", "colour": "red"}]}',
        '{"faults": [{"kind": "drop", "probability": 0}]}',
        '{"faults": [{"kind": "drop", "count": 0}]}',
        '{"faults": [{"kind": "http_5xx", "status": 200}]}',
        '{"faults": [{"kind": "interval_change", "interval_hours": 7}]}',
        '{"faults": [{"kind": "delay", "delay_ms": -1}]}',
        '{"faults": [{"kind": "rejection"}]}',
        '{"faults": [{"kind": "rejection", "code": "no"}]}',
        '{"faults": [{"kind": "adl", "fraction": 1.5}]}',
        '{"faults": [{"kind": "filter_change", "factor": 3}]}',
        '{"faults": [{"kind": "not_found_window", "window_ms": -1}]}',
    ],
)
def test_a_bad_plan_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match="fault plan: ") as refused:
        faults.decode(text)
    assert "\n" not in str(refused.value)


def test_every_kind_is_in_the_manual() -> None:
    page = (Path(__file__).parents[3] / "docs" / "simulated-exchange.md").read_text(encoding="utf-8")
    assert [kind for kind in Kind if f"`{kind}`" not in page] == []
