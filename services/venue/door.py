"""The venue's front door without its sockets: which host and path gets which answer, within the limits."""

from __future__ import annotations

from typing import Final

import msgspec

from services.venue import binance, bitget
from services.venue.accounts_door import AccountsDoor
from services.venue.binance_common import (
    FUTURES_WEIGHT_MAX,
    SAPI_ACCOUNT_WEIGHT_MAX,
    SAPI_IP_WEIGHT_MAX,
    SPOT_WEIGHT_MAX,
)
from services.venue.desk import Desk, Instant
from services.venue.house import House
from services.venue.instruments import Protocol
from services.venue.limits import Bans, Window
from services.venue.refusals import banned, protocol_of
from services.venue.wire import Answer, Call, PrivateRoute, Refused, Route

_MINUTE_MS: Final = 60_000
_USED: Final = "x-mbx-used-weight-1m"

# Which paths a host of Binance serves, and which weight window counts them.
_BINANCE_PATHS: Final = {
    "api.binance.com": ("/api/", "/sapi/"),
    "fapi.binance.com": ("/fapi/",),
    "dapi.binance.com": ("/dapi/",),
    "eapi.binance.com": ("/eapi/",),
    "papi.binance.com": ("/papi/",),
}


class Door:
    """Answers calls; keeps the request counts of one client IP (all clients of the venue are 127.0.0.1)."""

    def __init__(self, houses: dict[Protocol, House]) -> None:
        self.desks: dict[Protocol, Desk] = {name: house.desk for name, house in houses.items()}
        self._accounts = AccountsDoor(houses)
        self._weights = {
            host: Window(
                limit=SPOT_WEIGHT_MAX if host == "api.binance.com" else FUTURES_WEIGHT_MAX,
                length_ms=_MINUTE_MS,
            )
            for host in _BINANCE_PATHS
        }
        self._sapi: dict[tuple[str, str], Window] = {}
        self._bans = Bans()
        self._requests: dict[str, Window] = {}

    def answer(self, call: Call, *, landing: Instant | None = None) -> Answer:
        """The answer to a call that has reached the venue, carried out at `landing` when that is later."""
        if protocol_of(call.host) == "bitget":
            return self._bitget(call, landing or call.now)
        return self._binance(call, landing or call.now)

    @staticmethod
    def is_private(call: Call) -> bool:
        """Whether a call is an account's."""
        return AccountsDoor.route(protocol_of(call.host), call) is not None

    # --- Binance -----------------------------------------------------------------------------

    def _binance(self, call: Call, landing: Instant) -> Answer:
        prefixes = _BINANCE_PATHS.get(call.host, ())
        if not prefixes:
            return binance.unknown(call)
        route: Route | PrivateRoute | None = None
        if call.path.startswith(prefixes):
            place = (call.method, call.path)
            route = binance.ROUTES.get(place) or self._accounts.route("binance", call)
        window, header = self._window(route, call)
        limited = self._binance_limit(window, route.weight(call) if route is not None else 1, call, header)
        if limited is not None:
            return limited
        if route is None:
            found = binance.unknown(call)
        elif self.desks["binance"].ended(call.now) and call.path not in binance.ALWAYS:
            found = binance.maintenance()
        else:
            found = self._handled("binance", route, call, landing)
        return msgspec.structs.replace(found, headers=found.headers | _used(window, header))

    def _window(self, route: Route | PrivateRoute | None, call: Call) -> tuple[Window, str]:
        """Where a call is counted, and the header that tells it. Paths of `sapi` count each for itself, by IP
        or by account (https://developers.binance.com/docs/wallet/introduction); all others by host and IP.
        """
        if not call.path.startswith("/sapi/"):
            return self._weights[call.host], _USED
        if isinstance(route, PrivateRoute) and route.by_account:
            place, limit = (call.path, call.headers.get("x-mbx-apikey", "")), SAPI_ACCOUNT_WEIGHT_MAX
            header = "x-sapi-used-uid-weight-1m"
        else:
            place, limit, header = (call.path, ""), SAPI_IP_WEIGHT_MAX, "x-sapi-used-ip-weight-1m"
        return self._sapi.setdefault(place, Window(limit=limit, length_ms=_MINUTE_MS)), header

    def _handled(
        self, protocol: Protocol, route: Route | PrivateRoute, call: Call, landing: Instant
    ) -> Answer:
        """What the handler says, or what it refuses with."""
        try:
            if isinstance(route, PrivateRoute):
                return self._accounts.answer(protocol, route, call, landing)
            return route.handler(self.desks[protocol], msgspec.structs.replace(call, now=landing))
        except Refused as refused:
            return refused.answer

    def _binance_limit(self, window: Window, weight: int, call: Call, header: str) -> Answer | None:
        now_ms = call.now.wall_ms
        if self._bans.active(now_ms):
            return banned(self._bans.until_ms, now_ms)
        if window.spend(weight, now_ms):
            return None
        self._bans.consider(window, now_ms)
        limit = f"{window.limit} requests per minute"
        text = f"Too many requests; current limit of IP(127.0.0.1) is {limit}. Please use the websocket."
        body = msgspec.json.encode({"code": -1003, "msg": text})
        headers = {"retry-after": str(window.ends_in_sec(now_ms))} | _used(window, header)
        return Answer(status=429, body=body, headers=headers)

    # --- Bitget ------------------------------------------------------------------------------

    def _bitget(self, call: Call, landing: Instant) -> Answer:
        route: Route | PrivateRoute | None = bitget.ROUTES.get((call.method, call.path))
        if route is None:
            route = self._accounts.route("bitget", call)
        elif not self._requests.setdefault(
            call.path, Window(limit=bitget.REQUESTS_PER_SEC, length_ms=1_000)
        ).spend(1, call.now.wall_ms):
            return bitget.throttled(call)
        if route is None:
            return bitget.unknown(call)
        if self.desks["bitget"].ended(call.now) and call.path not in bitget.ALWAYS:
            return bitget.maintenance(call)
        return self._handled("bitget", route, call, landing)


def _used(window: Window, header: str) -> dict[str, str]:
    """What a client reads off an answer."""
    used = {header: str(window.used)}
    return used | {"x-mbx-used-weight": str(window.used)} if header == _USED else used
