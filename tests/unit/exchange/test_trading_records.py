"""What is asked for lines of a venue's books, and what is made of the answers."""

from __future__ import annotations

from typing import Any

from libs.common.clock import wall_us
from libs.common.instant import MS_PER_DAY
from libs.exchange.live.bitget import WINDOW_MS, BitgetDesk
from libs.exchange.live.lists import BACK_MS_MAX
from libs.exchange.live.record import RECORDS
from libs.exchange.port import Instrument


class Books:
    """The only place of an account, with answers by script: (method, what was asked) of every question."""

    def __init__(self, **answers: Any) -> None:
        self.venue = "somewhere"
        self.instruments: dict[str, Instrument] = {}
        self.answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def serving(self, _kind: object) -> Books:
        return self

    async def get(self, _name: str, method: str, asked: dict[str, Any] | None = None) -> Any:
        self.asked.append((method, dict(asked or {})))
        found = self.answers[method]
        return found(asked) if callable(found) else found


async def test_bitgets_books_are_read_in_windows_and_only_as_far_back_as_there_are_any() -> None:
    books = Books(privateUtaGetV3AccountFinancialRecords={"data": {"list": []}})
    desk = BitgetDesk(RECORDS["bitget"], books)  # type: ignore[arg-type]  # answers what is asked of it
    assert await desk.records("interest", 0) == []
    asked = [one for _, one in books.asked]
    now_ms = wall_us() // 1_000
    assert len(asked) == BACK_MS_MAX // WINDOW_MS + 1
    assert abs(asked[0]["startTime"] - (now_ms - BACK_MS_MAX)) < MS_PER_DAY
    for one, following in zip(asked, asked[1:], strict=False):
        assert one["endTime"] == following["startTime"] == one["startTime"] + WINDOW_MS
    assert "endTime" not in asked[-1]
    assert now_ms - asked[-1]["startTime"] <= WINDOW_MS
