"""`fundarb halt`: reduce only, until a `reset`; one step, without a question."""

from __future__ import annotations

import argparse
from typing import Final

from libs.console import commanding

NAME: Final = "halt"
HELP: Final = "only reduce from now on, until a `reset`; asks nothing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to halt, and why."""
    commanding.add_scope(parser)
    commanding.add_common(parser)


def run(args: argparse.Namespace) -> int:
    """0 when risk has done it, 1 when it refuses, 3 when it does not answer."""
    return commanding.send(args)
