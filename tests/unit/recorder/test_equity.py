"""`equity.csv`: one row each so much market time, with stable columns that add up."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from pathlib import Path

from libs.common.effects import Received, TimerFired
from libs.common.instant import ManualClock
from libs.common.messages_exec import BookSummary, ProfitAndLoss
from libs.common.subjects import BOOKS
from services.recorder import equity
from services.recorder.actor import FLUSH, Recorder, Setting
from services.recorder.files import Files
from services.recorder.work import WriteBatch
from tests.unit.recorder.makers import T0_MS, now

MINUTE_MS = 60_000


def books(minutes: float, **fields: object) -> BookSummary:
    """The executor's books so long after the beginning."""
    shown: dict[str, object] = {
        "pnl": ProfitAndLoss(funding=Decimal("1.5"), fees=Decimal("-0.4"), total=Decimal("1.1")),
        "equity_start_usd": Decimal(1000),
        "equity_usd": Decimal("1001.1"),
        "residual_usd": Decimal("0E-8"),
        "equity_by_venue": {"bitget": Decimal("500.5"), "binance": Decimal("500.6")},
        "market_ms": T0_MS + int(minutes * MINUTE_MS),
        "wall_us": T0_MS * 1_000,
        **fields,
    }
    return BookSummary(**shown)  # type: ignore[arg-type]


def written(*messages: BookSummary) -> list[dict[str, str]]:
    """The rows that the recorder asks to write."""
    recorder = Recorder(Setting(mode="demo", deployment="t", bar_ms=60_000, round_up_us=10**9))
    for message in messages:
        assert list(recorder.handle(Received(subject=BOOKS, message=message), now())) == []
    effects = recorder.handle(TimerFired(name=FLUSH), now(1))
    batches = [effect for effect in effects if isinstance(effect, WriteBatch)]
    lines = b"".join(line for batch in batches for line in batch.equity).decode()
    return list(csv.DictReader(io.StringIO(equity.header() + lines)))


def test_one_row_in_each_interval_of_market_time() -> None:
    rows = written(books(0), books(1), books(4.9), books(5), books(9), books(12))
    assert [int(row["market_ms"]) - T0_MS for row in rows] == [0, 5 * MINUTE_MS, 12 * MINUTE_MS]


def test_books_without_equity_leave_no_row() -> None:
    assert written(books(0, equity_usd=None)) == []


def test_a_row_is_plain_and_complete() -> None:
    (row,) = written(books(0))
    assert row["market_time"] == "2025-10-10T08:00:00.000Z"
    assert row["equity_usd"] == "1001.1"
    assert row["residual_usd"] == "0"
    assert row["equity_by_venue"] == "binance=500.6;bitget=500.5"
    parts = [row[f"{part}_usd"] for part in equity.PARTS if part != "total"]
    assert sum(map(Decimal, parts), Decimal(0)) == Decimal(row["total_usd"])
    assert None not in row.values()


async def test_it_goes_to_a_file_of_its_own_with_one_header(tmp_path: Path) -> None:
    for minutes in (0, 5):
        files = Files(logs=tmp_path / "logs", archive=tmp_path / "archive", clock=ManualClock(), env={})
        files.prepare()
        assert (await files.write(WriteBatch(equity=(equity.row(books(minutes)).encode(),)))).equity == ""
        await files.close()
    lines = (tmp_path / "logs" / "equity.csv").read_text().splitlines()
    assert len(lines) == 3
    assert lines[0].split(",") == list(equity.COLUMNS)
