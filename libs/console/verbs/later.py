"""Verbs of later versions: backtests, reports. Each says so, and what there is instead."""

from __future__ import annotations

import argparse
from typing import Final

from libs.console.output import USAGE, UserError

NAME = "later"
HELP = "verbs of later versions"

SENTENCES: Final = {
    "backtest": "backtests are not part of this version yet; `fundarb scan --history DIR` ranks an archive",
    "report": "reports are not part of this version yet; `fundarb status` shows what is watched now",
}
"""What each verb answers, in a sentence of its own."""


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """None yet: `main` drops what is given, the answer is the same."""


def run(args: argparse.Namespace) -> int:
    """Say so; nothing is sent anywhere."""
    raise UserError(f"fundarb {args.verb}: {SENTENCES[args.verb]}", USAGE)
