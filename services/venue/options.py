"""What a venue can be told: options on its command line, or the same as environment variables."""

from __future__ import annotations

import argparse
import datetime as dt
import ipaddress
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from libs.common.instant import MarketClock
from libs.exchange.redirect import LOOPBACK
from services.venue import customers, faults, generator, recording
from services.venue.market import DEFAULT_START_MS, Market

ENV_PREFIX: Final = "FUNDARB_VENUE_"
SPEED_DEFAULT: Final = 2_880.0  # a day in 30 s
SPEED_MAX: Final = 100_000.0
USERS_MAX: Final = 100
GENERATED_HISTORY_DAYS: Final = 60


class BadOption(ValueError):
    """An option that makes no sense; the text names it and the remedy."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to run. `start` is UTC market time; `data` is `recorded` or `generated`."""

    speed: float = SPEED_DEFAULT
    start_ms: int = DEFAULT_START_MS
    seed: int = 0
    data: str = "recorded"
    port: int = 0
    wall0_ms: int | None = None
    plan: faults.Plan = faults.Plan()
    users: int = 1
    state: str = ""
    bind: str = LOOPBACK
    host: str = LOOPBACK
    deposits: dict[tuple[str, str, str], Decimal] = msgspec.field(
        default_factory=lambda: dict(customers.DEPOSITS)
    )


_HELP: Final = {
    "speed": f"market seconds a wall second (default {SPEED_DEFAULT:g})",
    "start": "market time to start at, ISO 8601 UTC or ms (default 2025-10-09T20:00)",
    "seed": "seed of everything synthesised (default 0)",
    "data": "recorded (default) or generated",
    "state": "folder in which accounts and orders outlive the process (default: they do not)",
    "bind": "address to listen on (default 127.0.0.1; in a container 0.0.0.0)",
    "host": "name under which clients find it (default 127.0.0.1; in a container its name)",
    "port": "TLS port, 0 for any free one (default)",
    "wall0": "wall time in ms at which the market starts (default: now); a restart with it goes on",
    "faults": "fault plan: a file or JSON text",
    "chaos": "seconds of a fault plan made from the seed",
    "users": "how many users u1, u2, .. begin with money (default 1)",
    "deposits": "what each begins with (default binance.spot.USDT=50000,binance.usdm.USDT=50000,"
    "bitget.unified.USDT=100000)",
}


def environment(arguments: Sequence[str], env: Mapping[str, str]) -> dict[str, str]:
    """`env` with the command line's options put into their variables."""
    parser = argparse.ArgumentParser(
        prog="fundarb run venue", description="A simulated exchange on loopback."
    )
    for name, text in _HELP.items():
        parser.add_argument(f"--{name}", help=f"{text}; env {ENV_PREFIX}{name.upper()}")
    given = {k: v for k, v in vars(parser.parse_args(list(arguments))).items() if v is not None}
    return {**env, **{f"{ENV_PREFIX}{name.upper()}": value for name, value in given.items()}}


def from_env(env: Mapping[str, str]) -> Options:
    """The options that the environment gives. Raises BadOption."""
    found = {
        name: env[f"{ENV_PREFIX}{name.upper()}"] for name in _HELP if env.get(f"{ENV_PREFIX}{name.upper()}")
    }
    seed = _whole(found, "seed", 0)
    data = found.get("data", "recorded")
    if data not in ("recorded", "generated"):
        raise BadOption(f"data: {data!r} is neither recorded nor generated")
    return Options(
        speed=_speed(found.get("speed")),
        start_ms=_instant(found["start"]) if "start" in found else DEFAULT_START_MS,
        seed=seed,
        data=data,
        state=found.get("state", ""),
        bind=_bind(found.get("bind", LOOPBACK)),
        host=found.get("host", LOOPBACK),
        port=_whole(found, "port", 0),
        wall0_ms=_whole(found, "wall0", 0) or None,
        plan=_plan(found, seed),
        users=_users(found),
        deposits=_deposits(found),
    )


def _bind(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise BadOption(f"bind: {text!r} is no IP address") from None
    return text


def _users(found: Mapping[str, str]) -> int:
    users = _whole(found, "users", 1)
    if not 1 <= users <= USERS_MAX:
        raise BadOption(f"users: {users} is not between 1 and {USERS_MAX}")
    return users


def _deposits(found: Mapping[str, str]) -> dict[tuple[str, str, str], Decimal]:
    if "deposits" not in found:
        return customers.DEPOSITS
    try:
        return customers.deposits_of(found["deposits"])
    except ValueError as error:
        raise BadOption(f"deposits: {error}") from None


def _whole(found: Mapping[str, str], name: str, default: int) -> int:
    text = found.get(name)
    if text is None:
        return default
    try:
        return int(text)
    except ValueError:
        raise BadOption(f"{name}: {text!r} is not a whole number") from None


def _speed(text: str | None) -> float:
    if text is None:
        return SPEED_DEFAULT
    try:
        speed = float(text)
    except ValueError:
        raise BadOption(f"speed: {text!r} is not a number") from None
    if not 0.0 < speed <= SPEED_MAX:
        raise BadOption(f"speed: {text} is not above 0 and at most {SPEED_MAX:g}")
    return speed


def _instant(text: str) -> int:
    if text.isdigit():
        return int(text)
    try:
        when = dt.datetime.fromisoformat(text)
    except ValueError:
        raise BadOption(f"start: {text!r} is no time (e.g. 2025-10-09T20:00)") from None
    return int(when.replace(tzinfo=when.tzinfo or dt.UTC).timestamp() * 1_000)


def _plan(found: Mapping[str, str], seed: int) -> faults.Plan:
    planned: tuple[faults.Fault, ...] = ()
    if text := found.get("faults"):
        try:
            content = text if text.lstrip().startswith("{") else Path(text).read_text(encoding="utf-8")
            planned = faults.decode(content).faults
        except OSError as error:
            raise BadOption(f"faults: {error}") from None
        except ValueError as error:
            raise BadOption(str(error)) from None
    if text := found.get("chaos"):
        try:
            planned += faults.random_plan(seed, duration_sec=float(text)).faults
        except ValueError:
            raise BadOption(f"chaos: {text!r} is not a number of seconds") from None
    return faults.Plan(seed=seed, faults=planned)


def market_of(options: Options) -> Market:
    """The market that the options ask for. Raises BadOption when it does not reach the start time."""
    if options.data == "generated":
        begin = options.start_ms - GENERATED_HISTORY_DAYS * 86_400_000
        return Market(generator.generate(options.seed, begin_ms=begin), seed=options.seed)
    market = Market(recording.load(), seed=options.seed)
    first, end = market.span_ms("binance")
    if not first <= options.start_ms < end:
        raise BadOption(
            f"start: the recording spans {_iso(first)} to {_iso(end)}, not {_iso(options.start_ms)}"
        )
    return market


def clock_of(options: Options, *, wall_ms: int) -> MarketClock:
    """Market time from `wall_ms` on, or from the wall time that the options name."""
    begin_ms = wall_ms if options.wall0_ms is None else options.wall0_ms
    return MarketClock(market0_ms=options.start_ms, wall0_ms=begin_ms, speed=options.speed)


def _iso(stamp_ms: int) -> str:
    return dt.datetime.fromtimestamp(stamp_ms / 1_000, dt.UTC).strftime("%Y-%m-%dT%H:%MZ")


def market_name(options: Options) -> str:
    """What clock and prices are made from: a kept state belongs to one such market."""
    return f"{options.data} from {_iso(options.start_ms)} at {options.speed:g}x, seed {options.seed}"
