"""The verdict on a run: what grows without end, what died, what was not explained. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from tests.soak.curves import Curves, Trend


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """A leak surely grows faster than `per_hour`, and did grow by `grown_min` while it was judged."""

    per_hour: float
    grown_min: float
    unit: str


ALLOWED: Final = {
    "rss_mb": Allowance(per_hour=40.0, grown_min=3.0, unit="MB"),
    # connections to a venue are kept for 60 s: their number is the most that were ever asked for at once
    "fds": Allowance(per_hour=60.0, grown_min=10.0, unit="fds"),
    "threads": Allowance(per_hour=20.0, grown_min=3.0, unit="threads"),
    "inbox": Allowance(per_hour=600.0, grown_min=50.0, unit="events"),
    "requests": Allowance(per_hour=60.0, grown_min=5.0, unit="requests"),
    "loop_lag_ms": Allowance(per_hour=600.0, grown_min=50.0, unit="ms"),
    "log_mb": Allowance(per_hour=60.0, grown_min=1.0, unit="MB"),
}
"""By kind. Allocators keep pages, so that a memory creeps a while after its start without any leak."""

BY_ITS_STREAMS: Final = frozenset({"rss_mb/valkey"})
"""Streams lie in its memory, and grow with what is traded: `_store` judges them."""

MUST_BE_NONE: Final = ("actor_faults", "bus_lost", "bus_bad", "store_failures", "inbox_dropped")
JOURNAL_PER_ORDER_MAX: Final = 30.0
LEDGER_PER_EVENT_MAX: Final = 6.0
"""Lines for each order and settlement: trades, fees, payments, transfers."""

KEYS_BESIDE_MAX: Final = 60
"""Keys of a deployment besides those of its pairs."""

KEYS_PER_PAIR_MAX: Final = 6
STORE_BYTES_PER_ENTRY_MAX: Final = 2_500.0
STORE_MB_EMPTY: Final = 8.0
RESIDUAL_USD_MAX: Final = 0.1
"""1 bp of the largest leg (1,000 USD), what `books:residual` pages for."""

RESTING: Final = frozenset({"idle", "active"})
STUCK: Final = "stuck"


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """An alert, as far as a verdict needs it."""

    level: str
    key: str
    text: str


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen besides the curves. `states`: the last state of each pair, openings paused."""

    restarts: dict[str, int]
    unwell: dict[str, str]
    states: dict[str, str]
    alerts: list[Heard]
    tracebacks: dict[str, int]
    residual_usd: float | None
    settlements_missing: int
    malformed: int


UNWIND: Final = ":unwind:"
"""In the key of the warning that a leg failed and the other one is unwound: prices run away now and then."""

UNWINDS_PER_OPENING_MAX: Final = 0.03


def reasons(curves: Curves, facts: Facts) -> list[str]:
    """Why the run fails; empty when it does not."""
    return [*_died(facts), *_leaks(curves), *_counted(curves), *_store(curves, facts), *_money(curves, facts)]


def is_leak(found: Trend, allowed: Allowance) -> bool:
    """Even the lower bound of the slope is above what is allowed, and it came to something."""
    return found.low > allowed.per_hour and found.grown > allowed.grown_min


def slope_of(found: Trend, unit: str) -> str:
    """Slope and bounds in words."""
    return f"{found.per_hour:+.1f} {unit}/h ({found.low:+.1f} to {found.high:+.1f})"


def _died(facts: Facts) -> list[str]:
    found = [f"{name} was started again {count} times" for name, count in facts.restarts.items() if count]
    found += [f"{name} is not well: {why}" for name, why in facts.unwell.items()]
    return found + [f"{name}.log has {count} tracebacks" for name, count in facts.tracebacks.items()]


def _leaks(curves: Curves) -> list[str]:
    found = []
    for kind, allowed in ALLOWED.items():
        for who, curve in curves.of(kind).items():
            one = curves.trend(curve)
            if f"{kind}/{who}" not in BY_ITS_STREAMS and one is not None and is_leak(one, allowed):
                slope = slope_of(one, allowed.unit)
                found.append(f"{kind} of {who} grows by {slope}, allowed are {allowed.per_hour:g}")
    return found


def _counted(curves: Curves) -> list[str]:
    return [
        f"{who} counts {curve.values[-1]:.0f} {kind}"
        for kind in MUST_BE_NONE
        for who, curve in curves.of(kind).items()
        if curve.values[-1] > 0
    ]


def _store(curves: Curves, facts: Facts) -> list[str]:
    """Streams grow with what is traded and by nothing else; so does the store's memory with its streams."""
    orders, settlements = curves.last("traded/orders"), curves.last("traded/settlements")
    entries = sum(curve.values[-1] for curve in curves.of("stream").values())
    keys_max = KEYS_BESIDE_MAX + KEYS_PER_PAIR_MAX * len(facts.states)
    mb_max = STORE_MB_EMPTY + entries * STORE_BYTES_PER_ENTRY_MAX / 1_000_000
    limits = (
        ("stream/journal", "entries", JOURNAL_PER_ORDER_MAX * orders, f"{orders:.0f} orders"),
        (
            "stream/ledger",
            "lines",
            LEDGER_PER_EVENT_MAX * (orders + settlements),
            f"{orders:.0f} orders and {settlements:.0f} settlements",
        ),
        ("store/keys", "keys", keys_max, f"{len(facts.states)} pairs"),
        ("store/mb", "MB", mb_max, f"{entries:.0f} entries of its streams"),
    )
    return [
        f"{name}: {curves.last(name):.0f} {unit}, at most {most:.0f} are explained by {why}"
        for name, unit, most, why in limits
        if curves.last(name) > most
    ]


def _money(curves: Curves, facts: Facts) -> list[str]:
    found = []
    if not curves.last("traded/orders"):
        found.append("nothing was traded")
    if facts.residual_usd is None:
        found.append("the accounts were not compared with the books in the end")
    residuals = curves.of("residual_usd").get("all")
    worst = max((*(residuals.values if residuals else ()), facts.residual_usd or 0.0), default=0.0)
    if worst > RESIDUAL_USD_MAX:
        found.append(f"the residual was {worst:.4f} USD, at most {RESIDUAL_USD_MAX:g} is allowed")
    if facts.settlements_missing:
        found.append(f"{facts.settlements_missing} settlements are missing")
    if facts.malformed:
        found.append(f"{facts.malformed} messages were malformed")
    return found + _pairs(facts) + _alerts(facts, opened=curves.last("traded/opened"))


def _pairs(facts: Facts) -> list[str]:
    paged = [one for one in facts.alerts if one.level == "critical"]
    found = [] if facts.states else ["no pair was heard of"]
    for pair, state in sorted(facts.states.items()):
        if state == STUCK:
            if not any(pair in one.key or pair in one.text for one in paged):
                found.append(f"{pair} is stuck and nobody was paged")
        elif state not in RESTING:
            found.append(f"{pair} is {state} in the end")
    return found


def _alerts(facts: Facts, *, opened: float) -> list[str]:
    strange: dict[str, tuple[int, str]] = {}
    unwinds = 0
    for one in facts.alerts:
        if one.level == "info" or (UNWIND in one.key and one.level == "warning"):
            unwinds += UNWIND in one.key
        else:
            count, _ = strange.get(one.key, (0, ""))
            strange[one.key] = (count + 1, one.text)
    found = [
        f"alert {key} was raised {count} times, the last: {text}" for key, (count, text) in strange.items()
    ]
    if unwinds > 1 + UNWINDS_PER_OPENING_MAX * opened:
        found.append(f"{unwinds} openings of {opened:.0f} were unwound")
    return found
