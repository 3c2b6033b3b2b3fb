"""A service that cannot start says why in one line, without a secret, and its exit code says what kind."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from libs.common.child import python_env
from tests.integration.test_run import ECHO

NOWHERE = {
    "FUNDARB_NATS_URL": "nats://u:hunter2hunter2@127.0.0.1:1",
    "FUNDARB_REDIS_URL": "redis://:hunter2hunter2@127.0.0.1:1/0",
}


def refused(*arguments: str, env: dict[str, str]) -> tuple[int, str]:
    """Exit code and stderr of a service that should not start."""
    done = subprocess.run(
        [*ECHO, *arguments],
        env=python_env(os.environ, **({"FUNDARB_METRICS_PORT": "0"} | env)),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr + done.stdout
    return done.returncode, done.stderr.strip().splitlines()[-1] if done.stderr.strip() else ""


def test_a_missing_address_is_wrong_usage_and_says_the_remedy() -> None:
    code, line = refused(env={})
    assert code == 2
    assert "FUNDARB_NATS_URL is not set: start everything with `fundarb up`" in line
    assert "***" not in line


def test_a_broken_config_is_wrong_usage(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"mode": "obserrver"}')
    code, line = refused(env={**NOWHERE, "FUNDARB_CONFIG": str(config)})
    assert code == 2
    assert "mode" in line


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("FUNDARB_METRICS_PORT", "many", "is no port: 0 to 65535 is"),
        ("FUNDARB_WAIT_SEC", "nan", "is no number of seconds above 0"),
    ],
)
def test_a_nonsense_setting_is_wrong_usage(variable: str, value: str, said: str) -> None:
    code, line = refused(env={**NOWHERE, variable: value})
    assert (code, line) == (2, f"echo: {variable}={value!r} {said}")


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("FUNDARB_NATS_URL", "http://me:hunter2@x", "a NATS URL looks like nats://host:4222"),
        ("FUNDARB_NATS_URL", "nats://me:x/hunter2@127.0.0.1:1", "a NATS URL looks like nats://host:4222"),
        ("FUNDARB_REDIS_URL", "foo", "a Redis URL looks like redis://"),
    ],
)
def test_an_address_that_is_none_is_wrong_usage(variable: str, value: str, said: str) -> None:
    code, line = refused(env={**NOWHERE, variable: value})
    assert code == 2
    assert line.startswith(f"echo: {variable}: {said}")
    assert "***" not in line


def test_servers_that_cannot_be_reached_end_the_wait_with_exit_3() -> None:
    code, line = refused(env={**NOWHERE, "FUNDARB_WAIT_SEC": "1"})
    assert code == 3
    assert "echo: cannot reach the bus" in line
    assert "127.0.0.1:1" in line
