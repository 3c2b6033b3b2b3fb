"""One pair: its durable state, its orders, and the turn that changes them.

A turn collects what changes in a `Draft`; `finish` makes of it one atomic write and the effects behind that
barrier: nothing is sent, and nothing is said, that is not durable.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import msgspec

from libs.common.effects import Alert, Effect, Persist, Publish, Request
from libs.common.instant import Now
from libs.common.messages import AlertLevel
from libs.common.store import Lease
from libs.common.subjects import SPOT, Kind, exec_order, exec_pair
from services.executor import pair as machine
from services.executor import portions
from services.executor.events import SendOrders
from services.executor.heed import Heed, Leftovers
from services.executor.ids import order_id
from services.executor.lending import Memory
from services.executor.model import (
    ZERO,
    Intent,
    IntentState,
    Leg,
    OrderClass,
    PairState,
    Plan,
    Purpose,
    Side,
    Trigger,
    sign_of,
)
from services.executor.moves import Move, move_of
from services.executor.order import fills_complete
from services.executor.posts import Posts
from services.executor.reducing import standing_of
from services.executor.reserve import held_of
from services.executor.resolve import Doubt
from services.executor.say import order_event, said_of
from services.executor.sizing import Rules, order_min
from services.executor.world import Key, World
from services.executor.writing import change_of, remembered

replace = msgspec.structs.replace

_ALONE: Final = frozenset({Purpose.UNWIND, Purpose.FOLLOW, Purpose.TRIM, Purpose.HEDGE})


class Draft:
    """What one turn changes. `state` and `intents` are as they will be once it is durable."""

    def __init__(self, lane: Lane, now: Now) -> None:
        self.lane = lane
        self.now = now
        self.state = lane.state
        self.intents = dict(lane.intents)
        self.changed: dict[str, Intent] = {}
        self.moves: list[Move] = []
        self.sends: list[Intent] = []
        self.requests: list[Request] = []
        self.effects: list[Effect] = []
        self.dust: dict[str, bytes | None] = {}
        self.ledger: list[bytes] = []
        self.ledger_ids: list[str] = []

    # --- changes ----------------------------------------------------------------------------------

    def set(self, **fields: object) -> None:
        """New values of the pair's fields."""
        self.state = replace(self.state, **fields)

    def move(self, trigger: Trigger, reason: str) -> None:
        """Pull a trigger; raises `IllegalTransition` when that cannot be."""
        before = self.state
        target = machine.target_of(before, trigger)
        self.moves.append(
            move_of(before, target, trigger, reason, intents=self.intents.values(), now=self.now)
        )
        self.set(state=target, reason=reason, since_us=self.now.wall_us, since_n=before.counter)
        self.lane.entered_us = self.now.mono_us

    def put(self, intent: Intent) -> None:
        """An order is new or has changed."""
        if intent.state.is_final and not intent.over_us:
            intent = replace(intent, over_us=self.now.wall_us)
        self.intents[intent.id] = intent
        self.changed[intent.id] = intent

    def alert(self, level: AlertLevel, key: str, text: str) -> None:
        """Tell a person, once it is durable."""
        self.effects.append(Alert(level=level, key=f"{self.state.pair}:{key}", text=text))

    def order(
        self,
        leg: int,
        side: Side,
        quantity: Decimal,
        purpose: Purpose,
        *,
        price: Decimal | None,
        increase: bool = False,
        post_only: bool = False,
    ) -> Intent:
        """A new order, sent after this turn's write. Contracts that only shrink say so to the venue.

        Above the venue's maximum a part of it (`portions`): what is left is the next order's.
        """
        lane, state = self.lane, self.state
        quantity = portions.within(lane, self, leg, quantity, market=price is None, increase=increase)
        held = state.legs[leg]
        shrinks = held.quantity * (1 if side == "sell" else -1) >= quantity
        counter = state.counter + 1
        intent = Intent(
            id=order_id(
                store_id=lane.world.store_id,
                deployment=lane.world.deployment,
                pair=state.pair,
                leg=leg,
                purpose=purpose.value,
                n=counter,
            ),
            n=counter,
            pair=state.pair,
            leg=leg,
            purpose=purpose,
            order_class=OrderClass.INCREASE if increase else OrderClass.REDUCE,
            side=side,
            quantity=quantity,
            price=price,
            tif="post_only" if post_only else "ioc",
            reduce_only=held.kind is not SPOT and not increase and shrinks,
            margin=self.borrows(leg),
            fence=lane.fence,
            attempt=state.attempt,
            state=IntentState.SENT,
            created_us=self.now.wall_us,
            mid=lane.world.sizing_mid(lane.keys[leg]),
        )
        self.set(counter=counter)
        self.put(intent)
        self.sends.append(intent)
        return intent

    # --- reading ----------------------------------------------------------------------------------

    def borrows(self, leg: int) -> bool:
        """Whether this leg is traded on the desk for borrowed coins: a spot leg that is to be short."""
        return self.lane.kinds[leg] is SPOT and sign_of(self.state.direction, leg) < 0

    @property
    def live(self) -> list[Intent]:
        """Orders whose fate is open, oldest first."""
        return [intent for intent in self.intents.values() if not intent.state.is_final]

    @property
    def unsettled(self) -> list[Intent]:
        """Spot buys whose trades are not all known: what their fees took from the coins is not either."""
        return [
            intent
            for intent in self.intents.values()
            if intent.side == "buy"
            and intent.state.is_final
            and self.state.legs[intent.leg].kind is SPOT
            and not fills_complete(intent)
        ]

    def take(self, before: Intent, after: Intent, change: tuple[Decimal, Decimal]) -> None:
        """An order's news, and what its leg gains by them: (base, quote)."""
        if after == before:
            return
        self.put(after)
        base, quote = change
        if base or quote:
            legs = list(self.state.legs)
            held = legs[after.leg]
            legs[after.leg] = replace(held, quantity=held.quantity + base, quote=held.quote + quote)
            self.set(legs=(legs[0], legs[1]))

    @property
    def is_empty(self) -> bool:
        """Whether nothing durable has changed."""
        same = self.state == self.lane.state
        held = not self.lane.loaded or self.lane.reserved == held_of(self.state)
        return same and held and not self.changed and not self.dust and not self.ledger


class Lane:
    """A pair as this process knows it. Changed only by its own turns."""

    def __init__(self, pair: str, keys: tuple[Key, Key], kinds: tuple[Kind, Kind], world: World) -> None:
        self.pair = pair
        self.keys = keys
        self.kinds = kinds
        self.world = world
        self.state = self.blank()
        self.intents: dict[str, Intent] = {}
        self.stored_version = 0
        self.lease: Lease | None = None
        self.doubts: dict[str, Doubt] = {}
        self.loan = Memory()
        self.dust: tuple[Decimal, Decimal] = (ZERO, ZERO)
        self.reserved: bytes | None = None  # what the store has of it under `reserved`
        self.entered_us = 0  # monotonic: when this process saw the pair enter its state
        self.not_before_us = 0  # monotonic: no next try before
        self.close_after_us = 0  # monotonic: no soft close before, since the last one failed
        self.credited: dict[int, str] = {}  # leg -> the order that has made its tries begin anew
        self.posts = Posts()
        self.heed = Heed()
        self.leftovers = Leftovers()
        self.compared: set[str] = set()  # venues whose positions have been looked at since the load
        self.compared_us = 0
        self.changed_us = 0  # monotonic: when what venues should show changed last
        self.free: dict[int, tuple[Decimal, Decimal]] = {}  # spot leg -> free coins, what all pairs had then
        self.free_told: set[int] = set()
        self.missing: dict[int, Decimal] = {}  # leg -> what the venue shows less what all pairs own
        self.look_first = False  # what is there must agree before the next try: denied, or dust of contracts
        self.agreed_ms: dict[int, int] = {}  # leg -> venue time before which nothing is left to be booked
        self.looked_us = 0  # monotonic: when a difference was seen last
        self.others_due: dict[
            int, Decimal
        ] = {}  # leg -> what the venue took and another pair has yet to bear
        self.searched: dict[int, int] = {}  # leg -> how often the venue's own trades were read since then
        self.doubted_us: dict[int, int] = {}  # leg -> since when the venue shows something else
        self.loads = 0
        self.loaded = self.ready = False
        self.blocked = "its lease is not held yet"

    def blank(self) -> PairState:
        """The pair as it is before anything has happened."""
        first, second = (
            Leg(venue=key[0], instrument=key[1], kind=kind)
            for key, kind in zip(self.keys, self.kinds, strict=True)
        )
        return PairState(pair=self.pair, legs=(first, second))

    @property
    def fence(self) -> int:
        """The fence of the held lease, 0 without one."""
        return 0 if self.lease is None else self.lease.fence

    def rules(self, leg: int) -> Rules | None:
        """The instrument's filters, None while they are not known."""
        return self.world.sizing_rules(self.keys[leg])

    @property
    def described(self) -> bool:
        """Whether steps, minimums and a price of both legs are known, if only from an earlier life: without
        them nothing can be sized.
        """
        return all(self.world.sizing_rules(key) and self.world.sizing_mid(key) for key in self.keys)

    def least(self, leg: int, *, reduces: bool) -> Decimal:
        """The smallest order of a leg at today's price; a step where nothing better is known."""
        rules = self.rules(leg)
        price = self.world.sizing_mid(self.keys[leg])
        if rules is None:
            return Decimal("Infinity")
        return order_min(rules, price, reduces=reduces) if price else rules.step

    # --- the end of a turn --------------------------------------------------------------------------

    def finish(self, draft: Draft) -> Iterator[Effect]:
        """One write, then everything that must not happen before it is durable."""
        now, changed = draft.now, not draft.is_empty
        if changed:
            yield from self._persist(draft)
        plan = draft.state.plan
        for together in _groups(draft.sends, forced=plan is not None and plan.hard):
            reduces = any(one.order_class is OrderClass.REDUCE for one in together)
            standing = standing_of(self, draft, together) if reduces else None
            yield SendOrders(
                pair=self.pair, intents=together, legs=self.keys, standing=standing, load=self.loads
            )
        yield from draft.requests
        for intent in draft.changed.values():
            message = order_event(intent, self.keys[intent.leg], now)
            yield Publish(subject=exec_order(self.pair), message=message)
        if changed:
            for status in said_of(self, now, draft.moves):
                yield Publish(subject=exec_pair(self.pair), message=status)
        yield from draft.effects

    def _persist(self, draft: Draft) -> Iterator[Effect]:
        draft.set(version=self.state.version + 1, legs=remembered(self, draft))
        change = change_of(self, draft)
        yield Persist(token=f"{self.pair}:{draft.state.version}", change=change, tell=True)
        if any(a.coins != b.coins for a, b in zip(self.state.legs, draft.state.legs, strict=True)):
            self.changed_us = draft.now.mono_us
        self.state, self.intents = draft.state, draft.intents
        self.stored_version += 1
        self.reserved = held_of(draft.state)


def _groups(sends: list[Intent], *, forced: bool) -> list[tuple[Intent, ...]]:
    """Legs that go together or not at all; what reduces one leg must not wait for the other's venue.

    `forced`: a hard close, which may have begun although one venue does not answer (liquidation is near).
    """
    alone: list[tuple[Intent, ...]] = [(one,) for one in sends if forced or one.purpose in _ALONE]
    paired = tuple(one for one in sends if not forced and one.purpose not in _ALONE)
    return [paired, *alone] if paired else alone


def plan_of(draft: Draft) -> Plan:
    """The plan that every state but IDLE, ACTIVE at rest and STUCK has."""
    plan = draft.state.plan
    if plan is None:
        raise AssertionError(f"{draft.state.pair} is {draft.state.state} without a plan")
    return plan
