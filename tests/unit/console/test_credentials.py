"""Credentials of containers: every container its own, kept over updates, new ones when asked for."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from libs.common.access import BUS
from libs.console import credentials


def tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def made(folder: Path, *arguments: str) -> dict[str, str]:
    assert credentials.main([str(folder), *arguments]) == 0
    return tree(folder)


def test_each_container_gets_its_own_and_only_the_owner_may_read(tmp_path: Path) -> None:
    found = made(tmp_path, "--deployment", "main")
    assert set(found) == {
        "nats/nats.conf",
        "nats/passwords.json",
        "valkey/valkey.conf",
        "valkey/users.acl",
        "valkey/health-word",
        "grafana/admin-password",
        *(f"{user}/{name}" for user in BUS for name in ("nats-url", "redis-url")),
    }
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in found} == {0o600}
    words = json.loads(found["nats/passwords.json"])
    assert len(set(words.values())) == len(words) == len(BUS) + 2
    for user in BUS:
        assert found[f"{user}/nats-url"] == f"nats://{user}:{words[user]}@nats:4222"
        assert found[f"{user}/redis-url"] == f"redis://{user}:{words[user]}@valkey:6379/0"
        others = {word for name, word in words.items() if name != user}
        assert not any(
            word in found[f"{user}/{name}"] for name in ("nats-url", "redis-url") for word in others
        )
    assert not any(word in found["valkey/users.acl"] for word in words.values()), "hashes only"
    assert "~fundarb:main:*" in found["valkey/users.acl"]


def test_an_update_keeps_passwords_and_writes_rights_anew(tmp_path: Path) -> None:
    before = made(tmp_path)
    (tmp_path / "nats" / "nats.conf").write_text("an older version's")
    assert made(tmp_path) == before


def test_rotation_makes_new_ones(tmp_path: Path) -> None:
    before, after = made(tmp_path), made(tmp_path, "--rotate")
    old, new = (json.loads(one["nats/passwords.json"]) for one in (before, after))
    assert not set(old.values()) & set(new.values())


def test_with_tls_nothing_is_spoken_in_clear(tmp_path: Path) -> None:
    found = made(tmp_path, "--tls", "/run/tls")
    assert 'tls { cert_file: "/run/tls/server.pem"' in found["nats/nats.conf"]
    assert "port 0\ntls-port 6379" in found["valkey/valkey.conf"]
    assert found["risk/nats-url"].startswith("tls://")
    assert found["risk/redis-url"].startswith("rediss://")


def test_the_demos_config_lies_where_it_is_wanted(tmp_path: Path) -> None:
    found = made(tmp_path / "credentials", "--demo", str(tmp_path / "config"))
    config = json.loads((tmp_path / "config" / "config.json").read_text())
    assert config["deployment"] == "demo"
    assert config["paths"]["logs"].startswith("/var/lib/fundarb/")
    assert "config.json" not in "".join(found)


def test_what_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "nats").write_text("in the way")
    assert credentials.main([str(tmp_path)]) == credentials.FAILED
    said = capsys.readouterr().err
    assert said.startswith("credentials: ")
    assert len(said.splitlines()) == 1
