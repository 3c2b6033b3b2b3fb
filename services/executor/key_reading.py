"""Asks a venue what the key may do, and hears who wants that asked. Nothing is decided here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from libs.common.assembly import Offer
from libs.common.bus import Bus, Frame
from libs.common.effects import Request
from libs.common.subjects import command
from libs.exchange.permissions import UNREADABLE
from libs.exchange.port import VenueError
from libs.exchange.trading import Trading
from libs.exchange.trading_values import KeyPermissions
from services.executor.keys import KeysDoubted, ReadKeys

ASKS = command("reload")
"""What it may be changed by is no matter: whoever has it done may have changed a key at its venue as well."""


async def permissions_of(trading: Trading) -> tuple[KeyPermissions, str]:
    """What the key may do, and why that cannot be read where it cannot. VenueError while the venue is out of
    reach.
    """
    try:
        return await trading.permissions(), ""
    except VenueError as error:
        if error.error_class not in UNREADABLE:
            raise
        return KeyPermissions(readable=False), str(error)


class KeyReader:
    """Carries out `ReadKeys` on `tradings` (venue -> open port)."""

    def __init__(self, tradings: Mapping[str, Trading]) -> None:
        self._tradings = tradings

    def handlers(self) -> dict[type[Request], Callable[[Any], Awaitable[Any]]]:
        """Who carries out which request."""
        return {ReadKeys: self.read}

    async def read(self, request: ReadKeys) -> KeyPermissions:
        """Raises VenueError."""
        trading = self._tradings.get(request.venue)
        if trading is None:
            raise VenueError(request.venue, "network", "the account is not open yet")
        return await trading.permissions()


class KeyEar:
    """Hears `cmd.reload`, which the runtime answers."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def run(self, offer: Offer) -> None:
        """Until cancelled."""

        def hear(_frame: Frame) -> None:
            offer(KeysDoubted())

        subscription = await self._bus.subscribe(ASKS, hear)
        try:
            await asyncio.Event().wait()
        finally:
            await subscription.close()
