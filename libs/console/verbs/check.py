"""`fundarb check`: the config and everything it names, before anything runs."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Final

from libs.common.clock import SystemClock
from libs.common.config.legs import Leg
from libs.common.config.problems import ConfigError
from libs.common.config.schema import Config, Mode
from libs.console import checks, output
from libs.console.checks import Row
from libs.console.options import add_config, add_json, load
from libs.console.output import NO, OK, UNREACHABLE, USAGE
from libs.exchange.port import MarketData, VenueError

NAME = "check"
HELP = "config, symbols, units, clock: a table of ok / warning / refused"

VENUE_SEC: Final = 45.0  # Binance lists some 3,000 markets; a slow line needs a while
OUT_OF_REACH: Final = frozenset({"network", "timeout", "rate_limit", "maintenance"})

OpenVenue = Callable[[str], Awaitable[MarketData]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--offline` asks no venue."""
    parser.add_argument("--offline", action="store_true", help="the config only: no venue is asked")
    add_config(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """0: no refusal; 1: something is refused; 2: the config is wrong; 3: a venue is out of reach."""
    output.quiet_logs()
    try:
        loaded = load(args)
    except ConfigError as error:
        if not args.json:
            raise  # one line a problem on stderr, as every verb tells it
        show([checks.problem_row(problem, "refused") for problem in error.problems], as_json=True)
        return USAGE
    rows = [*checks.config_rows(loaded), *checks.act_rows(loaded.config, os.environ)]
    if not args.offline and loaded.config.exchanges:
        rows += asyncio.run(venue_rows(loaded.config, opener(loaded.config)))
    show(rows, as_json=args.json)
    states = {row.state for row in rows}
    if "unreachable" in states:
        return UNREACHABLE
    return NO if "refused" in states else OK


def opener(config: Config) -> OpenVenue:
    """Real venues; in mode demo the simulated one."""

    async def open_venue(venue: str) -> MarketData:
        from libs.exchange.factory import open_market_data  # noqa: PLC0415 - --offline must not pay for it

        redirect = None
        if config.mode is Mode.DEMO:
            from libs.common.guard import guard_loopback  # noqa: PLC0415
            from libs.common.runtime_file import runtime_dir  # noqa: PLC0415
            from libs.exchange.redirect import Redirect  # noqa: PLC0415

            guard_loopback()
            redirect = Redirect.from_runtime_dir(runtime_dir(os.environ))
        return await open_market_data(venue, config=config, clock=SystemClock(), redirect=redirect)

    return open_venue


async def venue_rows(config: Config, open_venue: OpenVenue) -> list[Row]:
    """All venues at once; one that fails has its row, and the others have theirs."""
    wanted = checks.wanted_legs(config)
    answers = await asyncio.gather(
        *(one_venue(venue, legs, config, open_venue) for venue, legs in wanted.items())
    )
    return [row for rows in answers for row in rows]


async def one_venue(venue: str, legs: list[Leg], config: Config, open_venue: OpenVenue) -> list[Row]:
    """Rows of one venue, whatever happens to it."""
    rows: list[Row] = []
    try:
        data = await open_venue(venue)
    except ValueError as error:  # no record of how this venue behaves
        return [Row(subject=venue, state="refused", text=str(error), remedy="pair its symbols elsewhere")]
    except FileNotFoundError as error:  # mode demo without its simulated venue
        return [Row(subject=venue, state="unreachable", text=str(error), remedy="`fundarb demo` starts it")]
    try:
        async with asyncio.timeout(VENUE_SEC):
            async for row in _asked(data, venue, legs, config):
                rows.append(row)  # noqa: PERF401 - what came before a failure must stay
    except TimeoutError:
        rows.append(_failed(venue, "timeout", f"did not answer within {VENUE_SEC:g} s"))
    except VenueError as error:
        rows.append(_failed(venue, error.error_class, str(error)))
    finally:
        await data.close()
    return rows


async def _asked(data: MarketData, venue: str, legs: list[Leg], config: Config) -> AsyncIterator[Row]:
    known = await data.load()
    yield Row(subject=venue, state="ok", text=f"lists {len(known)} instruments")
    yield checks.clock_row(venue, await data.fetch_clock_offset_ms())
    usable = []
    for leg in legs:
        problem = checks.listing_row(leg, known)
        if problem is None:
            usable.append(leg)
        else:
            yield problem
    if not usable:
        return
    quotes = {
        quote.instrument: quote for quote in await data.fetch_quotes([leg.instrument for leg in usable])
    }
    for leg in usable:
        yield checks.units_row(leg, known[leg.instrument], quotes.get(leg.instrument), config)
    funded = [leg for leg in usable if checks.is_funded(leg)]
    rates = {seen.instrument: seen for seen in await data.fetch_funding([leg.instrument for leg in funded])}
    for leg in funded:
        yield checks.interval_row(leg, rates.get(leg.instrument))


def _failed(venue: str, error_class: str, text: str) -> Row:
    if error_class in OUT_OF_REACH:
        remedy = "check the network and the venue's status page; HTTPS_PROXY is honoured"
        return Row(subject=venue, state="unreachable", text=text, remedy=remedy)
    return Row(subject=venue, state="refused", text=text, remedy="see the venue's status page, or remove it")


def show(rows: Iterable[Row], *, as_json: bool) -> None:
    """The table, worst last where the eye ends; or `{"ok", "rows"}`."""
    listed = list(rows)
    bad = {"refused", "unreachable"} & {row.state for row in listed}
    if as_json:
        output.emit_json({"ok": not bad, "rows": listed})
        return
    order = ("ok", "warning", "unreachable", "refused")
    table = output.table(["what", "state", "finding"])
    for row in sorted(listed, key=lambda row: order.index(row.state)):
        finding = f"{row.text}\n-> {row.remedy}" if row.remedy and row.state != "ok" else row.text
        table.add_row(row.subject, output.state_text(row.state), finding)
    output.console().print(table)
    counts = ", ".join(f"{sum(row.state == state for row in listed)} {state}" for state in order)
    output.emit_text(counts)
