"""Servers given to `fundarb up` and `fundarb status`: malformed ones, absent ones, and passwords."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from libs.common.clock import mono_us
from libs.common.embedded import free_port
from libs.common.instant import US_PER_SEC
from tests.helpers.servers import RealServer, real_nats
from tests.integration.test_up import FUNDARB, ROOT, environment

CONFIG = ("--config", str(ROOT / "config/example.json"))
NATS, REDIS = "nats://127.0.0.1:1", "redis://127.0.0.1:1"
PATIENCE_SEC = 12.0


def fundarb(folder: Path, *argv: str, **env: str) -> tuple[int, list[str]]:
    """Exit code and lines on stderr; nothing is ever on stdout, and no password anywhere."""
    done = subprocess.run(
        [FUNDARB, *argv],
        cwd=folder, env=environment(folder, **env), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout == ""
    assert "hunter2" not in done.stderr
    assert not list(folder.glob("data/*/logs/*"))  # nothing was started
    return done.returncode, done.stderr.splitlines()


@pytest.mark.parametrize("verb", ["up", "status"])
@pytest.mark.parametrize("url", ["http://x", "foo", "nats://127.0.0.1:port"])
def test_what_is_no_nats_url_is_wrong_usage(tmp_path: Path, verb: str, url: str) -> None:
    config = CONFIG if verb == "up" else ()
    code, lines = fundarb(tmp_path, verb, *config, "--nats", url)
    assert code == 2
    (line,) = lines
    assert line.startswith("--nats: a NATS URL looks like nats://host:4222")
    assert "***" not in line  # the example shows no login that would be blanked out


@pytest.mark.parametrize(
    ("env", "start"),
    [
        ({"FUNDARB_NATS_URL": "http://me:hunter2@x"}, "FUNDARB_NATS_URL: a NATS URL looks like"),
        ({"FUNDARB_REDIS_URL": "foo"}, "FUNDARB_REDIS_URL: a Redis URL looks like"),
        ({"FUNDARB_REDIS_URL": "redis://:x/hunter2@h"}, "FUNDARB_REDIS_URL: a Redis URL looks like"),
    ],
)
def test_neither_is_one_in_a_variable(tmp_path: Path, env: dict[str, str], start: str) -> None:
    code, lines = fundarb(tmp_path, "up", *CONFIG, **env)
    assert code == 2
    (line,) = lines
    assert line.startswith(start)


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"FUNDARB_NATS_URL": "nats://me:hunter2@127.0.0.1:{port}"}, "NATS at 127.0.0.1:{port} cannot be"),
        ({"FUNDARB_REDIS_URL": "redis://:hunter2@127.0.0.1:{port}"}, "the store at 127.0.0.1:{port} cannot"),
    ],
)
def test_a_server_that_does_not_answer_is_one_line_and_exit_3(
    tmp_path: Path, env: dict[str, str], said: str
) -> None:
    port, begin_us = free_port(), mono_us()
    given = {name: url.format(port=port) for name, url in env.items()}
    code, lines = fundarb(tmp_path, "up", *CONFIG, **given)
    assert mono_us() - begin_us < PATIENCE_SEC * US_PER_SEC
    assert code == 3
    (line,) = lines
    assert said.format(port=port) in line
    assert line.rpartition(": ")[2]  # a reason


def test_a_refused_password_is_told_at_once(tmp_path: Path) -> None:
    with real_nats() as server:
        code, lines = fundarb(tmp_path, "up", *CONFIG, FUNDARB_NATS_URL=with_password(server, "hunter2"))
    assert code == 3
    (line,) = lines
    assert "cannot be reached" in line
    assert "Authorization" in line


def with_password(server: RealServer, password: str) -> str:
    return f"nats://me:{password}@{server.url.rpartition('@')[2].removeprefix('nats://')}"


@pytest.mark.parametrize(
    ("options", "flag", "variable"),
    [
        (("--nats", "nats://me:hunter2@127.0.0.1:{port}"), "--nats", "FUNDARB_NATS_URL"),
        (("--redis", "redis://:hunter2@127.0.0.1:{port}"), "--redis", "FUNDARB_REDIS_URL"),
    ],
)
def test_a_password_on_the_command_line_is_warned_about(
    tmp_path: Path, options: tuple[str, str], flag: str, variable: str
) -> None:
    code, lines = fundarb(tmp_path, "up", *CONFIG, options[0], options[1].format(port=free_port()))
    assert code == 3
    warning, _ = lines
    assert warning.startswith(f"warning: {flag}: ")
    assert "process list" in warning
    assert variable in warning
