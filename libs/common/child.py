"""One child process: how it is described, started so that it dies with us, watched, and ended.

A child gets its own session: Ctrl-C in the terminal reaches the parent alone, which then ends its
children in order. Output goes straight to a file (no pipe: a frozen parent never blocks a child), which
is cut when it grows over its limit.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

LAUNCHER: Final = Path(__file__).with_name("launch.py")
EXIT_USAGE: Final = 2
"""contract.md: wrong usage or config. Trying again cannot help."""

LOG_BYTES_MAX: Final = 10_000_000
LOG_TAIL_LINES: Final = 12

# What a child may see of our environment; keys and passwords are handed over by name or not at all.
_PASSED_ON: Final = frozenset(
    {"PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV", "XDG_RUNTIME_DIR", "COLUMNS", "LINES"}
)
# The way out is the same for a service as for the commands (`check` says that HTTPS_PROXY is honoured).
_PROXIES: Final = frozenset({"HTTPS_PROXY", "https_proxy", "WSS_PROXY", "wss_proxy", "NO_PROXY", "no_proxy"})
_PASSED_ON_PREFIXES: Final = ("LC_", "FUNDARB_", "SSL_CERT_")


class ChildState(StrEnum):
    """What a supervisor says about a child."""

    STARTING = "starting"
    OK = "ok"
    RESTARTING = "restarting"
    FAILED = "failed"
    STOPPED = "stopped"


class ChildSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A program to keep running.

    - `stage`: children of one stage start together; the next stage starts when all of them are ready,
      and stops before them
    - `env`: the whole environment (see `python_env`)
    - `ready`: asked every 50 ms until it answers true, at most `ready_sec`; None: running is ready
    - `hung_sec`: `ready` is asked each second afterwards too, and a child that has not answered for so
      long (frozen, dead-locked) is killed and restarted; None: never
    - `keep_fds`: descriptors that the child holds as long as it lives (a lock)
    """

    name: str
    argv: tuple[str, ...]
    log: Path
    env: dict[str, str] = {}
    stage: int = 0
    ready: Callable[[], Awaitable[bool]] | None = None
    ready_sec: float = 20.0
    hung_sec: float | None = None
    restart: bool = True
    grace_sec: float = 6.0
    log_bytes_max: int = LOG_BYTES_MAX
    keep_fds: tuple[int, ...] = ()


class ChildFailed(Exception):
    """A child did not become ready; the text names it, says why, and quotes its last lines."""


def python_env(environ: Mapping[str, str], **extra: str) -> dict[str, str]:
    """Environment of a Python child: what is safe to pass on, `extra`, and no import from the work folder."""
    passed = {
        key: value
        for key, value in environ.items()
        if key in _PASSED_ON or key in _PROXIES or key.startswith(_PASSED_ON_PREFIXES)
    }
    return {**passed, "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1", **extra}


def service_argv(service: str) -> tuple[str, ...]:
    """How a service of ours is started."""
    return (sys.executable, "-m", f"services.{service}.main")


class Child:
    """A running process. Make one with `Child.start`."""

    def __init__(self, spec: ChildSpec, process: subprocess.Popen[bytes]) -> None:
        self.spec = spec
        self._process = process

    @classmethod
    def start(cls, spec: ChildSpec) -> Child:
        """Start it; `ChildFailed` when the program cannot be run. Main thread only (see launch.py)."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("children die with the thread that started them: start them from the main one")
        spec.log.parent.mkdir(parents=True, exist_ok=True)
        # The launcher is isolated (-I): it must not import from the work folder or a user's site.
        argv = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), *spec.argv]
        log = os.open(spec.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            process = subprocess.Popen(  # noqa: S603 - argv is ours
                argv,
                env=spec.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=spec.keep_fds,
            )
        except OSError as error:
            raise ChildFailed(f"{spec.name}: cannot start {argv[0]}: {error.strerror}") from error
        finally:
            os.close(log)
        return cls(spec, process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    async def exited(self) -> int:
        """Wait for the end, answer the exit code."""
        loop = asyncio.get_running_loop()
        try:
            descriptor = os.pidfd_open(self.pid)
        except OSError:  # already reaped, or a kernel without pidfd
            return await self._polled_exit()
        gone = asyncio.Event()
        loop.add_reader(descriptor, gone.set)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        return await self._polled_exit()

    async def _polled_exit(self) -> int:
        while (code := self.exit_code) is None:  # noqa: ASYNC110 - nothing wakes us here
            await asyncio.sleep(0.02)
        return code

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; a child that is gone is fine (the pid is not reaped, so never another's)."""
        if self.exit_code is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    def kill_group(self) -> None:
        """SIGKILL to the child and to whatever it started, and reap it."""
        if self.exit_code is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)  # its own session: group id = pid
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    async def end(self, *, grace_sec: float) -> None:
        """SIGTERM, up to `grace_sec` of patience, then SIGKILL."""
        self.signal(signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_sec):
                await self.exited()
        self.kill_group()


def describe_exit(code: int) -> str:
    """`exit code 3`, `killed by SIGKILL`."""
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"


def log_tail(path: Path, *, lines: int = LOG_TAIL_LINES) -> str:
    """The last lines of a child's log, indented; empty when there are none."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 16_384))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])


def bound_log(path: Path, *, bytes_max: int) -> bool:
    """Cut a log over its limit: its last `bytes_max` go to `.1`, the child goes on writing at the start.

    The child appends (O_APPEND), so truncating under it is safe; lines written between copy and cut are
    lost, which a diagnostic log may.
    """
    try:
        if path.stat().st_size <= bytes_max:
            return False
    except FileNotFoundError:
        return False
    with path.open("rb") as source:
        source.seek(-bytes_max, os.SEEK_END)
        tail = source.read(bytes_max)  # not to the end: the child writes meanwhile
    kept = path.with_name(f"{path.name}.1")
    descriptor = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as target:
        target.write(tail)
    os.truncate(path, 0)
    return True
