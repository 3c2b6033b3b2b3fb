"""`fundarb status`: what runs, what it sees, and why nothing is happening when nothing is."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from typing import Final

import msgspec

from libs.common import subjects
from libs.common.bus import BusUnavailable
from libs.common.clock import wall_us
from libs.common.config.legs import pair_specs
from libs.common.messages import Command, encode
from libs.common.nats_bus import NatsBus
from libs.common.runtime_file import Deployment
from libs.console import output
from libs.console.checks import legs_by_venue
from libs.console.deployment import add_deployment
from libs.console.options import add_config, add_json, config_paths, load
from libs.console.output import OK, UNREACHABLE, UserError
from libs.console.reach import CONNECT_SEC, add_nats, reached
from libs.console.status_view import Status, replies_of, silence, status_of, unheard_services
from libs.console.verbs.health import ask
from libs.console.watch import PATTERNS, Watch

NAME = "status"
HELP = "what runs, what it sees, and why nothing is happening when nothing is"

LISTEN_SEC: Final = 2.0  # services beat each second: two beats, and one may be late


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--watch` goes on until Ctrl-C."""
    parser.add_argument("--watch", action="store_true", help="again and again until Ctrl-C")
    add_nats(parser)
    add_deployment(parser)
    add_config(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """0 when somebody could be asked, 3 otherwise."""
    output.quiet_logs()
    name, known = reached(args)
    try:
        asyncio.run(
            _show(heard(name, known, venues=_venues(args, name)), watch=args.watch, as_json=args.json)
        )
    except BusUnavailable as error:
        raise UserError(f"deployment {name} does not answer: {error}", UNREACHABLE) from error
    except KeyboardInterrupt:
        if not args.watch:
            raise
    return OK


def _venues(args: argparse.Namespace, name: str) -> tuple[str, ...]:
    """Venues that the deployment's config names; none when the config at hand is not its."""
    if not config_paths(args):
        return ()
    config = load(args).config
    return tuple(legs_by_venue(pair_specs(config))) if config.deployment == name else ()


async def _show(answers: AsyncIterator[Status], *, watch: bool, as_json: bool) -> None:
    async for status in answers:
        if as_json:
            output.emit_json(msgspec.to_builtins(status))
        else:
            from libs.console.status_page import page  # noqa: PLC0415 - --json must not pay for rich

            console = output.console()
            if watch and output.is_terminal():
                console.clear()
            console.print(page(status))
        if not watch:
            return


async def heard(
    name: str, known: Deployment, *, venues: tuple[str, ...] = (), listen_sec: float = LISTEN_SEC
) -> AsyncIterator[Status]:
    """A status after each moment of listening, without end. Raises `BusUnavailable`."""
    bus = NatsBus(known.nats_url, name="status", connect_timeout_sec=CONNECT_SEC)
    watch = Watch(started_us=wall_us())
    await bus.connect()
    try:
        for pattern in PATTERNS:
            await bus.subscribe(pattern, watch.feed)
        while True:
            question = encode(Command(actor="cli", reason="status"))
            frames = await bus.gather(subjects.command("status"), question, timeout_sec=listen_sec)
            if not frames:  # nobody answers at once, but beats may still be heard
                await asyncio.sleep(listen_sec)
            unheard = await _asked(known, unheard_services(known, watch))
            yield status_of(
                name, known, watch, replies_of(frames), wall_us=wall_us(), unheard=unheard, venues=venues
            )
    finally:
        await bus.close()


async def _asked(known: Deployment, services: tuple[str, ...]) -> dict[str, str]:
    """What is known of services that are not heard, each asked for its /health."""
    ports = {service: known.metrics_ports[service] for service in services if service in known.metrics_ports}
    answers = await asyncio.gather(*(asyncio.to_thread(ask, port) for port in ports.values()))
    said = dict(zip(ports, answers, strict=True))
    return {service: silence(known, service, said.get(service), wall_us=wall_us()) for service in services}
