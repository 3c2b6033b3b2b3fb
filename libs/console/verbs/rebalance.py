"""`fundarb rebalance`: bring a pair's legs back to each other."""

from __future__ import annotations

import argparse
from typing import Final

from libs.console import commanding

NAME: Final = "rebalance"
HELP: Final = "bring the legs of a pair back to each other"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which, and why."""
    parser.add_argument("pair", metavar="PAIR", help="its id, or its alias (BTC-USDT_spot_perp)")
    commanding.add_common(parser)


def run(args: argparse.Namespace) -> int:
    """0 when the executor has taken it up, 1 when it refuses, 3 when it does not answer."""
    return commanding.send(args)
