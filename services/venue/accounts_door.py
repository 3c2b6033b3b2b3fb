"""The part of the front door that asks for a key: who calls, what he may, how often; the faults of orders."""

from __future__ import annotations

from typing import Final

import msgspec

from libs.exchange.engine.types import Order
from services.venue import (
    binance_auth,
    binance_spot_routes,
    binance_usdm_routes,
    bitget_auth,
    bitget_private_routes,
)
from services.venue.arrivals import is_placement, parameters_of
from services.venue.desk import Instant
from services.venue.faults import Kind, Where
from services.venue.house import House
from services.venue.instruments import Protocol
from services.venue.keys import Key
from services.venue.limits import Window
from services.venue.refusals import FORBIDDEN, NOT_FOUND, by_code, without_id
from services.venue.wire import Answer, Call, PrivateRoute, Refused

ROUTES: Final[dict[Protocol, dict[tuple[str, str], PrivateRoute]]] = {
    "binance": {**binance_spot_routes.PRIVATE, **binance_usdm_routes.PRIVATE},
    "bitget": bitget_private_routes.PRIVATE,
}
AUTHENTICATE: Final = {"binance": binance_auth.authenticate, "bitget": bitget_auth.authenticate}

# Where an order is asked for by its client id: the parameter, and the wallet it was sent from.
_QUERIES: Final = {
    "/fapi/v1/order": ("origClientOrderId", "usdm"),
    "/fapi/v1/openOrder": ("origClientOrderId", "usdm"),
    "/api/v3/order": ("origClientOrderId", "spot"),
    "/sapi/v1/margin/order": ("origClientOrderId", "margin"),
    "/api/v3/trade/order-info": ("clientOid", "unified"),
}
_HIDDEN: Final = frozenset({Kind.NOT_FOUND_WINDOW})
_REJECTED: Final = frozenset({Kind.REJECTION})
_NAMELESS: Final = frozenset({Kind.ORDER_WITHOUT_ID})

# Orders an account may send (exchangeInfo, rateLimits): (header, words, limit, length of the window in ms).
_ORDER_LIMITS: Final = {
    "/fapi/": (("10s", "TEN_SECONDS", 300, 10_000), ("1m", "MINUTE", 1_200, 60_000)),
    "/api/": (("10s", "TEN_SECONDS", 100, 10_000), ("1d", "DAY", 200_000, 86_400_000)),
    "/sapi/": (("10s", "TEN_SECONDS", 100, 10_000), ("1d", "DAY", 200_000, 86_400_000)),
}


class AccountsDoor:
    """Lets accounts' calls through to their handlers."""

    def __init__(self, houses: dict[Protocol, House]) -> None:
        self._houses = houses
        self._orders: dict[tuple[str, str, str], Window] = {}
        self._requests: dict[tuple[str, str], Window] = {}

    @staticmethod
    def route(protocol: Protocol, call: Call) -> PrivateRoute | None:
        """The route of an account's call; None when the path is none."""
        return ROUTES[protocol].get((call.method, call.path))

    def answer(self, protocol: Protocol, route: PrivateRoute, call: Call, landing: Instant) -> Answer:
        """Authenticate a call as of its arrival and carry it out at `landing`. Raises wire.Refused."""
        house = self._houses[protocol]
        key = AUTHENTICATE[protocol](house, call)
        if route.permission not in key.permissions:
            raise Refused(by_code(call, FORBIDDEN[protocol]))
        where = Where(protocol, call.path, parameters_of(call).get("symbol", ""), call.method)
        headers = self._count(protocol, route, call, key)
        rejected = house.desk.board.strike(_REJECTED, where)
        if rejected is not None:
            raise Refused(by_code(call, rejected.code))
        if self._hidden(house, call, key, where):
            raise Refused(by_code(call, NOT_FOUND[protocol]))
        found = route.handler(house, msgspec.structs.replace(call, now=landing), key)
        if is_placement(call) and house.desk.board.strike(_NAMELESS, where) is not None:
            found = without_id(found)
        return msgspec.structs.replace(found, headers=found.headers | headers) if headers else found

    # --- limits ------------------------------------------------------------------------------

    def _count(self, protocol: Protocol, route: PrivateRoute, call: Call, key: Key) -> dict[str, str]:
        """Count a call against its user's limits; the headers that say where he stands."""
        if protocol == "bitget":
            self._count_requests(route, call, key)
            return {}
        prefix = next((one for one in _ORDER_LIMITS if call.path.startswith(one)), "")
        if not route.orders or not prefix:
            return {}
        headers = {}
        for header, words, limit, length_ms in _ORDER_LIMITS[prefix]:
            fresh = Window(limit=limit, length_ms=length_ms)
            window = self._orders.setdefault((key.user, prefix, header), fresh)
            allowed = window.spend(route.orders, call.now.wall_ms)
            headers[f"x-mbx-order-count-{header}"] = str(window.used)
            if not allowed:
                text = f"Too many new orders; current limit is {limit} orders per {words}."
                found = by_code(call, "-1015", text)
                wait = {"retry-after": str(window.ends_in_sec(call.now.wall_ms))}
                raise Refused(msgspec.structs.replace(found, headers=headers | wait))
        return headers

    def _count_requests(self, route: PrivateRoute, call: Call, key: Key) -> None:
        """Bitget counts each endpoint for itself: 20 a second and user, divided by the route's weight."""
        place = (key.user, call.path)
        window = self._requests.setdefault(place, Window(limit=20, length_ms=1_000))
        if not window.spend(route.weight(call), call.now.wall_ms):
            raise Refused(by_code(call, "429"))

    # --- faults of orders --------------------------------------------------------------------

    def _hidden(self, house: House, call: Call, key: Key, where: Where) -> bool:
        """Whether a young order is not to be found yet."""
        if call.method != "GET" or call.path not in _QUERIES:
            return False
        name, wallet = _QUERIES[call.path]
        client_id = parameters_of(call).get(name, "")
        fault = house.desk.board.active(_HIDDEN, where)
        if fault is None or not client_id:
            return False
        order: Order | None = house.engine.order(house.account(key.user, wallet), client_id=client_id)
        if order is None or call.now.wall_ms - order.created_us // 1_000 >= fault.window_ms:
            return False
        return house.desk.board.strike(_HIDDEN, where) is not None
