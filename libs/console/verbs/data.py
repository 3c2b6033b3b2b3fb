"""`fundarb data`: the archive of funding and prices (import, verify, list, calibrate, compact)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from libs.carry.persistence import Persistence, persistence
from libs.common.clock import mono_us
from libs.common.instant import MS_PER_SEC, US_PER_SEC
from libs.console.output import NO, OK, USAGE, UserError, emit_json, emit_text, warn
from libs.research.archive import Archive, ArchiveError, SeriesSummary
from libs.research.calibrate import CalibrationError, HorizonFit, calibrate_archive
from libs.research.cells import INTERVAL_HOURS_MAX
from libs.research.compact import compact
from libs.research.importer import ImportReport, Options, import_files
from libs.research.layout import Kind, SeriesKey
from libs.research.segments import finished_segments
from libs.research.sources import ImportRefused
from libs.research.verify import SeriesFindings, verify_series

NAME: Final = "data"
HELP: Final = "import, verify and list the archive of funding and prices"
PROGRESS_EVERY_US: Final = US_PER_SEC
CHANGES_SHOWN: Final = 4
BPS: Final = 10_000
_IMPORT_KINDS: Final = (Kind.FUNDING, Kind.SPOT, Kind.PERP, Kind.MARK)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sub-commands and their flags."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser("import", help="take files of others into the archive", allow_abbrev=False)
    add.add_argument("--kind", required=True, choices=[str(kind) for kind in _IMPORT_KINDS])
    add.add_argument("--out", required=True, type=Path, metavar="DIR", help="the archive (made when missing)")
    add.add_argument("--replace", action="store_true", help="where rows disagree, the new ones win")
    add.add_argument("--venues", metavar="A,B", help="take only the rows of these venues")
    add.add_argument(
        "--interval-hours",
        type=float,
        metavar="H",
        help="funding interval where a file gives none (default: derived)",
    )
    add.add_argument("files", nargs="+", type=Path, metavar="FILE", help=".csv, .csv.gz or .parquet")
    texts = {
        "verify": "gaps, duplicates, jitter, interval changes, implausible values per series",
        "list": "series, rows, from, to, intervals",
        "calibrate": "how long a funding rate lasts: weights of the expected carry from this archive",
        "compact": "merge what the recorder has written into the Parquet files now",
    }
    for name, text in texts.items():
        action = actions.add_parser(name, help=text, allow_abbrev=False)
        action.add_argument("dir", type=Path, metavar="DIR", help="the archive")
        action.add_argument("--json", action="store_true", help="one JSON document on stdout")
    add.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(args: argparse.Namespace) -> int:
    """Exit 0; 1 when verify finds something wrong or there is nothing; 2 when a file is refused."""
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "import": _import,
        "verify": _verify,
        "list": _list,
        "calibrate": _calibrate,
        "compact": _compact,
    }
    try:
        return actions[args.action](args)
    except ImportRefused as error:
        raise UserError(f"{error}; nothing was written", USAGE) from error
    except ArchiveError as error:
        raise UserError(str(error), USAGE) from error
    except CalibrationError as error:
        raise UserError(str(error), NO) from error


def _import(args: argparse.Namespace) -> int:
    hours = args.interval_hours
    if hours is not None and not 0 < hours <= INTERVAL_HOURS_MAX:
        raise UserError(
            f"--interval-hours {hours:g}: hours from above 0 to {INTERVAL_HOURS_MAX:g} are expected", USAGE
        )
    if hours is not None and args.kind != Kind.FUNDING:
        raise UserError(f"--interval-hours is for --kind funding, not {args.kind}", USAGE)
    venues = frozenset(filter(None, args.venues.split(","))) if args.venues is not None else None
    if venues is not None and not venues:
        raise UserError("--venues names no venue; write e.g. --venues binance,bybit", USAGE)
    options = Options(kind=Kind(args.kind), replace=args.replace, venues=venues, interval_hours=hours)
    report = import_files(args.out, args.files, options, _progress())
    if args.json:
        emit_json(_import_json(report))
        return OK
    counts = [f"{report.total(name)} {name}" for name in ("added", "same", "replaced", "duplicates")]
    emit_text(f"{len(report.series)} series, {report.rows_read} rows read: {', '.join(counts)}")
    if report.skipped:
        emit_text(f"{report.skipped} rows of another contract or venue left out")
    if report.ignored:
        emit_text(f"columns not needed: {', '.join(report.ignored)}")
    return OK


def _verify(args: argparse.Namespace) -> int:
    archive, keys = _opened(args.dir)
    progress = _progress()
    findings: list[SeriesFindings] = []
    for number, key in enumerate(keys, start=1):
        findings.append(verify_series(archive, key))
        progress(f"verified {number} of {len(keys)} series")
    wrong = [found for found in findings if not found.ok]
    if args.json:
        emit_json(
            {"ok": not wrong, "wrong": len(wrong), "series": [_findings_json(found) for found in findings]}
        )
    else:
        _print_findings(findings)
        emit_text(f"{len(findings)} series, {len(wrong)} with something wrong")
    return NO if wrong else OK


def _list(args: argparse.Namespace) -> int:
    archive, keys = _opened(args.dir)
    summaries = [archive.summary(key) for key in keys]
    lasting = {key: lasts(archive, key) for key in keys if key.kind is Kind.FUNDING}
    data_hash = archive.data_hash(keys)
    waiting = len(finished_segments(archive.root))
    if args.json:
        emit_json(
            {
                "data_hash": data_hash,
                "segments_waiting": waiting,
                "series": [
                    _summary_json(summary) | {"persistence": _lasting_json(lasting.get(summary.key))}
                    for summary in summaries
                ],
            }
        )
        return OK
    rows = [("kind", "venue", "symbol", "from", "to", "rows", "intervals", "flips", "run")]
    for summary in summaries:
        key = summary.key
        intervals = ", ".join(f"{hours:g} h: {count}" for hours, count in summary.intervals.items())
        bounds = (_iso(summary.from_ms), _iso(summary.to_ms))
        found = lasting.get(key)
        share = f"{found.sign_change_share:.0%}" if found and found.sign_change_share is not None else ""
        run = f"{found.mean_run:.1f}" if found and found.mean_run is not None else ""
        rows.append((str(key.kind), key.venue, key.symbol, *bounds, str(summary.rows), intervals, share, run))
    emit_text("\n".join(_aligned(rows, left=5)))
    emit_text(f"data hash {data_hash}")
    if waiting:
        warn(f"{waiting} segments of the recorder are not merged yet: fundarb data compact {args.dir}")
    return OK


def lasts(archive: Archive, key: SeriesKey) -> Persistence:
    """How long the sign of a series lasts, in settlements."""
    return persistence([one.rate for one in archive.read_funding(key)])


def _lasting_json(found: Persistence | None) -> dict[str, Any] | None:
    """Without the runs themselves: hundreds of numbers that nobody asked for."""
    if found is None:
        return None
    return {name: value for name, value in msgspec.to_builtins(found).items() if name != "runs"}


def _calibrate(args: argparse.Namespace) -> int:
    archive, _ = _opened(args.dir)
    fits = calibrate_archive(archive, progress=_progress())
    if args.json:
        emit_json([msgspec.to_builtins(fit) for fit in fits])
    else:
        _print_fits(fits)
    return OK


def _compact(args: argparse.Namespace) -> int:
    if not args.dir.is_dir():
        raise UserError(f"{args.dir} is no archive: there is no such folder", USAGE)
    report = compact(args.dir)
    if args.json:
        emit_json(msgspec.to_builtins(report))
    else:
        emit_text(
            f"{report.segments} segments merged: {report.added} rows added, {report.updated} updated, "
            f"{report.same} known, {report.conflicts} restated, {report.unreadable} lines unreadable"
        )
    return OK


def _opened(folder: Path) -> tuple[Archive, list[SeriesKey]]:
    archive = Archive(folder)
    if not folder.is_dir():
        raise UserError(
            f"{folder} is no archive: there is no such folder (fundarb data import makes one)", USAGE
        )
    keys = archive.series()
    if not keys:
        raise UserError(f"{folder} holds no series (kind=.../venue=.../symbol=....parquet); import some", NO)
    return archive, keys


def _print_findings(findings: Sequence[SeriesFindings]) -> None:
    """One line a series, and what was found in it indented below."""
    header = ("series", "rows", "gaps", "hours lacking", "duplicates", "jitter ms", "changes", "wrong")
    counts = [
        (
            str(found.key),
            str(found.rows),
            str(found.gaps),
            f"{found.lacking_hours:g}",
            str(found.duplicates),
            str(found.jitter_ms_max),
            str(len(found.interval_changes)),
            str(found.implausible),
        )
        for found in findings
    ]
    lines = _aligned([header, *counts], left=1)
    emit_text(lines[0])
    for line, found in zip(lines[1:], findings, strict=True):
        emit_text(line)
        for remark in _remarks(found):
            emit_text(f"    {remark}")


def _remarks(found: SeriesFindings) -> list[str]:
    parts = [found.unreadable] if found.unreadable else []
    parts += [
        f"gap from {_iso(gap.from_ms)} to {_iso(gap.to_ms)}, {gap.lacking_hours:g} h lacking"
        for gap in found.first_gaps
    ]
    if found.gaps > len(found.first_gaps):
        parts.append(f"and {found.gaps - len(found.first_gaps)} more gaps")
    if found.disordered:
        parts.append(f"{found.disordered} rows out of order")
    parts += [f"{_iso(bad.ts_ms)}: {bad.text}" for bad in found.first_implausible]
    if found.implausible > len(found.first_implausible):
        parts.append(f"and {found.implausible - len(found.first_implausible)} more implausible values")
    changes = found.interval_changes[:CHANGES_SHOWN]
    parts += [f"interval {c.from_hours:g} h -> {c.to_hours:g} h at {_iso(c.ts_ms)}" for c in changes]
    if len(found.interval_changes) > CHANGES_SHOWN:
        parts.append(f"and {len(found.interval_changes) - CHANGES_SHOWN} more interval changes")
    return parts


def _print_fits(fits: Sequence[HorizonFit]) -> None:
    header = (
        "days",
        "rows",
        "slope of now",
        "w now",
        "w mean30",
        "R2 alone",
        "R2 both",
        "top 5 % now",
        "realised",
    )
    lines = [
        (
            f"{fit.horizon_days:g}",
            str(fit.rows),
            *(
                f"{value:.3f}"
                for value in (fit.slope_alone, fit.w_now, fit.w_mean, fit.r2_alone, fit.r2_both)
            ),
            *(f"{value * BPS:.1f}" for value in (fit.top_now, fit.top_realised)),
        )
        for fit in fits
    ]
    for line in _aligned([header, *lines], left=0):
        emit_text(line)
    emit_text(f"{fits[0].series} series; the last two columns are bps a day")


def _aligned(rows: Sequence[Sequence[str]], *, left: int) -> list[str]:
    """Rows as lines with columns of one width; the first `left` columns are text, the others numbers.

    Never cut, whatever the terminal's width: these are figures to rely on, and to pipe.
    """
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if at < left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _import_json(report: ImportReport) -> dict[str, Any]:
    return {
        "rows_read": report.rows_read,
        "skipped": report.skipped,
        "ignored": list(report.ignored),
        **{name: report.total(name) for name in ("added", "same", "replaced", "duplicates")},
        "series": [
            _flat(item.key) | msgspec.to_builtins(item) | {"key": str(item.key)} for item in report.series
        ],
    }


def _findings_json(found: SeriesFindings) -> dict[str, Any]:
    figures: dict[str, Any] = msgspec.to_builtins(found)
    return _flat(found.key) | {"ok": found.ok} | figures | {"key": str(found.key)}


def _summary_json(summary: SeriesSummary) -> dict[str, Any]:
    figures: dict[str, Any] = msgspec.to_builtins(summary, str_keys=True)
    return _flat(summary.key) | {name: figures[name] for name in ("rows", "from_ms", "to_ms", "intervals")}


def _flat(key: SeriesKey) -> dict[str, Any]:
    return {"kind": str(key.kind), "venue": key.venue, "symbol": key.symbol}


def _progress() -> Callable[[str], None]:
    """Lines on stderr, at most one a second, none for work that is over before."""
    last_us = mono_us()

    def say(text: str) -> None:
        nonlocal last_us
        if mono_us() - last_us >= PROGRESS_EVERY_US:
            last_us = mono_us()
            sys.stderr.write(f"{text}\n")

    return say


def _iso(ts_ms: int) -> str:
    return datetime.fromtimestamp(ts_ms / MS_PER_SEC, tz=UTC).strftime("%Y-%m-%d %H:%M")
