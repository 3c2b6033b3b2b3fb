from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.instant import MS_PER_HOUR
from libs.exchange.history import read_all
from libs.exchange.record import History

SINCE = 1_700_000_000_000 // MS_PER_HOUR * MS_PER_HOUR


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    steps=st.lists(st.sampled_from([1, 2, 4, 8, 16]), min_size=1, max_size=120),
    limit=st.integers(3, 50),
    newest=st.booleans(),
    believed=st.sampled_from([None, 1.0, 4.0, 8.0]),
)
def test_windows_lose_and_repeat_nothing_whatever_the_interval_was(
    steps: list[int], limit: int, *, newest: bool, believed: float | None
) -> None:
    """A page may be cut at either end, and the interval believed in may be wrong for the past."""
    stamps = [SINCE]
    for step in steps:
        stamps.append(stamps[-1] + step * MS_PER_HOUR)
    until = stamps[-1]
    calls = 0

    async def fetch(since: int | None, asked: int, params: dict[str, Any]) -> list[dict[str, Any]]:
        nonlocal calls
        calls += 1
        assert since is not None
        inside = [stamp for stamp in stamps if since <= stamp <= params["until"]]
        cut = inside[-asked:] if newest else inside[:asked]
        return [{"timestamp": stamp, "fundingRate": 0.0001} for stamp in cut]

    history = History(paging="window", limit=limit)
    found = asyncio.run(read_all(history, fetch, since_ms=SINCE, until_ms=until, interval_hours=believed))
    assert [stamp for stamp, _ in found] == stamps
    assert calls < 400
