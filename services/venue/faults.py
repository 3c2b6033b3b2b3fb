"""Faults that the venue commits on purpose: a plan of them, and the board that says which strikes now.

Pure: time comes in as monotonic seconds, chance from the plan's seed. A plan is JSON:

    {"seed": 7, "faults": [{"kind": "http_429", "venue": "binance", "endpoint": "/fapi/*", "count": 3}]}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec

from services.venue.dice import Dice


class Kind(StrEnum):
    """What can go wrong."""

    DELAY = "delay"  # the answer comes `delay_ms` late; `processed`: the request was carried out at once
    DROP = "drop"  # the connection is reset before any answer (aiohttp repeats a GET once: use count >= 2)
    REQUEST_LOST = "request_lost"  # the same by the name that orders know it by: nothing was carried out
    REPLY_LOST = "reply_lost"  # carried out, then the connection is reset instead of an answer
    LATE_LANDING = "late_landing"  # the connection is reset now, the request carried out `delay_ms` later
    HTTP_429 = "http_429"  # rate limit, with Retry-After `retry_after_sec`
    HTTP_418 = "http_418"  # banned
    HTTP_5XX = "http_5xx"  # `status`, with the venue's own error body
    HTML_200 = "html_200"  # a proxy's page instead of JSON, with status 200
    TRUNCATED = "truncated"  # half of the body, then the connection ends
    OPERATION_FAILED = "operation_failed"  # the venue's "overloaded" (Binance -1008)
    REJECTION = "rejection"  # an account's call is refused with `code`, in the venue's words
    ORDER_WITHOUT_ID = "order_without_id"  # an order is carried out, its answer names no order
    NOT_FOUND_WINDOW = "not_found_window"  # an order is not found by client id for `window_ms` after it came
    PARTIAL_FILL = "partial_fill"  # `fraction` of an order fills, the rest expires; its endpoint is `order`
    WS_GAP = "ws_gap"  # the stream stays open and silent
    WS_DISCONNECT = "ws_disconnect"  # the stream's connection is cut
    USER_STREAM_GAP = "user_stream_gap"  # an account's stream stays open, what it should have said is lost
    USER_STREAM_DUPLICATE = "user_stream_duplicate"  # it says everything twice
    USER_STREAM_REORDER = "user_stream_reorder"  # it says a thing after the one that came next
    ADL = "adl"  # `fraction` of each position is closed at the mark by the venue
    LIQUIDATION = "liquidation"  # positions are liquidated, whatever their margin
    MANUAL_CLOSE = "manual_close"  # positions are closed at the market by their owner's hand
    DELISTING = "delisting"  # the market ends now
    FILTER_CHANGE = "filter_change"  # quantity step and minima `factor` times as large (a power of ten)
    MAINTENANCE = "maintenance"  # the venue answers nobody
    CLOCK_SKEW = "clock_skew"  # the venue's clock is `offset_ms` off
    INTERVAL_CHANGE = "interval_change"  # funding every `interval_hours`, and settled so
    RATE_NULL = "rate_null"  # null instead of a rate
    RATE_ABSURD = "rate_absurd"  # 1.8e11 % (seen on a real venue)
    RATE_NAN = "rate_nan"  # the string "NaN"
    BOOK_CROSSED = "book_crossed"  # the bid above the ask
    WRONG_MULTIPLIER = "wrong_multiplier"  # a perpetual's prices `factor` times the spot's


_CODE: Final = re.compile(r"-?[0-9]{1,6}", re.ASCII)
# What plans by seed draw from: markets that a position may be in, and refusals that orders meet.
SYMBOLS: Final = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT")
CODES: Final = {
    "binance": ("-2019", "-2010", "-1015", "-2022", "-4164", "-1111"),
    "bitget": ("40762", "25202", "45110", "40786"),
}
ABSURD_RATE: Final = "1800000000.00000000"

TRANSPORT: Final = frozenset(
    {
        Kind.DELAY,
        Kind.DROP,
        Kind.REQUEST_LOST,
        Kind.REPLY_LOST,
        Kind.LATE_LANDING,
        Kind.OPERATION_FAILED,
        Kind.HTTP_429,
        Kind.HTTP_418,
        Kind.HTTP_5XX,
        Kind.HTML_200,
        Kind.TRUNCATED,
    }
)
STREAM: Final = frozenset({Kind.WS_GAP, Kind.WS_DISCONNECT})
USER_STREAM: Final = frozenset({Kind.USER_STREAM_GAP, Kind.USER_STREAM_DUPLICATE, Kind.USER_STREAM_REORDER})
# What befalls positions and markets, once each time that it strikes; the endpoint is `market`.
STATE: Final = frozenset({Kind.ADL, Kind.LIQUIDATION, Kind.MANUAL_CLOSE, Kind.DELISTING, Kind.FILTER_CHANGE})
RATES: Final = frozenset({Kind.RATE_NULL, Kind.RATE_ABSURD, Kind.RATE_NAN})


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault and where it strikes.

    `venue` is a protocol's name, `endpoint` a path (`/fapi/v1/depth`) or a stream (`ws:btcusdt@bookTicker`,
    `ws:ticker`), `method` HTTP's, `symbol` the venue's own; all four take shell patterns. It strikes from
    `after_sec` on, for `duration_sec` (None: for ever), at most `count` times (an answer, or a value inside
    one), each time with `probability`. Kinds in STATE strike each venue once, when they find what to strike.
    """

    kind: Kind
    venue: str = "*"
    endpoint: str = "*"
    method: str = "*"
    symbol: str = "*"
    after_sec: float = 0.0
    duration_sec: float | None = None
    count: int | None = None
    probability: float = 1.0
    delay_ms: int = 1_000
    status: int = 503
    retry_after_sec: int = 1
    offset_ms: int = -5_000
    interval_hours: float = 4.0
    factor: float = 1_000.0
    processed: bool | None = (
        None  # delay, 5xx, HTML, truncated, operation_failed: was the request carried out
    )
    code: str = ""  # rejection
    window_ms: int = 2_000
    fraction: float | None = None  # of an order or position; partial_fill, adl: half, manual_close: all

    def __post_init__(self) -> None:
        """Refuse what could never strike or would not be a fault."""
        for wrong, text in (
            (not 0.0 < self.probability <= 1.0, "probability must be in (0, 1]"),
            (self.count is not None and self.count < 1, "count must be at least 1"),
            (not 500 <= self.status <= 599, "status must be 500..599"),
            (self.interval_hours <= 0 or 24 % self.interval_hours != 0, "interval_hours must divide a day"),
            (self.factor <= 0, "factor must be positive"),
            (not 0.0 < self.share <= 1.0, "fraction must be in (0, 1]"),
            (self.kind == Kind.REJECTION and not _CODE.fullmatch(self.code), "rejection needs a code"),
            (
                self.kind == Kind.FILTER_CHANGE
                and Decimal(str(self.factor)).normalize().as_tuple().digits != (1,),
                "the factor of a filter change must be a power of ten",
            ),
            (
                min(self.after_sec, self.delay_ms, self.retry_after_sec, self.window_ms) < 0,
                "times must not be negative",
            ),
        ):
            if wrong:
                raise ValueError(text)

    @property
    def share(self) -> float:
        """`fraction`, or what the kind does without one."""
        if self.fraction is not None:
            return self.fraction
        return 1.0 if self.kind == Kind.MANUAL_CLOSE else 0.5


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Faults and the seed of their chance."""

    seed: int = 0
    faults: tuple[Fault, ...] = ()


def decode(text: bytes | str) -> Plan:
    """A plan from JSON; ValueError says where it is wrong."""
    try:
        return msgspec.json.decode(text, type=Plan)
    except msgspec.DecodeError as error:
        raise ValueError(f"fault plan: {error}") from None


def random_plan(seed: int, *, duration_sec: float, per_minute: float = 6.0) -> Plan:
    """A plan by seed: about `per_minute` faults a minute, each a few seconds long, over both protocols."""
    dice = Dice(seed, "fault plan")
    kinds = tuple(Kind)
    faults = []
    for _ in range(max(1, round(duration_sec / 60.0 * per_minute))):
        kind = kinds[int(dice.uniform() * len(kinds))]
        venue = ("binance", "bitget")[int(dice.uniform() * 2)]
        codes, one = CODES[venue], int(dice.uniform() * 1_000)
        faults.append(
            Fault(
                kind=kind,
                venue=venue,
                symbol=SYMBOLS[one % len(SYMBOLS)] if kind in STATE else "*",
                after_sec=round(dice.uniform() * duration_sec, 3),
                duration_sec=round(1.0 + 4.0 * dice.uniform(), 3),
                count=1 if kind is Kind.WS_DISCONNECT else None,
                delay_ms=round(200 + 3_000 * dice.uniform()),
                factor=10.0 if kind is Kind.FILTER_CHANGE else 1_000.0,
                code=codes[one % len(codes)] if kind is Kind.REJECTION else "",
            )
        )
    return Plan(seed=seed, faults=tuple(sorted(faults, key=lambda fault: fault.after_sec)))


class Where(msgspec.Struct, frozen=True):
    """A place that faults may strike."""

    venue: str
    endpoint: str
    symbol: str = ""
    method: str = ""


class Board:
    """Which fault strikes now; counts down those with a count."""

    def __init__(self, plan: Plan, *, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._entries: list[tuple[Fault, float]] = []
        self._left: dict[int, int] = {}
        self._befallen: set[tuple[int, str]] = set()
        self._dice = Dice(plan.seed, "faults")
        self.struck: dict[str, int] = {}
        self.add(plan.faults)

    def add(self, faults: Iterable[Fault]) -> None:
        """Put faults on the board; their times count from now."""
        now = self._seconds()
        for fault in faults:
            if fault.count is not None:
                self._left[len(self._entries)] = fault.count
            self._entries.append((fault, now + fault.after_sec))

    def clear(self) -> None:
        """Take all faults off."""
        self._entries.clear()
        self._left.clear()
        self._befallen.clear()

    def strike(self, kinds: frozenset[Kind], where: Where) -> Fault | None:
        """The first fault of these kinds that strikes here now, counted."""
        if not self._entries:
            return None
        now = self._seconds()
        for i, (fault, begin) in enumerate(self._entries):
            if fault.kind not in kinds or not self._applies(i, fault, begin, now, where):
                continue
            if fault.probability < 1.0 and self._dice.uniform() >= fault.probability:
                continue
            if i in self._left:
                self._left[i] -= 1
            self.struck[fault.kind] = self.struck.get(fault.kind, 0) + 1
            return fault
        return None

    def holds(self, kinds: frozenset[Kind]) -> bool:
        """Whether a fault of these kinds is on the board at all, now or later."""
        return any(fault.kind in kinds for fault, _ in self._entries)

    def active(self, kinds: frozenset[Kind], where: Where) -> Fault | None:
        """The first fault of these kinds that lasts here now; asking is not a strike and counts nothing."""
        now = self._seconds()
        for i, (fault, begin) in enumerate(self._entries):
            if fault.kind in kinds and self._applies(i, fault, begin, now, where):
                return fault
        return None

    def due(self, venue: str) -> list[tuple[int, Fault]]:
        """The state faults that are to befall a venue now, numbered; each waits until `befell` is said.

        One that found nothing to befall (no position yet) goes on waiting, while its `duration_sec` lasts.
        """
        now = self._seconds()
        return [
            (i, fault)
            for i, (fault, begin) in enumerate(self._entries)
            if fault.kind in STATE
            and now >= begin
            and (fault.duration_sec is None or now < begin + fault.duration_sec)
            and fnmatchcase(venue, fault.venue)
            and (i, venue) not in self._befallen
        ]

    def befell(self, number: int, venue: str) -> None:
        """A state fault has struck: once on each venue is enough."""
        self._befallen.add((number, venue))
        kind = self._entries[number][0].kind
        self.struck[kind] = self.struck.get(kind, 0) + 1

    def _applies(self, i: int, fault: Fault, begin: float, now: float, where: Where) -> bool:
        if now < begin or self._left.get(i, 1) < 1:
            return False
        if fault.duration_sec is not None and now >= begin + fault.duration_sec:
            return False
        return (
            fnmatchcase(where.venue, fault.venue)
            and fnmatchcase(where.endpoint, fault.endpoint)
            and fnmatchcase(where.symbol, fault.symbol)
            and (not where.method or fnmatchcase(where.method, fault.method))
        )

    def describe(self) -> dict[str, Any]:
        """What is on the board and what has struck, for the control endpoint."""
        now = self._seconds()
        return {
            "faults": [
                {
                    **msgspec.to_builtins(fault),
                    "starts_in_sec": round(begin - now, 3),
                    "left": self._left.get(i),
                }
                for i, (fault, begin) in enumerate(self._entries)
            ],
            "struck": dict(self.struck),
        }
