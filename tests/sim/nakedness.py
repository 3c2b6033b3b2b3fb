"""I4: how long a pair may be naked, and that it does not make itself more so."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from libs.common.instant import US_PER_SEC
from services.executor.model import Intent, IntentState, OrderClass, PairState, State
from tests.sim.invariants import Violated
from tests.sim.plan import KEYS_OF, SLICE_USD, SimPair

if TYPE_CHECKING:
    from tests.sim.node import Node
    from tests.sim.world import World

NAKED_US_MAX: Final = 30 * US_PER_SEC
"""open_timeout_sec, and what a ladder with its pauses takes on thin books with rejections."""

NAKED_USD_MIN: Final = Decimal(50)
NAKED_SHARE: Final = Decimal("0.05")

W_US: Final = {"binance": 18 * US_PER_SEC, "bitget": 38 * US_PER_SEC}
"""W of the simulated venues: what they may take to land an order, and to show it."""

SEARCH_US: Final = 30 * US_PER_SEC
"""After W: two not-founds, the trades, a look, 5 s apart; two of them may fail and be asked for again."""

MEDDLED_US: Final = 15 * US_PER_SEC
"""A position that a person has changed agrees with nothing: its venue's trades are searched twice on top, and
those answers may fail as well.
"""

READY_US: Final = 15 * US_PER_SEC
"""What reading a pair and comparing it with its venues takes, where no order is unknown."""

GROWN_USD_MAX: Final = SLICE_USD * Decimal("1.1")
"""A slice, and what prices have moved since it was sized."""

ANSWER_US: Final = 6 * US_PER_SEC
"""An order that was sent is answered within the request's time-out, or is unknown from then on."""


class Nakedness:
    """The clock of what each pair has that is not hedged.

    Two clocks, both cleared when the pair is hedged: the time in which its owner knows all and could act, and
    the time in which it waits for orders of unknown fate, or to be ready: W for each of those orders, anew
    with each reading of its pair from the store, and a while for that. An outage of a venue or the store, and
    the owner's own absence, stop both.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.acting_us: dict[str, int] = {}
        self.waiting_us: dict[str, int] = {}
        self.grown_usd: dict[str, Decimal] = {}
        self.waited: dict[str, dict[str, int]] = {}  # pair -> what it has waited for -> how long it may

    def look(self, step_us: int) -> None:
        """Called every `step_us`."""
        for pair in self.world.pairs:
            state = self.world.checker.states.get(pair.id)
            usd = self.naked_usd(pair, state) if state is not None else Decimal(0)
            if usd == 0:
                for clock in (self.acting_us, self.waiting_us, self.waited, self.grown_usd):
                    clock.pop(pair.id, None)
            elif (owner := self._able(pair)) is not None:
                self._count(pair, usd, owner, step_us)

    def traded(self, before: Intent | None, after: Intent) -> None:
        """An order that reduces has filled: while the market of the other leg refuses, what it takes from the
        hedged part makes the pair more naked by its own doing, which one slice may do and no more.
        """
        filled = after.filled - (before.filled if before is not None else Decimal(0))
        state = self.world.checker.states.get(after.pair)
        if filled <= 0 or state is None or after.order_class is not OrderClass.REDUCE or _is_forced(state):
            return
        keys = KEYS_OF[after.pair]
        if not self.world.trouble.is_shut((keys[1 - after.leg],)):
            return
        change = filled if after.side == "buy" else -filled
        price = self.world.prices[keys[0][1].split("-")[0]]
        more = (abs(state.delta) - abs(state.delta - change)) * price
        self.grown_usd[after.pair] = self.grown_usd.get(after.pair, Decimal(0)) + more
        if self.grown_usd[after.pair] > GROWN_USD_MAX:
            usd = f"{self.grown_usd[after.pair]:.0f} USD"
            text = f"{after.pair} makes itself more naked by {usd} while the other market refuses"
            raise Violated("I4", f"{after.id} ({after.purpose}): {text}")

    def naked_usd(self, pair: SimPair, state: PairState) -> Decimal:
        """What is not hedged, as far as it is worth an alarm."""
        price = self.world.prices[pair.keys[0][1].split("-")[0]]
        larger = max(abs(leg.quantity) for leg in state.legs) * price
        usd = abs(state.delta) * price
        return usd if usd > max(NAKED_USD_MIN, NAKED_SHARE * larger) else Decimal(0)

    def _count(self, pair: SimPair, usd: Decimal, owner: Node, step_us: int) -> None:
        lane = owner.lanes[pair.id]
        doubts = self._doubts(pair, owner)
        if any(self._is_down(one) for one in doubts.values()):
            return
        search_us = SEARCH_US + (MEDDLED_US if any(key in self.world.meddled for key in pair.keys) else 0)
        waits = {name: W_US[_venue(one)] + search_us for name, one in doubts.items()}
        if not waits and not lane.ready:  # a sharer may have to book first what was taken of coins
            lanes = [owner.lanes[one.id] for one in self._sharers(pair)]
            waits = {f"reading {one.loads} of {one.pair}": READY_US for one in lanes if not one.ready}
        if not waits:
            self.acting_us[pair.id] = self.acting_us.get(pair.id, 0) + step_us
            if self.acting_us[pair.id] > NAKED_US_MAX:
                text = f"{pair.id} has been naked for {NAKED_US_MAX // US_PER_SEC} s: {usd:.0f} USD"
                raise Violated("I4", text)
            return
        waited = self.waited.setdefault(pair.id, {})
        waited.update((f"{owner.name} {name}", us) for name, us in waits.items())
        self.waiting_us[pair.id] = self.waiting_us.get(pair.id, 0) + step_us
        if self.waiting_us[pair.id] > sum(waited.values()):
            text = f"{pair.id} is naked by {usd:.0f} USD, and has waited too long for {sorted(waited)}"
            raise Violated("I4", text)

    def _able(self, pair: SimPair) -> Node | None:
        """The pair's owner, where nothing from outside keeps it from acting."""
        world = self.world
        now_us = world.now.mono_us
        state = world.checker.states[pair.id].state
        if state is State.STUCK or world.store.down or world.store.full:
            return None
        if any(now_us < world.venues[venue].down_until_us for venue, _ in pair.keys):
            return None
        if world.trouble.is_shut(pair.keys):
            return None
        owner = next((node for node in world.nodes if node.lanes[pair.id].lease is not None), None)
        return None if owner is None or now_us < owner.frozen_until_us else owner

    def _doubts(self, pair: SimPair, owner: Node) -> dict[str, Intent]:
        """Orders of unknown fate by the reading that found them: W begins anew with each. One on a shared
        instrument, too, makes every look worthless.
        """
        sharers = [owner.lanes[one.id] for one in self._sharers(pair)]
        orders = [(lane.loads, one) for lane in sharers for one in lane.intents.values()]
        return {f"{loads} {one.id}": one for loads, one in orders if self._is_doubted(one)}

    def _sharers(self, pair: SimPair) -> list[SimPair]:
        """Pairs with an instrument of this one, itself among them."""
        return [one for one in self.world.pairs if set(one.keys) & set(pair.keys)]

    def _is_doubted(self, intent: Intent) -> bool:
        if intent.state is IntentState.SENT:
            return self.world.now.wall_us - intent.created_us > ANSWER_US
        rests = intent.state is IntentState.WORKING and intent.tif == "post_only"
        return not intent.state.is_final and not rests

    def _is_down(self, intent: Intent) -> bool:
        return self.world.now.mono_us < self.world.venues[_venue(intent)].down_until_us


def _is_forced(state: PairState) -> bool:
    """Whether it is closed by force, which takes from both legs whatever becomes of the other one."""
    forced = state.state in (State.CLOSING, State.UNWINDING)
    return forced and state.plan is not None and state.plan.hard


def _venue(intent: Intent) -> str:
    return KEYS_OF[intent.pair][intent.leg][0]
