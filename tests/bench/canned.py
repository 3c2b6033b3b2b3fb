"""A session for ccxt's `session` option that answers from memory: real ccxt, real JSON, no network."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any


class CannedResponse:
    """As much of aiohttp's response as ccxt reads."""

    status = 200
    reason = "OK"

    def __init__(self, body: str) -> None:
        self._body = body
        self.headers: dict[str, str] = {"Content-Type": "application/json"}
        self.raw_headers: tuple[tuple[bytes, bytes], ...] = ()

    async def text(self, **_options: Any) -> str:
        return self._body


class CannedSession:
    """Answers by the first rule whose text is part of the URL; an unknown URL is an error, no default."""

    closed = False

    def __init__(self, bodies: Mapping[str, str]) -> None:
        self._bodies = dict(bodies)
        self.headers: dict[str, str] = {}
        self.asked: list[str] = []

    @contextlib.asynccontextmanager
    async def get(self, url: Any, **_options: Any) -> AsyncIterator[CannedResponse]:
        text = str(url)
        self.asked.append(text)
        body = next((body for part, body in self._bodies.items() if part in text), None)
        if body is None:
            raise LookupError(f"no canned answer for {text}")
        yield CannedResponse(body)

    async def close(self) -> None:
        self.closed = True
