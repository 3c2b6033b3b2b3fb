"""Mode demo cannot reach a real exchange: proved with unmodified ccxt and with raw sockets."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import ccxt.async_support
import ccxt.pro
import pytest

from libs.common.guard import is_loopback
from libs.exchange import redirect
from libs.exchange.redirect import EXCHANGE_HOSTS, Redirect
from services.venue import certificate
from tests.helpers.venue import exchange_on


@pytest.fixture
def nobody(tmp_path: Path) -> Redirect:
    """A redirect to a port where nobody listens: what gets there has been let through."""
    authority, _ = certificate.make(["api.binance.com"])
    (tmp_path / "ca.pem").write_bytes(authority)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return Redirect(port=port, ca_path=str(tmp_path / "ca.pem"))


def urls_of(tree: Any) -> set[str]:
    if isinstance(tree, dict):
        return set().union(*(urls_of(branch) for branch in tree.values())) if tree else set()
    return {tree} if isinstance(tree, str) and "://" in tree else set()


@pytest.mark.parametrize("module", [ccxt.async_support, ccxt.pro])
@pytest.mark.parametrize("name", ["binance", "binanceusdm", "bitget"])
def test_every_host_that_ccxt_uses_is_mapped(module: Any, name: str) -> None:
    exchange = getattr(module, name)()
    tree = dict(exchange.urls["api"])
    tree.pop("demo", None)  # the exchanges' own test nets are not served
    hosts = {urlsplit(url.replace("{hostname}", "bitget.com")).hostname for url in urls_of(tree)}
    assert hosts
    assert hosts <= EXCHANGE_HOSTS


async def test_a_host_that_is_not_mapped_is_refused_clearly(nobody: Redirect) -> None:
    async with nobody.session() as session:
        with pytest.raises(
            aiohttp.ClientConnectionError, match=r"example\.com: not a host of the simulated venue"
        ):
            await session.get("https://example.com/")


async def test_an_ip_literal_is_refused_too(nobody: Redirect) -> None:
    async with nobody.session() as session:
        with pytest.raises(aiohttp.ClientConnectionError, match=r"192\.0\.2\.1: not a host"):
            await session.get("https://192.0.2.1/")


async def test_a_mapped_host_goes_to_the_local_port(nobody: Redirect) -> None:
    async with nobody.session() as session:
        with pytest.raises(aiohttp.ClientConnectorError) as refused:
            await session.get("https://api.binance.com/api/v3/time")
    assert str(nobody.port) in str(refused.value)


async def test_unmodified_ccxt_of_an_unmapped_venue_fails_without_asking_anybody(nobody: Redirect) -> None:
    async with exchange_on(nobody, "kraken") as exchange:
        with pytest.raises(ccxt.async_support.ExchangeNotAvailable) as refused:
            await exchange.fetch_time()
    assert "not a host of the simulated venue" in str(refused.value.__cause__)


def test_the_announcement_is_read_or_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no simulated venue runs here"):
        Redirect.from_runtime_dir(tmp_path)
    (tmp_path / redirect.VENUE_FILE).write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match="not a venue's announcement"):
        Redirect.from_runtime_dir(tmp_path)
    said = {"port": 4711, "ca_path": "/somewhere/ca.pem", "control_port": 1, "pid": 2}
    (tmp_path / redirect.VENUE_FILE).write_text(json.dumps(said), encoding="utf-8")
    assert Redirect.from_runtime_dir(tmp_path) == Redirect(port=4711, ca_path="/somewhere/ca.pem")


@pytest.mark.parametrize(
    ("address", "stays"),
    [
        (("127.0.0.1", 80), True),
        (("127.9.9.9", 80), True),
        (("::1", 80, 0, 0), True),
        (("::ffff:127.0.0.1", 80, 0, 0), True),
        (("localhost", 80), True),
        ("/run/some.sock", True),
        ("\0abstract", True),
        (("1.1.1.1", 443), False),
        (("0.0.0.0", 443), False),
        (("10.0.0.1", 443), False),
        (("::ffff:1.1.1.1", 443, 0, 0), False),
        (("2606:4700::1111", 443, 0, 0), False),
        (("api.binance.com", 443), False),
        (("", 443), False),
    ],
)
def test_what_is_loopback(address: object, stays: bool) -> None:  # noqa: FBT001
    assert is_loopback(address) is stays


# Runs in a process of its own: the guard cannot be taken off again.
GUARDED = """
import asyncio, socket, sys
from libs.common.guard import ConnectionRefusedByGuard, guard_loopback
guard_loopback()
guard_loopback()  # twice is once

def refused(work):
    try:
        work()
    except ConnectionRefusedByGuard as error:
        assert "nothing was sent" in str(error), error
        return
    except BaseException as error:
        sys.exit(f"{work}: {type(error).__name__}: {error}")
    sys.exit(f"{work}: let through")

def raw():
    with socket.socket() as one:
        one.settimeout(2)
        one.connect(("192.0.2.1", 443))

def raw_ex():
    with socket.socket() as one:
        one.settimeout(2)
        one.connect_ex(("192.0.2.1", 443))

def datagram():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(b"x", ("192.0.2.1", 53))

def lookup():
    socket.getaddrinfo("api.binance.com", 443)

async def opened(host):
    await asyncio.wait_for(asyncio.open_connection(host, 443), 5)

async def asked():
    await asyncio.get_running_loop().getaddrinfo("api.binance.com", 443)

async def ccxt_without_redirect():
    import aiohttp, ccxt.async_support
    exchange = ccxt.async_support.binance({"timeout": 5000})
    try:
        await exchange.fetch_time()
    except ccxt.async_support.NetworkError as error:
        cause = error
        while cause is not None and not isinstance(cause, ConnectionRefusedByGuard):
            cause = cause.__cause__ or cause.__context__ or getattr(cause, "os_error", None)
        if cause is None:
            raise
        raise cause
    finally:
        await exchange.close()

async def unconnected():
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))

import uvloop
refused(lambda: uvloop.run(unconnected()))  # it could send anywhere later, unseen
for work in (raw, raw_ex, datagram, lookup):
    refused(work)
for run in (asyncio.run, uvloop.run):
    for host in ("192.0.2.1", "api.binance.com"):
        refused(lambda: run(opened(host)))
    refused(lambda: run(asked()))
    refused(lambda: run(ccxt_without_redirect()))

with socket.socket() as server:  # what stays here still works
    server.bind(("127.0.0.1", 0))
    server.listen()
    port = server.getsockname()[1]
    async def here(host):
        _, writer = await asyncio.open_connection(host, port)
        writer.close()
    for run in (asyncio.run, uvloop.run):
        for host in ("127.0.0.1", "localhost"):
            run(here(host))
print("guarded")
"""


def test_a_guarded_process_cannot_leave_the_machine() -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(GUARDED)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert (done.returncode, done.stdout.strip()) == (0, "guarded"), done.stderr
