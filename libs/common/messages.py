"""The home of wire types (with `messages_exec` and `messages_cmd`): JSON on every subject, one struct each.

Market observations are floats, money and quantities bound for a venue or ledger are Decimal (JSON
strings). Names carry units. Readers tolerate unknown fields, so that a newer publisher can add some;
non-finite numbers are refused at the door (`decode`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

from libs.common import messages_exec
from libs.common.codec import BadMessage, decode, encode
from libs.common.message import Message
from libs.common.messages_cmd import Command, CommandError, CommandReply
from libs.common.subjects import Kind

# said again: whoever takes a message wants its codec
__all__ = ["BadMessage", "Command", "CommandError", "CommandReply", "Message", "decode", "encode"]


# --- market data -----------------------------------------------------------------------------


class Quote(Message, frozen=True, kw_only=True):
    """Best bid and ask with sizes in base units; `ts_ms` market time of the venue, `recv_us` wall."""

    venue: str
    instrument: str
    bid: float
    ask: float
    bid_size: float
    ask_size: float
    ts_ms: int
    recv_us: int
    source: Literal["stream", "poll"] = "stream"


class Book(Message, frozen=True, kw_only=True):
    """Depth as [price, base size] from the best level outwards; at most 100 levels a side."""

    venue: str
    instrument: str
    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]
    ts_ms: int
    recv_us: int


class Funding(Message, frozen=True, kw_only=True):
    """A funding rate, never without its interval. `rate` > 0: longs pay shorts.

    `current`: the rate that settles at `next_ms`. `settled`: the print paid at `settled_ms`.
    Both are fractions for one interval of `interval_hours`; times are market time. `mark_us`: wall time at
    which `mark` was seen when that was before `recv_us` (some venues give it in their tickers only).
    """

    venue: str
    instrument: str
    kind: Literal["current", "settled"]
    rate: float
    interval_hours: float
    interval_source: Literal["rate", "endpoint", "market", "settlements"]
    next_ms: int | None = None
    settled_ms: int | None = None
    mark: float | None = None
    index: float | None = None
    ts_ms: int
    recv_us: int
    source: Literal["stream", "poll"] = "poll"
    mark_us: int | None = None


class Settlement(Message, frozen=True, kw_only=True, array_like=True):
    """One settled print: `[settled_ms, rate, interval_hours]`."""

    settled_ms: int
    rate: float
    interval_hours: float


class FundingHistory(Message, frozen=True, kw_only=True):
    """Settled prints, oldest first, each exactly once; said again whenever somebody asks."""

    venue: str
    instrument: str
    prints: tuple[Settlement, ...]
    complete_since_ms: int | None = None
    recv_us: int


class InstrumentInfo(Message, frozen=True, kw_only=True):
    """An instrument in base units, with the venue's fees; `refused` names why it is not tradable.

    `quantity_max`: of one order; `market_quantity_max`: of one market order. None: the venue names none.
    """

    venue: str
    instrument: str
    symbol: str
    base: str
    quote: str
    settle: str
    kind: Kind
    contract_size: str = "1"
    price_tick: str | None = None
    quantity_step: str | None = None
    quantity_min: str | None = None
    quantity_max: str | None = None
    market_quantity_max: str | None = None
    notional_min: str | None = None
    taker: float | None = None
    maker: float | None = None
    expiry_ms: int | None = None
    shortable: bool = True
    refused: str | None = None
    recv_us: int


class Quarantine(Message, frozen=True, kw_only=True):
    """What is shut out of decisions, and why; `instrument` None is the whole venue."""

    instrument: str | None
    reason: str
    text: str
    since_ms: int


class VenueHealth(Message, frozen=True, kw_only=True):
    """How well a venue is seen. Ages in seconds since the last frame or confirming poll, by kind.

    `breaker`: the level at which risk has the venue, `no_permit` while it is silent, "" where none runs.
    """

    venue: str
    connected: bool
    ages_sec: dict[str, float]
    gaps: int = 0
    errors: dict[str, int] = {}
    clock_offset_ms: float | None = None
    quarantined: tuple[Quarantine, ...] = ()
    breaker: str = ""
    recv_us: int


# --- signal ----------------------------------------------------------------------------------


class LegFigures(Message, frozen=True, kw_only=True):
    """One leg of an opportunity: fractions of notional unless the name says otherwise."""

    venue: str
    instrument: str
    kind: Kind
    side: Literal["long", "short"]
    mid: float | None = None
    rate: float | None = None
    interval_hours: float | None = None
    next_ms: int | None = None
    daily: float = 0.0
    fee: float = 0.0
    slip: float = 0.0
    slip_source: Literal["assumed", "depth"] = "assumed"
    depth_usd: float | None = None
    age_sec: float | None = None


class Opportunity(Message, frozen=True, kw_only=True):
    """Every figure of one pair at one evaluation, in the direction that earns more.

    `forward` is long the first leg of the id, `reverse` long the second. Carry and costs are
    fractions of notional (a day where the name says daily); None is "unknown", and for a
    break-even "never".
    """

    pair: str
    symbol: str
    direction: Literal["forward", "reverse"]
    long: LegFigures
    short: LegFigures
    notional_usd: float
    hold_days: float
    forecast: Literal["flat", "expected"]
    daily: float | None = None
    apr: float | None = None
    convergence_daily: float = 0.0
    borrow_daily: float = 0.0
    capital_daily: float = 0.0
    fixed_daily_usd: float = 0.0
    holding_daily: float = 0.0
    entry: float = 0.0
    exit: float = 0.0
    round_trip: float = 0.0
    round_trip_usd: float = 0.0
    transfer_usd: float = 0.0
    basis_entry: float | None = None
    net_daily_usd: float | None = None
    breakeven_days: float | None = None
    now_daily: float | None = None
    mean30_daily: float | None = None
    history_days: float = 0.0
    expected_daily: float | None = None
    expected_net_usd: float | None = None
    expected_breakeven_days: float | None = None
    consecutive: int = 0
    score: float | None = None
    rank: int | None = None
    allocated_usd: float = 0.0
    passes: bool
    refusals: tuple[str, ...] = ()
    reasons: dict[str, str] = {}
    market_ms: int
    tick_us: int | None = None
    eval_us: int


class Evaluation(Message, frozen=True, kw_only=True):
    """One round over all pairs: counts, and every refusal by its name."""

    pairs: int
    passing: int
    selected: tuple[str, ...] = ()
    evaluations_total: int
    refusals: dict[str, int] = {}
    market_ms: int
    eval_us: int


class Intent(Message, frozen=True, kw_only=True):
    """What the executor is asked to do; expired intents are void.

    `tick_us`: wall time of the tick behind it.
    """

    pair: str
    action: Literal["open", "close", "rebalance"]
    direction: Literal["forward", "reverse"]
    notional_usd: str
    reason: str
    expires_us: int
    tick_us: int | None = None


# --- system ----------------------------------------------------------------------------------


class AlertLevel(StrEnum):
    """How loud an alert is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class AlertRaised(Message, frozen=True, kw_only=True):
    """Something a person should know; `key` tells one matter from another."""

    level: AlertLevel
    key: str
    text: str
    service: str
    context: dict[str, str] = {}
    wall_us: int


class ServiceHealth(Message, frozen=True, kw_only=True):
    """A service's pulse, every second. `problems` says in words what is wrong when `ok` is false.

    `key_problems`: those of them that forbid the use of an API key; risk halts for them.
    """

    service: str
    ok: bool
    problems: tuple[str, ...] = ()
    key_problems: tuple[str, ...] = ()
    build: str
    pid: int
    uptime_sec: float
    lag_ms: float
    inbox_depth: int
    inbox_dropped: int = 0
    wall_us: int


class ClockState(Message, frozen=True, kw_only=True):
    """Market time in the demo: market0 + (wall - wall0) * speed."""

    market0_ms: int
    wall0_ms: int
    speed: float


class Want(Message, frozen=True, kw_only=True):
    """Please say your slow state again; `what` names it (`history`, `instruments`)."""

    service: str
    what: tuple[str, ...] = ()


# Subject pattern -> type: the docs' subject table, `config schema --messages` and tests are made from it.
SUBJECT_TYPES: Final[dict[str, type[Message]]] = {
    "md.quote.*.*": Quote,
    "md.book.*.*": Book,
    "md.funding.*.*": Funding,
    "md.history.*.*": FundingHistory,
    "md.instrument.*.*": InstrumentInfo,
    "md.health.*": VenueHealth,
    "signal.opportunity.*": Opportunity,
    "signal.evaluation": Evaluation,
    "signal.intent.*": Intent,
    "exec.pair.*": messages_exec.PairStatus,
    "exec.order.*": messages_exec.OrderEvent,
    "exec.fill.*": messages_exec.FillEvent,
    "exec.ledger.*": messages_exec.LedgerLine,
    "exec.account.*": messages_exec.AccountStatus,
    "exec.books": messages_exec.BookSummary,
    "risk.permit": messages_exec.Permit,
    "risk.breaker.*": messages_exec.Breaker,
    "alert.*": AlertRaised,
    "sys.health.*": ServiceHealth,
    "sys.clock": ClockState,
    "sys.want.*": Want,
    "cmd.*": Command,
}


def type_of(subject: str) -> type[Message] | None:
    """The type that a subject carries, None when it is not in the table."""
    tokens = subject.split(".")
    for pattern, kind in SUBJECT_TYPES.items():
        wanted = pattern.split(".")
        if len(wanted) == len(tokens) and all(w in ("*", t) for w, t in zip(wanted, tokens, strict=True)):
            return kind
    return None
