"""What one seed is: pairs, prices, and which misfortunes it may have (swarm: each seed switches some off)."""

from __future__ import annotations

import random
from decimal import Decimal
from enum import StrEnum

import msgspec

from libs.common.config.schema import (
    Config,
    Exchange,
    Execution,
    Limits,
    Mode,
    Monitor,
    PairLegs,
    Position,
    Thresholds,
    Timeouts,
)
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

CROWD = (*PAIRS, _pair(("binance", "BTC-USDT"), Kind.SPOT, ("bitget", "BTC-USDT-PERP"), Kind.PERP))
"""In some seeds the first and the last share a coin too, and what is lent of it."""

KEYS_OF = {pair.id: pair.keys for pair in CROWD}
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
    RESTORE_REFUSED = "restore_refused"
    ADL = "adl"
    LIQUIDATION = "liquidation"
    USER_TRADES = "user_trades"
    USER_COINS = "user_coins"
    MARGIN_SHOCK = "margin_shock"
    LOAN_REPLY_LOST = "loan_reply_lost"
    LOAN_REJECTED = "loan_rejected"
    LOAN_RECALLED = "loan_recalled"
    LOAN_RECALLED_EARLY = "loan_recalled_early"
    USER_DEBT = "user_debt"
    USER_MOVES = "user_moves"
    USER_LENDS = "user_lends"
    STUCK_REPAID = "stuck_repaid"
    REPAY_REFUSED = "repay_refused"
    FOLLOW_REFUSED = "follow_refused"
    # process
    CRASH = "crash"
    CRASH_OPENING = "crash_opening"
    CRASH_CLOSING = "crash_closing"
    CRASH_UNWINDING = "crash_unwinding"
    SUSPENDED = "suspended"
    SECOND_EXECUTOR = "second_executor"
    SIGNAL_DIES = "signal_dies"
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
    RISK_BUILD = "risk_build"
    RISK_PARTED = "risk_parted"
    RISK_FLAPS = "risk_flaps"
    RISK_BLIND = "risk_blind"
    RISK_HALTS = "risk_halts"
    RISK_FLATTENS = "risk_flattens"
    # commands
    COMMAND_VOID = "command_void"
    COMMAND_LATE = "command_late"
    COMMAND_REPLAYED = "command_replayed"
    PERSON_TRADES = "person_trades"
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
    # for minutes, all else goes on; the host, with everything of ours but the store's data, for up to an hour
    HOST_AWAY = "host_away"
    EXECUTOR_AWAY = "executor_away"
    EXECUTOR_STOPPED = "executor_stopped"
    VENUE_AWAY = "venue_away"
    BUS_AWAY = "bus_away"
    STORE_AWAY = "store_away"
    FEED_AWAY = "feed_away"
    RISK_AWAY = "risk_away"
    SIGNAL_AWAY = "signal_away"


LATER = (Misfortune.REPAY_REFUSED, Misfortune.FOLLOW_REFUSED)
"""Drawn from a stream of their own, so that the plans of the seeds stay what they were without them."""

LATEST = (Misfortune.LOAN_RECALLED_EARLY,)
"""As `LATER`, from one more stream."""

LAST = (Misfortune.USER_MOVES, Misfortune.USER_LENDS, Misfortune.STUCK_REPAID)
"""What the user does with coins and loans: from one more stream."""

LATER_SHARE = 0.4

ABSENCES = frozenset(
    {
        *(Misfortune.HOST_AWAY, Misfortune.EXECUTOR_AWAY, Misfortune.EXECUTOR_STOPPED),
        *(Misfortune.VENUE_AWAY, Misfortune.BUS_AWAY, Misfortune.STORE_AWAY),
        *(Misfortune.FEED_AWAY, Misfortune.RISK_AWAY, Misfortune.SIGNAL_AWAY),
    }
)
"""Drawn from a stream of their own too. Minutes cost many events: few seeds have one, fewer have two."""

CROWDED_SHARE = 0.3
ABSENT_SHARE = 0.1
"""Of all seeds; so many of these have another one."""

DENSITIES = (0.04, 0.1, 0.17, 0.35)
"""Which share of all misfortunes a seed may have. With half of them nothing is ever permitted for long."""

SLICE_USD = Decimal(1_000)

FUNDS = Decimal(1_000_000)
SCARCE = Decimal(3_500)
"""So little that a shock of prices brings liquidation near."""

RICH = frozenset({Misfortune.USER_COINS, Misfortune.USER_DEBT})
"""What the user has there backs our positions too."""

ASKING = (
    {"signals": False, "wishes": True},
    {"signals": True, "wishes": True},
    {"signals": True, "wishes": True},
    {"signals": True, "wishes": False},
)
"""Who asks for opens and closes."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A seed's world. `active_us`: how long misfortunes and wishes go on; then all is quiet until the end.

    `signals`: the real signal service asks for opens and closes; `wishes`: so does chance. `funds`: USDT that
    each account begins with. `late_to_window`: what lands late may do so until W is almost over, else for 9
    s. `rounded`: the venues tell unrealised profit with 8 decimals, as real ones do. `lively`: who wishes
    looks first at what a pair does, rates turn often, latches are reset soon, few clocks are far off.
    `crowded`: two pairs trade one coin of one wallet.
    """

    seed: int
    misfortunes: frozenset[Misfortune]
    active_us: int
    calm_us: int
    style: str
    slices: int
    keep_partial: bool
    signals: bool = False
    wishes: bool = True
    funds: Decimal = FUNDS
    late_to_window: bool = False
    rounded: bool = False
    lively: bool = False
    crowded: bool = False

    @property
    def pairs(self) -> tuple[SimPair, ...]:
        """What this deployment trades."""
        return CROWD if self.crowded else PAIRS

    def config(self) -> Config:
        """The deployment's settings."""
        return Config(
            mode=Mode.DEMO,
            deployment="sim",
            symbols=("BTC/USDT",),
            exchanges={
                "spot": Exchange(id="binance", type="spot"),
                "perp": Exchange(id="binance", type="swap"),
                "far_spot": Exchange(id="bitget", type="spot"),
                "far_perp": Exchange(id="bitget", type="swap"),
            },
            pairs=(
                PairLegs(symbol="ETH/USDT", legs=("far_spot", "far_perp")),
                PairLegs(symbol="ETH/USDT", legs=("perp", "far_perp")),
                *((PairLegs(symbol="BTC/USDT", legs=("spot", "far_perp")),) if self.crowded else ()),
            ),
            thresholds=Thresholds(
                consecutive_periods=1,
                max_breakeven_days=365.0,
                flip_policy="tolerance",
                flip_tolerance_hours=0.002,
                rotation_hurdle=1.0,
            ),
            monitor=Monitor(interval_sec=3.0),
            position=Position(notional_usd=2_500.0),
            timeouts=Timeouts(open_timeout_sec=10.0, poll_interval_sec=0.5),
            execution=Execution(
                style=self.style,  # type: ignore[arg-type]  # one of the three, by `of_seed`
                keep_partial=self.keep_partial,
                slices=self.slices,
                slice_interval_sec=1.0,
            ),
            limits=Limits(max_naked_usd=float(SLICE_USD)),
        )


def of_seed(seed: int) -> Plan:
    """The plan of a seed: few or many of all misfortunes, a style, a length."""
    rng = random.Random(f"plan {seed}")  # noqa: S311 - a seed is what it is for
    density = rng.choice(DENSITIES)
    later = (*LATER, *LATEST, *LAST, *ABSENCES)
    chosen = frozenset(kind for kind in Misfortune if kind not in later and rng.random() < density)
    if Misfortune.CLOSE_REFUSED in chosen:
        chosen |= {Misfortune.RESTORE_REFUSED}  # seldom needed: only then a hedge has to be restored
    scarce = rng.random() < 0.15
    if scarce:
        chosen = chosen - RICH | {Misfortune.MARGIN_SHOCK}
    more = random.Random(f"more {seed}")  # noqa: S311 - as above
    chosen |= {kind for kind in LATER if more.random() < LATER_SHARE}
    latest = random.Random(f"latest {seed}")  # noqa: S311 - as above
    chosen |= {kind for kind in LATEST if latest.random() < LATER_SHARE}
    last = random.Random(f"last {seed}")  # noqa: S311 - as above
    chosen |= {kind for kind in LAST if last.random() < LATER_SHARE and not scarce}
    chosen |= _absences(random.Random(f"absences {seed}"))  # noqa: S311 - as above
    return Plan(
        seed=seed,
        funds=SCARCE if scarce else FUNDS,
        misfortunes=chosen,
        active_us=rng.randrange(20, 65) * US_PER_SEC,
        calm_us=400 * US_PER_SEC,
        style=rng.choice(("concurrent", "concurrent", "sequential", "maker_first")),
        slices=rng.choice((1, 1, 1, 3)),
        keep_partial=rng.random() < 0.8,
        late_to_window=more.random() < 0.5,
        rounded=more.random() < 0.5,
        lively=True,
        crowded=random.Random(f"crowd {seed}").random() < CROWDED_SHARE,  # noqa: S311 - as above
        **rng.choice(ASKING),
    )


def _absences(rng: random.Random) -> set[Misfortune]:
    """What is away for long: mostly nothing."""
    chosen: set[Misfortune] = set()
    while rng.random() < ABSENT_SHARE:
        chosen.add(rng.choice(sorted(ABSENCES)))
    return chosen
