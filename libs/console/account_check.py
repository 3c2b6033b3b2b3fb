"""Asks the accounts behind a config, for `fundarb check`. Reads only: nothing is set, moved or ordered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from libs.common.clock import wall_us
from libs.common.config.legs import Leg, PairSpec, pair_specs
from libs.common.config.schema import Config
from libs.common.instant import US_PER_MS
from libs.console import account_rows
from libs.console.checks import Row
from libs.exchange.permissions import UNREADABLE, KeyRules
from libs.exchange.port import VenueError
from libs.exchange.trading import Trading
from libs.exchange.trading_values import KeyPermissions

OpenAccount = Callable[[str], Awaitable[Trading | None]]
"""Venue slug -> its account, None where the config has no key for it."""

ACCOUNT_SEC: Final = 60.0
"""Markets, balances and a handful of settings, within the request budget of a venue."""

OUT_OF_REACH: Final = frozenset({"network", "timeout", "rate_limit", "maintenance"})


async def account_rows_of(config: Config, open_account: OpenAccount) -> list[Row]:
    """All accounts at once; what fails has its row, and the others have theirs."""
    specs = pair_specs(config)
    legs: dict[str, dict[str, Leg]] = {}
    for spec in specs:
        for leg in spec.legs:
            legs.setdefault(leg.venue, {})[leg.instrument] = leg
    answers = await asyncio.gather(
        *(_account(venue, list(of.values()), config, specs, open_account) for venue, of in legs.items())
    )
    return [row for rows in answers for row in rows]


async def _account(
    venue: str,
    legs: list[Leg],
    config: Config,
    specs: tuple[PairSpec, ...],
    open_account: OpenAccount,
) -> list[Row]:
    rows: list[Row] = []
    trading = await open_account(venue)
    if trading is None:
        return rows
    try:
        async with asyncio.timeout(ACCOUNT_SEC):
            async for row in _asked(venue, trading, legs, config, specs):
                rows.append(row)  # noqa: PERF401 - what came before a failure must stay
    except TimeoutError:
        text = f"did not answer within {ACCOUNT_SEC:g} s"
        rows.append(Row(subject=f"{venue} account", state="unreachable", text=text, remedy=LATER))
    except VenueError as error:
        rows.append(_failed(venue, error))
    finally:
        await trading.close()
    return rows


LATER: Final = "check the network and the venue's status page, and try again"


def _failed(venue: str, error: VenueError) -> Row:
    subject = f"{venue} account"
    if error.error_class in OUT_OF_REACH:
        return Row(subject=subject, state="unreachable", text=str(error), remedy=LATER)
    remedy = (
        "see that key, secret and password belong together, and that the account is of the kind named here"
    )
    return Row(subject=subject, state="refused", text=str(error), remedy=remedy)


async def _asked(
    venue: str, trading: Trading, legs: list[Leg], config: Config, specs: tuple[PairSpec, ...]
) -> AsyncIterator[Row]:
    await trading.load()
    why = ""
    try:
        may = await trading.permissions()
    except VenueError as error:
        if error.error_class not in UNREADABLE:
            raise
        may, why = KeyPermissions(readable=False), f" ({error})"
    for row in account_rows.key_rows(
        venue, KeyRules.of(config).findings(venue, may, now_ms=wall_us() // US_PER_MS)
    ):
        yield Row(subject=row.subject, state=row.state, text=row.text + why, remedy=row.remedy)
    held = {one.instrument for one in await trading.positions() if one.quantity}
    for leg in account_rows.contract_legs(legs):
        try:
            found = await trading.settings(leg.instrument)
        except VenueError as error:
            if error.error_class in OUT_OF_REACH:
                raise
            yield _failed(venue, error)
        else:
            yield account_rows.settings_row(venue, found, config, held=leg.instrument in held)
    balances = await trading.balances()
    for row in account_rows.funds_rows(venue, balances, account_rows.needs_of(specs, config), config):
        yield row
