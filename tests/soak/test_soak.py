"""Seconds of `make soak`: the real stack is started, loaded, looked at everywhere, settled and judged.

So short a run says nothing about growth: whether a verdict is right is tested on curves (test_judge.py).
"""

from __future__ import annotations

from tests.soak.campaign import soak
from tests.soak.sampling import STREAMS

SECONDS = 8.0
PROCESSES = ("nats", "valkey", "venue", "feed", "signal", "recorder", "risk", "executor", "console")


async def test_a_run_sees_every_process_and_every_pair_come_to_rest() -> None:
    said: list[str] = []
    run = await soak(seconds=SECONDS, seed=1, say=said.append)
    seen = run.curves.by_name
    for who in PROCESSES:
        for kind in ("rss_mb", "fds", "threads"):
            assert run.curves.last(f"{kind}/{who}") > 0, f"{kind}/{who}"
    for who in PROCESSES[2:-1]:
        assert {f"loop_lag_ms/{who}", f"inbox/{who}", f"actor_faults/{who}", f"log_mb/{who}"} <= set(seen), (
            who
        )
    assert {f"stream/{name}" for name in STREAMS} <= set(seen)
    assert run.curves.last("store/keys") > 0
    assert run.curves.last("store/mb") > 0
    assert run.answers, "the operator was heard"
    assert not any(run.facts.restarts.values())
    assert run.facts.tracebacks == {}
    assert run.facts.states
    assert set(run.facts.states.values()) <= {"idle", "active"}
    assert said[-1].startswith("openings pause")
