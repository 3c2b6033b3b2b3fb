from __future__ import annotations

import pytest

from libs.carry.persistence import persistence


def test_runs_and_sign_changes() -> None:
    found = persistence([0.1, 0.2, -0.1, -0.1, -0.1, 0.3])
    assert found.runs == (2, 3, 1)
    assert found.sign_change_share == pytest.approx(2 / 5)
    assert found.mean_run == 2.0
    assert found.longest_run == 3
    assert found.current_run == 1


def test_a_zero_ends_a_run_and_starts_none() -> None:
    found = persistence([0.1, 0.0, 0.1, -0.2, -0.1])
    assert found.runs == (1, 1, 2)
    assert found.current_run == -2
    assert persistence([0.1, 0.0]).current_run == 0


def test_nothing_known() -> None:
    found = persistence([])
    assert (found.settlements, found.sign_change_share, found.mean_run) == (0, None, None)
    assert persistence([0.1]).sign_change_share is None
    assert persistence([0.1]).current_run == 1
