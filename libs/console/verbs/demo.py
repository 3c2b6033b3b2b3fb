"""`fundarb demo`: everything at once, on a simulated exchange that replays recorded data.

All of it lives in one temporary folder that is gone afterwards; nothing can reach a real exchange.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from libs.common.clock import wall_us
from libs.common.embedded import temporary_folder
from libs.common.runtime_file import deployment_path, private_dir, runtime_dir
from libs.console.demo_config import DEPLOYMENT, demo_config
from libs.console.output import OK, USAGE, UserError, emit_json, emit_text, is_terminal, quiet_logs
from libs.console.settling import settle
from libs.console.stack import (
    TRADING_SERVICES,
    VENUE_FILE,
    Plan,
    StoppedEarly,
    copy_tree,
    say,
    show,
    stoppable_stack,
)
from libs.console.verbs.up import last_words

NAME: Final = "demo"
HELP: Final = "everything at once on a simulated exchange that replays recorded data"
SPEED: Final = 1440.0
SPEED_MAX: Final = 36_000.0
DEPOSITS: Final = (
    "binance.spot.USDT=40000,binance.margin.USDT=20000,binance.usdm.USDT=40000,bitget.unified.USDT=100000"
)
"""What the simulated accounts begin with; coins are borrowed against what lies in the margin wallet."""

BY_THE_RULES: Final = "opened and closed by the services' own rules; what is held at the end stays open"
START: Final = "2025-10-11T01:00"
"""The day after a crash: funding is far from zero in both directions, and some of it turns around."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of contract.md."""
    parser.add_argument("--duration", type=float, metavar="S", help="stop S seconds after everything is up")
    parser.add_argument(
        "--speed", type=float, default=SPEED, metavar="X", help="market seconds per second (1440)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of what is synthesised")
    parser.add_argument("--keep", metavar="DIR", help="keep logs, CSV and archive in DIR")
    parser.add_argument("--json", action="store_true", help="end with one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """Run until Ctrl-C or for the duration."""
    if args.duration is not None and not 0 < args.duration < float("inf"):
        raise UserError(f"--duration {args.duration}: seconds above 0 are expected", USAGE)
    if not 1 <= args.speed <= SPEED_MAX:
        raise UserError(
            f"--speed {args.speed:g}: 1 to {SPEED_MAX:g} is expected (1440: a day a minute)", USAGE
        )
    quiet_logs()
    try:
        summary = asyncio.run(_run(args))
    except StoppedEarly:
        say("stopped before everything was up")
        return OK
    if args.json:
        emit_json(summary)
    else:
        emit_text(last_words(summary))
    return OK


async def _run(args: argparse.Namespace) -> dict[str, Any]:
    say("starting NATS, Valkey, the simulated exchange and the services ...")
    with temporary_folder() as folder:
        runtime = private_dir(folder / "runtime")
        config = folder / "config.json"
        config.write_text(demo_config(folder), encoding="utf-8")
        plan = Plan(
            title="fundarb demo  (simulated exchange, simulated money)",
            deployment=DEPLOYMENT,
            folder=folder,
            runtime=runtime,
            env={
                "FUNDARB_CONFIG": str(config),
                "FUNDARB_MODE": "demo",
                "FUNDARB_METRICS_PORT": "0",
                "FUNDARB_VENUE_SPEED": f"{args.speed:g}",
                "FUNDARB_VENUE_START": START,
                "FUNDARB_VENUE_DEPOSITS": DEPOSITS,
                "FUNDARB_VENUE_SEED": str(args.seed),
            },
            services=TRADING_SERVICES,
            venue=True,
        )
        try:
            async with stoppable_stack(plan) as (stack, stop):
                with visible(runtime):
                    facts = await asyncio.to_thread(venue_facts, runtime)
                    notes = (*notes_of(facts, full=args.json or not is_terminal()), BY_THE_RULES)
                    await show(stack, notes=notes, duration_sec=args.duration, stop=stop, quiet=args.json)
                    states = stack.states()
                    say("the demo ends: nothing more is opened, and the books are compared ...")
                    await settle(stack)
                    return stack.watch.summary(
                        wall_us=wall_us(),
                        services=states,
                        extra={
                            "mode": "demo",
                            "seed": args.seed,
                            "speed": args.speed,
                            "provenance": facts,
                            "restarts": stack.supervisor.restarts(),
                        },
                    )
        finally:
            if args.keep:
                keep(folder, Path(args.keep))


@contextmanager
def visible(runtime: Path) -> Iterator[None]:
    """Let `fundarb status` in another terminal find this demo: a link to its private runtime file."""
    link = private_dir(runtime_dir(os.environ)) / f"{DEPLOYMENT}-{os.getpid()}.json"
    for stale in link.parent.glob(f"{DEPLOYMENT}-*.json"):  # of demos that were killed
        if stale.is_symlink() and not stale.exists():
            stale.unlink(missing_ok=True)
    link.symlink_to(deployment_path(runtime, DEPLOYMENT))
    try:
        yield
    finally:
        link.unlink(missing_ok=True)


def keep(folder: Path, target: Path) -> None:
    """Copy what a reader may want: logs, CSV and archive, not the private files."""
    for name in ("logs", "archive"):
        copy_tree(folder / name, target / name)
    say(f"kept logs and archive in {target}")


def venue_facts(runtime: Path) -> dict[str, str]:
    """Field -> where the simulated exchange has it from (recorded or synthesised), as it says itself."""
    port = json.loads((runtime / VENUE_FILE).read_text(encoding="utf-8"))["control_port"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/provenance", timeout=5) as answer:
        facts: dict[str, str] = json.load(answer)
    return facts


MADE_UP: Final = ("synthesised", "derived", "interpolated", "reuse")


def notes_of(facts: dict[str, str], *, full: bool) -> tuple[str, ...]:
    """The header: which fields are recorded, which are synthesised, which are a bit of both.

    `full` has a line a field with its source; a terminal's header has the names, and --json the rest.
    """
    if full:
        return tuple(f"{field}: {source}" for field, source in facts.items())
    groups: dict[str, list[str]] = {"recorded": [], "partly": [], "published": [], "synthesised": []}
    for field, source in facts.items():
        if source.startswith("synthesised"):
            groups["synthesised"].append(field)
        elif "recorded" not in source:
            groups["published"].append(field)
        elif any(word in source for word in MADE_UP):
            groups["partly"].append(field)
        else:
            groups["recorded"].append(field)
    lines = (f"{name}: {', '.join(fields)}" for name, fields in groups.items() if fields)
    return (
        *lines,
        "Bitget's funding is Bybit's, recorded; `fundarb demo --json` tells the source of each field",
    )
