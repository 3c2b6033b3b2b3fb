"""The executor process: intents in, orders out. Wires `ExecutorActor` to accounts, store, leases and permits.

Mode live needs two acts (`mode: live` and FUNDARB_LIVE=1) and everything that risk.md wants to be explicit;
in demo and rehearsal the keys are the simulated venue's own, whatever the config says. Mode paper needs none.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from libs.common import subjects
from libs.common.assembly import Assembly, CannotStart, Offer, ServiceContext
from libs.common.build import build
from libs.common.command_memory import recent_ids
from libs.common.config import live
from libs.common.config.legs import PairSpec, pair_specs, venue_slug
from libs.common.config.paths import unread
from libs.common.config.schema import Config, Mode
from libs.common.effects import Actor
from libs.common.instant import US_PER_SEC, Clock
from libs.common.run import CONFIG_ENV, serve
from libs.common.store import StoreUnavailable
from libs.exchange.factory import NoKeys, open_trading
from libs.exchange.permissions import KeyRules
from libs.exchange.port import VenueError
from libs.exchange.redirect import VENUE_FILE, Redirect
from libs.exchange.trading import Trading
from services.executor.accountant import Accountant
from services.executor.actor import ExecutorActor
from services.executor.bookkeeper import Bookkeeper
from services.executor.books_work import LANE
from services.executor.calls import Counting
from services.executor.desk import Desk
from services.executor.events import SendOrders
from services.executor.failpoints import BadFailpoint, Failpoints, Tripwire
from services.executor.gate import Bounds
from services.executor.key_reading import KeyEar, KeyReader
from services.executor.keys import KeyWatch
from services.executor.lane import Lane
from services.executor.leases import Leases
from services.executor.paper import PaperHouse
from services.executor.permit import PermitView
from services.executor.pruning import JournalPruner
from services.executor.room import StoreRoom
from services.executor.setup import SetUps, terms_of
from services.executor.shell import Account, LeaseKeeper, Opener, PermitEar
from services.executor.with_books import WithBooks
from services.executor.world import World

log = logging.getLogger(__name__)

USAGE: Final = 2
UNREACHABLE: Final = 3
OPEN_SEC_MAX: Final = 20.0
"""So long the start waits for accounts; those that take longer are opened while the others work."""

REQUESTS_MAX: Final = 512
"""Queries of a silent venue must not keep orders of another one waiting."""

RECORDS_SEC_MIN: Final = 30.0
"""A round costs 120 of the 1,200 a minute that Binance grants to all who poll."""

RECORDS_SEC_MAX: Final = 60.0

ROOM: Final = Decimal("1.1")
"""An order may be so much larger than the configured notional: prices move between intent and order."""

COLLAR_ROOM: Final = 2
"""The gate measures from the mid, the collar counts from the best price: half a spread lies between."""


def refuse(config: Config, env: Mapping[str, str]) -> None:
    """Raise CannotStart for a mode in which nothing is to be sent, and for a live mode that is half meant."""
    if config.mode is Mode.OBSERVER:
        raise CannotStart("mode observer sends no orders: the executor has nothing to do", code=USAGE)
    if found := live.gate(config, env):
        raise CannotStart("\nexecutor: ".join(str(one) for one in found), code=USAGE)


def announced_keys(folder: Path) -> dict[str, dict[str, str]]:
    """Venue -> key of the first user, as the simulated venue says it. CannotStart when it says nothing."""
    try:
        told = msgspec.json.decode((folder / VENUE_FILE).read_bytes(), type=dict[str, msgspec.Raw])
        return msgspec.json.decode(told["keys"], type=dict[str, dict[str, str]])
    except (OSError, KeyError, msgspec.DecodeError) as error:
        raise CannotStart(f"the simulated venue has not announced its keys: {error!r}") from None


def with_keys(config: Config, told: Mapping[str, Mapping[str, str]]) -> Config:
    """The config with the simulated venue's keys in place of all others: no real one is ever used there."""
    exchanges = {}
    for name, one in config.exchanges.items():
        key = told.get(venue_slug(one), {})
        exchanges[name] = msgspec.structs.replace(
            one,
            api_key=key.get("api_key", ""),
            secret=key.get("secret", ""),
            password=key.get("passphrase", ""),
        )
    return msgspec.structs.replace(config, exchanges=exchanges)


def opener_of(config: Config, clock: Clock, redirect: Redirect | None, env: Mapping[str, str]) -> Opener:
    """Real accounts, or those at the simulated venue. A file of keys that is not there is named in `env`."""
    absent = "".join(f"; {path} is not there" for path in unread(env.get(CONFIG_ENV, "")))

    async def opener(venue: str) -> Trading:
        try:
            return await open_trading(venue, config=config, clock=clock, redirect=redirect)
        except NoKeys as error:
            raise CannotStart(f"{error}{absent}", code=USAGE) from None

    return opener


def lanes_of(specs: Iterable[PairSpec], world: World) -> dict[str, Lane]:
    """A lane for each pair."""
    lanes = {}
    for spec in specs:
        first, second = ((leg.venue, leg.instrument) for leg in spec.legs)
        lanes[spec.id] = Lane(spec.id, (first, second), (spec.first.kind, spec.second.kind), world)
    return lanes


async def assemble(context: ServiceContext) -> Assembly:
    """Everything that the runtime needs to run the executor. Raises CannotStart."""
    config, env = context.config, context.env
    refuse(config, env)
    specs, redirect = pair_specs(config), None
    if config.mode is Mode.PAPER:
        house = PaperHouse(context, dict.fromkeys(leg.venue for spec in specs for leg in spec.legs))
        try:
            await house.open()
            return await assembly_of(context, specs, config, house.opener, house)
        except BaseException:  # a signal may come while it waits for the lease, or for another's account
            await house.close()
            raise
    if config.mode is Mode.DEMO:
        folder = Path(env["FUNDARB_RUNTIME_DIR"])
        redirect, told = Redirect.from_runtime_dir(folder), announced_keys(folder)
        config = with_keys(config, told)
        strange = sorted({leg.venue for spec in specs for leg in spec.legs} - told.keys())
        if strange:
            log.warning("not simulated, so that their pairs are left out: %s", ", ".join(strange))
        specs = tuple(spec for spec in specs if all(leg.venue in told for leg in spec.legs))
    return await assembly_of(context, specs, config, opener_of(config, context.clock, redirect, env))


async def assembly_of(
    context: ServiceContext,
    specs: tuple[PairSpec, ...],
    config: Config,
    opener: Opener,
    house: PaperHouse | None = None,
) -> Assembly:
    """The executor on any way of opening accounts. `house`: what works beside it on paper."""
    if not specs:
        raise CannotStart("the config names no pair that could be traded", code=USAGE)
    try:
        failpoints = Failpoints.of(context.env)
    except BadFailpoint as error:
        raise CannotStart(str(error), code=USAGE) from None
    keys = {spec.id: tuple((leg.venue, leg.instrument) for leg in spec.legs) for spec in specs}
    terms, permits, leases = (
        terms_of(config),
        PermitView(build=build(context.env)),
        Leases({**keys, LANE: ()}),
    )
    setups = SetUps(terms, (key for legs in keys.values() for key in legs))
    world = World(config, permits, deployment=config.deployment, setups=setups)
    lanes = lanes_of(specs, world)
    desk = Desk(
        store=context.store,
        clock=context.clock,
        permits=permits,
        leases=leases,
        bounds=bounds_of(config),
        terms=terms,
        failpoints=failpoints,
        pairs=keys,
    )
    desk.bad_key = lambda: world.bad_key
    owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    keeper = LeaseKeeper(leases, store=context.store, clock=context.clock, owner=owner)
    venues = dict.fromkeys(venue for legs in keys.values() for venue, _ in legs)
    rules = KeyRules.of(config)
    counted = Counting(opener, context.clock)
    accounts = [Account(venue, opener=counted.open, desk=desk, books=lanes, rules=rules) for venue in venues]
    try:
        await open_all(accounts)
        taken = await taken_before(context)
    except BaseException:  # also a signal that comes while the markets are being loaded
        await close_all(accounts)
        raise

    async def work(offer: Offer) -> None:
        desk.offer = offer  # before the first lease, without which nothing is sent
        await keeper.run(offer)

    async def close() -> None:
        await keeper.give_back()
        await close_all(accounts)
        if house is not None:
            await house.close()

    def market_of(wall_us: int) -> int:
        return context.clock.market.at(wall_us)  # looked up anew: the venue may set it while we run

    books = Accountant(
        world,
        lanes,
        market_of=market_of,
        records_every_us=records_every_us(config.monitor.interval_sec, context.clock.market.speed),
        reach_of=counted.reach_of,
    )
    pairs = ExecutorActor(world, lanes)
    pairs.commands.desk.remember(taken)
    executor = WithBooks(pairs, books)
    actor: Actor = Tripwire(executor, failpoints) if failpoints.point else executor
    if house is None:  # on paper there is no key
        actor = KeyWatch(actor, world, venues, rules)
    return Assembly(
        actor=actor,
        subscriptions=(
            subjects.ALL_QUOTES,
            subjects.ALL_FUNDING,
            subjects.ALL_INSTRUMENTS,
            subjects.ALL_INTENTS,
            subjects.ALL_PAIRS,  # who leads the pairs that are not led here
            *pairs.commands.desk.subscriptions,
        ),
        handlers={
            **desk.handlers(),
            **Bookkeeper(desk.tradings, context.store, desk.fees).handlers(),
            **KeyReader(desk.tradings).handlers(),
        },
        background=(
            PermitEar(context.bus, desk, context.clock).run,
            work,
            StoreRoom(context.store, world).run,
            JournalPruner(context.store, context.clock).run,
            *(account.run for account in accounts),
            *(house.background if house is not None else (KeyEar(context.bus).run,)),
        ),
        at_once={SendOrders: desk.at_once},
        ahead={SendOrders: desk.ahead},
        lane_of=executor.lane_of,
        requests_max=REQUESTS_MAX,
        reloads=True,
        close=close,
    )


async def taken_before(context: ServiceContext) -> tuple[str, ...]:
    """Ids of commands of earlier lives: none is obeyed twice. Raises CannotStart."""
    try:
        return await recent_ids(context.store, "executor", wall_us=context.clock.now().wall_us)
    except StoreUnavailable as error:
        raise CannotStart(f"the audit stream cannot be read: {error}", code=UNREACHABLE) from error


def records_every_us(interval_sec: float, speed: float) -> int:
    """How often a venue's records are read: every second poll, at most once a minute of market time."""
    return int(min(RECORDS_SEC_MAX, max(RECORDS_SEC_MIN, 2 * interval_sec / speed)) * US_PER_SEC)


def bounds_of(config: Config) -> Bounds:
    """What one order that increases may not exceed."""
    return Bounds(
        leg_notional_max=Decimal(str(config.position.notional_usd)) * ROOM,
        collar=Decimal(str(config.execution.collar_bps)) / 10_000 * COLLAR_ROOM,
    )


async def open_all(accounts: Iterable[Account]) -> None:
    """Open what can be opened soon; the rest goes on trying by itself. Raises CannotStart for a bad key."""

    async def one(account: Account) -> None:
        try:
            async with asyncio.timeout(OPEN_SEC_MAX):
                await account.open()
        except (VenueError, TimeoutError) as error:
            log.warning("%s is not open yet: %s", account.venue, str(error) or "no answer in time")

    try:
        async with asyncio.TaskGroup() as group:
            for account in accounts:
                group.create_task(one(account))
    except* CannotStart as refused:
        raise refused.exceptions[0] from None


async def close_all(accounts: Iterable[Account]) -> None:
    """Leave all venues; one that cannot be left does not keep the others open."""
    for closed in await asyncio.gather(*(one.close() for one in accounts), return_exceptions=True):
        if isinstance(closed, BaseException):
            log.warning("an account was not closed in order: %s: %s", type(closed).__name__, closed)


def main() -> int:
    """`python -m services.executor.main`, or `fundarb run executor`."""
    return serve("executor", assemble)


if __name__ == "__main__":
    raise SystemExit(main())
