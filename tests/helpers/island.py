"""Tests on an island: a network with this machine alone in it, where an exchange's real names lead to ours.

    @islander
    async def test_something(tmp_path: Path) -> None:
        async with simulated_exchange(tmp_path) as told: ...

Linux gives a process namespaces of its own: a network that has loopback and nothing else, its own /etc/hosts,
its own list of trusted authorities. Programs run there unmodified, with the names, ports and certificate
checks of the real exchanges, and no packet of theirs can leave, whatever they do (ADR 0019). pytest runs the
test a second time inside; where a machine does not allow that it is skipped, with the reason.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NoReturn

import certifi
import pytest

from libs.common.clock import wall_us
from libs.exchange.redirect import EXCHANGE_HOSTS
from tests.chaos.links import Link
from tests.helpers.venue import venue_process

INSIDE: Final = "TEST_ON_AN_ISLAND"
HTTPS_PORT: Final = 443
BINANCE_STREAM_PORT: Final = 9443
"""Binance's spot streams have a port of their own in ccxt's `urls.api`."""

LIFE_SEC_MAX: Final = 240
HOSTS: Final = Path("/etc/hosts")
LEAVE: Final = "import socket; raise SystemExit(socket.socket().connect_ex(('192.0.2.1', 443)))"
"""To an address that belongs to nobody (RFC 5737)."""

# A user of his own who is root in there only, a network, mounts, and processes that end with the first one.
UNSHARE: Final = (
    "unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child",
    "--mount-proc",
)  # fmt: skip
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 1

Test = Callable[[Path], Awaitable[None]]


def inside() -> bool:
    """Whether this process lives on an island."""
    return bool(os.environ.get(INSIDE))


def move(argv: list[str]) -> NoReturn:
    """Go on as this program on an island, in place of this process. Raises OSError."""
    os.environ[INSIDE] = "1"
    os.execvp(UNSHARE[0], [*UNSHARE, *argv])  # noqa: S606 - no shell is wanted


def islander(test: Test) -> Callable[[Path], Any]:
    """Outside: a test that runs this one in there. Inside: the test itself."""
    if inside():
        return test

    @functools.wraps(test)
    def outside(tmp_path: Path) -> None:
        if why := unable():
            pytest.skip(f"this machine gives no namespaces ({why})")
        name = f"{sys.modules[test.__module__].__file__}::{test.__name__}"
        argv = [*UNSHARE, sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", name]
        done = subprocess.run(
            [*argv, f"--basetemp={tmp_path / 'inside'}"],
            cwd=Path(__file__).parents[2],
            env={**os.environ, INSIDE: "1"},
            capture_output=True,
            text=True,
            timeout=LIFE_SEC_MAX,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        assert "1 passed" in said, said

    return outside


@functools.cache
def unable() -> str:
    """Why there are no islands on this machine; empty when there are."""
    if shutil.which(UNSHARE[0]) is None or not sys.platform.startswith("linux"):
        return "no program unshare"
    tried = subprocess.run(
        [*UNSHARE, "mount", "--bind", "/etc/hosts", "/etc/hosts"], capture_output=True, text=True, check=False
    )
    return tried.stderr.strip() if tried.returncode else ""


def no_way_out() -> bool:
    """Whether nothing but this machine can be reached, by any program."""
    left = subprocess.run([sys.executable, "-I", "-c", LEAVE], check=False)
    return left.returncode == errno.ENETUNREACH


@asynccontextmanager
async def simulated_exchange(folder: Path) -> AsyncIterator[dict[str, Any]]:
    """The simulated exchange in the place of the real ones, at their names and port, in today's time.

    Yields what its `venue.json` says, the keys of its first user among it.
    """
    loopback_up()
    assert no_way_out()
    names = folder / "hosts"
    names.write_text(
        "127.0.0.1 localhost\n" + "".join(f"127.0.0.1 {host}\n" for host in sorted(EXCHANGE_HOSTS))
    )
    bind(names, HOSTS)
    settings = {"port": str(HTTPS_PORT), "data": "generated", "speed": "1", "start": str(wall_us() // 1_000)}
    with venue_process(folder, **settings) as told:  # type: ignore[arg-type]
        bind(Path(told["ca_path"]), Path(certifi.where()))
        link = Link(HTTPS_PORT, listen=BINANCE_STREAM_PORT)
        await link.open()
        try:
            yield told
        finally:
            await link.close()


def loopback_up() -> None:
    """A new network begins with its loopback down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _IFF_UP) + bytes(14))


def bind(source: Path, target: Path) -> None:
    """From now on, and in here alone, `target` shows the content of `source`."""
    subprocess.run(["mount", "--bind", source, target], check=True)
