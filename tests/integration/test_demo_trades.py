"""`fundarb demo`: opens, holds through settlements and closes by the rules; what it says adds up."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DURATION_SEC = 60
BOUND_SEC = 150


class Ran:
    """One run: the summary object, stderr, and the folder that was kept."""

    def __init__(self, summary: dict[str, Any], err: str, folder: Path) -> None:
        self.summary = summary
        self.err = err
        self.folder = folder

    def pairs(self, *venues: str, direction: str = "") -> dict[str, dict[str, Any]]:
        """Traded pairs whose two legs lie on these venues."""
        wanted = sorted(venues if len(venues) > 1 else (*venues, *venues))
        return {
            pair: told
            for pair, told in self.summary["by_pair"].items()
            if sorted(leg.split(".")[0] for leg in told["legs"]) == wanted
            and direction in ("", told["direction"])
        }


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("kept")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FUNDARB")}
    done = subprocess.run(
        [ROOT / ".venv/bin/fundarb", "demo", "--duration", str(DURATION_SEC), "--json", "--keep", folder],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
        timeout=BOUND_SEC,
    )
    return Ran(json.loads(done.stdout), done.stderr, folder)


def test_pairs_are_opened_and_closed_and_hold_through_settlements(ran: Ran) -> None:
    told = ran.summary
    assert told["pairs_opened"] >= 3
    assert told["pairs_closed"] >= 1
    assert told["settlements"] >= 3
    assert told["settlements_missing"] == 0
    assert told["funding_received_usd"] > 0
    assert told["funding_expected_usd"] > 0
    assert told["orders"] >= 2 * (told["pairs_opened"] + told["pairs_closed"])
    assert told["malformed_messages"] == 0


def test_both_protocols_a_pair_across_and_one_in_reverse(ran: Ran) -> None:
    assert any(one["opened"] for one in ran.pairs("binance").values())
    assert any(one["opened"] and one["closed"] for one in ran.pairs("bitget").values())
    assert any(one["opened"] for one in ran.pairs("binance", "bitget").values())
    reverse = {
        pair: one for pair, one in ran.pairs("binance", direction="reverse").items() if "binance-spot" in pair
    }
    assert reverse
    for one in reverse.values():
        assert one["pnl"]["funding"] >= 0, "a negative rate is paid to the long contract"
    assert any(leg["borrowed"] > 0 for one in reverse.values() for leg in one["legs"].values())


def test_the_parts_add_up_and_explain_the_equity(ran: Ran) -> None:
    told = ran.summary
    parts = dict(told["pnl"])
    total = parts.pop("total")
    assert sum(parts.values()) == pytest.approx(total, abs=1e-6)
    assert parts["funding"] == pytest.approx(told["funding_received_usd"], abs=1e-6)
    assert parts["fees"] < 0
    by_pair = [one["pnl"]["total"] for one in told["by_pair"].values()]
    assert sum(by_pair) == pytest.approx(total, abs=1e-3), "what belongs to no pair is not there"
    assert abs(told["equity_residual_usd"]) < 0.01
    gained = told["equity_end_usd"] - told["equity_start_usd"]
    assert gained == pytest.approx(total + told["equity_residual_usd"], abs=1e-6)


def test_what_is_left_is_hedged_and_said(ran: Ran) -> None:
    told = ran.summary
    still = {pair for pair, one in told["by_pair"].items() if one["state"] != "idle"}
    assert set(told["positions_open"]) == still
    active = {pair: one for pair, one in told["by_pair"].items() if one["state"] == "active"}
    for pair, one in active.items():
        first, second = (leg["quantity"] for leg in one["legs"].values())
        assert abs(first + second) <= 0.02 * max(abs(first), abs(second)), pair
    assert not [pair for pair, one in told["by_pair"].items() if one["state"] == "stuck"]


def test_the_equity_file_has_snapshots_that_add_up(ran: Ran) -> None:
    with (ran.folder / "logs/equity.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 3
    names = ("funding", "fees", "slippage", "basis", "borrow", "transfer", "rebalance")
    for row in rows:
        parts = sum(float(row[f"{name}_usd"]) for name in names)
        assert parts == pytest.approx(float(row["total_usd"]), abs=1e-6)
    assert float(rows[-1]["residual_usd"]) == pytest.approx(0, abs=0.01)


def test_nothing_went_wrong_on_the_way(ran: Ran) -> None:
    assert "Traceback" not in ran.err
    assert "synthesised" in ran.err
    states = ran.summary["services"]
    executor = states.pop("executor")
    assert set(states.values()) == {"ok"}, states
    assert executor == "ok" or "request weight" in executor, "polls leave half of the budget to orders"
    assert not any(ran.summary["restarts"].values())
