"""Verbs of later versions: trading, backtests, reports. Each says so, and what there is instead."""

from __future__ import annotations

import argparse
from typing import Final

from libs.console.output import USAGE, UserError

NAME = "later"
HELP = "verbs that come with trading"

_TRADING: Final = "trading is not part of this version yet"
_SEE: Final = "`fundarb status` shows what is watched, `fundarb scan` what is worth doing"
SENTENCES: Final = {
    "positions": f"{_TRADING}, so no positions are held; {_SEE}",
    "open": f"{_TRADING}, so no pair is opened; {_SEE}",
    "close": f"{_TRADING}, so no pair is held that could be closed; {_SEE}",
    "rebalance": f"{_TRADING}, so no pair is held that could drift; {_SEE}",
    "pause": f"{_TRADING}, so nothing is opened anyway; Ctrl-C in `fundarb up` ends the watching",
    "resume": f"{_TRADING}, so nothing is paused; {_SEE}",
    "halt": f"{_TRADING}, so nothing is traded anyway; Ctrl-C in `fundarb up` ends the watching",
    "flatten": f"{_TRADING}, so no positions are held; {_SEE}",
    "reset": f"{_TRADING}, so no latches are set; {_SEE}",
    "reload": "reloading is not part of this version yet; start `fundarb up` again to read the config",
    "backtest": "backtests are not part of this version yet; `fundarb scan --history DIR` ranks an archive",
    "report": "reports are not part of this version yet; `fundarb status` shows what is watched now",
}
"""What each verb answers, in a sentence of its own."""


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """None yet: `main` drops what is given, the answer is the same."""


def run(args: argparse.Namespace) -> int:
    """Say so; nothing is sent anywhere."""
    raise UserError(f"fundarb {args.verb}: {SENTENCES[args.verb]}", USAGE)
