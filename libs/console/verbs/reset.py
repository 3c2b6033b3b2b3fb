"""`fundarb reset`: clear the latches of a scope, and let a stuck pair go after a clean look at the venues."""

from __future__ import annotations

import argparse
from typing import Final

from libs.console import commanding
from libs.console.output import USAGE, UserError

NAME: Final = "reset"
HELP: Final = "clear the latches of a scope, and leave STUCK after a clean look; asks first"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What was latched; `--yes` in place of the question."""
    commanding.add_scope(parser)
    parser.add_argument(
        "--coins",
        choices=("sold", "held"),
        help="of a stuck pair's own coins, where balances do not tell: all are sold by you, or all are there",
    )
    commanding.add_yes(parser)
    commanding.add_common(parser)


def run(args: argparse.Namespace) -> int:
    """0 when risk and executor have both done it."""
    if args.coins and not (args.pair or (args.scope or "").startswith("pair:")):
        raise UserError("fundarb reset: --coins is said of one pair: add --pair", USAGE)
    return commanding.send(args, coins=args.coins)
