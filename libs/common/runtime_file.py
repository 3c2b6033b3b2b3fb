"""Files of a running deployment that only their owner may read: addresses with credentials, pids, ports.

`{deployment}.json` is what the command line finds a running system by; several processes add to it, so
`update` holds a lock. Readers see a whole file or none, never half of one.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec

ENV_DIR = "FUNDARB_RUNTIME_DIR"
FILE_MODE = 0o600
DIR_MODE = 0o700


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """What runs under one deployment's name. `pids` and `metrics_ports` by service, `started_us` wall."""

    nats_url: str = ""
    redis_url: str = ""
    pids: dict[str, int] = {}
    metrics_ports: dict[str, int] = {}
    started_us: int = 0


T = TypeVar("T")


class BadRuntimeFile(ValueError):
    """A runtime file that is not what it should be; the text names the file."""


def runtime_dir(env: Mapping[str, str]) -> Path:
    """`FUNDARB_RUNTIME_DIR`, else the user's own runtime folder, else one in the home folder."""
    if named := env.get(ENV_DIR):
        return Path(named)
    if xdg := env.get("XDG_RUNTIME_DIR"):
        return Path(xdg) / "fundarb"
    return Path(env.get("HOME") or Path.home()) / ".cache" / "fundarb" / "run"


def deployment_path(folder: Path, deployment: str) -> Path:
    """Where a deployment's runtime file lies."""
    return folder / f"{deployment}.json"


def private_dir(folder: Path) -> Path:
    """Make `folder` (and what leads to it) for its owner alone; an existing one keeps its mode."""
    folder.mkdir(parents=True, exist_ok=True, mode=DIR_MODE)
    return folder


def write_private(path: Path, payload: bytes) -> None:
    """Replace `path` atomically, mode 0600 from its first byte on."""
    private_dir(path.parent)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600 by contract
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write(path: Path, value: msgspec.Struct) -> None:
    """Write any struct as one JSON object, atomically and privately."""
    write_private(path, msgspec.json.encode(value))


def read(path: Path, kind: type[T]) -> T | None:
    """The struct in `path`, None when there is no file; `BadRuntimeFile` when it holds something else."""
    try:
        payload = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(payload, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRuntimeFile(f"{path}: {error}; remove the file and start again") from error


def remove(path: Path) -> None:
    """Remove a runtime file and its lock; a missing one is fine."""
    for gone in (path, _lock_path(path)):
        with suppress(FileNotFoundError):
            gone.unlink()


def update(path: Path, change: Callable[[Deployment], Deployment]) -> Deployment:
    """Read, change and write a deployment's file under a lock (several services announce themselves)."""
    private_dir(path.parent)
    with _locked(_lock_path(path)):
        changed = change(read(path, Deployment) or Deployment())
        write(path, changed)
    return changed


def announce(path: Path, *, service: str, pid: int, metrics_port: int) -> Deployment:
    """Add one service's pid and metrics port to its deployment's file."""

    def add(known: Deployment) -> Deployment:
        return msgspec.structs.replace(
            known,
            pids={**known.pids, service: pid},
            metrics_ports={**known.metrics_ports, service: metrics_port},
        )

    return update(path, add)


def _lock_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
