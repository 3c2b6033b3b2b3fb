"""Copies of the store: taken while it runs, put back where it was lost, refused when they are not whole.

In containers where there is an engine (skipped with a reason elsewhere); `fundarb up`'s folder everywhere.
"""

from __future__ import annotations

import io
import os
import signal
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from libs.common.embedded import folder_lock, valkey_server
from libs.common.redis_store import RedisStore
from libs.common.store import Transition
from libs.common.supervisor import Supervisor
from tests.deploy.engine import compose, containers, health, missing, run, until

MISSING: Final = missing()
in_containers = pytest.mark.skipif(bool(MISSING), reason=MISSING or "an engine answers")

PROJECT: Final = "fundarb-backup-test"
PORTS: Final = {
    "FUNDARB_NATS_PORT": "14233",
    "FUNDARB_PROMETHEUS_PORT": "19091",
    "FUNDARB_GRAFANA_PORT": "13001",
}
# Not waited for: risk alone is unwell, since it hears nobody.
UP: Final = ("up", "-d", "nats", "valkey", "risk")
DEPLOYMENT: Final = "main"
REASON: Final = "before the copy"
LIST: Final = "appendonlydir/appendonly.aof.manifest"
Change = Callable[[str, bytes], bytes | None]
"""Name and content of a file in a copy -> its content from now on."""


# --- in containers --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def project() -> Iterator[dict[str, Any]]:
    """Broker, store and risk in a project of its own. Gone afterwards, with its volumes."""
    env: dict[str, Any] = {**PORTS, "COMPOSE_PROJECT_NAME": PROJECT}
    compose("build", "-q", project=PROJECT, **env)
    compose("down", "-v", "--remove-orphans", project=PROJECT, **env)
    try:
        compose(*UP, project=PROJECT, **env)
        yield env
    finally:
        compose("down", "-v", "--remove-orphans", project=PROJECT, **env)


def said(verb: str, env: dict[str, Any]) -> str:
    """What the operator's own command prints; a reset needs no question."""
    more = {"halt": ("--reason", REASON), "reset": ("--yes",)}.get(verb, ())
    return compose("run", "--rm", "-T", "operator", verb, *more, project=PROJECT, check=False, **env)


@in_containers
def test_a_latch_outlives_the_loss_of_the_stores_volume(project: dict[str, Any], tmp_path: Path) -> None:
    copy = tmp_path / "copy.tar"
    until("risk obeys", lambda: "risk: ok" in said("halt", project), within_sec=180)
    # A server before 9.1.2 reads back what scripts wrote by the rights of its nameless user (access_files).
    store = containers(project=PROJECT)["valkey"]
    os.kill(store["State"]["Pid"], signal.SIGKILL)
    until(
        "the store is back",
        lambda: health(containers(project=PROJECT)["valkey"]) == "healthy",
        within_sec=60,
    )
    until("the latch is told", lambda: REASON in said("status", project), within_sec=120)

    run("deploy/backup", str(copy), **project)
    assert "risk: ok" in said("reset", project)
    until("the latch is gone", lambda: REASON not in said("status", project), within_sec=60)

    refused = run("deploy/restore", str(copy), check=False, **project)
    assert refused.returncode == 1
    assert "docker compose down" in refused.stderr

    compose("down", project=PROJECT, **project)
    run("docker", "volume", "rm", f"{PROJECT}_valkey-data")
    assert "keys are in place" in run("deploy/restore", str(copy), **project).stderr
    compose(*UP, project=PROJECT, **project)
    until("the latch is told again", lambda: REASON in said("status", project), within_sec=180)


@in_containers
def test_what_was_there_is_kept_beside_it(project: dict[str, Any], tmp_path: Path) -> None:
    copy = tmp_path / "copy.tar"
    run("deploy/backup", str(copy), **project)
    compose("down", project=PROJECT, **project)
    assert "is kept as appendonlydir.before-" in run("deploy/restore", str(copy), **project).stderr


# --- `fundarb up`'s folder ------------------------------------------------------------------------


async def written(folder: Path) -> str:
    """A store with a pair, written by a script and while a copy is taken; answers its id."""
    made = valkey_server(folder / "valkey", env=os.environ, durable=True, deployment=DEPLOYMENT)
    async with Supervisor([made.spec]):
        store = RedisStore(made.urls["executor"], deployment=DEPLOYMENT)
        await store.connect()
        before = await store.store_id()
        await store.transition(Transition(writes={"pair:P": b"held", "pair:Q": b"idle"}))
        run("deploy/backup", "--folder", str(folder), str(folder / "copy.tar"))
        await store.transition(Transition(writes={"pair:P": b"closed"}))
        await store.close()
    return before


async def read_back(folder: Path) -> tuple[bytes | None, str]:
    """What lies there of pair P, and the id of the store."""
    made = valkey_server(folder / "valkey", env=os.environ, durable=True, deployment=DEPLOYMENT)
    async with Supervisor([made.spec]):
        store = RedisStore(made.urls["executor"], deployment=DEPLOYMENT)
        await store.connect()
        found, now = await store.get("pair:P"), await store.store_id()
        await store.close()
    return None if found is None else found.value, now


async def test_a_folder_is_put_back_with_an_identity_of_its_own(tmp_path: Path) -> None:
    before = await written(tmp_path)
    run("deploy/restore", "--folder", str(tmp_path), str(tmp_path / "copy.tar"))
    value, now = await read_back(tmp_path)
    assert value == b"held"
    assert now != before, "orders that were numbered after the copy would be sent under their ids again"
    assert len(list((tmp_path / "valkey").glob("appendonlydir.before-*"))) == 1


async def test_a_copy_whose_last_write_was_cut_off_is_the_store_before_it(tmp_path: Path) -> None:
    await written(tmp_path)
    shorter(tmp_path / "copy.tar", by=7)
    run("deploy/restore", "--folder", str(tmp_path), str(tmp_path / "copy.tar"))
    value, _ = await read_back(tmp_path)
    assert value is None, "both keys were one write: all of it or nothing"


async def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    await written(tmp_path)
    with folder_lock(tmp_path):
        refused = run("deploy/restore", "--folder", str(tmp_path), str(tmp_path / "copy.tar"), check=False)
    assert refused.returncode == 1
    assert "is in use" in refused.stderr
    assert (await read_back(tmp_path))[0] == b"closed"


async def test_what_does_not_load_changes_nothing(tmp_path: Path) -> None:
    await written(tmp_path)
    spoiled(tmp_path / "copy.tar")
    refused = run("deploy/restore", "--folder", str(tmp_path), str(tmp_path / "copy.tar"), check=False)
    assert refused.returncode == 1
    assert "does not load" in refused.stderr
    assert (await read_back(tmp_path))[0] == b"closed"


async def test_a_copy_without_all_its_files_is_refused(tmp_path: Path) -> None:
    await written(tmp_path)
    changed(tmp_path / "copy.tar", lambda name, data: None if name.endswith(".incr.aof") else data)
    refused = run("deploy/restore", "--check", str(tmp_path / "copy.tar"), check=False)
    assert refused.returncode == 1
    assert "incr.aof is missing" in refused.stderr


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    there = tmp_path / "copy.tar"
    there.write_text("mine")
    refused = run("deploy/backup", "--folder", str(tmp_path), str(there), check=False)
    assert refused.returncode == 1
    assert there.read_text() == "mine"
    refused = run("deploy/backup", "--folder", str(tmp_path), str(tmp_path / "other.tar"), check=False)
    assert "no store in" in refused.stderr
    assert not list(tmp_path.glob("other*"))


def shorter(copy: Path, *, by: int) -> None:
    """As a copy that was taken in the middle of a write."""
    changed(copy, lambda name, data: data[:-by] if name.endswith(".incr.aof") else data)


def spoiled(copy: Path) -> None:
    """Nonsense in the middle, which no server takes."""
    changed(copy, lambda name, data: b"*9\r\nnonsense" + data if name.endswith(".incr.aof") else data)


def changed(copy: Path, how: Change) -> None:
    """Write a copy anew, each file as `how` answers it, None to leave it out."""
    files: dict[str, bytes] = {}
    with tarfile.open(copy) as old:
        for member in old.getmembers():
            body = old.extractfile(member)
            assert body is not None
            files[member.name] = body.read()
    assert LIST in files
    with tarfile.open(copy, "w") as new:
        for name, data in files.items():
            kept = how(name, data)
            if kept is not None:
                member = tarfile.TarInfo(name)
                member.size = len(kept)
                new.addfile(member, io.BytesIO(kept))
