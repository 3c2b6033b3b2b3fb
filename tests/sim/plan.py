"""What one seed is: pairs, prices, and which misfortunes it may have (swarm: each seed switches some off)."""

from __future__ import annotations

import random
from decimal import Decimal
from enum import StrEnum

import msgspec

from libs.common.config.schema import Config, Execution, Limits, Position, Timeouts
from libs.common.instant import US_PER_SEC
from libs.common.subjects import Kind, pair_id
from services.executor.gate import Bounds
from services.executor.world import Key

BUILD = "sim"
BOUNDS = Bounds(leg_notional_max=Decimal(100_000), collar=Decimal("0.01"))


class SimPair(msgspec.Struct, frozen=True):
    """A pair of the simulated deployment."""

    id: str
    keys: tuple[Key, Key]
    kinds: tuple[Kind, Kind]


def _pair(first: Key, first_kind: Kind, second: Key, second_kind: Kind) -> SimPair:
    return SimPair(pair_id(first, second), (first, second), (first_kind, second_kind))


PAIRS = (
    _pair(("binance", "BTC-USDT"), Kind.SPOT, ("binance", "BTC-USDT-PERP"), Kind.PERP),
    _pair(("bitget", "ETH-USDT"), Kind.SPOT, ("bitget", "ETH-USDT-PERP"), Kind.PERP),
    _pair(("binance", "ETH-USDT-PERP"), Kind.PERP, ("bitget", "ETH-USDT-PERP"), Kind.PERP),
)
"""The last two share an instrument."""

KEYS = tuple(dict.fromkeys(key for pair in PAIRS for key in pair.keys))
START_PRICES = {"BTC": Decimal(60_000), "ETH": Decimal(3_000)}


class Misfortune(StrEnum):
    """Every fault class of execution.md, and some more."""

    # orders
    REPLY_LOST = "reply_lost"
    REQUEST_LOST = "request_lost"
    LATE_LANDING = "late_landing"
    FALSE_NOT_FOUND = "false_not_found"
    REJECTED = "rejected"
    PARTIAL = "partial"
    HTTP_429 = "http_429"
    HTTP_5XX = "http_5xx"
    HTML_200 = "html_200"
    TRUNCATED = "truncated"
    CANCEL_RACE = "cancel_race"
    QUERY_FAILS = "query_fails"
    NEVER_SENT = "never_sent"
    STREAM_LOST = "stream_lost"
    STREAM_DOUBLED = "stream_doubled"
    STREAM_LATE = "stream_late"
    STREAM_REORDERED = "stream_reordered"
    # legs
    UNWIND_REFUSED = "unwind_refused"
    CLOSE_REFUSED = "close_refused"
    ADL = "adl"
    LIQUIDATION = "liquidation"
    USER_TRADES = "user_trades"
    USER_COINS = "user_coins"
    MARGIN_SHOCK = "margin_shock"
    LOAN_REPLY_LOST = "loan_reply_lost"
    LOAN_REJECTED = "loan_rejected"
    LOAN_RECALLED = "loan_recalled"
    USER_DEBT = "user_debt"
    # process
    CRASH = "crash"
    CRASH_OPENING = "crash_opening"
    CRASH_CLOSING = "crash_closing"
    CRASH_UNWINDING = "crash_unwinding"
    SUSPENDED = "suspended"
    SECOND_EXECUTOR = "second_executor"
    STORE_SLOW = "store_slow"
    STORE_DOWN = "store_down"
    STORE_UNANSWERED = "store_unanswered"
    STORE_FULL = "store_full"
    STORE_LOST = "store_lost"
    OLD_SCHEMA = "old_schema"
    # bus
    BUS_LOSES = "bus_loses"
    BUS_LATE = "bus_late"
    BUS_DOUBLES = "bus_doubles"
    BUS_REORDERS = "bus_reorders"
    BUS_RESTARTS = "bus_restarts"
    BUS_PARTED = "bus_parted"
    SLOW_CONSUMER = "slow_consumer"
    # risk
    RISK_DEAD = "risk_dead"
    RISK_HUNG = "risk_hung"
    RISK_RESTARTS = "risk_restarts"
    RISK_FLAPS = "risk_flaps"
    RISK_BLIND = "risk_blind"
    RISK_HALTS = "risk_halts"
    RISK_FLATTENS = "risk_flattens"
    # market data
    PRICE_SHOCK = "price_shock"
    FEED_SILENT = "feed_silent"
    FEED_GAP = "feed_gap"
    FEED_CROSSED = "feed_crossed"
    FEED_NAN = "feed_nan"
    INTERVAL_CHANGE = "interval_change"
    RATE_REVERSAL = "rate_reversal"
    WRONG_MULTIPLIER = "wrong_multiplier"
    # venue
    VENUE_DOWN = "venue_down"
    DELISTING = "delisting"
    MAINTENANCE = "maintenance"
    FILTER_CHANGE = "filter_change"
    RECORDS_LATE = "records_late"
    SETUP_REFUSED = "setup_refused"
    SETUP_UNKNOWN = "setup_unknown"
    SETUP_STALE = "setup_stale"
    USER_SETTINGS = "user_settings"
    # clock; `suspended` above is its third
    CLOCK_SKEW = "clock_skew"
    CLOCK_JUMP = "clock_jump"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A seed's world. `active_us`: how long misfortunes and wishes go on; then all is quiet until the end."""

    seed: int
    misfortunes: frozenset[Misfortune]
    active_us: int
    calm_us: int
    style: str
    slices: int
    keep_partial: bool

    def config(self) -> Config:
        """The deployment's settings."""
        return Config(
            deployment="sim",
            position=Position(notional_usd=2_500.0),
            timeouts=Timeouts(open_timeout_sec=10.0, poll_interval_sec=0.5),
            execution=Execution(
                style=self.style,  # type: ignore[arg-type]  # one of the three, by `of_seed`
                keep_partial=self.keep_partial,
                slices=self.slices,
                slice_interval_sec=1.0,
            ),
            limits=Limits(max_naked_usd=1_000.0),
        )


def of_seed(seed: int) -> Plan:
    """The plan of a seed: few or many of all misfortunes, a style, a length."""
    rng = random.Random(f"plan {seed}")  # noqa: S311 - a seed is what it is for
    density = rng.choice((0.12, 0.25, 0.4))
    chosen = frozenset(kind for kind in Misfortune if rng.random() < density)
    return Plan(
        seed=seed,
        misfortunes=chosen,
        active_us=rng.randrange(25, 90) * US_PER_SEC,
        calm_us=400 * US_PER_SEC,
        style=rng.choice(("concurrent", "concurrent", "sequential", "maker_first")),
        slices=rng.choice((1, 1, 1, 3)),
        keep_partial=rng.random() < 0.8,
    )
