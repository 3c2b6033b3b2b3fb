"""`fundarb pause`: open nothing more, until `resume`."""

from __future__ import annotations

import argparse
from typing import Final

from libs.console import commanding

NAME: Final = "pause"
HELP: Final = "open nothing more until `resume`; what is held stays and is looked after"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to pause, and why."""
    commanding.add_scope(parser)
    commanding.add_common(parser)


def run(args: argparse.Namespace) -> int:
    """0 when risk has done it, 1 when it refuses, 3 when it does not answer."""
    return commanding.send(args)
