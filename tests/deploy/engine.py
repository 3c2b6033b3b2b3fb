"""A Docker engine with Compose, when there is one; commands to it with their output in the failure."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import docker
import pytest
from docker.errors import DockerException

from tests.deploy.layers import CHUNK_BYTES, Chunks

ROOT: Final = Path(__file__).resolve().parents[2]
PROJECT: Final = "fundarb-test"
SAVE_SEC_MAX: Final = 120
"""Until the next piece of an image: the engine packs before it sends."""


def missing() -> str:
    """Why there is no engine to test on; empty when there is one."""
    if shutil.which("docker") is None:
        return "no docker command on this machine: containers are not tested here"
    try:
        client = docker.from_env(timeout=10)
        client.ping()
        client.close()
    except DockerException as error:
        return f"no Docker engine answers here ({type(error).__name__}): containers are not tested here"
    if run("docker", "compose", "version", check=False).returncode != 0:
        return "docker has no compose plugin here: containers are not tested here"
    return ""


def run(
    *command: str, check: bool = True, timeout_sec: float = 600, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run a command at the project's top; a failure shows what it said."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=timeout_sec,
        check=False,
    )
    if check and done.returncode != 0:
        pytest.fail(
            f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
    return done


def compose(*arguments: str, project: str = PROJECT, **options: Any) -> str:
    """`docker compose` of the test's own project; answers stdout."""
    return run("docker", "compose", "-p", project, *arguments, **options).stdout


def containers(project: str = PROJECT) -> dict[str, dict[str, Any]]:
    """Service -> what `docker inspect` says of its container."""
    ids = compose("ps", "-a", "-q", project=project).split()
    found = json.loads(run("docker", "inspect", *ids).stdout) if ids else []
    return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in found}


def layers_of(image: str) -> Chunks:
    """What `docker save` gives of an image, as it comes: nothing is kept on disk or whole in memory."""
    client: Any = docker.from_env(timeout=SAVE_SEC_MAX)
    return Chunks(client.images.get(image).save(chunk_size=CHUNK_BYTES))


def health(container: dict[str, Any]) -> str:
    """healthy, unhealthy, starting, or the state of a container without a health check."""
    state = container["State"]
    return str(state.get("Health", {}).get("Status") or state["Status"])


def until(what: str, true: Callable[[], object], *, within_sec: float) -> float:
    """Wait until it is true; answers the seconds. Fails by name when it does not come."""
    begun = monotonic()
    while not (found := true()):
        if monotonic() - begun > within_sec:
            pytest.fail(f"{what}: not within {within_sec:g} s (last seen: {found!r})")
        sleep(0.5)
    return monotonic() - begun


def copied_out(service: str, path: str) -> str:
    """The text of a file inside a running container."""
    return compose("exec", "-T", service, "cat", path)
