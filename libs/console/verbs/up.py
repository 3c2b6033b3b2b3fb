"""`fundarb up`: all services, supervised, with embedded servers where no URL is given."""

from __future__ import annotations

import argparse
import asyncio
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from libs.common.clock import wall_us
from libs.common.config import live
from libs.common.config.channels import wants_notifier
from libs.common.config.legs import pair_specs
from libs.common.config.load import Loaded
from libs.common.config.schema import Config, Mode
from libs.common.embedded import EmbeddedError, folder_lock
from libs.common.runtime_file import runtime_dir
from libs.common.server_url import NATS_ENV, REDIS_ENV
from libs.console.options import NO_PAIRS, NO_PAIRS_REMEDY, add_config, config_paths, load
from libs.console.output import OK, USAGE, UserError, emit_json, emit_text, is_terminal, quiet_logs, warn
from libs.console.servers import ask, nats_url, redis_url
from libs.console.stack import (
    NOTIFIER_SERVICE,
    OBSERVER_SERVICES,
    TRADING_SERVICES,
    Plan,
    StoppedEarly,
    data_folder,
    say,
    show,
    stoppable_stack,
)

NAME: Final = "up"
HELP: Final = "all services, supervised, with embedded servers where no URL is given"

TRADED: Final = {
    Mode.OBSERVER: "nothing is traded: observer",
    Mode.PAPER: "paper: real prices, no real order, no key",
    Mode.LIVE: "LIVE: real orders with real money",
    Mode.DEMO: "simulated money",
}
"""What a person is told about the money, beneath the title."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of contract.md."""
    add_config(parser)
    parser.add_argument(
        "--nats", metavar="URL", help=f"a NATS server of yours (with a password: in {NATS_ENV}, not here)"
    )
    parser.add_argument(
        "--redis", metavar="URL", help=f"a Redis or Valkey of yours (with a password: in {REDIS_ENV})"
    )
    parser.add_argument(
        "--rehearse", action="store_true", help="on the simulated exchange, not on a real one"
    )
    parser.add_argument("--live", action="store_true", help="the second act that mode live needs")
    parser.add_argument("--duration", type=float, metavar="S", help="stop after S seconds")
    parser.add_argument("--json", action="store_true", help="end with one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """Load, refuse what is only half meant, then run until Ctrl-C or for the duration."""
    if args.duration is not None and not 0 < args.duration < float("inf"):
        raise UserError(f"--duration {args.duration}: seconds above 0 are expected", USAGE)
    args.nats, args.redis = nats_url(args.nats, os.environ), redis_url(args.redis, os.environ)
    quiet_logs()  # the services have logs; what this process knows is on the screen
    paths = config_paths(args)
    loaded = load(args)
    refuse(loaded, flag=args.live, rehearse=args.rehearse)
    for warning in loaded.warnings:
        warn(str(warning))
    try:
        summary = asyncio.run(_run(args, paths, loaded))
    except StoppedEarly:
        say("stopped before everything was up")
        return OK
    if args.json:
        emit_json(summary)
    elif not is_terminal() or args.duration is not None:
        emit_text(last_words(summary))
    return OK


def refuse(loaded: Loaded, *, flag: bool, rehearse: bool) -> None:
    """Nothing is started when there is nothing to watch, or when live trading is only half meant."""
    if rehearse and flag:
        raise UserError("--rehearse and --live: a rehearsal sends nothing; give one of them", USAGE)
    if not rehearse and (found := live.gate(loaded.config, os.environ, flag=flag)):
        raise UserError("\n".join(str(one) for one in found), USAGE)
    if not pair_specs(loaded.config):
        raise UserError(f"{NO_PAIRS}: {NO_PAIRS_REMEDY}", USAGE)


async def _run(args: argparse.Namespace, paths: tuple[Path, ...], loaded: Loaded) -> dict[str, Any]:
    config = loaded.config
    await ask(args.nats, args.redis, deployment=config.deployment)
    deployment = f"{config.deployment}-rehearsal" if args.rehearse else config.deployment
    folder = data_folder(os.environ, deployment)
    with ExitStack() as held:
        try:
            lock = held.enter_context(folder_lock(folder))
        except EmbeddedError as error:
            raise UserError(str(error)) from error
        mode = Mode.DEMO if args.rehearse else config.mode
        what = "rehearsal: made-up prices, recorded funding" if args.rehearse else config.mode.value
        plan = Plan(
            title=f"fundarb {what}  {config.deployment}  {len(pair_specs(config))} pairs",
            deployment=deployment,
            folder=folder,
            runtime=runtime_dir(os.environ),
            env={
                "FUNDARB_CONFIG": os.pathsep.join(str(path.resolve()) for path in paths),
                **(rehearsal(config, deployment) if args.rehearse else {}),
                **({live.LIVE_ENV: "1"} if mode is Mode.LIVE else {}),
            },
            services=(
                *(OBSERVER_SERVICES if mode is Mode.OBSERVER else TRADING_SERVICES),
                *(NOTIFIER_SERVICE if wants_notifier(config, mode) else ()),
            ),
            venue=args.rehearse,
            durable=True,
            nats_url=args.nats,
            redis_url=args.redis,
            lock=lock,
        )
        traded = TRADED[mode]
        notes = (f"logs of the services: {folder / 'logs'}   {traded}",)
        async with stoppable_stack(plan) as (stack, stop):
            await show(stack, notes=notes, duration_sec=args.duration, stop=stop, quiet=args.json)
            return stack.watch.summary(
                wall_us=wall_us(),
                services=stack.states(),
                extra={"mode": config.mode.value, "restarts": stack.supervisor.restarts()},
            )


def rehearsal(config: Config, deployment: str) -> dict[str, str]:
    """What keeps a rehearsal apart: its own store keys, logs and archive, so that nothing that it replays is
    ever taken for something seen.
    """
    return {
        "FUNDARB_MODE": Mode.DEMO.value,
        "FUNDARB__DEPLOYMENT": deployment,
        "FUNDARB__PATHS__LOGS": f"{config.paths.logs}-rehearsal",
        "FUNDARB__PATHS__ARCHIVE": f"{config.paths.archive}-rehearsal",
    }


def last_words(summary: dict[str, Any]) -> str:
    """What was seen, in a few lines."""
    seconds, pairs = summary["seconds"], summary["pairs"]
    counts = f"{summary['evaluations']:,} evaluations, {summary['opportunities']} pairs passed every gate"
    best = [
        f"  {item['pair']} ({item['direction']}): {item['net_daily_usd']:+.2f} USD a day after costs"
        for item in summary["best"][:3]
    ]
    refused = sorted(summary["refusals"].items(), key=lambda pair: -pair[1])[:5]
    often = ["refused most often: " + ", ".join(f"{reason} {count}" for reason, count in refused)]
    lines = [f"watched {pairs} pairs for {seconds:.0f} s: {counts}", *best, *(often if refused else [])]
    return "\n".join([*lines, *traded_words(summary)])


def traded_words(summary: dict[str, Any]) -> list[str]:
    """What was done and what it came to; nothing when nothing was traded."""
    if not summary["orders"]:
        return []
    opened, closed = summary["pairs_opened"], summary["pairs_closed"]
    pnl = "  ".join(f"{name} {usd:+.2f}" for name, usd in summary["pnl"].items() if usd)
    lines = [
        f"traded: {opened} pairs opened, {closed} closed, {summary['orders']} orders,",
        f"  {summary['unwinds']} unwinds, funding {summary['funding_received_usd']:+.2f} USD received",
        f"PnL in USD: {pnl}",
    ]
    if summary["equity_end_usd"] is not None:
        lines.append(
            f"equity {summary['equity_start_usd']:,.2f} -> {summary['equity_end_usd']:,.2f} USD,"
            f" {residual_words(summary['equity_residual_usd'])}"
        )
    if still := summary["positions_open"]:
        lines.append(f"still open at the end, and left as they are: {', '.join(still)}")
    return lines


def residual_words(usd: float | None) -> str:
    """What no line of the books explains; an account that was not compared is none without a residual."""
    if usd is None:
        return "not compared with the books since the last trade or payment"
    return f"{usd:.4f} of it unexplained"
