"""What holds for all tests: which of them need the large data set."""

from __future__ import annotations

import pytest

from tests.helpers.recordings import missing


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`@pytest.mark.data("history/x.parquet")` is skipped, with the reason, where that file is not."""
    for item in items:
        for mark in item.iter_markers("data"):
            reason = missing(*mark.args)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))
