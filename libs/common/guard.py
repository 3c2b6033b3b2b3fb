"""Keeps a process on this machine: in mode demo no socket of any service opens to anywhere else.

Containers of a demo are each a machine of their own. FUNDARB_DEMO_PEERS names the others (`nats,valkey`):
their names may be looked up, and private addresses connected to. An exchange has a public one.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

PEERS_ENV: Final = "FUNDARB_DEMO_PEERS"


class ConnectionRefusedByGuard(PermissionError):
    """A socket wanted to leave this machine in mode demo; nothing was sent."""


def is_loopback(address: object) -> bool:
    """Whether a socket address (or host name) stays on this machine: unix sockets, 127.0.0.0/8, ::1."""
    if isinstance(address, str | bytes):
        name = os.fsdecode(address)
        if name.startswith(("/", "\0")):
            return True  # a unix socket's path or abstract name
        return name == "localhost" or _is_loopback_ip(name)
    if isinstance(address, tuple) and address:
        return isinstance(address[0], str) and (address[0] == "localhost" or _is_loopback_ip(address[0]))
    return not isinstance(address, tuple)  # netlink, vsock and the like are no way to an exchange


def _is_loopback_ip(text: str) -> bool:
    try:
        found = ipaddress.ip_address(text.split("%", 1)[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return bool((mapped or found).is_loopback)


def peers_of(env: Mapping[str, str]) -> frozenset[str]:
    """The names of a demo's other containers; none outside containers."""
    return frozenset(one.strip().lower() for one in env.get(PEERS_ENV, "").split(",") if one.strip())


def is_peer(address: object, peers: frozenset[str]) -> bool:
    """Whether an address belongs to a container beside this one: a name of `peers`, or any private IP."""
    host = address[0] if isinstance(address, tuple) and address else address
    if not peers or not isinstance(host, str | bytes):
        return False
    name = os.fsdecode(host).lower()
    try:
        found = ipaddress.ip_address(name.split("%", 1)[0])
    except ValueError:
        return name in peers
    real = getattr(found, "ipv4_mapped", None) or found
    return bool(real.is_private and not real.is_link_local and not real.is_unspecified)


def _check(address: object, what: str) -> None:
    if not is_loopback(address) and not is_peer(address, _peers[0] if _peers else frozenset()):
        raise ConnectionRefusedByGuard(
            f"{what} {address!r} refused: mode demo connects to this machine only, nothing was sent"
        )


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Python calls this before the system call; what it raises, the caller of `connect` gets."""
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        address = arguments[1]
        if address is not None:  # sendmsg on a connected socket
            _check(address, "a connection to")
    elif event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        host = arguments[0]
        if host not in (None, "", b""):
            _check(host, "a name lookup of")


_guarded: list[bool] = []
_peers: list[frozenset[str]] = []


def guard_loopback(peers: frozenset[str] = frozenset()) -> None:
    """From now on no socket of this process leaves the machine (and its `peers`); there is no way back.

    An audit hook sees every connect, datagram and name lookup of Python's own sockets before the system
    call. uvloop connects in C, unseen by hooks, so its entrances are guarded too. Raises
    `ConnectionRefusedByGuard` (a PermissionError) in whoever tries. Child processes need their own call.
    """
    if _guarded:
        return
    _guarded.append(True)
    _peers.append(peers)
    sys.addaudithook(_audit)
    _guard_uvloop()


def _guard_uvloop() -> None:
    try:
        import uvloop  # noqa: PLC0415 - not every platform has it
    except ImportError:
        return
    loop_type: Any = uvloop.Loop

    def guarded(name: str, host_of: Callable[..., object]) -> None:
        original = getattr(loop_type, name)

        @functools.wraps(original)
        async def wrapper(self: asyncio.AbstractEventLoop, *arguments: Any, **options: Any) -> Any:
            host = host_of(*arguments, **options)
            if host not in (None, "", b""):
                _check(host, f"{name} to")
            return await original(self, *arguments, **options)

        setattr(loop_type, name, wrapper)

    guarded("create_connection", lambda _factory=None, host=None, *_a, **_o: host)
    guarded("getaddrinfo", lambda host=None, *_a, **_o: host)
    guarded("sock_connect", lambda _sock=None, address=None, *_a, **_o: address)
    # Without a remote address a datagram may go anywhere later, in C: only connected ones are let through.
    guarded(
        "create_datagram_endpoint",
        lambda _f=None, _local=None, remote_addr=None, *_a, **_o: remote_addr or ("anywhere", 0),
    )
