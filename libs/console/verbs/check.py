"""`fundarb check`: the config and everything it names, before anything runs."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from decimal import Decimal
from typing import Final

from libs.common.clock import SystemClock, mono_us
from libs.common.config.legs import Leg, pair_specs
from libs.common.config.problems import ConfigError
from libs.common.config.schema import Config, Mode
from libs.common.instant import US_PER_MS
from libs.console import checks, output
from libs.console.account_check import OpenAccount, account_rows_of
from libs.console.account_rows import LegKey, Sized, latency_row, pair_rows
from libs.console.checks import Row
from libs.console.options import add_config, add_json, load
from libs.console.output import NO, OK, UNREACHABLE, USAGE
from libs.exchange.port import MarketData, VenueError
from libs.exchange.trading import Trading

NAME = "check"
HELP = "config, symbols, units, clock: a table of ok / warning / refused"

CLOCK_SAMPLES: Final = 3
"""So many questions are in one measurement of a clock."""

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
        rows += asyncio.run(asked_rows(loaded.config))
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


async def asked_rows(config: Config) -> list[Row]:
    """Markets first, then the accounts behind the keys: a venue's limits count both."""
    rows = await venue_rows(config, opener(config))
    return [*rows, *await account_rows_of(config, account_opener(config))]


def account_opener(config: Config) -> OpenAccount:
    """Real accounts; none in the modes that use no key, and none where there is no key."""

    async def open_account(venue: str) -> Trading | None:
        from libs.exchange.factory import NoKeys, open_trading  # noqa: PLC0415 - see opener
        from libs.exchange.quirks import UnknownVenue  # noqa: PLC0415

        if config.mode is Mode.DEMO:
            return None
        try:
            return await open_trading(venue, config=config, clock=SystemClock())
        except (NoKeys, UnknownVenue):
            return None  # told by the rows of config and market

    return open_account


async def venue_rows(config: Config, open_venue: OpenVenue) -> list[Row]:
    """All venues at once; one that fails has its row, and the others have theirs."""
    wanted, seen = checks.wanted_legs(config), dict[LegKey, Sized]()
    answers = await asyncio.gather(
        *(one_venue(venue, legs, config, open_venue, seen) for venue, legs in wanted.items())
    )
    found = [row for rows in answers for row in rows]
    return [*found, *pair_rows(pair_specs(config), seen, config)]


async def one_venue(
    venue: str, legs: list[Leg], config: Config, open_venue: OpenVenue, seen: dict[LegKey, Sized]
) -> list[Row]:
    """Rows of one venue, whatever happens to it. `seen` gets its instruments that have a price."""
    rows: list[Row] = []
    try:
        data = await open_venue(venue)
    except ValueError as error:  # no record of how this venue behaves
        return [Row(subject=venue, state="refused", text=str(error), remedy="pair its symbols elsewhere")]
    except FileNotFoundError as error:  # mode demo without its simulated venue
        return [Row(subject=venue, state="unreachable", text=str(error), remedy="`fundarb demo` starts it")]
    try:
        async with asyncio.timeout(VENUE_SEC):
            async for row in _asked(data, venue, legs, config, seen):
                rows.append(row)  # noqa: PERF401 - what came before a failure must stay
    except TimeoutError:
        rows.append(_failed(venue, "timeout", f"did not answer within {VENUE_SEC:g} s"))
    except VenueError as error:
        rows.append(_failed(venue, error.error_class, str(error)))
    finally:
        await data.close()
    return rows


async def _asked(
    data: MarketData, venue: str, legs: list[Leg], config: Config, seen: dict[LegKey, Sized]
) -> AsyncIterator[Row]:
    known = await data.load()
    yield Row(subject=venue, state="ok", text=f"lists {len(known)} instruments")
    yield checks.clock_row(venue, await data.fetch_clock_offset_ms())
    begun_us = mono_us()
    await data.fetch_clock_offset_ms()  # again, on the connection that is open now
    yield latency_row(venue, (mono_us() - begun_us) / US_PER_MS / CLOCK_SAMPLES)
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
        quote = quotes.get(leg.instrument)
        if quote is not None and quote.ask:
            price = Decimal(repr(quote.ask))
            seen[venue, leg.instrument] = Sized(item=known[leg.instrument], price=price)
        yield checks.units_row(leg, known[leg.instrument], quote, config)
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
