"""`fundarb calc`: what one spot/perp pair earns and costs, from numbers on the command line."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from typing import Final

from libs.carry.calc import Calculation, calc
from libs.common.config.schema import Costs, Position
from libs.common.config.units import BOUNDS, out_of_bounds
from libs.console import output
from libs.console.options import add_json
from libs.console.output import OK, USAGE, UserError

NAME = "calc"
HELP = "the economics of one pair from its rate and costs"

_NUMBER: Final = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_PERCENT: Final = re.compile(r"([-+]?[0-9.]+)\s*%")
_RATE_MAX: Final = 0.05  # 5 % in one interval: venues cap below (Binance 3 % at most, Bybit 4 %)
_HOURS_MAX: Final = 24.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Fractions, hours, days and USD; `=` keeps a negative number from looking like an option."""
    costs, position = Costs(), Position()
    add = parser.add_argument
    add("--rate", required=True, help="funding rate of one interval, a fraction: 0.0001 is 1 bps")
    add("--interval", required=True, help="hours between settlements: 8, 4, 1")
    add("--notional", default=str(position.notional_usd), help="USD per leg (default %(default)s)")
    add("--taker", default=str(costs.taker), help="taker fee, a fraction (default %(default)s)")
    add("--maker", default=str(costs.maker), help="maker fee, negative for a rebate (default %(default)s)")
    add(
        "--role",
        default=costs.role,
        choices=("taker", "maker"),
        help="how fills are paid (default %(default)s)",
    )
    add("--slippage-bps", default=str(costs.slippage_bps), help="per leg and fill (default %(default)s)")
    add("--borrow-daily", default="0", help="cost of borrowed spot a day, a fraction (default %(default)s)")
    add("--transfer", default="0", help="fixed USD per position (default %(default)s)")
    add(
        "--hold-days", default=str(position.hold_days), help="days the position is held (default %(default)s)"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the economics; the answer is yes even when they are bad."""
    notional_usd = _figure("--notional", args.notional, key="position.notional_usd")
    hold_days = _figure("--hold-days", args.hold_days, key="position.hold_days")
    rate = _figure("--rate", args.rate, valid=_rate_problem)
    interval_hours = _figure("--interval", args.interval, valid=_interval_problem)
    answer = calc(
        rate,
        interval_hours,
        notional_usd,
        taker=_figure("--taker", args.taker, key="costs.taker"),
        maker=_figure("--maker", args.maker, key="costs.maker"),
        role=args.role,
        slippage_bps=_figure("--slippage-bps", args.slippage_bps, key="costs.slippage_bps"),
        borrow_daily=_figure("--borrow-daily", args.borrow_daily, key="costs.borrow_daily"),
        transfer_usd=_figure("--transfer", args.transfer, key="costs.transfer_usd"),
        hold_days=hold_days,
    )
    if args.json:
        output.emit_json(answer)
    else:
        _print(answer, notional_usd=notional_usd, hold_days=hold_days)
    return OK


def _print(answer: Calculation, *, notional_usd: float, hold_days: float) -> None:
    legs = "spot long, perp short" if answer["direction"] == "forward" else "perp long, spot short (borrowed)"
    days = answer["breakeven_days"]
    # Below zero the entry has already paid (a rebate): 0 days for people, the figure itself in JSON.
    breakeven = "never" if days is None else f"{max(days, 0.0):.4f} days"
    rows = (
        ("direction", f"{answer['direction']}: {legs}"),
        ("funding a day", f"{answer['daily']:+.6f} ({answer['daily'] * 100:+.4f} %)"),
        ("funding a year", f"{answer['apr'] * 100:+.2f} % (if the rate stayed, which it does not)"),
        ("round trip", f"{answer['round_trip_usd']:.4f} USD"),
        ("net a day", f"{answer['net_daily_usd']:+.4f} USD over {hold_days:g} days"),
        ("break-even", breakeven),
    )
    table = output.table(["figure", f"on {notional_usd:,.0f} USD per leg"])
    for name, value in rows:
        table.add_row(name, value)
    output.console().print(table)


def _figure(flag: str, text: str, *, key: str = "", valid: Callable[[float], str] | None = None) -> float:
    """The number behind a flag, in its unit's bounds; else one line with the remedy."""
    percent = _PERCENT.fullmatch(text.strip())
    if percent is not None and _NUMBER.fullmatch(percent.group(1)):
        value = float(percent.group(1))
        said = f"{value * 100:g} bps" if flag == "--slippage-bps" else f"{value / 100:g}"
        raise UserError(f"fundarb calc: {flag} {text}: write a plain number; {text} is {said}", USAGE)
    value = float(text) if _NUMBER.fullmatch(text.strip()) else math.nan
    if not math.isfinite(value):
        raise UserError(f"fundarb calc: {flag} {text}: a finite number is expected", USAGE)
    if valid is not None and (problem := valid(value)):
        raise UserError(f"fundarb calc: {flag} {text}: {problem}", USAGE)
    beyond = out_of_bounds(key, value) if key in BOUNDS else None
    if beyond is not None:
        reason, remedy = beyond
        raise UserError(f"fundarb calc: {flag} {text}: {reason}{'; ' if remedy else ''}{remedy}", USAGE)
    return value


def _rate_problem(rate: float) -> str:
    if abs(rate) <= _RATE_MAX:
        return ""
    meant = f"{rate:g} bps is {rate / 10_000:g}, {rate:g} % is {rate / 100:g}"
    return f"a fraction up to {_RATE_MAX} is expected; {meant}"


def _interval_problem(hours: float) -> str:
    return "" if 0 < hours <= _HOURS_MAX else f"hours above 0 and at most {_HOURS_MAX:g} are expected"
