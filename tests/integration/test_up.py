"""`fundarb up` against servers that were started outside, seen by a plain NATS client."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jsonschema
import nats
import pytest

from libs.common import messages as m
from libs.common.embedded import free_port, nats_answers, nats_binary, valkey_binary

ROOT = Path(__file__).parents[2]
FUNDARB = ROOT / ".venv/bin/fundarb"
RUN_SEC = 12


@asynccontextmanager
async def outside_servers(folder: Path) -> AsyncIterator[tuple[str, str]]:
    """A NATS and a Valkey as anybody runs them: no credentials, no settings of ours."""
    nats_port, redis_port = free_port(), free_port()
    nats_url, redis_url = f"nats://127.0.0.1:{nats_port}", f"redis://127.0.0.1:{redis_port}"
    argvs = (
        [str(nats_binary(os.environ)), "--addr", "127.0.0.1", "--port", str(nats_port)],
        [
            str(valkey_binary(os.environ)),
            "--bind",
            "127.0.0.1",
            "--port",
            str(redis_port),
            "--dir",
            str(folder),
        ],
    )
    processes = [started(argv) for argv in argvs]
    try:
        async with asyncio.timeout(20):
            while not await up_and_running(nats_url, redis_port):  # noqa: ASYNC110 - other processes
                await asyncio.sleep(0.05)
        yield nats_url, redis_url
    finally:
        for process in processes:
            process.terminate()
            process.wait(timeout=10)


def started(argv: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


async def up_and_running(nats_url: str, redis_port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", redis_port)
        writer.close()
        return await nats_answers(nats_url)
    except OSError:
        return False


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("FUNDARB")}
    return {
        **kept,
        "FUNDARB_DATA_DIR": str(folder / "data"),
        "FUNDARB_RUNTIME_DIR": str(folder / "run"),
        "FUNDARB__PATHS__LOGS": str(folder / "logs"),
        "FUNDARB__PATHS__ARCHIVE": str(folder / "archive"),
        "FUNDARB__MONITOR__INTERVAL_SEC": "1",
        **more,
    }


async def run_and_listen(
    folder: Path, *options: str, **more: str
) -> tuple[dict[str, Any], list[tuple[str, bytes]]]:
    heard: list[tuple[str, bytes]] = []
    async with outside_servers(folder) as (nats_url, redis_url):
        client = await nats.connect(nats_url)

        async def hear(message: Any) -> None:
            heard.append((message.subject, message.data))

        for pattern in ("md.>", "signal.>", "sys.health.>"):
            await client.subscribe(pattern, cb=hear)
        process = await asyncio.create_subprocess_exec(
            FUNDARB, "up", "--config", ROOT / "config/example.json", "--nats", nats_url, "--redis", redis_url,
            "--duration", str(RUN_SEC), "--json", *options,
            cwd=folder, env=environment(folder, **more), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), 120)
        await client.close()
    assert process.returncode == 0, err.decode()
    assert "Traceback" not in err.decode()
    return json.loads(out), heard


def schemas() -> dict[str, Any]:
    printed = subprocess.run(
        [FUNDARB, "config", "schema", "--messages"], check=True, capture_output=True, text=True
    )
    document = json.loads(printed.stdout)
    return {
        name: jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": document["$defs"]})
        for name in document["$defs"]
    }


def check_payloads(heard: list[tuple[str, bytes]]) -> set[str]:
    validators, patterns = schemas(), set()
    for subject, payload in heard:
        kind = m.type_of(subject)
        assert kind is not None, f"{subject} is in no table"
        validators[kind.__name__].validate(json.loads(payload))
        patterns.add(".".join(subject.split(".")[:2]))
    return patterns


async def test_a_rehearsal_on_outside_servers_says_all_of_the_contract(tmp_path: Path) -> None:
    summary, heard = await run_and_listen(tmp_path, "--rehearse")
    assert check_payloads(heard) >= {
        "md.quote", "md.funding", "md.health", "md.history", "md.instrument",
        "signal.opportunity", "signal.evaluation", "sys.health",
    }  # fmt: skip
    assert "nats" not in summary["services"]  # not ours to run
    assert set(summary["services"].values()) == {"ok"}
    assert summary["evaluations"] > 0
    written = set(os.listdir(tmp_path))  # noqa: PTH208 - two dozen names, at the end
    assert {"logs-rehearsal", "archive-rehearsal"} <= written
    assert not written & {"logs", "archive"}  # what was replayed is never taken for something seen
    assert not os.listdir(tmp_path / "run")  # noqa: PTH208
    logs = tmp_path / "data" / "main-rehearsal" / "logs"
    assert {path.stem for path in logs.iterdir()} == set(summary["services"])
    assert not [line for path in logs.iterdir() for line in loud_lines(path)]


EXPECTED_WARNINGS = ("waiting for the ", "the store ")
"""A busy machine takes its time to answer the first call; this test's store keeps nothing."""


def loud_lines(log: Path) -> list[str]:
    """What a service said above info, without what is expected; a line that is no JSON is loud too."""
    loud = []
    for line in log.read_text().splitlines():
        said = json.loads(line) if line.startswith("{") else {"level": "error", "text": line}
        if said["level"] not in ("info", "debug") and not said["text"].startswith(EXPECTED_WARNINGS):
            loud.append(f"{log.stem}: {line[:300]}")
    return loud


async def test_without_a_network_it_says_what_cannot_be_seen(tmp_path: Path) -> None:
    """No real venue can be reached by a name that does not resolve; everything else goes on."""
    summary, heard = await run_and_listen(tmp_path)
    assert check_payloads(heard) >= {"md.health", "signal.opportunity", "signal.evaluation", "sys.health"}
    assert summary["opportunities"] == 0
    health = [m.decode(data, m.VenueHealth) for subject, data in heard if subject.startswith("md.health.")]
    assert {one.venue for one in health} == {"binance", "bitget"}


async def test_on_paper_risk_and_executor_run_without_a_key(tmp_path: Path) -> None:
    """No venue can be reached here, so that nothing is traded; the accounts are there all the same."""
    summary, heard = await run_and_listen(tmp_path, FUNDARB__MODE="paper")
    assert summary["mode"] == "paper"
    assert {"feed", "signal", "recorder", "risk", "executor"} == set(summary["services"])
    said = [m.decode(data, m.ServiceHealth) for subject, data in heard if subject == "sys.health.executor"]
    assert said, "the executor lives"
    assert summary["restarts"]["executor"] == 0
    logs = "".join(path.read_text() for path in (tmp_path / "data").rglob("executor*.log"))
    assert "binance on paper: a new account" in logs
    assert "bitget on paper: a new account" in logs


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--live",), "mode is observer; write"),
        (("--live", "--rehearse"), "a rehearsal sends nothing"),
        (("--duration", "-1"), "--duration"),
        (("--config", "nowhere.json"), "nowhere.json"),
    ],
)
def test_what_it_cannot_do_is_refused_in_one_line(
    options: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    config = () if "--config" in options else ("--config", str(ROOT / "config/example.json"))
    done = subprocess.run(
        [FUNDARB, "up", *config, *options],
        cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "data").exists()


def test_a_second_up_of_the_same_deployment_is_refused(tmp_path: Path) -> None:
    argv = [str(FUNDARB), "up", "--config", str(ROOT / "config/example.json"), "--rehearse", "--duration"]
    env = environment(tmp_path)
    with subprocess.Popen([*argv, "4"], cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True) as first:
        assert first.stderr is not None
        while "rehearsal" not in first.stderr.readline():
            assert first.poll() is None
        second = subprocess.run(
            [*argv, "1"], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False
        )
        first.stderr.read()
    assert second.returncode != 0
    assert "already runs" in second.stderr
    assert first.returncode == 0
