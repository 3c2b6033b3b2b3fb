"""Every setting, its unit and its default; names are ours (snake_case), the blueprint's are aliases.

Fractions unless the name says bps; USD and hours by name. None means "not set": what that implies is
said beside the field.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any, Final, Literal

import msgspec


class Mode(StrEnum):
    """Who may send orders: nobody, the paper door, the real one; `demo` is set by the verb alone."""

    OBSERVER = "observer"
    PAPER = "paper"
    LIVE = "live"
    DEMO = "demo"


SECRET_FIELDS: Final = frozenset({"api_key", "secret", "password", "heartbeat_url", "url", "webhook_token"})
PLACEHOLDERS: Final = frozenset({"...", "<填>", ""})
HIDDEN: Final = "***"

# Options go to ccxt as they are, and some venues take credentials there.
_SECRET_OPTION: Final = re.compile(
    r"key|secret|passw|token|private|seed|mnemonic|uid|login|wallet", re.IGNORECASE
)


def is_secret_option(name: str, value: object) -> bool:
    """Whether an option of an exchange is text under a name that credentials go by."""
    return isinstance(value, str) and bool(value) and _SECRET_OPTION.search(name) is not None


def shown_options(value: Any) -> Any:
    """`value`, which may be an exchange's options, without what looks like a credential among them."""
    if not isinstance(value, dict):
        return value
    return {name: HIDDEN if is_secret_option(name, inner) else inner for name, inner in value.items()}


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the config. Its `repr` never shows a secret: configs end up in logs and tracebacks."""

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"
        )

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        fields = [(name, getattr(self, name)) for name in self.__struct_fields__]
        return [
            (name, HIDDEN if value and name in SECRET_FIELDS else shown_options(value))
            for name, value in fields
        ]


class Exchange(Section, frozen=True, kw_only=True):
    """One account at one venue under a name of the user's choice.

    `type` future means the USD-margined perpetual (as ccxt has it for Binance) unless a dated symbol is
    named. `account` sets a sub-account apart: its venue slug becomes `{id}-{account}`.
    """

    id: str
    type: Literal["spot", "swap", "future"]
    account: str = ""
    api_key: str = ""
    secret: str = ""
    password: str = ""
    options: dict[str, str | int | float | bool] = {}


class PairLegs(Section, frozen=True, kw_only=True):
    """Two legs by exchange name; the pair's id keeps their order, the direction is found by the rates.

    `symbol` "*" is every symbol of `symbols`.
    """

    symbol: str
    legs: tuple[str, str]


class Position(Section, frozen=True, kw_only=True):
    """How much of a pair; `notional_usd` per leg. `delta_target` is 0, as in the blueprint: nothing else is
    taken (`units.NEUTRAL`).
    """

    notional_usd: float = 1_000.0
    futures_margin_leverage: float = 3.0
    delta_target: float = 0.0
    rebalance_threshold: float = 0.002
    hold_days: float = 30.0
    margin_mode: Literal["cross", "isolated"] = "cross"
    position_mode: Literal["one_way", "hedge"] = "one_way"


class Thresholds(Section, frozen=True, kw_only=True):
    """When a pair is worth opening, and when it is left.

    `flip_policy` None: `tolerance` when `flip_exit` is true, `cost_aware` when it is not set, and no
    flip exit (with a warning) when it is false. `forecast` None: `flat`, the blueprint's formula.
    """

    daily_funding_min: float = 0.0002
    consecutive_periods: int = 3
    max_breakeven_days: float = 21.0
    max_entry_basis_bps: float = 20.0
    forecast: Literal["flat", "expected"] | None = None
    forecast_horizon_days: float = 7.0
    flip_exit: bool | None = None
    flip_tolerance_hours: float = 2.0
    flip_policy: Literal["tolerance", "cost_aware"] | None = None
    flip_loss_ratio: float = 1.0
    flip_reverse: bool = False
    rotation_hurdle: float = 2.0


class VenueCosts(Section, frozen=True, kw_only=True):
    """Costs of one venue (`costs.venues.{id}`) in place of the general; `rebate_share` of fees returns."""

    taker: float | None = None
    maker: float | None = None
    slippage_bps: float | None = None
    borrow_daily: float | None = None
    rebate_share: float = 0.0


class Costs(Section, frozen=True, kw_only=True):
    """Fractions of notional per fill (a maker fee may be negative), USD where the name says so.

    `slippage` assumed: always `slippage_bps`; depth: from the order book where it is known.
    """

    taker: float = 0.0005
    maker: float = 0.0002
    slippage_bps: float = 5.0
    slippage: Literal["assumed", "depth"] = "assumed"
    borrow_daily: float = 0.0
    capital_daily: float = 0.0
    fixed_daily_usd: float = 0.0
    transfer_usd: float = 0.0
    transfer_hours: float = 0.0
    role: Literal["taker", "maker"] = "taker"
    venues: dict[str, VenueCosts] = {}


class Monitor(Section, frozen=True, kw_only=True):
    """Cadences: `interval_sec` evaluates and polls where no stream exists."""

    interval_sec: float = 30.0
    snapshot_every_min: float = 5.0
    history_days: float = 31.0
    book_interval_sec: float = 10.0


class Timeouts(Section, frozen=True, kw_only=True):
    """Wall-clock patience of the executor and of the venue calls."""

    open_timeout_sec: float = 10.0
    poll_interval_sec: float = 0.5
    request_timeout_sec: float = 10.0


class Execution(Section, frozen=True, kw_only=True):
    """How a pair is opened and closed. `collar_bps`: how far beyond the best price an order may reach."""

    style: Literal["concurrent", "sequential", "maker_first"] = "concurrent"
    keep_partial: bool = True
    slices: int = 1
    slice_interval_sec: float = 5.0
    collar_bps: float = 20.0


class Limits(Section, frozen=True, kw_only=True):
    """Bounds on capital. `max_notional_usd`, required in live mode: USD a leg over all pairs; what lies on a
    venue counts with each leg.
    """

    max_notional_usd: float | None = None
    max_notional_per_venue_usd: float | None = None
    max_pairs: int = 20
    max_leverage: float = 5.0
    max_naked_usd: float = 1_000.0
    acknowledged: bool = False


class Paper(Section, frozen=True, kw_only=True):
    """Mode paper. `balances`: venue (`binance`, `binance-sub1`) -> wallet -> coin -> amount that an account
    begins with; of a venue that is not named 50,000 of each coin that its legs are quoted in, in every wallet
    that trades. It counts once: afterwards the account is what trading has made of it.
    """

    balances: dict[str, dict[str, dict[str, float]]] = {}


class Security(Section, frozen=True, kw_only=True):
    """Explicit opt-outs of protections."""

    allow_no_ip_whitelist: bool = False


class Report(Section, frozen=True, kw_only=True):
    """The daily report."""

    dir: str = "reports"
    hour_utc: int = 0


class Channel(Section, frozen=True, kw_only=True):
    """One way to reach a person. `url` (a secret): the web address of a Feishu or Lark custom bot, or an
    apprise URL (`mailtos://`, `tgram://`, `slack://`, `jsons://`, ...); `secret` signs for Feishu. None is
    what `notify.min_level` and `notify.quiet_hours` say.
    """

    type: Literal["feishu", "apprise"] = "apprise"
    url: str = ""
    secret: str = ""
    min_level: Literal["info", "warning", "critical"] | None = None
    quiet_hours: str | None = None
    daily_digest: bool = True


class Notify(Section, frozen=True, kw_only=True):
    """Where alerts go; URLs are secrets.

    A channel of `escalation` after the first gets only what nobody acknowledged in time on the one before,
    or what that one could not deliver. `quiet_hours` ("22:00-07:00" in `timezone`) hold back info alone.
    `opportunities` None: in mode observer. `webhook_listen` (host:port) takes Alertmanager's webhook.
    """

    heartbeat_url: str = ""
    min_level: Literal["info", "warning", "critical"] = "warning"
    channels: dict[str, Channel] = {}
    escalation: tuple[str, ...] = ()
    acknowledge_min: float = 5.0
    repeat_min: float = 10.0
    messages_per_min: float = 10.0
    quiet_hours: str = ""
    timezone: str = "UTC"
    opportunities: bool | None = None
    opportunity_net_daily_usd: float = 1.0
    opportunity_every_hours: float = 6.0
    daily_digest: bool = True
    webhook_listen: str = ""
    webhook_token: str = ""


class Paths(Section, frozen=True, kw_only=True):
    """Where files go."""

    logs: str = "logs"
    archive: str = "archive"


class Config(Section, frozen=True, kw_only=True):
    """The whole."""

    mode: Mode = Mode.OBSERVER
    deployment: str = "main"
    symbols: tuple[str, ...] = ()
    exchanges: dict[str, Exchange] = {}
    pairs: tuple[PairLegs, ...] = ()
    position: Position = Position()
    thresholds: Thresholds = Thresholds()
    costs: Costs = Costs()
    monitor: Monitor = Monitor()
    timeouts: Timeouts = Timeouts()
    execution: Execution = Execution()
    limits: Limits = Limits()
    paper: Paper = Paper()
    security: Security = Security()
    report: Report = Report()
    notify: Notify = Notify()
    paths: Paths = Paths()


# The blueprint's names at their paths (`*` is any key) and ours. bps values are divided by 10,000.
ALIASES: Final[dict[str, str]] = {
    "exchanges.*.apiKey": "exchanges.*.api_key",
    "position.deltaTarget": "position.delta_target",
    "position.rebalanceThreshold": "position.rebalance_threshold",
    "thresholds.dailyFundingMin": "thresholds.daily_funding_min",
    "thresholds.flipExit": "thresholds.flip_exit",
    "thresholds.flipToleranceHours": "thresholds.flip_tolerance_hours",
    "costs.borrowRateDaily": "costs.borrow_daily",
    "costs.transferFixed": "costs.transfer_usd",
    "costs.slippageBps": "costs.slippage_bps",
    "costs.venues.*.borrowRateDaily": "costs.venues.*.borrow_daily",
    "monitor.intervalSec": "monitor.interval_sec",
    "monitor.snapshotEveryMin": "monitor.snapshot_every_min",
}
BPS_ALIASES: Final[dict[str, str]] = {
    "costs.taker_bps": "costs.taker",
    "costs.maker_bps": "costs.maker",
    "costs.venues.*.taker_bps": "costs.venues.*.taker",
    "costs.venues.*.maker_bps": "costs.venues.*.maker",
}
