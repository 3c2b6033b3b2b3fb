"""Prometheus and Alertmanager on this machine, with the committed configs: only addresses are exchanged."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml

from libs.common.child import ChildSpec
from libs.common.embedded import free_port
from libs.common.supervisor import Supervisor
from libs.console.demo_config import DEPLOYMENT
from tests.deploy.tools import ALERTMANAGER, PROMETHEUS, found

CALL_SEC: Final = 20.0
SCRAPE_SEC: Final = 1
RULES_SEC: Final = 5
"""Scraped and judged faster than deployed: a test has a minute."""


class Api:
    """The HTTP interface of one of them."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    async def get(self, path: str, **query: str) -> Any:
        """The answer's JSON, errors included: they say what is wrong."""
        wait = aiohttp.ClientTimeout(total=CALL_SEC)
        async with (
            aiohttp.ClientSession(timeout=wait) as client,
            client.get(self.url + path, params=query) as got,
        ):
            return await got.json()

    async def post(self, path: str, body: Any) -> None:
        async with aiohttp.ClientSession() as client, client.post(self.url + path, json=body) as got:
            assert got.status == 200, await got.text()

    async def ready(self) -> bool:
        """What a supervisor asks."""
        async with aiohttp.ClientSession() as client, client.get(f"{self.url}/-/ready") as got:
            return got.status == 200


def read(path: Path) -> dict[str, Any]:
    made = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(made, dict)
    return made


def write(path: Path, config: Mapping[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(dict(config), sort_keys=False), encoding="utf-8")
    return path


def alertmanager_config(folder: Path, *, notifier: str, second: str) -> Path:
    """The committed one with other addresses, told at once."""
    config = read(ALERTMANAGER / "alertmanager.yml")
    receivers = {one["name"]: one for one in config["receivers"]}
    receivers["notifier"]["webhook_configs"][0]["url"] = notifier
    address = folder / "second-url"
    address.write_text(second, encoding="utf-8")
    receivers["second"]["slack_configs"][0]["api_url_file"] = str(address)
    config["route"] |= {"group_wait": "1s", "group_interval": "5s"}
    return write(folder / "alertmanager.yml", config)


def alertmanager_child(folder: Path, config: Path, api: Api) -> ChildSpec:
    return ChildSpec(
        name="alertmanager",
        argv=(
            str(found("alertmanager")),
            f"--config.file={config}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{api.port}",
            "--cluster.listen-address=",
        ),
        log=folder / "alertmanager.log",
        ready=api.ready,
    )


def prometheus_config(folder: Path, ports: Mapping[str, int], *, own: Api, alertmanager: Api) -> Path:
    """The committed one: the services are found by their ports here, where names find them there."""
    config = read(PROMETHEUS / "prometheus.yml")
    config["global"] |= {
        "scrape_interval": f"{SCRAPE_SEC}s",
        "scrape_timeout": f"{SCRAPE_SEC}s",
        "evaluation_interval": f"{RULES_SEC}s",
    }
    config["rule_files"] = [str(PROMETHEUS / name) for name in config["rule_files"]]
    config["alerting"]["alertmanagers"][0]["static_configs"] = [
        {"targets": [f"127.0.0.1:{alertmanager.port}"]}
    ]
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    del jobs["fundarb"]["dns_sd_configs"], jobs["fundarb"]["relabel_configs"]
    jobs["fundarb"]["static_configs"] = [
        {"targets": [f"127.0.0.1:{port}"], "labels": {"service": name}} for name, port in ports.items()
    ]
    jobs["prometheus"]["static_configs"] = [{"targets": [f"127.0.0.1:{own.port}"]}]
    jobs["alertmanager"]["static_configs"] = [{"targets": [f"127.0.0.1:{alertmanager.port}"]}]
    config["scrape_configs"] = list(jobs.values())
    return write(folder / "prometheus.yml", config)


def prometheus_child(folder: Path, config: Path, api: Api) -> ChildSpec:
    return ChildSpec(
        name="prometheus",
        argv=(
            str(found("prometheus")),
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            f"--web.listen-address=127.0.0.1:{api.port}",
            "--enable-feature=expand-external-labels",  # version 3, which is deployed, always does so
        ),
        env={**os.environ, "FUNDARB_DEPLOYMENT": DEPLOYMENT},
        log=folder / "prometheus.log",
        ready=api.ready,
    )


@asynccontextmanager
async def running(*children: ChildSpec) -> AsyncIterator[None]:
    async with Supervisor(list(children)):
        yield


async def until(what: str, true: Any, *, within_sec: float) -> Any:
    """Ask until the answer is true; fails by name, with what was seen last."""
    seen: Any = None
    try:
        async with asyncio.timeout(within_sec):
            while not (seen := await true()):  # noqa: ASYNC110 - what is waited for is in another process
                await asyncio.sleep(0.25)
    except TimeoutError:
        raise AssertionError(f"{what}: not within {within_sec:g} s (last seen: {seen!r})") from None
    return seen


def new_api() -> Api:
    return Api(free_port())
