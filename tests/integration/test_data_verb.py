"""`fundarb data` as a user meets it: through the command's entry, on files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from libs.console.main import main
from libs.research.archive import Archive
from libs.research.layout import FundingPrint, Kind, SeriesKey, path_of
from libs.research.segments import encode_row, segment_folder

T0 = 1_760_054_400_000
H8 = 28_800_000
KEY = SeriesKey(Kind.FUNDING, "binance", "BTCUSDT")


def csv_of(folder: Path, *, skip: frozenset[int] = frozenset(), count: int = 12) -> Path:
    path = folder / "funding.csv"
    lines = [f"binance,BTCUSDT,{T0 + at * H8},0.000{at % 5},8" for at in range(count) if at not in skip]
    path.write_text("venue,symbol,ts_ms,rate,gap_h\n" + "\n".join(lines) + "\n")
    return path


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    code = main(["data", *map(str, words)])
    said = capsys.readouterr()
    return code, said.out, said.err


def run_json(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, Any]:
    code, out, err = run(capsys, *words, "--json")
    assert err == ""
    assert len(out.splitlines()) == 1
    return code, json.loads(out)


def test_import_then_list_then_verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = tmp_path / "archive"
    code, out, err = run(capsys, "import", "--kind", "funding", "--out", archive, csv_of(tmp_path))
    assert (code, err) == (0, "")
    assert out == (
        "1 series, 12 rows read: 12 added, 0 same, 0 replaced, 0 duplicates\ncolumns not needed: gap_h\n"
    )
    code, out, err = run(capsys, "list", archive)
    assert (code, err) == (0, "")
    header, line, hash_line = out.splitlines()
    assert header.split() == ["kind", "venue", "symbol", "from", "to", "rows", "intervals", "flips", "run"]
    wanted = (
        "funding",
        "binance",
        "BTCUSDT",
        "2025-10-10 00:00",
        "2025-10-13 16:00",
        "12",
        "8 h: 12",
        "45%",
        "3.0",
    )
    assert [cell.strip() for cell in line.split("  ") if cell] == list(wanted)
    assert hash_line == f"data hash {Archive(archive).data_hash()}"
    code, out, _ = run(capsys, "verify", archive)
    assert code == 0
    assert out.splitlines()[-1] == "1 series, 0 with something wrong"


def test_verify_reports_a_hole_and_answers_no(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = tmp_path / "archive"
    run(capsys, "import", "--kind", "funding", "--out", archive, csv_of(tmp_path, skip=frozenset({5, 6})))
    code, out, _ = run(capsys, "verify", archive)
    assert code == 1
    assert "    gap from 2025-10-11 08:00 to 2025-10-12 08:00, 16 h lacking" in out.splitlines()
    code, found = run_json(capsys, "verify", archive)
    assert code == 1
    assert (found["ok"], found["wrong"]) == (False, 1)
    (series,) = found["series"]
    assert (series["venue"], series["gaps"], series["lacking_hours"], series["ok"]) == (
        "binance",
        1,
        16.0,
        False,
    )
    assert len(Archive(archive).read_funding(KEY)) == 10  # reported, not filled


def test_json_of_import_and_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = tmp_path / "archive"
    code, report = run_json(capsys, "import", "--kind", "funding", "--out", archive, csv_of(tmp_path))
    assert (code, report["rows_read"], report["added"], report["ignored"]) == (0, 12, 12, ["gap_h"])
    assert report["series"][0]["symbol"] == "BTCUSDT"
    code, listing = run_json(capsys, "list", archive)
    assert code == 0
    assert listing["data_hash"] == Archive(archive).data_hash()
    (series,) = listing["series"]
    assert series == {
        "kind": "funding",
        "venue": "binance",
        "symbol": "BTCUSDT",
        "rows": 12,
        "from_ms": T0,
        "to_ms": T0 + 11 * H8,
        "intervals": {"8.0": 12},
        "persistence": {
            "settlements": 12,
            "sign_change_share": 5 / 11,
            "mean_run": 3.0,
            "longest_run": 4,
            "current_run": 1,
        },
    }


def test_calibrate_says_when_there_is_too_little(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = tmp_path / "archive"
    run(capsys, "import", "--kind", "funding", "--out", archive, csv_of(tmp_path))
    code, out, err = run(capsys, "calibrate", archive)
    assert (code, out) == (1, "")
    assert "too little data" in err


def test_calibrate_prints_the_table_and_its_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prints = [
        FundingPrint(T0 + at * H8, 0.0001 * (1 + at % 7) * (-1) ** (at // 50), 8.0) for at in range(600)
    ]
    Archive(tmp_path).write({KEY: prints})
    code, out, _ = run(capsys, "calibrate", tmp_path)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:6]] == ["1", "3", "7", "14", "30"]
    code, fits = run_json(capsys, "calibrate", tmp_path)
    assert code == 0
    assert {"horizon_days", "slope_alone", "w_now", "w_mean", "r2_alone", "r2_both", "rows"} <= set(fits[0])


def test_compact_merges_what_the_recorder_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Archive(tmp_path).write({KEY: [FundingPrint(T0, 0.0001, 8.0)]})
    segment_folder(tmp_path).mkdir()
    line = encode_row(KEY, FundingPrint(T0 + H8, 0.0002, 8.0))
    (segment_folder(tmp_path) / "1-1.jsonl").write_bytes(line + b"\n")
    _, _, err = run(capsys, "list", tmp_path)
    assert f"fundarb data compact {tmp_path}" in err
    code, report = run_json(capsys, "compact", tmp_path)
    assert (code, report["added"], report["segments"]) == (0, 1, 1)
    assert len(Archive(tmp_path).read_funding(KEY)) == 2


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["list", "{}/none"], 2, "is no archive"),
        (["verify", "{}/none"], 2, "is no archive"),
        (["calibrate", "{}/none"], 2, "is no archive"),
        (["compact", "{}/none"], 2, "is no archive"),
        (["list", "{}"], 1, "holds no series"),
        (["verify", "{}"], 1, "holds no series"),
        (["import", "--kind", "funding", "--out", "{}/a", "{}/none.csv"], 2, "there is no such file"),
        (["import", "--kind", "candles", "--out", "{}/a", "x.csv"], 2, "candles"),
        (["import", "--out", "{}/a", "x.csv"], 2, "--kind"),
        (
            ["import", "--kind", "spot", "--interval-hours", "8", "--out", "{}/a", "x.csv"],
            2,
            "for --kind funding",
        ),
        (
            ["import", "--kind", "funding", "--interval-hours", "0", "--out", "{}/a", "x.csv"],
            2,
            "--interval-hours 0",
        ),
        (
            ["import", "--kind", "funding", "--venues", ",", "--out", "{}/a", "x.csv"],
            2,
            "--venues names no venue",
        ),
        ([], 2, "ACTION"),
    ],
)
def test_wrong_usage_is_one_line_and_its_code(
    words: list[str], code: int, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    got, out, err = run(capsys, *(word.replace("{}", str(tmp_path)) for word in words))
    assert (got, out) == (code, "")
    assert len(err.splitlines()) == 1
    assert says in err


def test_a_broken_series_is_a_finding_of_verify_and_an_error_of_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Archive(tmp_path).write({KEY: [FundingPrint(T0, 0.0001, 8.0)]})
    path_of(tmp_path, KEY).write_bytes(b"no parquet")
    code, out, _ = run(capsys, "verify", tmp_path)
    assert code == 1
    assert "cannot be read" in out
    code, _, err = run(capsys, "list", tmp_path)
    assert code == 2
    assert "cannot be read" in err


def test_an_archive_that_cannot_be_written_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "archive").write_text("a file where the folder should be")
    code, _, err = run(capsys, "import", "--kind", "funding", "--out", tmp_path / "archive", csv_of(tmp_path))
    assert code == 2
    assert "cannot write" in err


def test_two_imports_at_once_lose_nothing(tmp_path: Path) -> None:
    """Both processes read, merge and replace the same series: the lock makes one wait."""
    files = []
    for part in range(4):
        path = tmp_path / f"{part}.csv"
        stamps = (T0 + at * H8 for at in range(part, 400, 4))
        path.write_text(
            "venue,symbol,ts_ms,rate,interval_h\n" + "".join(f"v,S,{ts},0.1,8\n" for ts in stamps)
        )
        files.append(path)
    entry = "import sys; from libs.console.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", entry, "data", "import", "--kind", "funding", "--out"]
    running = [
        subprocess.Popen(
            [*command, str(tmp_path / "archive"), str(path)], env=dict(os.environ), stdout=subprocess.DEVNULL
        )
        for path in files
    ]
    assert [process.wait(timeout=60) for process in running] == [0] * 4
    archive = Archive(tmp_path / "archive")
    assert archive.summary(archive.series()[0]).rows == 400
