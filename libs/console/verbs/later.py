"""The trading verbs, which answer for now that trading is not part of this version."""

from __future__ import annotations

import argparse

from libs.console.output import USAGE, UserError

NAME = "later"
HELP = "verbs that come with trading"


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """None yet: `main` drops what is given, the answer is the same."""


def run(args: argparse.Namespace) -> int:
    """Say so; nothing is sent anywhere."""
    raise UserError(
        f"fundarb {args.verb}: trading is not part of this version yet, so there is nothing to "
        f"{args.verb}; `fundarb status` shows what is watched, `fundarb scan` what is worth doing",
        USAGE,
    )
