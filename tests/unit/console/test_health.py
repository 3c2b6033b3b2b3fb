"""`fundarb health` against real health endpoints, and which deployment a verb means."""

from __future__ import annotations

import argparse
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from libs.common.messages import ServiceHealth
from libs.common.metrics_http import MetricsServer, Pulse
from libs.common.runtime_file import announce, deployment_path
from libs.console.deployment import find
from libs.console.main import main
from libs.console.output import UserError


def beat(pulse: Pulse, *, ok: bool) -> None:
    problems = () if ok else ("binance is not connected",)
    pulse.beat(
        ServiceHealth(
            service="feed",
            ok=ok,
            problems=problems,
            build="x",
            pid=1,
            uptime_sec=1,
            lag_ms=0,
            inbox_depth=0,
            wall_us=1,
        )
    )


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FUNDARB_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("FUNDARB_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pulse() -> Pulse:
    return Pulse()


@pytest.fixture
def server(pulse: Pulse) -> Iterator[MetricsServer]:
    served = MetricsServer(registry=CollectorRegistry(), pulse=pulse, host="127.0.0.1", port=0)
    yield served
    served.close()


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def test_healthy_unwell_and_unreachable(
    runtime: Path, pulse: Pulse, server: MetricsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    path = deployment_path(runtime, "main")
    announce(path, service="feed", pid=1, metrics_port=server.port)
    beat(pulse, ok=True)
    assert main(["health", "feed"]) == 0
    assert capsys.readouterr().out == "feed: ok\n"
    beat(pulse, ok=False)
    assert main(["health", "feed"]) == 1
    assert capsys.readouterr().out == "feed: unwell (binance is not connected)\n"
    beat(pulse, ok=True)
    announce(path, service="signal", pid=2, metrics_port=closed_port())
    assert main(["health", "feed"]) == 0
    capsys.readouterr()
    assert main(["health", "--json"]) == 3
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    assert {name: one["state"] for name, one in answer["services"].items()} == {
        "feed": "ok",
        "signal": "unreachable",
    }


def test_somebody_else_on_the_port_is_no_health(runtime: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        announce(deployment_path(runtime, "main"), service="feed", pid=1, metrics_port=other.getsockname()[1])

        def answer() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")

        import threading  # noqa: PLC0415 - beside its only use

        other.settimeout(10)
        thread = threading.Thread(target=answer)
        thread.start()
        assert main(["health"]) == 3
        thread.join()
    assert "does not answer" in capsys.readouterr().out


def test_nothing_runs(runtime: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["health"]) == 3
    err = capsys.readouterr().err
    assert str(runtime) in err
    assert err.count("\n") == 1


def test_a_service_that_does_not_run(runtime: Path, capsys: pytest.CaptureFixture[str]) -> None:
    announce(deployment_path(runtime, "main"), service="feed", pid=1, metrics_port=1)
    assert main(["health", "fed"]) == 2
    assert "running: feed" in capsys.readouterr().err


def test_a_container_knows_its_port(
    pulse: Pulse, server: MetricsServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    beat(pulse, ok=True)
    monkeypatch.setenv("FUNDARB_METRICS_PORT", str(server.port))
    assert main(["health", "feed"]) == 0
    assert main(["health"]) == 3  # which service would that be?
    capsys.readouterr()


def asked(deployment: str | None = None) -> argparse.Namespace:
    return argparse.Namespace(deployment=deployment)


def test_which_deployment_is_meant(runtime: Path) -> None:
    env = {"FUNDARB_RUNTIME_DIR": str(runtime)}
    for name in ("main", "demo"):
        announce(deployment_path(runtime, name), service="feed", pid=1, metrics_port=len(name))
    (runtime / "venue.json").write_text("{}")
    with pytest.raises(UserError, match="give --deployment demo or main"):
        find(asked(), env)
    assert find(asked("demo"), env)[0] == "demo"
    assert find(asked(), env | {"FUNDARB__DEPLOYMENT": "main"})[0] == "main"
    with pytest.raises(UserError, match=r"deployment other does not run here .*running here: demo, main"):
        find(asked("other"), env)
    deployment_path(runtime, "main").unlink()
    assert find(asked(), env)[0] == "demo"
    (runtime / "config.json").write_text('{"deployment": "main"}')
    with pytest.raises(UserError, match="deployment main does not run here"):
        find(asked(), env)


def test_a_broken_runtime_file_is_named(runtime: Path) -> None:
    deployment_path(runtime, "main").write_text('{"pids": 7')
    with pytest.raises(UserError, match=r"main\.json.*remove the file"):
        find(asked(), {"FUNDARB_RUNTIME_DIR": str(runtime)})
