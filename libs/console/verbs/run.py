"""`fundarb run SERVICE`: one service in this process, as supervisors and containers start it."""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
from typing import Final

from libs.common.config.live import LIVE_ENV
from libs.console.options import CONFIG_VARIABLE, add_config
from libs.console.output import USAGE, UserError

NAME = "run"
HELP = "run one service in this process"

SERVICES: Final = ("feed", "signal", "executor", "risk", "recorder", "notifier", "venue")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The service's name; NATS and Redis come from the environment."""
    parser.add_argument("service", metavar="SERVICE", help=f"one of {', '.join(SERVICES)}")
    parser.add_argument("--live", action="store_true", help="the second act that mode live needs")
    add_config(parser)


def run(args: argparse.Namespace) -> int:
    """Until SIGTERM; the service's own exit code."""
    if args.service not in SERVICES:
        close = difflib.get_close_matches(args.service, SERVICES, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(SERVICES)}"
        raise UserError(f"fundarb run {args.service}: there is no such service; {hint}", USAGE)
    if args.config:
        os.environ[CONFIG_VARIABLE] = os.pathsep.join(str(path) for path in args.config)
    if args.live:
        os.environ[LIVE_ENV] = "1"
    main = importlib.import_module(f"services.{args.service}.main").main
    return int(main())
