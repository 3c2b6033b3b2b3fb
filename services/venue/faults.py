"""Faults that the venue commits on purpose: a plan of them, and the board that says which strikes now.

Pure: time comes in as monotonic seconds, chance from the plan's seed. A plan is JSON:

    {"seed": 7, "faults": [{"kind": "http_429", "venue": "binance", "endpoint": "/fapi/*", "count": 3}]}
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec

from services.venue.dice import Dice


class Kind(StrEnum):
    """What can go wrong."""

    DELAY = "delay"  # the answer comes `delay_ms` late
    DROP = "drop"  # the connection is reset before any answer (aiohttp repeats a GET once: use count >= 2)
    HTTP_429 = "http_429"  # rate limit, with Retry-After `retry_after_sec`
    HTTP_418 = "http_418"  # banned
    HTTP_5XX = "http_5xx"  # `status`, with the venue's own error body
    HTML_200 = "html_200"  # a proxy's page instead of JSON, with status 200
    TRUNCATED = "truncated"  # half of the body, then the connection ends
    WS_GAP = "ws_gap"  # the stream stays open and silent
    WS_DISCONNECT = "ws_disconnect"  # the stream's connection is cut
    CLOCK_SKEW = "clock_skew"  # the venue's clock is `offset_ms` off
    INTERVAL_CHANGE = "interval_change"  # funding every `interval_hours`
    RATE_NULL = "rate_null"  # null instead of a rate
    RATE_ABSURD = "rate_absurd"  # 1.8e11 % (seen on a real venue)
    RATE_NAN = "rate_nan"  # the string "NaN"
    BOOK_CROSSED = "book_crossed"  # the bid above the ask
    WRONG_MULTIPLIER = "wrong_multiplier"  # a perpetual's prices `factor` times the spot's


ABSURD_RATE: Final = "1800000000.00000000"

TRANSPORT: Final = frozenset(
    {
        Kind.DELAY,
        Kind.DROP,
        Kind.HTTP_429,
        Kind.HTTP_418,
        Kind.HTTP_5XX,
        Kind.HTML_200,
        Kind.TRUNCATED,
    }
)
STREAM: Final = frozenset({Kind.WS_GAP, Kind.WS_DISCONNECT})
RATES: Final = frozenset({Kind.RATE_NULL, Kind.RATE_ABSURD, Kind.RATE_NAN})


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault and where it strikes.

    `venue` is a protocol's name, `endpoint` a path (`/fapi/v1/depth`) or a stream (`ws:btcusdt@bookTicker`,
    `ws:ticker`), `symbol` the venue's own; all three take shell patterns. It strikes from `after_sec` on, for
    `duration_sec` (None: for ever), at most `count` times (an answer, or a value inside one), each time with
    `probability`.
    """

    kind: Kind
    venue: str = "*"
    endpoint: str = "*"
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

    def __post_init__(self) -> None:
        """Refuse what could never strike or would not be a fault."""
        for wrong, text in (
            (not 0.0 < self.probability <= 1.0, "probability must be in (0, 1]"),
            (self.count is not None and self.count < 1, "count must be at least 1"),
            (not 500 <= self.status <= 599, "status must be 500..599"),
            (self.interval_hours <= 0 or 24 % self.interval_hours != 0, "interval_hours must divide a day"),
            (self.factor <= 0, "factor must be positive"),
            (min(self.after_sec, self.delay_ms, self.retry_after_sec) < 0, "times must not be negative"),
        ):
            if wrong:
                raise ValueError(text)


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
        faults.append(
            Fault(
                kind=kind,
                venue=("binance", "bitget")[int(dice.uniform() * 2)],
                after_sec=round(dice.uniform() * duration_sec, 3),
                duration_sec=round(1.0 + 4.0 * dice.uniform(), 3),
                count=1 if kind is Kind.WS_DISCONNECT else None,
                delay_ms=round(200 + 3_000 * dice.uniform()),
            )
        )
    return Plan(seed=seed, faults=tuple(sorted(faults, key=lambda fault: fault.after_sec)))


class Where(msgspec.Struct, frozen=True):
    """A place that faults may strike."""

    venue: str
    endpoint: str
    symbol: str = ""


class Board:
    """Which fault strikes now; counts down those with a count."""

    def __init__(self, plan: Plan, *, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._entries: list[tuple[Fault, float]] = []
        self._left: dict[int, int] = {}
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

    def _applies(self, i: int, fault: Fault, begin: float, now: float, where: Where) -> bool:
        if now < begin or self._left.get(i, 1) < 1:
            return False
        if fault.duration_sec is not None and now >= begin + fault.duration_sec:
            return False
        return (
            fnmatchcase(where.venue, fault.venue)
            and fnmatchcase(where.endpoint, fault.endpoint)
            and fnmatchcase(where.symbol, fault.symbol)
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
