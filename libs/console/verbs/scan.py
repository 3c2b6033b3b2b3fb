"""`fundarb scan`: ranks the whole universe of funding once, live or over an archive; no keys."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from libs.console.output import NO, OK, UNREACHABLE, USAGE, UserError, console, emit_json, table

if TYPE_CHECKING:
    from libs.common.config.schema import Config
    from libs.common.messages import LegFigures, Opportunity
    from libs.exchange.scan import Ranking, VenueReport

NAME: Final = "scan"
HELP: Final = "rank the whole universe of funding once; needs no keys"
TIMEOUT_SEC: Final = 15.0
UNREAD_SHOWN: Final = 5
NAMED_MAX: Final = 3  # of failed venues in the one line
ARCHIVE_NOTE: Final = (
    "each pair as of its own last settlements, whose rate stands for the current one; a funding archive holds"
    " no prices, so that basis and the existence of spot markets are not checked"
)
COLUMNS: Final = ("#", "pair", "rate / interval", "apr", "net USD/day", "flat", "expected", "why not")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `fundarb scan`."""
    parser.add_argument("--top", type=int, default=20, metavar="N", help="rows to show (default 20)")
    parser.add_argument("--venues", metavar="A,B", help="ccxt ids; default: all that are known")
    parser.add_argument(
        "--history", type=Path, metavar="DIR", help="rank an archive as of its last settlements; no network"
    )
    parser.add_argument("--config", type=Path, metavar="F", help="costs and thresholds (default: built in)")
    parser.add_argument(
        "--timeout", type=float, default=TIMEOUT_SEC, metavar="S", help="patience in all (default 15 s)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(args: argparse.Namespace) -> int:
    """Scan and show; 0 when pairs were ranked, 1 when there is none, 3 when no venue answered."""
    if args.top < 1 or not 0 < args.timeout < 3600:
        raise UserError("fundarb scan: --top is at least 1, --timeout between 0 and 3600 seconds", USAGE)
    venues = venues_of(args.venues, known_only=args.history is None)
    config = config_of(args.config)
    if args.history is not None:
        return over_archive(args, config, venues)
    return live(args, config, venues)


def venues_of(text: str | None, *, known_only: bool) -> list[str]:
    """Venue slugs of `--venues a,b`; a name nobody knows is wrong usage, with the nearest that exists."""
    from libs.exchange.quirks import VENUES, UnknownVenue, quirks_of  # noqa: PLC0415 - after the usage check

    if text is None:
        return list(VENUES) if known_only else []
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    if not names:
        raise UserError("fundarb scan: --venues names no venue (write e.g. --venues binance,bitget)", USAGE)
    if not known_only:
        return names
    try:
        return list(dict.fromkeys(quirks_of(name).venue for name in names))
    except UnknownVenue as error:
        raise UserError(f"fundarb scan: {error}", USAGE) from error


def config_of(path: Path | None) -> Config:
    """Costs and thresholds: the file's, else the built-in ones."""
    from libs.common.config.schema import Config  # noqa: PLC0415
    from libs.console.options import load_files  # noqa: PLC0415 - as above

    return Config() if path is None else load_files([path], os.environ).config


def live(args: argparse.Namespace, config: Config, venues: list[str]) -> int:
    """Ask the venues."""
    from libs.common.clock import SystemClock  # noqa: PLC0415 - heavy: asyncio and, behind it, ccxt
    from libs.exchange.scan import survey_all  # noqa: PLC0415

    def told(report: VenueReport) -> None:
        if report.problem is None:
            found = f"{report.perps} perpetuals, {report.spots} spot markets"
            sys.stderr.write(f"{report.venue}: {found}, {report.seconds:.1f} s\n")

    _, reports, ranking = asyncio.run(
        survey_all(
            venues,
            config=config,
            clock=SystemClock(),
            timeout_sec=args.timeout,
            told=told,
            redirect=redirect_of(os.environ),
            top=args.top,
        )
    )
    if ranking is None:
        why = "; ".join(str(report.problem) for report in reports[:NAMED_MAX])
        more = len(reports) - NAMED_MAX
        why += f"; and {more} more" if more > 0 else ""
        raise UserError(f"fundarb scan: no venue answered: {why}", UNREACHABLE)
    for report in reports:
        if report.problem is not None:
            sys.stderr.write(f"without {report.venue}: {report.problem}\n")
    note = f"settled history was read for the {args.top} best alone"
    return show(args, ranking, source="live", venues=reports, notes=[note])


def redirect_of(env: Any) -> Any:
    """In mode demo the simulated venue stands for the exchanges."""
    folder = env.get("FUNDARB_RUNTIME_DIR")
    if env.get("FUNDARB_MODE") != "demo" or not folder:
        return None
    from libs.exchange.redirect import Redirect  # noqa: PLC0415 - demo only

    return Redirect.from_runtime_dir(folder)


def over_archive(args: argparse.Namespace, config: Config, venues: list[str]) -> int:
    """Rank what an archive holds."""
    from libs.common.clock import wall_us  # noqa: PLC0415 - as above
    from libs.exchange.scan_archive import rank_archive  # noqa: PLC0415
    from libs.research.archive import ArchiveError  # noqa: PLC0415

    if not args.history.is_dir():
        text = f"{args.history} is no folder (fundarb data import makes an archive)"
        raise UserError(f"fundarb scan: {text}", USAGE)
    try:
        ranking, seen, unread = rank_archive(args.history, config, venues=venues, eval_us=wall_us())
    except ArchiveError as error:
        raise UserError(f"fundarb scan: {error}", NO) from error
    if not seen:
        of = f" of {', '.join(venues)}" if venues else ""
        raise UserError(f"fundarb scan: {args.history} holds no funding{of} (see: fundarb data list)", NO)
    notes = [ARCHIVE_NOTE]
    if unread:
        shown = unread if args.json else unread[:UNREAD_SHOWN]
        more = f" and {len(unread) - len(shown)} more" if len(unread) > len(shown) else ""
        names = f"{', '.join(shown)}{more}"
        notes.append(f"{len(unread)} series not read, since their names say no base and quote: {names}")
    return show(args, ranking, source="archive", venues=list(seen), notes=notes)


def show(
    args: argparse.Namespace, ranking: Ranking, *, source: str, venues: list[Any], notes: list[str]
) -> int:
    """The table, or the JSON object."""
    top = ranking.opportunities[: args.top]
    if args.json:
        emit_json(
            {
                "source": source,
                "market_ms": ranking.market_ms,
                "venues": venues,
                "pairs": ranking.pairs,
                "passing": ranking.passing,
                "refusals": ranking.refusals,
                "notes": notes,
                "opportunities": top,
            }
        )
    else:
        page(ranking, top, notes)
    return OK if ranking.pairs else NO


def page(ranking: Ranking, top: Sequence[Opportunity], notes: list[str]) -> None:
    """The table with what a person needs beside it."""
    when = datetime.fromtimestamp(ranking.market_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
    title = f"{when}: {ranking.passing} of {ranking.pairs} pairs pass"
    grid = table(COLUMNS, title=title, right=("#", "apr", "net USD/day", "flat", "expected"))
    for number, item in enumerate(top, 1):
        grid.add_row(
            str(number),
            name_of(item),
            f"{leg_text(item.long)}  {leg_text(item.short)}".strip(),
            "?" if item.apr is None else f"{item.apr:+.1%}",
            "?" if item.net_daily_usd is None else f"{item.net_daily_usd:.2f}",
            days(item.breakeven_days),
            days(item.expected_breakeven_days) if item.history_days else "?",
            "" if item.passes else ", ".join(item.refusals),
        )
    out = console()
    out.print(grid)
    if ranking.refusals:
        out.print("refused: " + ", ".join(f"{code} {count}" for code, count in ranking.refusals.items()))
    out.print(
        f"flat, expected: break-even in days at {top[0].notional_usd:,.0f} USD a leg" if top else "no pairs"
    )
    for note in notes:
        out.print(note)


def name_of(item: Opportunity) -> str:
    """`BTC/USDT long binance spot, short binance perp`."""
    long, short = item.long, item.short
    return f"{item.symbol} long {long.venue} {long.kind}, short {short.venue} {short.kind}"


def leg_text(leg: LegFigures) -> str:
    """`+0.0100% / 8h` of a leg that pays funding."""
    if leg.rate is None:
        return ""
    hours = "?" if leg.interval_hours is None else f"{leg.interval_hours:g}"
    return f"{leg.rate:+.4%}/{hours}h"


def days(value: float | None) -> str:
    """Break-even days; already paid is 0, never is a dash."""
    return "-" if value is None else f"{max(0.0, value):.1f}"
