"""The other ways to start the containers: watching real venues, on paper, with TLS. Each comes up and speaks.

Needs a Docker engine beside this process; skipped with a reason where there is none. Where no venue can be
reached the services are well all the same, and say that this is why nothing happens.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from libs.common.access import BUS
from libs.console.template import Answers, render
from services.venue.certificate import make
from tests.deploy.engine import compose, containers, health, missing, until

MISSING: Final = missing()
pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING or "an engine answers")

USER: Final = 10001
WELL_SEC_MAX: Final = 90.0
WATCHERS: Final = {"feed", "signal", "recorder", "notifier"}
SERVERS: Final = {"nats", "valkey", "prometheus", "alertmanager", "grafana"}


class Started:
    """A project that is up, by the settings of one way to start it."""

    def __init__(self, env_file: str, **env: str) -> None:
        self._env_file, self._env = env_file, env

    def compose(self, *arguments: str) -> str:
        return compose("--env-file", self._env_file, *arguments, **self._env)

    def states(self) -> dict[str, str]:
        return {name: health(one) for name, one in containers().items() if name != "credentials"}

    def wait_for(self, names: set[str]) -> None:
        """Until these are healthy, none of which was started twice."""

        def well() -> bool:
            states = self.states()
            return all(states.get(name) == "healthy" for name in names)

        until(f"healthy: {sorted(names)}", well, within_sec=WELL_SEC_MAX)
        assert {name: containers()[name]["RestartCount"] for name in names} == dict.fromkeys(names, 0)

    def status(self) -> dict[str, Any]:
        """What the operator is told."""
        found = json.loads(self.compose("run", "--rm", "-T", "operator", "status", "--json"))
        assert isinstance(found, dict)
        return found


@contextlib.contextmanager
def started(env_file: str, **env: str) -> Iterator[Started]:
    compose("build", "-q")
    project = Started(env_file, **env)
    project.compose("down", "-v", "--remove-orphans")
    try:
        project.compose("up", "-d")
        yield project
    finally:
        project.compose("down", "-v", "--remove-orphans")


def owned(path: Path, mode: int) -> Path:
    """Given to the user that the services run as."""
    os.chown(path, USER, USER)
    path.chmod(mode)
    return path


def folders(tmp_path: Path, mode: str) -> dict[str, str]:
    """A config as `fundarb init --yes` writes it but for the mode, and an empty folder for keys."""
    config, secrets = tmp_path / "config", tmp_path / "secrets"
    config.mkdir()
    secrets.mkdir()
    written = config / "config.json"
    said = render(Answers())
    assert said.count('"mode": "observer"') == 1
    written.write_text(said.replace('"mode": "observer"', f'"mode": "{mode}"'), encoding="utf-8")
    owned(written, 0o600)
    owned(secrets, 0o700)
    return {"FUNDARB_CONFIG_DIR": str(config), "FUNDARB_SECRETS_DIR": str(secrets)}


def test_an_observer_watches_and_runs_nobody_who_could_trade(tmp_path: Path) -> None:
    with started("deploy/observe.env", **folders(tmp_path, "observer")) as project:
        project.wait_for(WATCHERS | SERVERS)
        assert set(project.states()) == WATCHERS | SERVERS
        status = project.status()
    assert status["deployment"] == "main"
    assert set(status["services"]) == WATCHERS
    assert set(status["services"].values()) == {"ok"}
    assert not status["trading"]
    if not any(venue["connected"] for venue in status["venues"].values()):
        assert {"binance is not connected", "bitget is not connected"} <= set(status["why"])


def test_paper_needs_no_keys(tmp_path: Path) -> None:
    with started("deploy/live.env", **folders(tmp_path, "paper")) as project:
        project.wait_for(WATCHERS | SERVERS | {"executor"})
        status = project.status()
    assert status["services"]["executor"] == "ok"
    assert status["permit"]["fresh"]
    assert status["uptime_sec"] > 0


def test_the_demo_speaks_tls_with_an_authority_of_its_own(tmp_path: Path) -> None:
    authority, leaf = make({"nats", "valkey"})
    at = leaf.index(b"-----BEGIN PRIVATE KEY-----")
    system = Path("/etc/ssl/certs/ca-certificates.crt")
    files = {
        "ca.pem": authority,
        "server.pem": leaf[:at],
        "server.key": leaf[at:],
        "bundle.pem": authority + (system.read_bytes() if system.exists() else b""),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        owned(tmp_path / name, 0o400 if name == "server.key" else 0o644)
    tmp_path.chmod(0o755)
    over = {"COMPOSE_FILE": "compose.yaml:deploy/compose/tls.yaml", "FUNDARB_TLS_DIR": str(tmp_path)}
    with started(".env", **over) as project:
        project.wait_for({*BUS, "venue"} - {"operator"} | SERVERS)
        urls = [
            project.compose(
                "run", "--rm", "-T", "--entrypoint", "cat", "operator", f"/run/secrets/login/{name}"
            )
            for name in ("nats-url", "redis-url")
        ]
        status = project.status()
    assert [url.partition("://")[0] for url in urls] == ["tls", "rediss"]
    assert set(status["services"].values()) == {"ok"}
    assert status["permit"]["fresh"]
