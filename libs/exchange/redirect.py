"""Sends unmodified ccxt to the simulated venue, and keeps a process on this machine.

ccxt's URLs stay as they are (Binance's error mapping looks at the real host names). What changes is the
`session` given to ccxt: its resolver maps every exchange host to the local port, its TLS context trusts
the certificate that the venue made at start. Any host that is not mapped is refused before a packet leaves.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
from pathlib import Path
from typing import Any, Final

import aiohttp
import aiohttp.abc
import msgspec

LOOPBACK: Final = "127.0.0.1"

# Every production host in ccxt 4.5.90's `urls.api` of binance, binanceusdm and bitget, REST and WebSocket.
BINANCE_HOSTS: Final = frozenset(
    f"{name}.binance.com"
    for name in (
        "api",
        "fapi",
        "dapi",
        "eapi",
        "papi",
        "stream",
        "fstream",
        "dstream",
        "nbstream",
        "ws-api",
        "ws-fapi",
        "ws-dapi",
    )
)
BITGET_HOSTS: Final = frozenset({"api.bitget.com", "ws.bitget.com"})
EXCHANGE_HOSTS: Final = BINANCE_HOSTS | BITGET_HOSTS

VENUE_FILE: Final = "venue.json"


class HostRefused(OSError):
    """A host that is not an exchange mapped to the simulated venue; nothing was sent."""


class _Resolver(aiohttp.abc.AbstractResolver):
    """Answers every mapped host with the venue's address; the only name it may ask for is the venue's own."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    async def resolve(
        self,
        host: str,
        port: int = 0,  # noqa: ARG002 - the interface of aiohttp
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002
    ) -> list[aiohttp.abc.ResolveResult]:
        if host not in EXCHANGE_HOSTS:
            raise HostRefused(_refusal(host))
        return [
            aiohttp.abc.ResolveResult(
                hostname=host,
                host=await self._address(),
                port=self._port,
                family=socket.AF_INET,
                proto=0,
                flags=int(socket.AI_NUMERICHOST | socket.AI_NUMERICSERV),
            )
        ]

    async def _address(self) -> str:
        """The venue's IP, looked up anew: a container that was restarted may have another one."""
        if self._host == LOOPBACK:
            return LOOPBACK
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self._host, self._port, family=socket.AF_INET, type=socket.SOCK_STREAM)
        return str(found[0][4][0])

    async def close(self) -> None:
        """Nothing is held open."""


class _Connector(aiohttp.TCPConnector):
    """A TCP connector that refuses IP literals too: aiohttp asks no resolver about them."""

    async def connect(
        self,
        req: Any,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the interface of aiohttp
    ) -> aiohttp.connector.Connection:
        host = req.url.raw_host or ""
        if req.proxy is not None or host not in EXCHANGE_HOSTS:
            raise aiohttp.ClientConnectionError(_refusal(host))
        return await super().connect(req, traces, timeout)


class Redirect(msgspec.Struct, frozen=True):
    """Where the simulated venue listens, and its certificate. `host`: a container's name, or this machine."""

    port: int
    ca_path: str
    host: str = LOOPBACK

    @classmethod
    def from_runtime_dir(cls, folder: str | os.PathLike[str]) -> Redirect:
        """The venue announced in `venue.json` of a runtime folder; FileNotFoundError while there is none."""
        path = Path(folder) / VENUE_FILE
        try:
            written = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                port=int(written["port"]),
                ca_path=str(written["ca_path"]),
                host=str(written.get("host") or LOOPBACK),
            )
        except FileNotFoundError:
            raise FileNotFoundError(f"{path}: no simulated venue runs here (start it first)") from None
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: not a venue's announcement: {error!r}") from None

    def ssl_context(self) -> ssl.SSLContext:
        """Trusts the venue's own authority and nobody else."""
        return ssl.create_default_context(cafile=self.ca_path)

    def session(self, *, keepalive_sec: float = 15.0, **settings: Any) -> aiohttp.ClientSession:
        """A session for ccxt's `session` option; its maker closes it. Call inside the running loop.

        `settings` are more of aiohttp's own (`trace_configs`).
        """
        connector = _Connector(
            resolver=_Resolver(self.host, self.port),
            ssl=self.ssl_context(),
            use_dns_cache=False,
            keepalive_timeout=keepalive_sec,
        )
        return aiohttp.ClientSession(connector=connector, trust_env=False, **settings)


def _refusal(host: str) -> str:
    return f"{host or 'no host'}: not a host of the simulated venue; mode demo talks to no other"
