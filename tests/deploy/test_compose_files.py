"""What the compose files promise, read as they stand; no engine is needed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from libs.common.access import BUS
from libs.common.actor import DRAIN_SEC_MAX
from libs.console.credentials import DATA, GRAFANA

ROOT: Final = Path(__file__).resolve().parents[2]
COMPOSE: Final = ROOT / "compose.yaml"
UID: Final = "10001:10001"
ANSWERS_ITSELF: Final = {"credentials", "operator"}
"""Containers that run once and end: there is nothing to be healthy."""

OUT: Final = {"feed", "executor", "notifier", "alertmanager"}
"""Who reaches further than this machine: venues, and people."""


def read(path: Path) -> dict[str, Any]:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


COMPOSES: Final = (
    shutil.which("docker") is not None
    and subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
)

FILES: Final = [ROOT / one for one in read(COMPOSE)["include"]]
SERVICES: Final[dict[str, dict[str, Any]]] = {
    name: service for path in FILES for name, service in read(path)["services"].items()
}
RUNNING: Final = sorted(set(SERVICES) - ANSWERS_ITSELF)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_container_has_more_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["user"] == UID
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "cap_add" not in service
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service["logging"]["options"]["max-size"]
    assert not any("docker.sock" in str(one) for one in service.get("volumes", ()))


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_neither_logs_nor_memory_files_nor_core_dumps_fill_the_machine(name: str) -> None:
    service = SERVICES[name]
    options = service["logging"]["options"]
    assert service["logging"]["driver"] == "json-file"
    assert (options["max-size"], int(options["max-file"])) == ("10m", 5)
    assert service["ulimits"]["core"] == 0
    for one in service.get("tmpfs", ()):
        assert re.fullmatch(r"/(tmp|run/fundarb):size=\d+m(,uid=10001,gid=10001,mode=0700)?", one), one
    sizes = [int(size) for size in re.findall(r"size=(\d+)m", str(service.get("tmpfs", ())))]
    memory = re.fullmatch(r"(\d+)([mg])", service["mem_limit"])
    assert memory is not None
    assert 2 * sum(sizes) <= int(memory[1]) * (1 if memory[2] == "m" else 1_024), "it is this memory"


def test_the_whole_stack_fits_the_machine_that_the_docs_name() -> None:
    """Limits are not what is used; together they stay within twice the 4 GB of containers.md."""
    limits = [re.fullmatch(r"(\d+)([mg])", SERVICES[name]["mem_limit"]) for name in RUNNING]
    total = sum(int(one[1]) * (1 if one[2] == "m" else 1_024) for one in limits if one is not None)
    assert total <= 2 * 4_096


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_secret_is_in_the_environment_or_the_command(name: str) -> None:
    """`docker inspect` shows both: a secret is a file, and only its name stands here."""
    service = SERVICES[name]
    told = dict(service.get("environment", {}))
    for key, value in told.items():
        if re.search(r"PASSWORD|SECRET|TOKEN|KEY|URL|LOGIN", key):
            assert key.endswith("_FILE"), key
            assert str(value).startswith("/run/secrets/login/"), key
        assert "://" not in str(value), key
    said = " ".join(map(str, (*service.get("command", ()), *service.get("entrypoint", ()))))
    assert not re.search(r"password|secret|token|://[^/]*@", said.lower()), said
    assert "env_file" not in service
    assert "args" not in service.get("build", {})


@pytest.mark.parametrize("name", RUNNING)
def test_who_is_stopped_has_the_time_to_end_in_order(name: str) -> None:
    """A service drains, closes its sockets, bus and store; valkey and Prometheus write what they have."""
    least_sec = {"valkey": 30, "prometheus": 60, "nats": 10, "alertmanager": 10, "grafana": 10}
    given = SERVICES[name].get("stop_grace_period", "10s")
    wanted = least_sec.get(name, 3 * DRAIN_SEC_MAX)
    assert int(given.removesuffix("s")) >= wanted


@pytest.mark.parametrize("name", ["demo", "observe", "live"])
def test_env_files_hold_no_secret_and_no_second_act(name: str) -> None:
    path = ROOT / ".env" if name == "demo" else ROOT / "deploy" / f"{name}.env"
    text = path.read_text(encoding="utf-8")
    settings = dict(line.split("=", 1) for line in text.splitlines() if line and line[0] != "#")
    assert settings["COMPOSE_PROFILES"] == name
    assert settings["FUNDARB_CLOSED"] == ("true" if name == "demo" else "false")
    assert "FUNDARB_LIVE" not in settings, "real orders need a word of this one command"
    assert not [key for key in settings if re.search(r"PASSWORD|TOKEN|KEY|URL", key)]
    read_by_compose = {one for path in FILES for one in re.findall(r"\$\{([A-Z_]+)", path.read_text())}
    assert set(settings) - {"COMPOSE_PROFILES"} <= read_by_compose, "nothing reads it"


@pytest.mark.parametrize("name", RUNNING)
def test_what_runs_comes_back_and_says_how_it_is(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["healthcheck"]["retries"] >= 3


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_images_are_pinned(name: str) -> None:
    image = SERVICES[name]["image"]
    assert image.startswith("${FUNDARB_IMAGE:-fundarb:local}") or re.fullmatch(
        r"[a-z/]+:v?\d+\.\d+\.\d+(-[a-z]+)?", image
    )


def test_ports_are_published_on_loopback_alone() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"nats", "prometheus", "grafana"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_only_those_who_must_reach_out() -> None:
    networks = {
        name: network for path in FILES for name, network in (read(path).get("networks") or {}).items()
    }
    closed = {name for name, network in networks.items() if (network or {}).get("internal") is True}
    assert networks["out"]["internal"] == "${FUNDARB_CLOSED:-true}"
    assert networks["door"]["driver_opts"] == {"com.docker.network.bridge.enable_ip_masquerade": "false"}
    assert set(networks) == closed | {"out", "door"}
    assert {name for name, service in SERVICES.items() if "out" in service.get("networks", ())} == OUT


def test_each_service_has_its_own_login_and_no_other() -> None:
    for name in sorted(set(BUS) - {"operator"}):
        mounted = [one for one in SERVICES[name]["volumes"] if str(one).startswith("credentials-")]
        assert mounted == [f"credentials-{name}:/run/secrets/login:ro"]


def test_the_executor_alone_sees_trade_keys() -> None:
    keys = {
        name
        for name, service in SERVICES.items()
        if any("FUNDARB_SECRETS_DIR" in str(one) for one in service.get("volumes", ()))
    }
    live = {name for name, service in SERVICES.items() if "FUNDARB_LIVE" in service.get("environment", {})}
    assert keys == live == {"executor"}


def test_credentials_reach_every_volume_that_is_waited_for() -> None:
    given = {str(one).partition(":")[0] for one in SERVICES["credentials"]["volumes"]}
    wanted = {f"credentials-{name}" for name in (*BUS, "nats", "valkey", GRAFANA)}
    assert wanted <= given
    declared = {name for path in FILES for name in (read(path).get("volumes") or {})}
    assert given == declared


def test_a_fresh_clone_starts_the_demo_and_it_has_no_way_out() -> None:
    settings = dict(
        line.split("=", 1) for line in (ROOT / ".env").read_text().splitlines() if line and line[0] != "#"
    )
    assert (
        settings["COMPOSE_PROFILES"] == settings["FUNDARB_MODE"] == settings["FUNDARB_DEPLOYMENT"] == "demo"
    )
    assert settings["FUNDARB_CLOSED"] == "true"
    assert "FUNDARB_LIVE" not in settings
    demo = {name for name, service in SERVICES.items() if "demo" in service["profiles"]}
    assert demo == set(SERVICES) - {"operator"}


def test_watching_starts_nothing_that_trades() -> None:
    watching = {name for name, service in SERVICES.items() if "observe" in service["profiles"]}
    assert not watching & {"executor", "risk", "venue"}
    assert {"feed", "signal", "recorder", "notifier", "prometheus", "grafana"} <= watching


def test_live_starts_all_that_trades_and_no_simulated_exchange() -> None:
    live = {name for name, service in SERVICES.items() if "live" in service["profiles"]}
    assert live == set(SERVICES) - {"operator", "venue"}


def test_the_image_is_built_from_locked_packages_for_a_user_without_rights() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    last = text[text.rindex("FROM ") :]
    assert "USER 10001:10001" in last
    assert 'ENTRYPOINT ["fundarb"]' in last
    assert "HEALTHCHECK" in last
    assert "STOPSIGNAL SIGTERM" in last
    assert text.count("--require-hashes") == 2
    assert str(DATA) in last
    assert not re.search(r"^(RUN|CMD|ENTRYPOINT) [^\[]", text, re.MULTILINE), "exec form only"


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-build.lock"])
def test_locks_of_the_image_have_hashes_and_no_addresses(lock: str) -> None:
    text = (ROOT / "deploy" / lock).read_text(encoding="utf-8")
    pins = re.findall(r"^([a-z0-9._-]+)==", text, re.MULTILINE)
    assert pins
    assert "://" not in text
    assert text.count("--hash=sha256:") >= len(pins)


def test_the_image_has_the_versions_that_the_tests_run_with() -> None:
    def pinned(path: Path) -> dict[str, str]:
        return dict(
            re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        )

    ours, image = pinned(ROOT / "requirements.lock"), pinned(ROOT / "deploy" / "requirements.lock")
    assert {name: ours.get(name) for name in image} == image


@pytest.mark.skipif(not COMPOSES, reason="docker compose is missing on this machine: not asked here")
@pytest.mark.parametrize("name", ["demo", "observe", "live"])
def test_compose_takes_the_files(name: str) -> None:
    """It needs no engine for that. Each service that the profile names is there."""
    path = ROOT / ".env" if name == "demo" else ROOT / "deploy" / f"{name}.env"
    named = compose_config(path, "--services")
    assert named.returncode == 0, named.stderr
    assert set(named.stdout.split()) == {one for one in SERVICES if name in SERVICES[one]["profiles"]}
    quiet = compose_config(path, "-q")
    assert (quiet.returncode, quiet.stderr) == (0, "")


def compose_config(settings: Path, option: str) -> subprocess.CompletedProcess[str]:
    """`docker compose config` with the settings of a profile."""
    command = ["docker", "compose", "--env-file", str(settings), "config", option]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_the_linter_of_dockerfiles_is_content() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [
            str(linter),
            "--config",
            str(ROOT / "deploy" / "hadolint.yaml"),
            str(ROOT / "deploy" / "Dockerfile"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
