"""What executor and risk say: money and quantities are Decimal, times wall clock.

Quantities are base units, signed where they are positions (short < 0).
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Literal

from libs.common.message import Message
from libs.common.subjects import Kind


class PairLeg(Message, frozen=True, kw_only=True):
    """One leg of a pair as the executor holds it."""

    venue: str
    instrument: str
    kind: Kind
    quantity: Decimal
    entry_price: Decimal | None = None
    mid: float | None = None
    borrowed: Decimal = Decimal(0)


class PairStatus(Message, frozen=True, kw_only=True):
    """A pair's state: on change, and every 5 s while it is not idle.

    `owner`: whose executor leads it, "" while the speaker does not, and then nothing else in it counts.
    Each move is told, also of several that were one write: they have the same `version`, the newest comes
    last. `from_state` and `trigger` tell of the move, `in_state_ms` how long the state before it lasted;
    `fills` and `latencies_us` count the orders decided in that state, without a move those of the present one
    so far: trades, and from each order's decision to the word that ended it (the newest 32).
    `delta_ratio`: |net quantity| / larger leg. `naked_usd`: |net quantity| at the mid. `reason`
    begins with what the pair waits for while nothing can be done about it.
    """

    pair: str
    state: Literal["idle", "opening", "active", "closing", "unwinding", "stuck"]
    version: int
    direction: Literal["forward", "reverse"]
    legs: tuple[PairLeg, PairLeg]
    notional_usd: Decimal
    delta: Decimal
    delta_ratio: float
    naked_usd: float
    reason: str
    from_state: str = ""
    trigger: str = ""
    in_state_ms: int = 0
    since_us: int = 0
    opened_ms: int | None = None
    orders_open: int = 0
    orders_unknown: int = 0
    attempt: int = 0
    fills: int = 0
    latencies_us: tuple[int, ...] = ()
    quarantined_until_ms: int | None = None
    owner: str = ""
    wall_us: int


class OrderEvent(Message, frozen=True, kw_only=True):
    """Something about one order: decided, refused by the gate, answered, resolved.

    `state`: sent, working, unknown, then done, rejected, void (never sent), not_accepted or foreign.
    `failure`: of a rejected one by what rule of the venue (`funds`, `filter`, `reduce_only`, `post_only`,
    `rate_limit`, `clock`, `auth`, `not_tradable`), of a void one by what rule of the gate. `latency_us`: from
    its decision to the word that ended it; None while it is open, and of a void one.
    """

    pair: str
    id: str
    venue: str
    instrument: str
    purpose: str
    order_class: Literal["increase", "reduce"]
    side: Literal["buy", "sell"]
    quantity: Decimal
    price: Decimal | None
    reduce_only: bool
    state: str
    filled: Decimal
    average: Decimal | None = None
    reason: str = ""
    failure: str = ""
    latency_us: int | None = None
    attempt: int = 0
    wall_us: int


class FillEvent(Message, frozen=True, kw_only=True):
    """One trade of ours. `fee` > 0 was paid. `mid`: of the book when the order was decided."""

    pair: str
    order: str
    trade: str
    venue: str
    instrument: str
    purpose: str
    side: Literal["buy", "sell"]
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    liquidity: Literal["maker", "taker"]
    mid: Decimal | None = None
    attempt: int = 0
    wall_us: int


class LedgerKind(StrEnum):
    """What a ledger line is about."""

    FILL = "fill"
    FEE = "fee"
    FUNDING = "funding"
    INTEREST = "interest"
    TRANSFER = "transfer"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    OTHER = "other"


class LedgerLine(Message, frozen=True, kw_only=True):
    """One booked movement, keyed by the venue's own id: `{venue}:{kind}:{id}` is booked once.

    `amount` of `asset` > 0 came in; `usd` is its value when it was booked. `pair` "" is nobody's: the user's
    own doing, or not yet told apart.
    """

    key: str
    kind: LedgerKind
    venue: str
    asset: str
    amount: Decimal
    usd: Decimal
    instrument: str = ""
    pair: str = ""
    leg: int | None = None
    purpose: str = ""
    quantity: Decimal | None = None
    price: Decimal | None = None
    mid: Decimal | None = None
    rate: Decimal | None = None
    liquidity: str = ""
    attempt: int = 0
    venue_ms: int
    wall_us: int


class AccountBalance(Message, frozen=True, kw_only=True):
    """One asset in one wallet of a venue."""

    wallet: str
    asset: str
    total: Decimal
    free: Decimal
    borrowed: Decimal = Decimal(0)
    interest: Decimal = Decimal(0)
    usd: float | None = None


class AccountPosition(Message, frozen=True, kw_only=True):
    """A contract position as the venue shows it."""

    instrument: str
    quantity: Decimal
    entry_price: Decimal | None = None
    mark: float | None = None
    leverage: float | None = None
    liquidation_price: float | None = None
    margin_mode: str = ""


class AccountFees(Message, frozen=True, kw_only=True):
    """The account's real rates of one instrument: fractions, maker < 0 is a rebate."""

    instrument: str
    maker: float
    taker: float


class AccountStatus(Message, frozen=True, kw_only=True):
    """An account at a venue, every few seconds and after each change; what risk and signal live on.

    `margin_ratio` = maintenance margin / equity. `liquidation_distance`: the least
    |mark - liquidation| / mark over its positions. `borrow_daily`: asset -> fraction a day. `trusted`
    False: it could not be read lately. `calls`: of how many of the executor's last private calls the two
    next figures tell (at most 50); refusals for a reason (funds, filters) are no failures. `unexplained_usd`:
    dollars that came (> 0) or went and that no ledger line explains yet, None while nothing was compared.
    """

    venue: str
    balances: tuple[AccountBalance, ...]
    positions: tuple[AccountPosition, ...]
    equity_usd: float | None = None
    margin_ratio: float | None = None
    liquidation_distance: float | None = None
    fees: tuple[AccountFees, ...] = ()
    borrow_daily: dict[str, float] = {}
    clock_offset_ms: float | None = None
    problems: tuple[str, ...] = ()
    trusted: bool = True
    calls: int = 0
    calls_failed: int = 0
    call_p99_ms: float | None = None
    unexplained_usd: float | None = None
    wall_us: int


class ProfitAndLoss(Message, frozen=True, kw_only=True):
    """The parts of economics.md in USD, signed: a cost is negative. `residual` = d(equity) - total."""

    funding: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    slippage: Decimal = Decimal(0)
    basis: Decimal = Decimal(0)
    borrow: Decimal = Decimal(0)
    transfer: Decimal = Decimal(0)
    rebalance: Decimal = Decimal(0)
    total: Decimal = Decimal(0)


class BookSummary(Message, frozen=True, kw_only=True):
    """The executor's books, every few seconds: all pairs together since the deployment's first line.

    `equity_usd` is what the accounts showed when they were last looked at. `residual_usd` is what no line
    explains of it, venues summed by absolute value (`residual_by_venue` has the signs and the last figure of
    each); None while it was not compared since the last line or the last move of an account.
    """

    pnl: ProfitAndLoss
    by_pair: dict[str, ProfitAndLoss] = {}
    equity_start_usd: Decimal | None = None
    equity_usd: Decimal | None = None
    residual_usd: Decimal | None = None
    equity_by_venue: dict[str, Decimal] = {}
    residual_by_venue: dict[str, Decimal] = {}
    funding_expected_usd: Decimal = Decimal(0)
    funding_received_usd: Decimal = Decimal(0)
    settlements: int = 0
    settlements_missing: int = 0
    naked_usd_seconds: float = 0.0
    orders: int = 0
    unwinds: int = 0
    pairs_opened: int = 0
    pairs_closed: int = 0
    market_ms: int
    wall_us: int


class Level(StrEnum):
    """How much a breaker forbids; the strictest scope wins."""

    NORMAL = "normal"
    NO_OPENS = "no_opens"
    REDUCE_ONLY = "reduce_only"
    FLATTEN = "flatten"

    @property
    def rank(self) -> int:
        """0 is free, 3 the strictest."""
        return _RANKS[self]


_RANKS = {level: rank for rank, level in enumerate(Level)}


class Breaker(Message, frozen=True, kw_only=True):
    """A scope that is not normal: `global`, `venue:X`, `symbol:{venue}-{instrument}` or `pair:Z`.

    `controls`: which rows hold it there, the strictest first. `latched`: only a person leaves it
    (`reset`, or `resume` for a pause). `until`: in words, what ends it.
    """

    scope: str
    level: Level
    reason: str
    controls: tuple[str, ...] = ()
    latched: bool = False
    since_us: int = 0
    until: str = ""


class Permit(Message, frozen=True, kw_only=True):
    """The whole breaker state, four times a second: whoever missed one is right again a beat later.

    Only a higher (risk_epoch, revision) is applied, and only while `wall_us` is less than a second old.
    `max_ratio`: pair -> share of its size that it may keep (1 is absent). `age_ms`: of risk's own inputs.
    """

    risk_epoch: int
    revision: int
    build: str
    wall_us: int
    breakers: tuple[Breaker, ...] = ()
    max_ratio: dict[str, float] = {}
    age_ms: dict[str, int] = {}
