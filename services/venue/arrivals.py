"""Which calls of accounts have reached the venue, and when: what tests and benches hold the clients to.

A call counts from the moment its bytes were read, also when a fault then hides it from the exchange.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from services.venue.instruments import Protocol
from services.venue.wire import Call

KEPT: Final = 50_000

# Where an order is placed: the parameter that carries its client id.
PLACEMENTS: Final = {
    "/fapi/v1/order": "newClientOrderId",
    "/api/v3/order": "newClientOrderId",
    "/sapi/v1/margin/order": "newClientOrderId",
    "/api/v3/trade/place-order": "clientOid",
}


class Arrival(msgspec.Struct, frozen=True):
    """`arrived_ns` counts on the machine's monotonic clock; `status` is 0 when nothing was answered."""

    arrived_ns: int
    wall_ms: int
    protocol: Protocol
    method: str
    path: str
    symbol: str
    client_id: str
    status: int


def parameters_of(call: Call) -> dict[str, str]:
    """What a call says in its query and its body, form or JSON; nothing where the body is neither."""
    body: dict[str, str] = {}
    if call.body.lstrip()[:1] == b"{":
        try:
            told = msgspec.json.decode(call.body, type=dict[str, Any])
        except msgspec.DecodeError:
            told = {}
        body = {name: str(value) for name, value in told.items()}
    elif call.body:
        body = dict(parse_qsl(call.body.decode("utf-8", "replace")))
    return body | call.query


def is_placement(call: Call) -> bool:
    """Whether a call places an order."""
    return call.method == "POST" and call.path in PLACEMENTS


class Arrivals:
    """The last `KEPT` calls, oldest first, and how often each client id was sent."""

    def __init__(self) -> None:
        self._calls: deque[Arrival] = deque(maxlen=KEPT)
        self.sent: Counter[tuple[Protocol, str]] = Counter()

    def note(self, protocol: Protocol, call: Call, parameters: dict[str, str], status: int) -> None:
        """Remember a call."""
        placed = is_placement(call)
        client_id = parameters.get(PLACEMENTS[call.path], "") if placed else ""
        if placed:
            self.sent[protocol, client_id] += 1
        self._calls.append(
            Arrival(
                arrived_ns=call.arrived_ns,
                wall_ms=call.now.wall_ms,
                protocol=protocol,
                method=call.method,
                path=call.path,
                symbol=parameters.get("symbol", ""),
                client_id=client_id,
                status=status,
            )
        )

    def since(self, arrived_ns: int = 0) -> Iterable[Arrival]:
        """Calls that came after an instant."""
        return (one for one in self._calls if one.arrived_ns > arrived_ns)
