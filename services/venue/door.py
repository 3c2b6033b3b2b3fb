"""The venue's front door without its sockets: which host and path gets which answer, within the limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from libs.exchange.redirect import BITGET_HOSTS
from services.venue import binance, bitget, bitget_common
from services.venue.binance_common import FUTURES_WEIGHT_MAX, SPOT_WEIGHT_MAX
from services.venue.desk import Desk
from services.venue.faults import Fault, Kind
from services.venue.instruments import Protocol
from services.venue.limits import Bans, Window
from services.venue.wire import Answer, Call, Refused

_MINUTE_MS: Final = 60_000

# Which paths a host of Binance serves, and which weight window counts them.
_BINANCE_PATHS: Final = {
    "api.binance.com": ("/api/", "/sapi/"),
    "fapi.binance.com": ("/fapi/",),
    "dapi.binance.com": ("/dapi/",),
    "eapi.binance.com": ("/eapi/",),
    "papi.binance.com": ("/papi/",),
}
_PAGE: Final = (
    b"<html><head><title>Attention required</title></head><body>Please wait a moment.</body></html>"
)


def protocol_of(host: str) -> Protocol:
    """The protocol that a host speaks."""
    return "bitget" if host in BITGET_HOSTS else "binance"


class Door:
    """Answers calls; keeps the request counts of one client IP (all clients of the venue are 127.0.0.1)."""

    def __init__(self, desks: dict[Protocol, Desk]) -> None:
        self.desks = desks
        self._weights = {
            host: Window(
                limit=SPOT_WEIGHT_MAX if host == "api.binance.com" else FUTURES_WEIGHT_MAX,
                length_ms=_MINUTE_MS,
            )
            for host in _BINANCE_PATHS
        }
        self._bans = Bans()
        self._requests: dict[str, Window] = {}

    def answer(self, call: Call) -> Answer:
        """The answer to a call that has reached the venue."""
        if protocol_of(call.host) == "bitget":
            return self._bitget(call)
        return self._binance(call)

    # --- Binance -----------------------------------------------------------------------------

    def _binance(self, call: Call) -> Answer:
        prefixes = _BINANCE_PATHS.get(call.host, ())
        route = binance.ROUTES.get((call.method, call.path)) if call.path.startswith(prefixes) else None
        if not prefixes:
            return binance.unknown(call)
        window = self._weights[call.host]
        limited = self._binance_limit(window, route.weight(call) if route is not None else 1, call)
        if limited is not None:
            return limited
        desk = self.desks["binance"]
        if route is None:
            found = binance.unknown(call)
        elif desk.ended(call.now) and call.path not in binance.ALWAYS:
            found = binance.maintenance()
        else:
            found = _handled(lambda: route.handler(desk, call))
        used = {"x-mbx-used-weight-1m": str(window.used), "x-mbx-used-weight": str(window.used)}
        return msgspec.structs.replace(found, headers=found.headers | used)

    def _binance_limit(self, window: Window, weight: int, call: Call) -> Answer | None:
        now_ms = call.now.wall_ms
        if self._bans.active(now_ms):
            return banned(self._bans.until_ms, now_ms)
        if window.spend(weight, now_ms):
            return None
        self._bans.consider(window, now_ms)
        limit = f"{window.limit} requests per minute"
        text = f"Too many requests; current limit of IP(127.0.0.1) is {limit}. Please use the websocket."
        body = msgspec.json.encode({"code": -1003, "msg": text})
        headers = {"retry-after": str(window.ends_in_sec(now_ms)), "x-mbx-used-weight-1m": str(window.used)}
        return Answer(status=429, body=body, headers=headers)

    # --- Bitget ------------------------------------------------------------------------------

    def _bitget(self, call: Call) -> Answer:
        window = self._requests.setdefault(call.path, Window(limit=bitget.REQUESTS_PER_SEC, length_ms=1_000))
        if not window.spend(1, call.now.wall_ms):
            return bitget.throttled(call)
        route = bitget.ROUTES.get((call.method, call.path))
        if route is None:
            self._requests.pop(call.path)  # unknown paths must not fill the table
            return bitget.unknown(call)
        desk = self.desks["bitget"]
        if desk.ended(call.now) and call.path not in bitget.ALWAYS:
            return bitget.maintenance(call)
        return _handled(lambda: route.handler(desk, call))


def _handled(work: Callable[[], Answer]) -> Answer:
    try:
        return work()
    except Refused as refused:
        return refused.answer


def banned(until_ms: int, now_ms: int) -> Answer:
    """Binance's 418."""
    text = f"Way too many requests; IP(127.0.0.1) banned until {until_ms}. Please use the websocket."
    body = msgspec.json.encode({"code": -1003, "msg": text})
    headers = {"retry-after": str(max(1, (until_ms - now_ms) // 1_000))}
    return Answer(status=418, body=body, headers=headers)


def faulty(fault: Fault, call: Call) -> Answer:
    """The answer that a transport fault puts in place of the real one."""
    match fault.kind:
        case Kind.HTML_200:
            return Answer(body=_PAGE, content_type="text/html")
        case Kind.HTTP_418:
            return banned(call.now.wall_ms + fault.retry_after_sec * 1_000, call.now.wall_ms)
        case Kind.HTTP_429:
            status, code, text = 429, -1003, "Too many requests; please use the websocket for live updates."
        case _:
            status, code, text = fault.status, -1001, "Internal error; unable to process your request."
    headers = {"retry-after": str(fault.retry_after_sec)} if status == 429 else {}
    if protocol_of(call.host) == "bitget":
        bodied = bitget_common.body(
            call.now.wall_ms, None, code="429" if status == 429 else "40725", text=text
        )
        return Answer(status=status, body=msgspec.json.encode(bodied), headers=headers)
    return Answer(status=status, body=msgspec.json.encode({"code": code, "msg": text}), headers=headers)
