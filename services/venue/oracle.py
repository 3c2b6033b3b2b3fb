"""What has really happened in the houses, for tests that ask whether a client's own books are right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from services.venue.arrivals import Arrivals
from services.venue.house import House
from services.venue.instruments import Protocol


def told(houses: Mapping[Protocol, House], arrivals: Arrivals) -> dict[str, Any]:
    """By protocol: accounts with balances, positions, orders and fills, and what was sent."""
    return {protocol: house_told(house, arrivals) for protocol, house in houses.items()}


def house_told(house: House, arrivals: Arrivals) -> dict[str, Any]:
    """One house. `sent` counts every client id that reached the venue, `refused` or lost ones too."""
    engine = house.engine
    return {
        "sent": {
            client_id: count
            for (protocol, client_id), count in arrivals.sent.items()
            if protocol == house.protocol
        },
        "totals": {asset: str(total) for asset, total in engine.totals().items()},
        "accounts": {
            account: {
                "balances": _plain(engine.balances(account)),
                "positions": _plain(engine.positions(account)),
                "open_orders": _plain(engine.open_orders(account)),
                "orders": _plain(engine.orders(account)),
                "fills": _plain(engine.fills(account)),
                "entries": _plain(engine.entries(account)),
            }
            for account in engine.accounts
        },
    }


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value, builtin_types=())
