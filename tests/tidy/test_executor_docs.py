"""The executor's page shows the machine as it is."""

from __future__ import annotations

from pathlib import Path

from services.executor.pair import diagram

PAGE = Path(__file__).parents[2] / "docs" / "executor.md"


def test_the_diagram_is_made_from_the_table() -> None:
    assert diagram() in PAGE.read_text(encoding="utf-8")
