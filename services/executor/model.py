"""What the executor knows of a pair and of its orders: durable values, JSON in the store.

Quantities are base units and signed where they are positions (short < 0), unsigned in orders; money is
quote units; both Decimal. `wall_us` stamps survive a restart, `mono_us` ones count from recovery after it.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal

import msgspec

from libs.common.subjects import Kind

ZERO = Decimal(0)

Direction = Literal["forward", "reverse"]
"""forward: long the first leg of the pair's id, short the second."""

Side = Literal["buy", "sell"]


class State(StrEnum):
    """Where a pair is (execution.md); the moves between them are in `pair.TABLE`."""

    IDLE = "idle"
    OPENING = "opening"
    ACTIVE = "active"
    CLOSING = "closing"
    UNWINDING = "unwinding"
    STUCK = "stuck"


class Trigger(StrEnum):
    """What moves a pair."""

    OPEN = "open"  # an intent to open
    OPENED = "opened"  # both legs stand, in full or as far as the hedged part reaches both minima
    NOTHING_FILLED = "nothing_filled"  # an attempt ended without a position
    ORPHAN = "orphan"  # one leg has more than the other, or too little of both
    CLOSE = "close"
    CLOSED = "closed"
    RESTORED = "restored"  # a soft close failed, and the hedge stands again
    RESTORE_FAILED = "restore_failed"
    LEG_LOST = "leg_lost"  # a venue took a leg (ADL, liquidation, delisting) that cannot be followed in place
    UNWOUND_HEDGED = "unwound_hedged"
    UNWOUND_FLAT = "unwound_flat"
    GIVE_UP = "give_up"  # tries or time are used up
    FOREIGN = "foreign"  # the venue shows what nobody here has done
    RESET_IDLE = "reset_idle"  # a person, after a clean reconcile
    RESET_ACTIVE = "reset_active"


class Purpose(StrEnum):
    """Why an order is sent."""

    OPEN = "open"
    HEDGE = "hedge"  # the other leg of a maker fill
    UNWIND = "unwind"
    CLOSE = "close"
    RESTORE = "restore"  # re-opens the closed part of a leg after a failed close
    FOLLOW = "follow"  # reduces the other leg after the venue took from one
    TRIM = "trim"  # delta drift
    SHRINK = "shrink"  # both legs, on risk's demand
    BORROW = "borrow"  # no order: coins for a short spot leg
    REPAY = "repay"


LOANS: Final = frozenset({Purpose.BORROW, Purpose.REPAY})
"""Intents that are no orders: they move a debt, and have no fills."""


class OrderClass(StrEnum):
    """INCREASE needs a permit; REDUCE is never blocked by one."""

    INCREASE = "increase"
    REDUCE = "reduce"


_OPEN: Final = frozenset({"sent", "working", "unknown"})


class IntentState(StrEnum):
    """SENT is written before anything is sent. The last five are final."""

    SENT = "sent"
    WORKING = "working"  # a resting order that the venue has confirmed
    UNKNOWN = "unknown"
    DONE = "done"  # filled, canceled or expired, as the venue says
    REJECTED = "rejected"
    VOID = "void"  # the gate refused, or the connection was: never sent
    NOT_ACCEPTED = "not_accepted"  # resolved: the venue has never had it
    FOREIGN = "foreign"  # resolved: the venue's position disagrees

    def __init__(self, value: str) -> None:
        # `is_final`: nothing more can come of it. Asked of every kept order at every turn.
        self.is_final = value not in _OPEN


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """One order that was, or is about to be, sent: at most once, ever, under this id.

    `leg` is 0 or 1. `price` None is a market order. `filled`, `filled_quote`: what the venue says in total;
    `fills`: trade id -> base quantity of those that are booked, `fills_quote` what they cost together,
    `fee_base` what they took from a spot buy; `feeless`: those whose fee the venue has not told yet;
    `fee_assumed`: at least so much counts as taken while not all is told (`assumed`).
    `n`: its number among the pair's, which only rises; 0 of those written before there were numbers.
    `failure`: the code of why it was rejected or kept back.
    `mid`: of the leg's book when it was decided. `over_us`: when its end became known, 0 before.
    `owed_before`, `owed_after`: of a loan, what the account owed then, and by the first look after a
    repayment.
    """

    id: str
    pair: str
    leg: int
    purpose: Purpose
    order_class: OrderClass
    side: Side
    quantity: Decimal
    price: Decimal | None
    tif: Literal["ioc", "gtc", "post_only"]
    reduce_only: bool
    margin: bool
    fence: int
    attempt: int
    state: IntentState
    created_us: int
    n: int = 0
    mid: Decimal | None = None
    filled: Decimal = ZERO
    filled_quote: Decimal = ZERO
    fills: dict[str, Decimal] = {}
    fills_quote: Decimal = ZERO
    fee_base: Decimal = ZERO
    fee_assumed: Decimal = ZERO
    feeless: tuple[str, ...] = ()
    order_id: str = ""
    reason: str = ""
    failure: str = ""
    cancel_asked: bool = False
    over_us: int = 0
    owed_before: Decimal | None = None
    owed_after: Decimal | None = None


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """An instrument's filters, and its mid at `wall_us`, as whoever wrote the pair last knew them."""

    step: Decimal
    tick: Decimal
    quantity_min: Decimal
    quantity_max: Decimal | None = None
    market_quantity_max: Decimal | None = None
    notional_min: Decimal
    base_fee: Decimal
    mid: Decimal
    wall_us: int


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """What a pair owns of one instrument: the sum of its own fills, never the wallet's balance.

    `quote` is what its fills have cost (> 0 paid, < 0 received). Of a short spot leg, `borrowed`: coins owed
    for it; `interest`: its interest, which `quantity` counts too; `spare`: what an earlier one has left. Of
    any spot leg, `others`: coins of the account that are no pair's, as last seen (what a recall takes, or a
    person sells of ours, is missed there); of a long one as of the last write, and not while it is stuck.
    `known`: of its instrument, for a life that the feed has told nothing yet; None in an idle pair.
    """

    venue: str
    instrument: str
    kind: Kind
    quantity: Decimal = ZERO
    quote: Decimal = ZERO
    borrowed: Decimal = ZERO
    interest: Decimal = ZERO
    spare: Decimal = ZERO
    others: Decimal = ZERO
    known: Known | None = None

    @property
    def owed(self) -> Decimal:
        """Principal and interest of borrowed coins."""
        return self.borrowed + self.interest

    @property
    def coins(self) -> Decimal:
        """What lies in the wallet because of this leg; a contract's quantity. Interest moves none."""
        return self.quantity + self.owed + self.spare

    @property
    def entry_price(self) -> Decimal | None:
        """Mean price of what is held, None when nothing is."""
        return None if self.quantity == 0 else abs(self.quote / self.quantity)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a pair is on the way to: both legs' goals, and how hard it tries.

    `goals`: signed quantities at which OPENING, CLOSING, UNWINDING or a trim ends. `tries` by leg and
    `ladder` choose price and pause of the next try. `hard`: a close that goes on forcing the failing leg.
    `step`: where the slice under way ends (`slicing`), None where all is taken at once.
    """

    goals: tuple[Decimal, Decimal]
    purpose: Purpose
    reason: str
    style: Literal["concurrent", "sequential", "maker_first"] = "concurrent"
    slices: int = 1
    slice: int = 1
    tries: tuple[int, int] = (0, 0)
    hard: bool = False
    notional_usd: Decimal = ZERO
    step: tuple[Decimal, Decimal] | None = None


class PairState(msgspec.Struct, frozen=True, kw_only=True):
    """A pair as it lies in the store under `pair:{id}`; every change makes a new value with `version` + 1.

    `counter` numbers the ids of its orders and only rises; those after `since_n` are of the state it is in.
    `attempt` numbers entries into OPENING: fees of an attempt that came to nothing are booked to it.
    `unwinds_ms`: market times of the unwinds that count towards quarantine; `quarantined_legs`: the legs
    whose instruments it closed. `full`: base quantity of which a demand to shrink keeps a share. `halts`:
    it was given up, so that nothing is opened anywhere until a person has looked. `taken`: venue,
    instrument and trade id -> base quantity that the venue took from this pair by itself; `taken_ms`: their
    venue times; `booked_ms`: by leg, the venue time before which none is booked any more (see `booked`).
    `flattened`: a person had it closed while risk was away, in words; nothing is opened before a reset.
    `forced`: a person's hard close, in words, until nothing is held.
    """

    pair: str
    legs: tuple[Leg, Leg]
    state: State = State.IDLE
    version: int = 0
    counter: int = 0
    attempt: int = 0
    direction: Direction = "forward"
    notional_usd: Decimal = ZERO
    full: Decimal = ZERO
    reason: str = ""
    since_us: int = 0
    since_n: int = 0
    opened_ms: int | None = None
    plan: Plan | None = None
    unwinds_ms: tuple[int, ...] = ()
    quarantined_until_ms: int | None = None
    quarantined_legs: tuple[int, ...] = (0, 1)
    close_failures: int = 0
    halts: bool = False
    taken: dict[str, Decimal] = {}
    taken_ms: dict[str, int] = {}
    booked_ms: tuple[int, int] = (0, 0)
    flattened: str = ""
    forced: str = ""

    @property
    def delta(self) -> Decimal:
        """Net base quantity: 0 when the legs cancel."""
        return self.legs[0].quantity + self.legs[1].quantity

    @property
    def hedged(self) -> Decimal:
        """Base quantity that both legs have in opposite directions."""
        first, second = (leg.quantity for leg in self.legs)
        return min(abs(first), abs(second)) if first * second < 0 else ZERO

    @property
    def is_flat(self) -> bool:
        """Whether neither leg has anything."""
        return all(leg.quantity == 0 for leg in self.legs)


def sign_of(direction: str, leg: int) -> int:
    """+1 for the leg that is long in this direction, -1 for the short one."""
    return 1 if (direction == "forward") == (leg == 0) else -1
