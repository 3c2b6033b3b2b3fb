"""`fundarb scan` as users call it: over an archive, on the simulated venue, and with nobody to answer."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from libs.common.instant import MS_PER_HOUR
from libs.console.main import main
from libs.console.verbs.scan import venues_of
from libs.exchange.quirks import VENUES
from services.venue.main import launch

END_MS = 1_754_006_400_000


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Thirty days: BTC pays well on binance, worse on okx; OLD ended early; ODD says no quote."""
    source = tmp_path / "funding.csv"
    series = [
        ("binance", "BTCUSDT", 0.0006, 0),
        ("okx", "BTC-USDT-SWAP", 0.0001, 24),
        ("binance", "OLDUSDT", 0.0006, 12 * 24),
        ("binance", "ODD", 0.0006, 0),
    ]
    with source.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["venue", "symbol", "ts_ms", "rate", "interval_h"])
        for venue, symbol, rate, ended in series:
            for n in range(90):
                rows.writerow([venue, symbol, END_MS - (ended + 8 * (89 - n)) * MS_PER_HOUR, rate, 8])
    folder = tmp_path / "archive"
    assert main(["data", "import", "--kind", "funding", "--out", str(folder), str(source)]) == 0
    return folder


def ranked(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["scan", *words, "--json"]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_an_archive_is_ranked_as_of_its_last_settlements(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = ranked(capsys, "--history", str(archive))
    assert answer["source"] == "archive"
    assert answer["market_ms"] == END_MS
    assert answer["venues"] == ["binance", "okx"]
    found = {item["pair"]: item for item in answer["opportunities"]}
    assert [item["rank"] for item in answer["opportunities"][:2]] == [1, 2]
    best = found["BTC-USDT_binance-spot_binance-perp"]
    assert best["passes"]
    assert best["daily"] == pytest.approx(0.0018)
    assert best["breakeven_days"] == pytest.approx(
        0.004 / 0.0018
    )  # four fills of 5 bps fee and 5 bps slippage
    # across venues: as of the older one's last settlement, the difference of the two rates
    cross = found["BTC-USDT_binance-perp_okx-perp"]
    assert cross["daily"] == pytest.approx(0.0015)
    assert cross["market_ms"] == END_MS - 24 * MS_PER_HOUR + 120_000
    assert "stale_history" in found["OLD-USDT_binance-spot_binance-perp"]["refusals"]
    assert "binance ODD" in " ".join(answer["notes"])
    # stand-in prices never show
    assert best["basis_entry"] is None
    assert best["long"]["mid"] is None


def test_the_table_names_every_pair_and_why_not(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["scan", "--history", str(archive), "--top", "3"]) == 0
    page = capsys.readouterr().out
    assert "BTC/USDT long binance spot, short binance perp" in " ".join(page.split())
    assert "refused: " in page
    assert "+0.0600%/8h" in page


def test_one_venue_of_an_archive(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ranked(capsys, "--history", str(archive), "--venues", "okx")["venues"] == ["okx"]


def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "libs.console.main", "scan", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **env},
    )


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--venues", "binanse"], "did you mean binance?"),
        (["--venues", ","], "names no venue"),
        (["--top", "0"], "--top is at least 1"),
        (["--timeout", "0"], "--timeout"),
        (["--history", "/nowhere/at/all"], "is no folder"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scan", *words]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert text in told.err
    assert told.err.count("\n") == 1


def test_an_empty_archive_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "--history", str(tmp_path)]) == 1
    assert "holds no funding" in capsys.readouterr().err


@pytest.fixture
def nobody(tmp_path: Path) -> dict[str, str]:
    """A runtime folder whose venue has gone: every connection is refused, as without network."""
    (tmp_path / "venue.json").write_text(
        json.dumps(
            {"port": 9, "ca_path": ssl.get_default_verify_paths().openssl_cafile, "control_port": 9, "pid": 1}
        )
    )
    return {"FUNDARB_MODE": "demo", "FUNDARB_RUNTIME_DIR": str(tmp_path)}


@pytest.mark.parametrize("venues", [["--venues", "binance,bitget"], []])
def test_without_network_it_ends_in_one_line_with_exit_3(venues: list[str], nobody: dict[str, str]) -> None:
    started = time.perf_counter()
    done = run(*venues, **nobody)
    assert done.returncode == 3, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("fundarb scan: no venue answered: binance: load: ")
    assert "Traceback" not in done.stderr
    assert time.perf_counter() - started < 30


async def test_the_simulated_venue_is_ranked_and_a_venue_that_is_not_there_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FUNDARB_MODE", "demo")
    monkeypatch.setenv("FUNDARB_RUNTIME_DIR", str(tmp_path))
    server = await launch({"FUNDARB_RUNTIME_DIR": str(tmp_path), "FUNDARB_VENUE_SPEED": "1"})
    try:
        words = ["scan", "--venues", "binance,okx,bitget", "--top", "200", "--json", "--timeout", "30"]
        code = await asyncio.to_thread(main, words)
    finally:
        await server.stop()
    told = capsys.readouterr()
    assert code == 0, told.err
    answer = json.loads(told.out)
    assert {row["venue"]: row["problem"] is None for row in answer["venues"]} == {
        "binance": True,
        "okx": False,
        "bitget": True,
    }
    assert "without okx: okx: load: " in told.err
    assert answer["pairs"] >= 30
    shown = answer["opportunities"]
    assert all(item["net_daily_usd"] is not None for item in shown)
    assert {item["long"]["venue"] for item in shown} == {"binance", "bitget"}


def test_all_ten_venues_are_asked_when_none_is_named() -> None:
    assert venues_of(None, known_only=True) == list(VENUES)
    assert venues_of("gateio, BINANCE,binance", known_only=True) == ["gate", "binance"]
