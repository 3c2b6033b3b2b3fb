"""`fundarb open`: open a pair now; gates, limits and breakers hold as ever."""

from __future__ import annotations

import argparse
from decimal import Decimal, InvalidOperation
from typing import Final

from libs.console import commanding

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
    """0 when the executor has taken it up, 1 when it refuses, 3 when it does not answer."""
    return commanding.send(
        args,
        direction=args.direction,
        notional_usd=None if args.notional is None else str(args.notional),
    )
