"""`fundarb reset`: clear the latches of a scope, and let a stuck pair go after a clean look at the venues."""

from __future__ import annotations

import argparse
from typing import Final

from libs.console import commanding

NAME: Final = "reset"
HELP: Final = "clear the latches of a scope, and leave STUCK after a clean look; asks first"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What was latched; `--yes` in place of the question."""
    commanding.add_scope(parser)
    commanding.add_yes(parser)
    commanding.add_common(parser)


def run(args: argparse.Namespace) -> int:
    """0 when risk and executor have both done it."""
    return commanding.send(args)
