"""What a supervisor's children are given: settings, environment, bounded logs, private files."""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from pathlib import Path

import pytest

from libs.common.access_files import nats_users
from libs.common.child import ChildSpec, bound_log, describe_exit, log_tail, python_env, service_argv
from libs.common.embedded import (
    EmbeddedError,
    _ephemeral_floor,
    folder_lock,
    free_port,
    nats_binary,
    nats_server,
    valkey_binary,
    valkey_server,
)
from libs.common.runtime_file import (
    BadRuntimeFile,
    Deployment,
    announce,
    deployment_path,
    read,
    remove,
    runtime_dir,
    update,
    write,
)
from libs.common.server_files import nats_config, valkey_config
from libs.common.supervisor import Supervisor


def test_the_broker_has_every_setting_that_cures_a_measured_fault() -> None:
    text = nats_config(listen="127.0.0.1:4222", users=nats_users({"feed": "p"}))
    for setting in (
        'listen: "127.0.0.1:4222"',
        "no_fast_producer_stall: true",
        'ping_interval: "2s"',
        "ping_max: 2",
        'write_deadline: "2s"',
        "max_payload: 64KB",
        '{ user: "feed", password: "p", permissions: { publish: { allow: ["md.>",',
    ):
        assert setting in text


@pytest.mark.parametrize("durable", [True, False])
def test_the_store_never_evicts_and_is_durable_where_asked(*, durable: bool) -> None:
    lines = valkey_config(
        bind="127.0.0.1", port=1, acl=Path("/a"), folder=Path("/d"), durable=durable
    ).splitlines()
    for setting in ("bind 127.0.0.1", 'aclfile "/a"', "maxmemory-policy noeviction", 'save ""', 'dir "/d"'):
        assert setting in lines
    assert ("appendonly yes" in lines) is durable
    assert ("appendfsync always" in lines) is durable


def test_configs_and_folders_are_for_their_owner_alone(tmp_path: Path) -> None:
    env = dict(os.environ)
    for server in (
        nats_server(tmp_path / "n", env=env),
        valkey_server(tmp_path / "v", env=env, durable=False),
    ):
        config = Path(server.spec.argv[-1])
        assert stat.S_IMODE(config.stat().st_mode) == 0o600
        assert stat.S_IMODE(config.parent.stat().st_mode) == 0o700
        password = server.url.split("@")[0].rpartition(":")[2]
        assert len(password) >= 32
        kept = "".join(file.read_text() for file in config.parent.iterdir() if file.is_file())
        assert password in kept or sha256(password.encode()).hexdigest() in kept
        assert {stat.S_IMODE(file.stat().st_mode) for file in config.parent.iterdir()} == {0o600}
        assert not any(password in argument for argument in server.spec.argv)


def test_ports_lie_outside_the_range_of_outgoing_connections() -> None:
    for port in {free_port() for _ in range(20)}:
        assert 10_000 <= port < _ephemeral_floor()


@pytest.mark.parametrize(
    ("variable", "find"), [("FUNDARB_NATS_SERVER", nats_binary), ("FUNDARB_VALKEY_SERVER", valkey_binary)]
)
def test_another_binary_can_be_named_and_is_checked(tmp_path: Path, variable: str, find: object) -> None:
    assert callable(find)
    program = tmp_path / "server"

    def saying(text: str) -> dict[str, str]:
        program.write_text(f"#!/bin/sh\necho '{text}'\n")
        program.chmod(0o755)
        return {variable: str(program)}

    assert find(saying("server v=99.1.0")) == program
    with pytest.raises(EmbeddedError, match=r"version 1\.2 is too old; .* or newer is needed"):
        find(saying("server: v1.2.3"))
    with pytest.raises(EmbeddedError, match="says no version"):
        find(saying("hello"))
    with pytest.raises(EmbeddedError, match=f"not found or not executable; {variable} names no program"):
        find({variable: str(tmp_path / "absent")})


def test_the_packaged_binaries_are_found() -> None:
    assert nats_binary({}).name == "nats-server"
    assert valkey_binary({}).name == "valkey-server"


def test_a_second_deployment_in_one_folder_is_refused_with_the_pid(tmp_path: Path) -> None:
    refused = pytest.raises(EmbeddedError, match=f"in use by process {os.getpid()}: .*already runs")
    with folder_lock(tmp_path / "data"), refused, folder_lock(tmp_path / "data"):
        pass
    with folder_lock(tmp_path / "data"):
        pass


def test_children_see_no_key_of_ours() -> None:
    env = python_env(
        {"PATH": "/bin", "BINANCE_API_KEY": "k", "FUNDARB_CONFIG": "c", "PYTHONPATH": "/x", "LC_ALL": "C"},
        FUNDARB_NATS_URL="n",
    )
    assert env == {
        "PATH": "/bin",
        "LC_ALL": "C",
        "FUNDARB_CONFIG": "c",
        "FUNDARB_NATS_URL": "n",
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
    }
    proxies = {"HTTPS_PROXY": "http://p:1", "wss_proxy": "http://p:1", "NO_PROXY": "x"}
    assert python_env(proxies | {"FTP_PROXY": "y"}).items() > proxies.items()
    assert "FTP_PROXY" not in python_env(proxies | {"FTP_PROXY": "y"})
    assert service_argv("feed")[1:] == ("-m", "services.feed.main")


def test_a_log_over_its_limit_is_cut_and_its_end_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text("old\n" * 10)
    assert not bound_log(path, bytes_max=1_000)
    path.write_text("a" * 900 + "the end")
    with path.open("ab") as child:  # appends, like a child does
        assert bound_log(path, bytes_max=500)
        child.write(b"next")
        child.flush()
        assert path.read_text() == "next"
    kept = (tmp_path / "x.log.1").read_text()
    assert len(kept) == 500
    assert kept.endswith("the end")
    assert not bound_log(tmp_path / "absent.log", bytes_max=1)


def test_the_last_lines_of_a_log_are_quoted(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(b"\n".join(b"line %d" % number for number in range(5_000)) + b"\n\xff")
    assert log_tail(path, lines=2) == "    line 4999\n    \ufffd"
    assert log_tail(tmp_path / "absent.log") == ""


def test_exits_are_told_in_words() -> None:
    assert describe_exit(3) == "exit code 3"
    assert describe_exit(-9) == "killed by SIGKILL"


def test_two_children_cannot_have_one_name(tmp_path: Path) -> None:
    spec = ChildSpec(name="a", argv=("/bin/true",), log=tmp_path / "a.log")
    with pytest.raises(ValueError, match="one name"):
        Supervisor([spec, spec])


def test_runtime_files_are_private_whole_and_gathered(tmp_path: Path) -> None:
    path = deployment_path(tmp_path / "run", "main")
    assert read(path, Deployment) is None
    update(path, lambda known: Deployment(nats_url="nats://u:p@h:1", started_us=7, pids=known.pids))
    announce(path, service="feed", pid=11, metrics_port=9101)
    announce(path, service="signal", pid=12, metrics_port=9102)
    assert read(path, Deployment) == Deployment(
        nats_url="nats://u:p@h:1",
        started_us=7,
        pids={"feed": 11, "signal": 12},
        metrics_ports={"feed": 9101, "signal": 9102},
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    remove(path)
    remove(path)
    assert list(path.parent.iterdir()) == []


def test_a_broken_runtime_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "main.json"
    for broken in (b"", b"{", b'{"pids": 3}', b"\xff"):
        path.write_bytes(broken)
        with pytest.raises(BadRuntimeFile, match=r"main\.json"):
            read(path, Deployment)


def test_a_failed_write_leaves_the_old_file_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "main.json"
    write(path, Deployment(started_us=1))

    def full(_descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write(path, Deployment(started_us=2))
    assert [file.name for file in tmp_path.iterdir()] == ["main.json"]
    assert read(path, Deployment) == Deployment(started_us=1)


def test_the_runtime_folder_is_named_or_the_users_own() -> None:
    assert runtime_dir({"FUNDARB_RUNTIME_DIR": "/r"}) == Path("/r")
    assert runtime_dir({"XDG_RUNTIME_DIR": "/x"}) == Path("/x/fundarb")
    assert runtime_dir({"HOME": "/h"}) == Path("/h/.cache/fundarb/run")
