"""`fundarb demo --duration 60 --json` opens, holds through settlements, closes by the rules, and adds up.

The rules do not close a reverse pair in the recorded days, so that an operator does, while it runs.
"""

from __future__ import annotations

import asyncio
import csv
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.demo_operator import FUNDARB, ByHand, close_a_reverse_pair

DURATION_SEC = 60
STOP_SEC = 90  # before anything is up, and after the end is asked for


class Ran:
    """One run: the summary object, stderr, the folder that was kept, and what was done by hand meanwhile."""

    def __init__(self, summary: dict[str, Any], err: str, folder: Path, by_hand: ByHand) -> None:
        self.summary = summary
        self.err = err
        self.folder = folder
        self.by_hand = by_hand

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
    runtime = folder / "run"
    environment["FUNDARB_RUNTIME_DIR"] = str(runtime)
    words = ("demo", "--duration", str(DURATION_SEC), "--json", "--keep", str(folder))
    with (folder / "err").open("wb") as err, (folder / "out").open("wb") as out:
        demo = subprocess.Popen([FUNDARB, *words], stdout=out, stderr=err, env=environment)
        try:
            by_hand = asyncio.run(close_a_reverse_pair(runtime, environment))
            assert demo.wait(timeout=DURATION_SEC + STOP_SEC) == 0, (folder / "err").read_text()
        finally:
            demo.kill()
            demo.wait(timeout=STOP_SEC)
    said = (folder / "err").read_text(encoding="utf-8")
    return Ran(json.loads((folder / "out").read_text(encoding="utf-8")), said, folder, by_hand)


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
    assert ran.by_hand.active.pair in reverse


def test_a_reverse_pair_that_an_operator_closes_leaves_no_debt(ran: Ran) -> None:
    found = ran.by_hand
    short = next(leg for leg in found.active.legs if leg.borrowed > 0)
    assert short.quantity < 0
    assert found.coin in found.debts_before
    for answer in found.answers:
        assert answer["ok"], answer
    assert [leg.quantity for leg in found.idle.legs] == [0, 0]
    assert [leg.borrowed for leg in found.idle.legs] == [0, 0]
    assert found.coin not in found.debts_after, "the venue itself says what is owed"
    told = ran.summary["by_pair"][found.active.pair]
    assert (told["state"], told["direction"]) == ("idle", "reverse")
    assert told["closed"] >= 1
    assert told["pnl"]["borrow"] <= 0
    assert abs(ran.summary["equity_residual_usd"]) < 0.01


def test_the_parts_add_up_and_explain_the_equity(ran: Ran) -> None:
    told = ran.summary
    parts = dict(told["pnl"])
    total = parts.pop("total")
    assert sum(parts.values()) == pytest.approx(total, abs=1e-6)
    assert parts["funding"] == pytest.approx(told["funding_received_usd"], abs=1e-6)
    assert parts["fees"] < 0
    for part, whole in parts.items():
        # interest that is charged before the sale of what was borrowed is booked is nobody's
        nobodys = 0.05 if part == "borrow" else 1e-3
        by_pair = sum(one["pnl"][part] for one in told["by_pair"].values())
        assert by_pair == pytest.approx(whole, abs=nobodys), f"{part} that belongs to no pair is not there"
    assert told["equity_residual_usd"] is not None, "compared after the last line"
    assert told["equity_residual_usd"] < 0.01
    gained = told["equity_end_usd"] - told["equity_start_usd"]
    left = told["equity_residual_by_venue"]
    assert set(left) == {"binance", "bitget"}
    # interest that is nobody's is valued when it is charged, and in the account at the prices of now: the two
    # differ by what the coin's price did since, in a day less than a tenth; without it they are the same
    nobodys = abs(parts["borrow"] - sum(one["pnl"]["borrow"] for one in told["by_pair"].values()))
    assert gained == pytest.approx(total + sum(left.values()), abs=1e-6 + 0.1 * nobodys)


def test_the_last_words_are_of_one_moment(ran: Ran) -> None:
    told = ran.summary
    for what in ("opened", "closed"):
        assert sum(one[what] for one in told["by_pair"].values()) == told[f"pairs_{what}"]
    for pair, one in told["by_pair"].items():
        if one["opened"]:
            assert one["pnl"]["fees"] < 0, pair


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
    compared = [float(row["residual_usd"]) for row in rows if row["residual_usd"]]
    assert compared, "an empty cell is not known"
    assert max(compared) < 0.01


def test_nothing_went_wrong_on_the_way(ran: Ran) -> None:
    assert "Traceback" not in ran.err
    assert "synthesised" in ran.err
    states = ran.summary["services"]
    executor = states.pop("executor")
    assert set(states.values()) == {"ok"}, states
    assert executor == "ok" or "request weight" in executor, "polls leave half of the budget to orders"
    assert not any(ran.summary["restarts"].values())
