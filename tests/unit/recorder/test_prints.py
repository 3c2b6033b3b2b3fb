from __future__ import annotations

import pytest

from libs.research.layout import FundingPrint
from services.recorder import prints as module
from services.recorder.prints import SettledSeen
from tests.unit.recorder.makers import T0_MS

H1 = 3_600_000


def row(at: int, rate: float = 0.0001, hours: float = 1.0) -> FundingPrint:
    return FundingPrint(T0_MS + at * H1, rate, hours)


def test_prints_that_come_in_any_order_are_news_once_and_again_when_restated() -> None:
    seen = SettledSeen()
    order = (3, 1, 2, 0)
    assert [seen.is_news("v", "i", row(at)) for at in (*order, *order)] == [True] * 4 + [False] * 4
    assert seen.is_news("v", "i", row(1, rate=0.0002))
    assert not seen.is_news("v", "i", row(1, rate=0.0002))
    assert seen.is_news("v", "i", row(2, hours=4.0))
    assert [seen.is_news("v", "i", row(at)) for at in (0, 3)] == [False, False]
    assert seen.is_news("v", "other", row(0))


def test_only_the_newest_are_remembered_each_with_its_own_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 3)
    seen = SettledSeen()
    for at in (1, 0, 2, 3):  # the oldest goes, whenever it came
        assert seen.is_news("v", "i", row(at, rate=at * 0.0001))
    assert [seen.is_news("v", "i", row(at, rate=at * 0.0001)) for at in (1, 2, 3)] == [False] * 3
    assert seen.is_news("v", "i", row(0, rate=0.0))


def test_a_history_is_a_repeat_only_when_it_says_exactly_the_same() -> None:
    seen = SettledSeen()
    said = [(row(0), row(1)), (row(0), row(1)), (row(0), row(1, rate=0.0002)), (row(0), row(1))]
    assert [seen.is_repeat("v", "i", prints) for prints in said] == [False, True, False, False]
    assert not seen.is_repeat("v", "other", said[-1])
