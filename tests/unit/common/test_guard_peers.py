"""Containers of a demo may talk to each other, and to nobody else."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from libs.common.guard import PEERS_ENV, is_peer, peers_of

PEERS = frozenset({"nats", "valkey"})


@pytest.mark.parametrize(
    ("address", "belongs"),
    [
        ("nats", True),
        ("NATS", True),
        (("172.18.0.3", 4222), True),
        (("10.1.2.3", 443), True),
        (("fd00::1", 443, 0, 0), True),
        (("::ffff:172.18.0.3", 443, 0, 0), True),
        ("api.binance.com", False),
        ("nats.example.com", False),
        (("8.8.8.8", 53), False),
        (("::ffff:8.8.8.8", 53, 0, 0), False),
        (("169.254.169.254", 80), False),
        (("0.0.0.0", 80), False),
        (("2001:4860:4860::8888", 443, 0, 0), False),
        (None, False),
    ],
)
def test_who_is_a_peer(address: object, belongs: bool) -> None:  # noqa: FBT001
    assert is_peer(address, PEERS) is belongs


def test_without_names_nobody_is_a_peer() -> None:
    assert peers_of({}) == frozenset()
    assert not is_peer(("10.1.2.3", 443), peers_of({PEERS_ENV: " , "}))
    assert peers_of({PEERS_ENV: "nats, Valkey"}) == PEERS


def test_a_guarded_process_with_peers_reaches_no_exchange() -> None:
    work = textwrap.dedent(
        """
        import asyncio, socket, sys, uvloop
        from libs.common.guard import ConnectionRefusedByGuard, guard_loopback
        guard_loopback(frozenset({"nats"}))

        def refused(work):
            try:
                work()
            except ConnectionRefusedByGuard:
                return
            except OSError as error:
                sys.exit(f"{work}: {error}")
            sys.exit(f"{work}: let through")

        def raw():
            with socket.socket() as one:
                one.settimeout(2)
                one.connect(("8.8.8.8", 443))

        async def opened(host):
            await asyncio.open_connection(host, 443)

        refused(raw)
        refused(lambda: socket.getaddrinfo("api.binance.com", 443))
        refused(lambda: uvloop.run(opened("8.8.8.8")))
        refused(lambda: uvloop.run(opened("api.binance.com")))
        try:
            socket.getaddrinfo("nats", 4222)
        except ConnectionRefusedByGuard:
            sys.exit("a peer's name was refused")
        except OSError:
            pass  # nobody has that name here
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", work], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
