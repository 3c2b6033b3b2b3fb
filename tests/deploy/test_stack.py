"""The demo in containers, for real: up, trading, watched, locked, killed piece by piece, down and up again.

Needs a Docker engine beside this process (published ports are on its 127.0.0.1); skipped with a
reason where there is none. One stack serves all tests of this file, in their order.
"""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from typing import Any, Final

import nats
import pytest

from libs.common.access import BUS
from tests.deploy.engine import compose, containers, copied_out, health, layers_of, missing, run, until
from tests.deploy.layers import words_in
from tests.helpers.servers import receipt

MISSING: Final = missing()
pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING or "an engine answers")

UP_SEC_MAX: Final = 120.0
PAGE_SEC_MAX: Final = 60.0
PROMETHEUS: Final = "http://127.0.0.1:9090"
SERVICES: Final = sorted(set(BUS) - {"operator"})
KILLED: Final = [*SERVICES, "nats", "valkey", "prometheus", "alertmanager", "grafana"]


@pytest.fixture(scope="module")
def stack() -> Iterator[float]:
    """The demo, healthy; how long it took after the build. Gone afterwards, with its volumes."""
    compose("build", "-q")
    compose("down", "-v", "--remove-orphans", timeout_sec=120)
    try:
        began = os.times().elapsed
        compose("up", "-d", "--wait", "--wait-timeout", str(int(UP_SEC_MAX)))
        yield os.times().elapsed - began
    finally:
        compose("down", "-v", "--remove-orphans", timeout_sec=120)


def ask(path: str) -> Any:
    with urllib.request.urlopen(f"{PROMETHEUS}{path}", timeout=10) as answer:  # noqa: S310 - our own server
        return json.load(answer)["data"]


def states() -> dict[str, str]:
    return {name: health(one) for name, one in containers().items() if name != "credentials"}


def well() -> bool:
    return set(states().values()) == {"healthy"} and set(states()) >= set(KILLED)


def positions() -> dict[str, str]:
    """Pair -> state, as the operator's own command answers it."""
    said = json.loads(compose("run", "--rm", "-T", "operator", "positions", "--json"))
    return {pair: one["state"] for pair, one in said["pairs"].items() if one["state"] != "idle"}


def test_it_comes_up_healthy(stack: float) -> None:
    assert stack < UP_SEC_MAX
    assert well(), states()


def test_nobody_is_root_and_nothing_can_be_written(stack: float) -> None:
    for name, one in containers().items():
        host = one["HostConfig"]
        assert one["Config"]["User"] == "10001:10001", name
        assert host["ReadonlyRootfs"] is True, name
        assert host["CapDrop"] == ["ALL"], name
        assert not host["CapAdd"], name
        assert not host["Privileged"], name
        if name != "credentials":
            status = open(f"/proc/{one['State']['Pid']}/status", encoding="ascii").read()  # noqa: SIM115, PTH123
            assert "Uid:\t10001\t10001\t10001\t10001" in status, name
            assert "CapEff:\t0000000000000000" in status, name
            assert "CapBnd:\t0000000000000000" in status, name
            assert "NoNewPrivs:\t1" in status, name


def test_the_demo_has_no_way_out(stack: float) -> None:
    tried = "import socket; socket.create_connection(('1.1.1.1', 443), 3)"
    for name in ("feed", "executor", "notifier", "signal"):
        done = run(
            "docker", "exec", containers()[name]["Id"], "python", "-c", tried, check=False, timeout_sec=30
        )
        assert done.returncode != 0, name


def test_it_trades(stack: float) -> None:
    until("a pair is held", lambda: "active" in positions().values(), within_sec=120)


def test_prometheus_sees_every_service(stack: float) -> None:
    def up() -> bool:
        targets = ask("/api/v1/targets")["activeTargets"]
        found = {one["labels"]["instance"].partition(":")[0]: one["health"] for one in targets}
        return set(found) >= set(SERVICES) and set(found.values()) == {"up"}

    until("every target is up", up, within_sec=60)


async def test_a_command_needs_the_operators_login(stack: float) -> None:
    address = "127.0.0.1:4222"

    def login(user: str) -> str:
        url = (
            compose("run", "--rm", "-T", "--entrypoint", "cat", "operator", "/run/secrets/login/nats-url")
            if user == "operator"
            else copied_out(user, "/run/secrets/login/nats-url")
        )
        return url.strip().rsplit("@", 1)[0] + f"@{address}"

    refused: list[str] = []

    async def heard(error: Exception) -> None:
        refused.append(str(error))

    signal_client = await nats.connect(login("signal"), error_cb=heard)
    operator = await nats.connect(login("operator"))
    try:
        await signal_client.publish("cmd.halt", b"{}")
        await receipt(signal_client)
        assert any("cmd.halt" in one.lower() for one in refused)
        answer = await operator.request("cmd.halt", b'{"reason": "a rehearsal"}', timeout=5)
        assert json.loads(answer.data)["ok"] is True
    finally:
        await signal_client.close()
        await operator.close()


def test_a_breaker_reaches_the_notifier_through_prometheus_and_alertmanager(stack: float) -> None:
    query = "/api/v1/query?query=fundarb_webhook_alerts_total%7Blevel%3D%22critical%22%7D"

    def arrived() -> bool:
        return any(float(one["value"][1]) > 0 for one in ask(query)["result"])

    until("the halt has reached the notifier's webhook", arrived, within_sec=PAGE_SEC_MAX)


def test_no_secret_is_to_be_seen(stack: float) -> None:
    words = set(json.loads(copied_out("nats", "/run/fundarb/credentials/passwords.json")).values())
    shown = json.dumps(containers()) + compose("logs", "--no-color")
    images = {one["Image"] for name, one in containers().items() if name in SERVICES}
    for image in images:
        shown += run("docker", "history", "--no-trunc", image).stdout
    assert not [word for word in words if word in shown]
    assert images
    for image in images:
        assert words_in(layers_of(image), words) == set(), image


@pytest.mark.parametrize("name", KILLED)
def test_a_killed_main_process_comes_back(stack: float, name: str) -> None:
    before = containers()[name]
    os.kill(before["State"]["Pid"], signal.SIGKILL)

    def back() -> bool:
        one = containers()[name]
        return one["State"]["Pid"] not in (0, before["State"]["Pid"]) and well()

    until(f"everything is healthy after {name} was killed", back, within_sec=120)


def test_what_is_held_outlives_down_and_up(stack: float) -> None:
    before = positions()
    assert before
    compose("down", timeout_sec=120)
    compose("up", "-d", "--wait", "--wait-timeout", str(int(UP_SEC_MAX)))
    until("the same pairs are held", lambda: positions().keys() >= before.keys(), within_sec=60)
