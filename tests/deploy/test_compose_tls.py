"""TLS of broker and store in containers: what the file over the others changes; no engine is needed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from libs.common.access import BUS
from libs.console.credentials import tls_in
from tests.deploy.test_compose_files import COMPOSES, ROOT

OVER: Final = ("-f", "compose.yaml", "-f", "deploy/compose/tls.yaml")
SERVERS: Final = {"nats", "valkey"}
CLIENTS: Final = {*BUS}
INSIDE: Final = Path("/run/tls")
BUNDLE: Final = str(INSIDE / "bundle.pem")

pytestmark = pytest.mark.skipif(not COMPOSES, reason="docker compose is missing on this machine: not asked")


def config(*files: str, profile: str = "demo", **env: str) -> subprocess.CompletedProcess[str]:
    settings = ".env" if profile == "demo" else f"deploy/{profile}.env"
    command = ["docker", "compose", "--env-file", settings, *files, "config"]
    known = {key: value for key, value in os.environ.items() if not key.startswith(("FUNDARB", "COMPOSE"))}
    return subprocess.run(
        [*command, "--format", "json"],
        cwd=ROOT,
        env=known | {"COMPOSE_PROFILES": f"{profile},tools"} | env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def services(*files: str, profile: str = "demo", **env: str) -> dict[str, dict[str, Any]]:
    """As compose would start them."""
    done = config(*files, profile=profile, **env)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)["services"]
    assert isinstance(found, dict)
    return found


def mounts(service: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["target"]: one for one in service["volumes"]}


@pytest.mark.parametrize("profile", ["demo", "observe", "live"])
def test_nothing_else_changes(profile: str, tmp_path: Path) -> None:
    plain = services(profile=profile)
    over = services(*OVER, profile=profile, FUNDARB_TLS_DIR=str(tmp_path))
    assert plain.keys() == over.keys()
    for name, one in over.items():
        changed = {key for key in one if one[key] != plain[name].get(key)}
        expected = {
            "credentials": {"command"},
            "nats": {"volumes"},
            "valkey": {"volumes", "healthcheck"},
            **{key: {"volumes", "environment"} for key in CLIENTS},
        }
        assert changed == expected.get(name, set()), name
        for target, volume in mounts(plain[name]).items() if "volumes" in plain[name] else ():
            assert mounts(one)[target] == volume, name


def test_the_key_is_seen_by_the_servers_alone_and_where_their_configs_look(tmp_path: Path) -> None:
    files = tls_in(INSIDE)
    over = services(*OVER, FUNDARB_TLS_DIR=str(tmp_path))
    seen = {
        name: {at: one for at, one in mounts(service).items() if at.startswith(str(INSIDE))}
        for name, service in over.items()
        if "volumes" in service
    }
    for name in SERVERS:
        assert set(seen.pop(name)) == {str(files.certificate), str(files.key), str(files.authority)}
    for name in CLIENTS:
        assert set(seen[name]) == {BUNDLE}
        assert over[name]["environment"]["SSL_CERT_FILE"] == BUNDLE
    for found in seen.values():
        for at, one in found.items():
            assert at == BUNDLE
            assert one["source"] == str(tmp_path / "bundle.pem")
            assert one["read_only"] is True
            assert one.get("bind", {}).get("create_host_path", False) is False


def test_credentials_are_made_as_before_and_with_tls(tmp_path: Path) -> None:
    plain = services()["credentials"]["command"]
    assert services(*OVER, FUNDARB_TLS_DIR=str(tmp_path))["credentials"]["command"] == [
        *plain,
        "--tls",
        str(INSIDE),
    ]


def test_the_store_is_asked_for_its_health_in_its_own_tongue(tmp_path: Path) -> None:
    asks = services(*OVER, FUNDARB_TLS_DIR=str(tmp_path))["valkey"]["healthcheck"]
    assert f"valkey-cli --tls --cacert {tls_in(INSIDE).authority} " in asks["test"][-1]
    assert asks == services()["valkey"]["healthcheck"] | {"test": asks["test"]}


def test_without_a_folder_it_says_what_is_missing() -> None:
    done = config(*OVER)
    assert done.returncode != 0
    assert "FUNDARB_TLS_DIR" in done.stderr
    assert "server.pem, server.key, ca.pem and bundle.pem" in done.stderr
