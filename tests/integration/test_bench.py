"""The benchmarks run and say what they promise; how fast this machine is, is nobody's business here."""

from __future__ import annotations

import json

import pytest

from tests.bench import __main__ as bench
from tests.bench.raw_wires import packed, whole
from tests.bench.report import Figure, Result, ratio_of
from tests.bench.unwind_path import percentile, reaction_us

SIZES = {
    "tick": {"ticks": 5, "rounds": 1},
    "scan": {"symbols": 6, "rounds": 1},
    "startup": {"work_sec": 0},
    "engine": {"commands": 200, "rounds": 1},
    "leg_skew": {"rounds": 2, "idle_sec": 1, "idle_rounds": 1},
    "order_path": {"rounds": 4},
    "unwind_path": {"rounds": 4},
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
    "order_path": {
        "ratio",
        "ratio_durable",
        "ratio_bare",
        "ratio_bare_durable",
        "ours_p50_us",
        "ours_durable_p50_us",
        "core_p50_us",
        "core_durable_p50_us",
        "bare_p50_us",
        "bare_durable_p50_us",
    },
    "unwind_path": {"p50_us", "p99_us", "write_p50_us", "write_p99_us"},
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


MS = 1_000_000
SEEN = [(1, 0), (2, MS), (1, 71 * MS), (1, 72 * MS)]
TOLD = [(1, 20 * MS), (2, 60 * MS), (2, 61 * MS), (1, 90 * MS)]


def test_a_reaction_lasts_from_the_rejections_last_piece_to_the_unwinds_last_byte() -> None:
    assert reaction_us(SEEN, TOLD) == 11_000.0
    assert reaction_us([*SEEN[:2], (3, 70 * MS)], TOLD) == 9_000.0, "the unwind may take any connection"


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ([], TOLD),
        (SEEN[:2], TOLD),
        ([(1, 0), (2, MS), (3, 2 * MS), *SEEN[2:]], [(3, 19 * MS), *TOLD]),
        ([*SEEN[:2], (3, 30 * MS), *SEEN[2:]], TOLD),
        ([*SEEN, (3, 73 * MS)], TOLD),
        (SEEN, TOLD[1:3]),
    ],
    ids=[
        "nothing",
        "no unwind",
        "third in the submit",
        "before the rejection",
        "beside the unwind",
        "no answer",
    ],
)
def test_a_round_with_another_request_in_it_does_not_count(
    seen: list[tuple[int, int]], told: list[tuple[int, int]]
) -> None:
    assert reaction_us(seen, told) is None


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([float(n) for n in range(100, 0, -1)], 0.99) == 99.0
    assert percentile([7.0, 3.0], 0.99) == 7.0


def test_an_answer_of_the_store_is_read_to_its_end() -> None:
    assert packed(["GET", b"k", 1]) == b"*3\r\n$3\r\nGET\r\n$1\r\nk\r\n$1\r\n1\r\n"
    answers = (b"+OK\r\n", b"*2\r\n:1\r\n:14\r\n", b"$5\r\na\r\nbc\r\n", b"*1\r\n$2\r\nab\r\n", b"$-1\r\n")
    for answer in answers:
        assert whole(answer)
        assert not any(whole(answer[:length]) for length in range(len(answer)))
