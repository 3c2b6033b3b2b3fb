"""`fundarb close`: close a pair."""

from __future__ import annotations

import argparse
from typing import Final

from libs.console import commanding

NAME: Final = "close"
HELP: Final = "close a pair; `--hard` does not wait for a good price"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which, why, and how."""
    parser.add_argument("pair", metavar="PAIR", help="its id, or its alias (BTC-USDT_spot_perp)")
    parser.add_argument("--hard", action="store_true", help="both legs at once, now")
    commanding.add_common(parser)


def run(args: argparse.Namespace) -> int:
    """0 when the executor has taken it up, 1 when it refuses, 3 when it does not answer."""
    return commanding.send(args, hard=args.hard)
