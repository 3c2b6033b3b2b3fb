"""`fundarb ack`: say that somebody knows of a critical alert, so that it escalates no further."""

from __future__ import annotations

import argparse
from typing import Final

from libs.console import commanding
from libs.console.output import USAGE, UserError

NAME: Final = "ack"
HELP: Final = "say that you know of a critical alert: it goes to nobody else"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which one, or all."""
    parser.add_argument("key", metavar="KEY", nargs="?", help="the alert's key, as its message says")
    parser.add_argument("--all", action="store_true", help="all that wait to be acknowledged")
    commanding.add_common(parser)


def run(args: argparse.Namespace) -> int:
    """0 when the notifier has noted it, 1 when there is no such alert, 3 when it does not answer."""
    if bool(args.key) == args.all:
        raise UserError("fundarb ack: name one KEY, or say --all", USAGE)
    return commanding.send(args, key="*" if args.all else args.key)
