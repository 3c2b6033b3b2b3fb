"""`fundarb resume`: undo a pause, and only that."""

from __future__ import annotations

import argparse
from typing import Final

from libs.console import commanding

NAME: Final = "resume"
HELP: Final = "undo a `pause` of the same scope, and only that"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What was paused."""
    commanding.add_scope(parser)
    commanding.add_common(parser)


def run(args: argparse.Namespace) -> int:
    """0 when risk has done it, 1 when it refuses, 3 when it does not answer."""
    return commanding.send(args)
