"""`fundarb flatten`: close everything in a scope hard, and keep it shut until a `reset`."""

from __future__ import annotations

import argparse
from typing import Final

from libs.console import commanding

NAME: Final = "flatten"
HELP: Final = "close all positions of a scope hard, and keep it shut until `reset`; asks first"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to close, and why; `--yes` in place of the question."""
    commanding.add_scope(parser)
    commanding.add_yes(parser)
    commanding.add_common(parser)


def run(args: argparse.Namespace) -> int:
    """0 when it is obeyed: by risk, or by the executor while no permit reaches it."""
    return commanding.send(args)
