"""The contract suites of bus and store on the images that the deployment names, beside a Docker engine.

Skipped with a reason where there is none. Published ports are on this process's 127.0.0.1.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import docker
import pytest
import yaml

from tests.deploy.engine import ROOT, missing, until
from tests.helpers.servers import NATS_ENV, REDIS_ENV

MISSING: Final = missing()
pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING or "an engine answers")

SUITES: Final = {
    "nats": (NATS_ENV, ("test_bus.py",)),
    "valkey": (REDIS_ENV, ("test_store.py", "test_store_reservations.py", "test_store_streams.py")),
}
PORTS: Final = {"nats": 4222, "valkey": 6379}
SUITE_SEC_MAX: Final = 300


def image_of(service: str) -> str:
    found = yaml.safe_load((ROOT / "deploy" / "compose" / "servers.yaml").read_text(encoding="utf-8"))
    return str(found["services"][service]["image"])


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def container(service: str, password: str) -> Iterator[int]:
    """A server of its own, gone afterwards; answers its port here."""
    command = {
        "nats": ["nats-server", "--user", "test", "--pass", password],
        "valkey": [
            "valkey-server",
            "--requirepass",
            password,
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
        ],
    }[service]
    inside = f"{PORTS[service]}/tcp"
    client = docker.from_env(timeout=60)
    made: Any = client.containers.run(
        image_of(service), command, detach=True, ports={inside: ("127.0.0.1", None)}, tmpfs={"/data": ""}
    )
    try:
        made.reload()
        port = int(made.ports[inside][0]["HostPort"])
        until(f"{service} answers", lambda: answers(port), within_sec=30)
        yield port
    finally:
        made.remove(force=True, v=True)
        client.close()


@pytest.mark.parametrize("service", sorted(SUITES))
def test_the_contract_holds_on_the_image(service: str, tmp_path: Path) -> None:
    variable, files = SUITES[service]
    password = secrets.token_hex(8)
    user = "test" if service == "nats" else ""
    scheme = "nats" if service == "nats" else "redis"
    with container(service, password) as port:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-n", "0", "-q", *(f"tests/contract/{name}" for name in files)],
            cwd=ROOT,
            env={
                **os.environ,
                "TMPDIR": str(tmp_path),
                variable: f"{scheme}://{user}:{password}@127.0.0.1:{port}",
            },
            capture_output=True,
            text=True,
            timeout=SUITE_SEC_MAX,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-5_000:]
    assert "skipped" not in done.stdout.splitlines()[-1]
