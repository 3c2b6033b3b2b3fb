from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from services.venue import options
from services.venue.faults import Kind
from services.venue.market import DEFAULT_START_MS


def test_defaults() -> None:
    found = options.from_env({})
    assert (found.speed, found.start_ms, found.data) == (2_880.0, DEFAULT_START_MS, "recorded")
    assert (found.users, sum(found.deposits.values())) == (1, 200_000)


def test_users_and_deposits_are_options() -> None:
    env = options.environment(
        ["--users", "3", "--deposits", "bitget.unified.BTC=0.5, binance.spot.BNB=2"], {}
    )
    found = options.from_env(env)
    assert found.users == 3
    assert found.deposits == {
        ("bitget", "unified", "BTC"): Decimal("0.5"),
        ("binance", "spot", "BNB"): Decimal(2),
    }


def test_the_command_line_wins_over_the_environment(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text('{"faults": [{"kind": "drop", "venue": "bitget"}]}', encoding="utf-8")
    env = options.environment(
        ["--speed", "60", "--start", "2026-02-18T00:00", "--faults", str(plan)],
        {"FUNDARB_VENUE_SPEED": "1", "FUNDARB_VENUE_SEED": "9"},
    )
    found = options.from_env(env)
    assert (found.speed, found.seed, found.start_ms) == (60.0, 9, 1_771_372_800_000)
    assert [fault.kind for fault in found.plan.faults] == [Kind.DROP]


def test_chaos_makes_a_plan_from_the_seed() -> None:
    first = options.from_env({"FUNDARB_VENUE_CHAOS": "120", "FUNDARB_VENUE_SEED": "3"}).plan
    again = options.from_env({"FUNDARB_VENUE_CHAOS": "120", "FUNDARB_VENUE_SEED": "3"}).plan
    assert first == again
    assert len(first.faults) == 12


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SPEED", "fast", "speed: 'fast' is not a number"),
        ("SPEED", "0", "speed: 0 is not above 0"),
        ("SPEED", "nan", "speed: nan is not above 0"),
        ("START", "soon", "start: 'soon' is no time"),
        ("SEED", "x", "seed: 'x' is not a whole number"),
        ("DATA", "dreamt", "data: 'dreamt' is neither"),
        ("FAULTS", "/no/such/plan.json", "faults: "),
        ("FAULTS", '{"faults": 3}', "fault plan: "),
        ("USERS", "0", "users: 0 is not between 1 and 100"),
        ("DEPOSITS", "binance.cash.USDT=1", "deposits: 'binance.cash.USDT=1': no wallet"),
        ("CHAOS", "much", "chaos: 'much' is not a number"),
    ],
)
def test_a_bad_option_is_named(name: str, value: str, said: str) -> None:
    with pytest.raises(options.BadOption, match=said.replace("(", r"\(")):
        options.from_env({f"FUNDARB_VENUE_{name}": value})


def test_a_start_outside_the_recording_is_refused_with_its_span() -> None:
    with pytest.raises(options.BadOption, match="the recording spans 2025-03-16T12:00Z to 2026-08-21T00:00Z"):
        options.market_of(options.Options(start_ms=0))
