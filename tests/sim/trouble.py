"""Harm that comes over processes, bus, store and venues, about once a second or at the worst moment."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from libs.common.instant import US_PER_SEC
from libs.common.memory_store import MemoryStore
from libs.common.subjects import SPOT
from libs.exchange.engine.commands import Deleverage, Liquidate, Refused, SetLeverage, SetListing, Submit
from libs.exchange.engine.types import MarketStatus, OrderType, PositionSide, Side
from services.executor.model import PairState, Plan, Purpose, State
from services.executor.world import Key
from tests.sim.plan import Misfortune
from tests.sim.terms import BOT, listing_key

if TYPE_CHECKING:
    from tests.sim.process import Process
    from tests.sim.world import World

FUSE_MAX: Final = 12
"""So many awaits after the worst moment a process may die at the latest."""

JUMP_US_MAX: Final = 45 * US_PER_SEC
"""Trades are looked for a minute back: a clock that is wrong by more hides them (docs/executor.md)."""

KILLS: Final = {
    State.OPENING: Misfortune.CRASH_OPENING,
    State.CLOSING: Misfortune.CRASH_CLOSING,
    State.UNWINDING: Misfortune.CRASH_UNWINDING,
}


class Trouble:
    """`kill` is how a process ends (and is started again later)."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = random.Random(f"trouble {world.plan.seed}")  # noqa: S311 - a seed is what it is for
        self.kill: Callable[[Process], None] = _nobody
        self.start_risk: Callable[[], None] = _nothing
        self.risk_away_us = US_PER_SEC
        self.shut_us: dict[Key, int] = {}  # until when a market refuses every order
        self._parted_us: dict[str, int] = {}  # process -> until when nothing reaches the bus, or it
        self._blind_us: dict[str, int] = {}  # process -> until when it hears nothing, and is heard
        self._backlog_us: dict[str, int] = {}  # process -> when all that was said meanwhile gets there

    # --- about once a second ----------------------------------------------------------------------

    def strike(self) -> None:
        """One round of harm."""
        world = self.world
        self._processes()
        if not world.absences.left_us(Misfortune.STORE_AWAY):
            self._stores()
        if processes := world.processes():
            self._bus(world.rng.choice(processes))
        self._risk()
        self._venues()
        venue, name = world.rng.choice(world.perps)
        self._take_from(venue, name)
        world.lending.recall()

    def _processes(self) -> None:
        world, rng = self.world, self.world.rng
        if world.nodes and world.hits(Misfortune.CRASH, 0.04):
            rng.choice(world.nodes).fuse = rng.randrange(1, FUSE_MAX)
        if world.adviser is not None and world.hits(Misfortune.SIGNAL_DIES, 0.04):
            world.adviser.fuse = rng.randrange(1, FUSE_MAX)
        if world.nodes and world.hits(Misfortune.SUSPENDED, 0.03):
            rng.choice(world.nodes).suspended_until_us = world.now.mono_us + world.frozen_us()
        if world.nodes and world.hits(Misfortune.CLOCK_JUMP, 0.02):
            node, jump_us = rng.choice(world.nodes), rng.randrange(-JUMP_US_MAX, JUMP_US_MAX)
            before_us, node.skew_us = node.skew_us, jump_us
            world.time.after(rng.randrange(1, 20) * US_PER_SEC, lambda: setattr(node, "skew_us", before_us))

    def _stores(self) -> None:
        world, rng = self.world, self.world.rng
        for kind, chance, what in (
            (Misfortune.STORE_DOWN, 0.02, "down"),
            (Misfortune.STORE_FULL, 0.01, "full"),
        ):
            if world.hits(kind, chance):
                store = world.store
                setattr(store, what, True)
                world.time.after(rng.randrange(1, 10) * US_PER_SEC, partial(self._there, store, what))
        if world.hits(Misfortune.STORE_LOST, 0.012):
            world.new_store()
            world.checker.forget()
            world.person.forget()
            world.time.after(rng.randrange(1, 15) * US_PER_SEC, self._restart_all)

    def _there(self, store: MemoryStore, what: str) -> None:
        """A short outage is over; not so a long one that has begun meanwhile."""
        if not self.world.absences.left_us(Misfortune.STORE_AWAY):
            setattr(store, what, False)

    def _restart_all(self) -> None:
        """As a person does after a lost store: an older life's epoch would be higher than any to come."""
        for process in self.world.processes():
            self.kill(process)

    def _bus(self, process: Process) -> None:
        world, now_us = self.world, self.world.now.mono_us
        if world.hits(Misfortune.BUS_PARTED, 0.01):
            self._parted_us[process.name] = now_us + self.rng.randrange(1, 20) * US_PER_SEC
        if world.hits(Misfortune.BUS_RESTARTS, 0.01):
            until_us = now_us + self.rng.randrange(1, 5) * US_PER_SEC
            self._parted_us |= {one.name: until_us for one in world.processes()}
        if world.hits(Misfortune.SLOW_CONSUMER, 0.01):
            self._backlog_us[process.name] = now_us + self.rng.randrange(1, 8) * US_PER_SEC

    def _risk(self) -> None:
        """Risk dies, hangs (another life of it may begin), is started anew, loses its inputs or the bus."""
        world, rng, now_us = self.world, self.world.rng, self.world.now.mono_us
        if not world.guardians:
            return
        one = rng.choice(world.guardians)
        if world.hits(Misfortune.RISK_DEAD, 0.02):
            one.fuse, self.risk_away_us = rng.randrange(1, FUSE_MAX), rng.randrange(1, 40) * US_PER_SEC
        elif world.hits(Misfortune.RISK_RESTARTS, 0.03):
            one.fuse, self.risk_away_us = rng.randrange(1, FUSE_MAX), rng.randrange(1, 20) * US_PER_SEC // 10
        if world.hits(Misfortune.RISK_HUNG, 0.03):
            one.suspended_until_us = now_us + rng.randrange(1, 20) * US_PER_SEC
            if len(world.guardians) == 1 and rng.random() < 0.4:
                world.counts["risk_twice"] += 1
                world.time.after(rng.randrange(1, 5) * US_PER_SEC, self.start_risk)
        if world.hits(Misfortune.RISK_BLIND, 0.03):
            self._blind_us[one.name] = now_us + rng.randrange(3, 30) * US_PER_SEC
        if world.hits(Misfortune.RISK_PARTED, 0.03):
            self._parted_us[one.name] = now_us + rng.randrange(1, 20) * US_PER_SEC

    def is_parted(self, process: Process) -> bool:
        """Whether nothing that it says reaches the bus."""
        bus_us = self.world.absences.left_us(Misfortune.BUS_AWAY)
        return bus_us > 0 or self.world.now.mono_us < self._parted_us.get(process.name, 0)

    def is_deaf(self, process: Process) -> bool:
        """Whether nothing that is said on the bus reaches a process now."""
        return self.is_parted(process) or self.world.now.mono_us < self._blind_us.get(process.name, 0)

    def backlog_us(self, process: Process) -> int:
        """How long what is said now waits for a consumer that is slow."""
        return max(0, self._backlog_us.get(process.name, 0) - self.world.now.mono_us)

    # --- venues -----------------------------------------------------------------------------------

    def _venues(self) -> None:
        world = self.world
        key = self.rng.choice(world.keys)
        if world.hits(Misfortune.MAINTENANCE, 0.01):
            self.shut(key, self.rng.randrange(5, 60))
        if world.hits(Misfortune.FILTER_CHANGE, 0.015):
            self._refilter(key)
        perp = self.rng.choice(world.perps)
        if world.hits(Misfortune.DELISTING, 0.003):
            self._relist(perp, status=MarketStatus.DELISTED)
        if world.hits(Misfortune.USER_SETTINGS, 0.02):
            try:
                world.venues[perp[0]].apply(
                    SetLeverage(
                        account=BOT, instrument=listing_key(perp[1]), leverage=self.rng.randrange(1, 21)
                    )
                )
            except Refused:
                world.counts["user_settings_refused"] += 1

    def _take_from(self, venue: str, name: str) -> None:
        """ADL, liquidation, or the user closing by hand, on a position of ours."""
        world, side, key = self.world, self.world.venues[venue], listing_key(name)
        held = side.engine.position(BOT, key)
        if held is None:
            return
        size, step = abs(held.position.quantity), side.engine.listing(key).quantity_step
        try:
            if world.hits(Misfortune.ADL, 0.3):
                half = max(step, (size / 2 / step).to_integral_value() * step)
                part = size if world.rng.random() < 0.4 else half
                side.apply(
                    Deleverage(
                        account=BOT,
                        instrument=key,
                        position_side=PositionSide.BOTH,
                        quantity=part,
                        price=held.mark,
                    )
                )
            elif world.hits(Misfortune.LIQUIDATION, 0.1):
                side.apply(Liquidate(account=BOT, instrument=key, position_side=PositionSide.BOTH))
            elif world.hits(Misfortune.USER_TRADES, 0.1):
                world.meddled.add((venue, name))
                world.counts["user_orders"] += 1
                side.apply(
                    Submit(
                        account=BOT,
                        instrument=key,
                        side=Side.SELL if held.position.quantity > 0 else Side.BUY,
                        type=OrderType.MARKET,
                        quantity=size,
                        client_id=f"user{world.counts['user_orders']}",
                    )
                )
        except Refused:
            return

    def shut(self, key: Key, seconds: int) -> None:
        """A market refuses every order for a while; what rests there stays."""
        until_us = self.world.now.mono_us + seconds * US_PER_SEC
        if until_us <= self.shut_us.get(key, 0):
            return
        self.shut_us[key] = until_us
        self._relist(key, status=MarketStatus.HALTED)
        self.world.time.after(seconds * US_PER_SEC, lambda: self._reopen(key))

    def _reopen(self, key: Key) -> None:
        if self.world.now.mono_us >= self.shut_us.get(key, 0):
            self._relist(key, status=MarketStatus.TRADING)

    def _relist(self, key: Key, *, status: MarketStatus) -> None:
        side = self.world.venues[key[0]]
        listing = side.engine.listing(listing_key(key[1]))
        if listing.status is not MarketStatus.DELISTED:  # what has gone does not come back
            side.apply(SetListing(listing=msgspec.structs.replace(listing, status=status)))

    def _refilter(self, key: Key) -> None:
        """Coarser steps, or a higher minimum; the feed tells of it at its next round."""
        side = self.world.venues[key[0]]
        listing = side.engine.listing(listing_key(key[1]))
        if listing.kind is SPOT and self.rng.random() < 0.5:
            changed = msgspec.structs.replace(
                listing, quantity_step=listing.quantity_step * 10, quantity_min=listing.quantity_step * 10
            )
        else:
            changed = msgspec.structs.replace(listing, notional_min=(listing.notional_min or 5) * 2)
        if listing.quantity_step <= listing.quantity_min and changed.quantity_min.adjusted() < -1:
            side.apply(SetListing(listing=changed))

    # --- at the worst moment ------------------------------------------------------------------------

    def on_state(self, before: PairState | None, after: PairState) -> None:
        """A pair's state has become durable: who owns it may die at one of the next awaits, and the venues
        may refuse from now on what it is about to do.
        """
        if before is None or (before.state is after.state and before.plan == after.plan):
            return
        world = self.world
        kind = KILLS.get(after.state)
        if kind is not None and world.hits(kind, 0.1):
            owner = next((one for one in world.nodes if one.lanes[after.pair].lease is not None), None)
            if owner is not None:
                owner.fuse = self.rng.randrange(1, FUSE_MAX)
        entered = before.state is not after.state
        if entered and after.state is State.UNWINDING and world.hits(Misfortune.UNWIND_REFUSED, 0.25):
            self._shut_legs(after)
        if after.state is State.ACTIVE and after.plan is not None:
            self._on_follow(before, after, after.plan)
        if after.state is State.CLOSING and after.plan is not None:
            self._on_close(before, after, after.plan)

    def _on_follow(self, before: PairState, after: PairState, plan: Plan) -> None:
        """A leg is to be made smaller, and its market shuts for longer than anybody tries."""
        over = [
            leg for leg, goal in zip(after.legs, plan.goals, strict=True) if abs(leg.quantity) > abs(goal)
        ]
        begun = before.plan is None or before.plan.purpose is not plan.purpose
        if over and begun and self.world.hits(Misfortune.FOLLOW_REFUSED, 0.5):
            leg = self.rng.choice(over)
            self.shut((leg.venue, leg.instrument), self.rng.randrange(150, 200))

    def _on_close(self, before: PairState, after: PairState, plan: Plan) -> None:
        """A hard close without an end, a soft one of which a leg fails, a hedge that is not restored."""
        world, restores = self.world, plan.purpose is Purpose.RESTORE
        begun = before.plan is None or before.plan.purpose is not plan.purpose
        if plan.hard and world.hits(Misfortune.CLOSE_REFUSED, 0.6):
            self._shut_legs(after)
        elif restores and begun and world.hits(Misfortune.RESTORE_REFUSED, 0.95):
            for venue, name in ((leg.venue, leg.instrument) for leg in after.legs):
                self.shut((venue, name), self.rng.randrange(20, 60))
        elif not plan.hard and begun and world.hits(Misfortune.CLOSE_REFUSED, 0.2):
            leg = self.rng.choice(after.legs)
            self.shut((leg.venue, leg.instrument), self.rng.randrange(10, 30))

    def _shut_legs(self, state: PairState) -> None:
        """Both ways, and for longer than anybody tries."""
        seconds = self.rng.randrange(150, 200)
        for leg in state.legs:
            if leg.quantity:
                self.shut((leg.venue, leg.instrument), seconds)

    def is_shut(self, keys: tuple[Key, ...]) -> bool:
        """Whether one of these markets refuses every order now."""
        return any(self.world.now.mono_us < self.shut_us.get(key, 0) for key in keys)

    # --- answers ------------------------------------------------------------------------------------

    def garbled(self, *, executed: bool) -> str | None:
        """Why an answer to an order cannot be understood, before or after the venue has done it."""
        after = (
            (Misfortune.REPLY_LOST, 0.06, "connection reset after send"),
            (Misfortune.TRUNCATED, 0.02, "the answer is cut off"),
            (Misfortune.HTTP_5XX, 0.02, "HTTP 502"),
            (Misfortune.HTML_200, 0.02, "an HTML page came instead of an answer"),
        )
        before = (
            (Misfortune.HTTP_429, 0.03, "HTTP 429"),
            (Misfortune.HTTP_5XX, 0.02, "HTTP 503"),
            (Misfortune.HTML_200, 0.01, "an HTML page came instead of an answer"),
        )
        kinds = after if executed else before
        return next((why for kind, chance, why in kinds if self.world.hits(kind, chance)), None)


def _nobody(_process: Process) -> None:
    raise AssertionError("nobody ends processes yet")


def _nothing() -> None:
    raise AssertionError("nobody starts processes yet")
