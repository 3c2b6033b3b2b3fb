"""`fundarb reload`: every service reads the config again and takes over what may change while it runs."""

from __future__ import annotations

import argparse
from typing import Final

from libs.console import commanding

NAME: Final = "reload"
HELP: Final = "read the config again: what may change while running is taken over"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A config is everybody's: no scope."""
    parser.add_argument("--yes", action="store_true", help="a limit that was raised is meant so")
    commanding.add_common(parser)


def run(args: argparse.Namespace) -> int:
    """0 when every service that answers has taken it over, 1 when one refuses, by the setting's name."""
    return commanding.send(args, confirm=args.yes)
