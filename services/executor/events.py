"""What the executor's actor asks its shell for (requests), and what the shell tells it (events).

Every one that concerns a pair names it: `lane_of` sends it into the pair's lane, so that no pair waits for
another. Answers to orders come as `OrderAnswered`, one for each leg as soon as it is known.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from libs.common.effects import Event, Request
from libs.common.store import Lease
from libs.exchange.trading_values import (
    AccountSettings,
    BalanceReport,
    FeeRates,
    FillReport,
    OrderReport,
    Outcome,
    PositionReport,
)
from services.executor.gate import Refusal
from services.executor.model import Intent
from services.executor.reducing import Standing

LegName = tuple[str, str]
"""(venue, instrument)."""

# --- requests ---------------------------------------------------------------------------------------------


class SendOrders(Request, frozen=True, kw_only=True):
    """Prepare all, ask the gate once, then release all in one turn of the event loop; or none of them.

    `created_us` of the intents is when they were decided. Every intent is answered by `OrderAnswered`.
    `standing`: what those that reduce were decided upon. `load`: the reading of the pair that they
    come from (`LoadPair.number`).
    """

    pair: str
    intents: tuple[Intent, ...]
    legs: tuple[LegName, LegName]
    standing: Standing | None = None
    load: int = 0


class QueryOrder(Request, frozen=True, kw_only=True):
    """Ask the venue for an order by our id. Answered with a QueryOutcome."""

    pair: str
    id: str
    venue: str
    instrument: str
    margin: bool


class CancelOrder(Request, frozen=True, kw_only=True):
    """Ask the venue to cancel. Answered with a QueryOutcome."""

    pair: str
    id: str
    venue: str
    instrument: str
    margin: bool


class FetchFills(Request, frozen=True, kw_only=True):
    """Trades of an instrument since a venue time. Answered with a list of FillReport.

    `denied`: the order that its venue denies and whose trades these would be. `urgent`: nothing is sent for
    the pair before they are known, or an order's fate hangs on them; they may draw on the reserve of REDUCE.
    """

    pair: str
    venue: str
    instrument: str
    since_ms: int
    margin: bool
    denied: str = ""
    urgent: bool = False


class ListOrders(Request, frozen=True, kw_only=True):
    """All open orders of an instrument, on one desk. Answered with a list of OrderReport."""

    pair: str
    venue: str
    instrument: str
    margin: bool


class FindTaken(Request, frozen=True, kw_only=True):
    """Trades of an instrument that the venue made by itself (ADL, liquidation, delivery) since a venue time.

    Answered with a list of FillReport whose `cause` is not an order.
    """

    pair: str
    venue: str
    instrument: str
    since_ms: int
    margin: bool = False


class MoveLoan(Request, frozen=True, kw_only=True):
    """Borrow (`amount` > 0) or repay (< 0) coins of a spot leg, if the gate lets `intent` pass.

    Answered with None, with the gate's Refusal (nothing was sent), or with an error: unknown.
    """

    pair: str
    id: str
    venue: str
    asset: str
    amount: Decimal
    intent: Intent
    legs: tuple[LegName, LegName]
    load: int = 0


class ReadAccount(Request, frozen=True, kw_only=True):
    """Positions and balances of a venue. Answered with `AccountSeen`.

    `since_us`: a look that began then or later (monotonic) will do; None: one that begins from now on. A pair
    that asks for a new one waits for it (recovery, an order of unknown fate, a close by force, a difference):
    it may draw on the reserve of REDUCE.
    """

    venue: str
    pair: str = ""
    since_us: int | None = None


class SetUp(Request, frozen=True, kw_only=True):
    """Margin mode, leverage and position mode of an instrument: set what differs, read back; the real fees.

    `change` False: only read, since a position is open. Answered with `SetUpDone`.
    """

    pair: str
    venue: str
    instrument: str
    change: bool = True


class LoadPair(Request, frozen=True, kw_only=True):
    """The pair and its intents as they lie in the store. Answered with `PairLoaded`.

    `number`: only the answer to the newest one counts; an older one may tell of what has changed since.
    """

    pair: str
    number: int = 0


# --- answers and observations -----------------------------------------------------------------------------


class PairLoaded(msgspec.Struct, frozen=True, kw_only=True):
    """Raw values: `version` is the store's (0: none there), `intents` id -> JSON, `dust` by leg.

    `reserved`: what it holds of the portfolio's limits (`reserve`), None for nothing.
    """

    state: bytes | None
    version: int
    intents: dict[str, bytes]
    dust: tuple[Decimal, Decimal] = (Decimal(0), Decimal(0))
    reserved: bytes | None = None


class SetUpDone(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue says now, and what the account pays for this instrument."""

    settings: AccountSettings | None
    fees: FeeRates | None


class AccountSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A consistent look at an account: read between `asked_mono_us` and the answer.

    Orders whose fate was open in between make it no evidence about their instruments.
    """

    venue: str
    positions: tuple[PositionReport, ...]
    balances: tuple[BalanceReport, ...]
    open_orders: tuple[OrderReport, ...] = ()
    asked_mono_us: int


class OrderAnswered(Event, frozen=True, kw_only=True):
    """What became of one order of a `SendOrders`. `refusal`: the gate kept it back, nothing was sent."""

    pair: str
    id: str
    outcome: Outcome | None = None
    refusal: Refusal | None = None
    latency_us: int | None = None
    sent_mono_us: int | None = None


class OrderSeen(Event, frozen=True, kw_only=True):
    """The user stream, or a reconciliation after a gap, tells of one of our orders."""

    pair: str
    venue: str
    report: OrderReport


class FillSeen(Event, frozen=True, kw_only=True):
    """A trade of one of our orders. `pair` "" where the order is not known (any more)."""

    pair: str
    venue: str
    fill: FillReport


class AccountMoved(Event, frozen=True, kw_only=True):
    """The user stream tells that something of a pair's account has changed, or was away for a while."""

    pair: str
    venue: str


class AccountLooked(Event, frozen=True, kw_only=True):
    """The books have looked at an account of a pair's: one reading for all."""

    pair: str
    seen: AccountSeen


class VenueTold(Event, frozen=True, kw_only=True):
    """How a venue's port is: `problem` in words, empty when it is open."""

    venue: str
    problem: str


class StoreTold(Event, frozen=True, kw_only=True):
    """How the store is, said when that changes: `scarce`, no room for another position; `away`, it takes no
    write at all. In words, empty when it is well.
    """

    scarce: str
    away: str


class LeaseHeld(Event, frozen=True, kw_only=True):
    """The pair is ours from now on, under a new fence: reconcile, then act."""

    pair: str
    lease: Lease
    store_id: str


class LeaseLost(Event, frozen=True, kw_only=True):
    """Another executor has it (`taken`), or the store cannot say: nothing more is sent for it."""

    pair: str
    text: str
    taken: bool = False
