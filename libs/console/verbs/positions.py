"""`fundarb positions`: what is held, in which state, and what it has earned so far."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any, Final

from libs.common.bus import BusUnavailable
from libs.common.clock import wall_us
from libs.common.nats_bus import NatsBus
from libs.common.runtime_file import Deployment
from libs.console import output
from libs.console.deployment import add_deployment
from libs.console.options import add_config, add_json
from libs.console.output import NO, OK, UNREACHABLE, UserError
from libs.console.reach import CONNECT_SEC, add_nats, reached
from libs.console.watch import Watch

NAME: Final = "positions"
HELP: Final = "what is held, in which state, and what it has earned so far"

PATTERNS: Final = ("exec.pair.>", "exec.books", "sys.health.executor")
LISTEN_SEC: Final = 6.0
"""Every pair's state is said again each 5 s, the books every 2 s."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of every verb that asks a running deployment."""
    add_nats(parser)
    add_deployment(parser)
    add_config(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """0 when something is held, 1 when nothing is, 3 when no executor is heard."""
    output.quiet_logs()
    name, known = reached(args)
    try:
        watch = asyncio.run(heard(known))
    except BusUnavailable as error:
        raise UserError(f"deployment {name} does not answer: {error}", UNREACHABLE) from error
    if not watch.trades.pairs:
        text = f"deployment {name}: no executor says what is held (an observer holds nothing)"
        raise UserError(text, UNREACHABLE)
    if args.json:
        output.emit_json(answer(name, watch))
    else:
        _print(name, watch)
    return OK if watch.trades.held else NO


async def heard(known: Deployment, *, listen_sec: float = LISTEN_SEC) -> Watch:
    """What the executor says in a while. Raises `BusUnavailable`."""
    bus = NatsBus(known.nats_url, name="positions", connect_timeout_sec=CONNECT_SEC)
    watch = Watch(started_us=wall_us())
    await bus.connect()
    try:
        for pattern in PATTERNS:
            await bus.subscribe(pattern, watch.feed)
        await asyncio.sleep(listen_sec)
    finally:
        await bus.close()
    return watch


def answer(name: str, watch: Watch) -> dict[str, Any]:
    """Plain JSON values: held pairs with state, direction, legs and parts of the PnL, and the whole."""
    whole = watch.trades.summary()
    held = {status.pair: status for status in watch.trades.held}
    return {
        "deployment": name,
        "pairs": {
            pair: {
                **whole["by_pair"][pair],
                "delta_ratio": status.delta_ratio,
                "naked_usd": status.naked_usd,
                "notional_usd": float(status.notional_usd),
                "reason": status.reason,
            }
            for pair, status in held.items()
        },
        "idle": len(watch.trades.pairs) - len(held),
        **{name: whole[name] for name in ("pnl", "equity_end_usd", "equity_residual_usd")},
    }


def _print(name: str, watch: Watch) -> None:
    from libs.console.live_pairs import money, table  # noqa: PLC0415 - --json must not pay for rich

    console = output.console()
    held = watch.trades.held
    console.print(f"deployment {name}: {len(held)} of {len(watch.trades.pairs)} pairs are held")
    if held:
        console.print(table(watch.trades, width=console.width, rows=len(held)))
    console.print(money(watch.trades))
