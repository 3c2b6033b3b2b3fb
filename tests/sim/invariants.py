"""What must hold after every step, whatever happens (execution.md, I1 to I14). The oracle reads the venues.

A violation raises `Violated`, which names the invariant; the runner prints the seed.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from libs.common.instant import US_PER_SEC
from libs.common.messages_exec import Level
from libs.common.store import Transition
from libs.common.subjects import SPOT, kind_of
from services.executor.gate import Refusal
from services.executor.leases import groups_of
from services.executor.model import LOANS, Intent, IntentState, OrderClass, PairState, Purpose, State, sign_of
from services.executor.pair import TABLE
from services.executor.permit import LEASE_US, scopes_of
from services.executor.world import Key
from services.executor.writing import JOURNAL
from tests.sim.plan import KEYS_OF, SimPair
from tests.sim.terms import BOT

if TYPE_CHECKING:
    from services.executor.lane import Lane
    from tests.sim.node import Node
    from tests.sim.world import World

GIVEN_UP = frozenset({IntentState.NOT_ACCEPTED, IntentState.VOID, IntentState.REJECTED})
REST_US = 12 * US_PER_SEC
TINY = Decimal("0.002")


class Violated(AssertionError):
    """An invariant does not hold."""

    def __init__(self, number: str, text: str) -> None:
        super().__init__(f"{number}: {text}")
        self.number = number


class Checker:
    """Follows a world. Its hooks are called by it; each raises `Violated`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.groups = groups_of({pair.id: pair.keys for pair in world.pairs})
        self.durable: dict[str, Intent] = {}
        self.states: dict[str, PairState] = {}
        self.transitions: Counter[str] = Counter()
        self.wires: Counter[str] = Counter()
        self.fence: dict[str, int] = {}
        self.given_up: set[str] = set()
        self.written: set[str] = set()  # as SENT, in this store or one that was lost since
        self.busy_us = 0

    def forget(self) -> None:
        """The store was lost: what was durable is so no more. What went over the wire did."""
        self.durable.clear()
        self.states.clear()
        self.fence.clear()
        self.world.agreement.forget()
        self.world.journal.forget()

    # --- writes -----------------------------------------------------------------------------------

    def stored(self, change: Transition) -> None:
        """I3, I11: what became durable is legal and true."""
        changed: list[str] = []
        for key, value in change.writes.items():
            if key.startswith("pair:") and value is not None:
                name, state = key.removeprefix("pair:"), msgspec.json.decode(value, type=PairState)
                before = self.states.get(name)
                self.world.debts.check_state(before, state)
                self.states[name] = state
                self.world.trouble.on_state(before, state)
                self.world.absences.on_state(before, state)
                changed.append(name)
        for key, fields in change.hash_writes.items():
            if not key.startswith("intents:"):
                continue
            for value in fields.values():
                if value is not None:
                    self._intent(msgspec.json.decode(value, type=Intent))
        for entry in change.appends.get(JOURNAL, ()):
            for move in msgspec.json.decode(entry["moves"]):
                step = (move["source"], move["trigger"])
                self.transitions[f"{move['source']} {move['trigger']} {move['target']}"] += 1
                if move["trigger"] == "reset_idle":
                    self._left_to_user(entry["pair"].decode())
                if move["trigger"] == "foreign":
                    self._foreign(entry["pair"].decode(), move["reason"])
                if TABLE.get(step) != move["target"]:
                    raise Violated("I11", f"{entry['pair'].decode()}: {step} -> {move['target']}")
        if change.lease is not None:
            group = change.lease.name
            if change.lease.fence < self.fence.get(group, 0):
                raise Violated("I11", f"{group}: an old fence wrote")
            self.fence[group] = change.lease.fence
        for name in changed:
            self.world.agreement.look(name)

    def _intent(self, intent: Intent) -> None:
        before = self.durable.get(intent.id)
        if intent.state is IntentState.SENT:
            self.written.add(intent.id)
        self.durable[intent.id] = intent
        if before is not None and intent.filled < before.filled:
            raise Violated("I9", f"{intent.id}: fills went from {before.filled} to {intent.filled}")
        if intent.filled > intent.quantity:
            raise Violated("I9", f"{intent.id}: {intent.filled} of {intent.quantity} filled")
        self.world.debts.check_intent(intent)
        self.world.nakedness.traded(before, intent)
        self.world.agreement.on_intent(intent)
        if intent.state in GIVEN_UP and intent.id not in self.given_up:
            self.given_up.add(intent.id)
            self.nowhere(intent.id)

    def nowhere(self, order_id: str) -> None:
        """I12: what was given up is at no venue."""
        for venue in self.world.venues.values():
            if venue.engine.order(BOT, client_id=order_id) is not None:
                raise Violated("I12", f"{order_id} was given up, and {venue.slug} has it")

    def _left_to_user(self, pair: str) -> None:
        """What he has closed by hand is no longer ours, not even the coins that are too few to be sold; nor
        are those that lie there for a loan that was taken back while he was waited for.
        """
        keys = KEYS_OF[pair]
        if pair in self.world.lending.taken_stuck or any(key in self.world.meddled for key in keys):
            self.world.meddled.update(keys)
            self.world.agreement.write_off(keys)
            self.world.lending.left_to_user.update((venue, name.split("-")[0]) for venue, name in keys)

    def _foreign(self, pair: str, reason: str) -> None:
        """I9: nobody cries wolf. A pair is foreign when somebody else has traded, or our memory was lost; or
        when a loan of unknown fate was taken back in part.
        """
        keys, state = KEYS_OF[pair], self.states.get(pair)
        of = (pair, state.attempt) if state is not None else ("", 0)
        taken = of in self.world.lending.taken_early and "is unknown" in reason
        loans = "is unknown" in reason or "of a loan" in reason
        if taken or (loans and (self.world.user.confuses(of) or self.world.user.is_at_it(of))):
            self.world.lending.taken_stuck.add(pair)  # a reset leaves its coins to the user
            return
        if self.world.stores == 1 and not any(key in self.world.meddled for key in keys):
            raise Violated("I9", f"{pair} was taken for foreign, and nobody has meddled: {reason}")

    def held_back(self, intents: tuple[Intent, ...], refusal: Refusal) -> None:
        """What only reduces is held back by nothing but a lost lease, or a newer reading of its pair."""
        if refusal.code not in ("lease", "reloaded") and all(
            one.order_class is OrderClass.REDUCE for one in intents
        ):
            raise Violated("I13", f"{intents[0].id} only reduces and was held back: {refusal.text}")

    # --- the wire ---------------------------------------------------------------------------------

    def released(self, node: Node, intent: Intent) -> None:
        """I1, I2, I6, I7, I11: an order leaves a process."""
        if intent.id not in self.written:
            raise Violated("I1", f"{intent.id} leaves and is not durable as SENT")
        self.wires[intent.id] += 1
        if self.wires[intent.id] > 1:
            raise Violated("I2", f"{intent.id} is sent again")
        newest = self.world.fence(self.groups[intent.pair])
        if intent.fence < newest:
            raise Violated("I11", f"{intent.id} leaves under fence {intent.fence}, {newest} is newer")
        if intent.order_class is OrderClass.INCREASE:
            self._permitted(node, intent)
        self._users_coins_stay(intent)
        self._within_target(node, intent)

    def _users_coins_stay(self, intent: Intent) -> None:
        """I3: a sale of coins is covered by what the pairs own of them: the rest is the user's."""
        key = KEYS_OF[intent.pair][intent.leg]
        if intent.purpose in LOANS or intent.side == "buy" or intent.margin or kind_of(key[1]) is not SPOT:
            return
        ours = self.world.agreement.owned(key)
        if intent.pair in self.states and intent.quantity > ours:
            raise Violated("I3", f"{intent.id} sells {intent.quantity} {key[1]}, {ours} of it are ours")

    def _permitted(self, node: Node, intent: Intent) -> None:
        now_us = self.world.now.mono_us
        heard_us, permit = node.heard_permit
        if permit is None or now_us - heard_us > LEASE_US:
            raise Violated("I7", f"{intent.id} increases without a fresh permit")
        keys = KEYS_OF[intent.pair]
        if not node.verified.issuperset(keys):
            raise Violated("SET", f"{intent.id} increases, and the accounts of its legs were not verified")
        scopes = scopes_of(intent.pair, keys)
        if any(one.scope in scopes and one.level is not Level.NORMAL for one in permit.breakers):
            raise Violated("I6", f"{intent.id} increases although {permit.breakers} is in force")

    def _within_target(self, node: Node, intent: Intent) -> None:
        """I5: no order can carry a leg across zero, or beyond its goal by more than a step."""
        if intent.purpose in LOANS:
            return
        state = self.states.get(intent.pair)
        if state is None:
            return  # its store was lost between the write and the wire
        leg = state.legs[intent.leg]
        after = leg.quantity + (1 if intent.side == "buy" else -1) * intent.quantity
        rules = node.lanes[intent.pair].rules(intent.leg)
        step = rules.step if rules is not None else Decimal(0)
        after -= self.world.lending.slack(intent, step)
        # a leg that is flat but for a fee goes back to its goal's side
        aims = state.plan is not None and state.plan.goals[intent.leg] * after > 0
        crumbs = intent.purpose is Purpose.RESTORE and abs(leg.quantity) < step and aims
        if intent.order_class is OrderClass.REDUCE and leg.quantity * after < 0 and not crumbs:
            raise Violated("I5", f"{intent.id} ({intent.purpose}) would carry {leg.quantity} to {after}")
        if state.plan is not None and intent.purpose.value in ("open", "restore"):
            goal = abs(state.plan.goals[intent.leg])
            if (
                state.state is State.UNWINDING
            ):  # what is brought back beside an excess goes up to the other leg
                goal = max(goal, abs(state.legs[1 - intent.leg].quantity))
            slack = Decimal("1.002") * goal + max(step, Decimal("0.001"))  # base fee and a step
            if abs(after) > slack:
                raise Violated("I5", f"{intent.id} would take its leg to {after}, its goal is {goal}")

    def at_rest(self) -> bool:
        """Whether nothing has been under way for a while: every pair is where it may stay."""
        world = self.world
        awake = any(
            lane.lease is not None
            and (
                not (lane.ready or self._waits_for_person(lane))
                or lane.doubts
                or lane.doubted_us
                or lane.state.plan
                or (lane.state.state is State.ACTIVE and lane.loan.recalled_us is not None)
            )
            for node in world.nodes
            for lane in node.lanes.values()
        )
        owned = {lane.pair for node in world.nodes for lane in node.lanes.values() if lane.lease is not None}
        awake = awake or any(self._flattening(pair) for pair in world.pairs)
        rest = (State.IDLE, State.ACTIVE, State.STUCK)
        awake = awake or any(one.state not in rest for one in self.states.values())  # yet to be written
        busy = awake or len(owned) < len(world.pairs) or any(not one.state.is_final for one in self.live())
        if busy:
            self.busy_us = world.now.mono_us
        return world.now.mono_us - self.busy_us > REST_US

    def stuck(self) -> list[str]:
        """Pairs that only a person can move."""
        return [name for name, state in sorted(self.states.items()) if state.state is State.STUCK]

    def _waits_for_person(self, lane: Lane) -> bool:
        """Whether an idle pair can only be compared when a stuck one that shares an instrument is reset."""
        if not self.world.plan.lively or lane.state.state is not State.IDLE or not lane.blocked:
            return False
        stuck = self.stuck()
        return any(pair.id in stuck and set(pair.keys) & set(lane.keys) for pair in self.world.pairs)

    def _flattening(self, pair: SimPair) -> bool:
        """Whether a pair is held that risk's last word closes."""
        state = self.states.get(pair.id)
        return state is not None and state.state is State.ACTIVE and self.world.person.flattens(pair)

    def live(self) -> list[Intent]:
        """Durable orders whose fate is open."""
        return [one for one in self.durable.values() if not one.state.is_final]

    def opposites(self) -> None:
        """No two pairs hold one instrument both ways: they would cancel out, and neither could be closed."""
        sides: dict[Key, int] = {}
        for state in self.states.values():
            for leg_no, leg in enumerate(state.legs):
                key = (leg.venue, leg.instrument)
                side = (leg.quantity > 0) - (leg.quantity < 0)
                if leg.kind is SPOT and side != sign_of(state.direction, leg_no):
                    continue  # bought for a debt, by us or by the venue: coins do not cancel out
                opposite = side and sides.setdefault(key, side) != side and abs(leg.quantity) > TINY
                if opposite and self._left_both_ways(key):
                    raise Violated("I3", f"{key} is held both ways")

    def _left_both_ways(self, key: Key) -> bool:
        """Whether that is so at the venue too: what it closed by itself, and nobody has booked, is none."""
        legs = [leg for state in self.states.values() for leg in state.legs]
        held = [leg.quantity for leg in legs if (leg.venue, leg.instrument) == key]
        longs, shorts = (sum((one for one in held if one * sign > 0), Decimal(0)) for sign in (1, -1))
        closed, zero = self.world.agreement.unbooked(key) + self._untold(key), Decimal(0)
        return longs + min(closed, zero) > 0 and shorts + max(closed, zero) < 0

    def _untold(self, key: Key) -> Decimal:
        """What orders that reduce have traded at the venue and no durable state tells yet (a slow write)."""
        engine, traded = self.world.venues[key[0]].engine, Decimal(0)
        for one in self.live():
            if KEYS_OF[one.pair][one.leg] == key and one.order_class is OrderClass.REDUCE:
                placed = engine.order(BOT, client_id=one.id)
                more = max(Decimal(0), placed.filled - one.filled) if placed is not None else Decimal(0)
                traded += more if one.side == "buy" else -more
        return traded
