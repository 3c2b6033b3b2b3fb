"""`fundarb open`: open a pair now; gates, limits and breakers hold as ever."""

from __future__ import annotations

import argparse
import asyncio
from decimal import Decimal, InvalidOperation
from typing import Final

from libs.common.bus import BusUnavailable
from libs.console import commanding, output
from libs.console.evaluated import Evaluated, last_evaluated
from libs.console.output import UNREACHABLE, UserError
from libs.console.reach import reached

NAME: Final = "open"
HELP: Final = "open a pair now; limits and breakers hold as ever"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which, which way round, and how much; left out, it is as last evaluated and as configured."""
    parser.add_argument("pair", metavar="PAIR", help="its id, or its alias (BTC-USDT_spot_perp)")
    parser.add_argument(
        "--direction",
        choices=("forward", "reverse"),
        help="forward: the pair's first leg is bought (default: as last evaluated)",
    )
    parser.add_argument(
        "--notional", metavar="USD", type=usd, help="USD per leg (default: position.notional_usd)"
    )
    commanding.add_common(parser)


def usd(text: str) -> Decimal:
    """An amount above 0. Raises `argparse.ArgumentTypeError`."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(0)
    if not amount.is_finite() or amount <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of USD above 0")
    return amount


def run(args: argparse.Namespace) -> int:
    """0 when the executor has taken it up, 1 when it refuses, 3 when it does not answer.

    Without a direction it is what signal has last evaluated, and said; without that the executor refuses.
    """
    direction: str | None = args.direction
    if direction is None and (found := _found(args)) is not None:
        direction = found.direction
        if not args.json:
            output.emit_text(f"{found.pair}: {found}")
    return commanding.send(
        args,
        direction=direction,
        notional_usd=None if args.notional is None else str(args.notional),
    )


def _found(args: argparse.Namespace) -> Evaluated | None:
    output.quiet_logs()
    name, known = reached(args)
    try:
        return asyncio.run(last_evaluated(known, args.pair))
    except BusUnavailable as error:
        raise UserError(f"deployment {name} does not answer: {error}", UNREACHABLE) from error
