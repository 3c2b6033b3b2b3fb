"""The demo's stack with a notifier, scraped by a real Prometheus that tells a real Alertmanager."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web

from libs.common.embedded import free_port, temporary_folder
from libs.common.runtime_file import Deployment, deployment_path, private_dir
from libs.console.demo_config import DEPLOYMENT, demo_config
from libs.console.stack import NOTIFIER_SERVICE, TRADING_SERVICES, Plan, Stack, running_stack
from libs.console.verbs.demo import DEPOSITS, SPEED, START
from tests.deploy.watchers import (
    Api,
    alertmanager_child,
    alertmanager_config,
    new_api,
    prometheus_child,
    prometheus_config,
    running,
)

WATCHED_SEC: Final = 55.0
"""So long it is scraped before anybody asks: two minutes' worth of rates, some openings and settlements."""


class Watched(msgspec.Struct, frozen=True):
    """What runs, and what the second receiver was told."""

    stack: Stack
    prometheus: Api
    alertmanager: Api
    second: list[dict[str, Any]]


@asynccontextmanager
async def watched_demo() -> AsyncIterator[Watched]:
    with temporary_folder() as folder:
        hook = free_port()
        async with receiver() as (address, told), running_stack(plan(folder, hook)) as stack:
            prometheus, alertmanager = new_api(), new_api()
            ports = msgspec.json.decode(
                deployment_path(folder / "runtime", DEPLOYMENT).read_bytes(), type=Deployment
            ).metrics_ports
            alerts = alertmanager_config(
                folder, notifier=f"http://127.0.0.1:{hook}/alertmanager", second=address
            )
            figures = prometheus_config(folder, ports, own=prometheus, alertmanager=alertmanager)
            async with running(
                alertmanager_child(folder, alerts, alertmanager),
                prometheus_child(folder, figures, prometheus),
            ):
                await asyncio.sleep(WATCHED_SEC)
                yield Watched(stack, prometheus, alertmanager, told)


def plan(folder: Path, hook: int) -> Plan:
    """As `fundarb demo` makes it, and a notifier that listens for Alertmanager."""
    config = folder / "config.json"
    config.write_text(demo_config(folder), encoding="utf-8")
    return Plan(
        title="watched",
        deployment=DEPLOYMENT,
        folder=folder,
        runtime=private_dir(folder / "runtime"),
        env={
            "FUNDARB_CONFIG": str(config),
            "FUNDARB_MODE": "demo",
            "FUNDARB_METRICS_PORT": "0",
            "FUNDARB_VENUE_SPEED": f"{SPEED:g}",
            "FUNDARB_VENUE_START": START,
            "FUNDARB_VENUE_DEPOSITS": DEPOSITS,
            "FUNDARB__NOTIFY__WEBHOOK_LISTEN": f"127.0.0.1:{hook}",
        },
        services=(*TRADING_SERVICES, *NOTIFIER_SERVICE),
        venue=True,
    )


@asynccontextmanager
async def receiver() -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """A web hook on this machine: its address, and what it was told."""
    told: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        told.append(json.loads(await request.read()))
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_post("/second", take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/second", told
    finally:
        await runner.cleanup()
