"""The benchmarks run and say what they promise; how fast this machine is, is nobody's business here."""

from __future__ import annotations

import json

import pytest

from tests.bench import __main__ as bench
from tests.bench.report import Figure, Result, ratio_of

SIZES = {
    "tick": {"ticks": 5, "rounds": 1},
    "scan": {"symbols": 6, "rounds": 1},
    "startup": {"work_sec": 0},
    "engine": {"commands": 200, "rounds": 1},
    "leg_skew": {"rounds": 2, "idle_sec": 1, "idle_rounds": 1},
}
KEYS = {
    "tick": {"ratio", "ratio_same_work", "ours_p50_us", "raw_bare_hops_p50_us"},
    "scan": {"ratio", "ours_sec", "ccxt_parse_sec", "pairs"},
    "startup": {"stack_mb", "first_evaluation_sec", "feed_well_sec", "signal_well_sec", "feed_mb", "nats_mb"},
    "engine": {"ratio_to_decimal_sums", "us_per_command", "engine_events_per_second"},
    "leg_skew": {
        "two_venues_p50_us",
        "one_host_p50_us",
        "late_answers_p50_us",
        "idle_p50_us",
        "limiter_ratio",
    },
}


@pytest.mark.parametrize("name", bench.BENCHES)
def test_a_small_run_yields_its_figures(name: str) -> None:
    result = bench.run_one(name, **SIZES[name])
    said = json.loads(json.dumps(result.as_json()))
    assert KEYS[name] <= said.keys()
    assert all(said[key] > 0 for key in KEYS[name])
    assert said["goals"]


def test_a_goal_is_judged_in_words() -> None:
    result = Result(
        bench="x",
        note="y",
        figures=(
            Figure(name="ratio", value=1.7, unit="x", goal=1.6),
            Figure(name="other", value=1.5, unit="x", goal=1.6),
            Figure(name="plain", value=2.0, unit="s"),
        ),
    )
    ratio, other, plain = result.as_text().splitlines()[1:]
    assert ratio.endswith("NOT MET")
    assert other.endswith(": met")
    assert "goal" not in plain
    assert result.as_json()["goals"] == {
        "ratio": {"goal": 1.6, "met": False},
        "other": {"goal": 1.6, "met": True},
    }


def test_a_ratio_is_the_median_of_the_rounds_own() -> None:
    assert ratio_of([2.0, 30.0, 4.0], [1.0, 10.0, 4.0]) == 2.0
