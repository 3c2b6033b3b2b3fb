"""The venue's control endpoint, plain HTTP on loopback: faults at run time, customers, what happened.

GET /faults       what is on the board and what has struck
POST /faults      a plan (JSON, see `faults`): its faults are added, their times count from now
DELETE /faults    take all off
GET /provenance   field -> where it comes from (recorded or synthesised)
GET /state        clock, market time, listed instruments, calls by path
GET /oracle       by protocol: orders with how often their client ids were sent, fills, positions, balances
GET /arrivals     accounts' calls with the instant at which they were read (?since=NS)
POST /users       {"user": "u2"}: open it, with keys of all trading permissions
POST /keys        {"venue": "binance", "user": "u1", "permissions": ["read"], "ip_bound": true}: another key;
                  with "number": 0 the user's first key gets these rights
POST /deposits    {"venue": "binance", "user": "u1", "wallet": "spot", "asset": "BTC", "amount": "1"}
POST /withdrawals the same: money that its owner takes out
POST /prices      {"venue": "bitget", "base": "SOL", "factor": 1.06}: from now on all its prices times that
POST /strike      {"kind": "adl", "venue": "binance", "symbol": "BTCUSDT", "fraction": 0.5}: a state fault,
                  now; "user" narrows it down; answers how many positions or markets it hit
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiohttp import web

from libs.common.clock import wall_us
from libs.exchange.engine.commands import Refused, Withdraw
from services.venue import customers, keys, oracle
from services.venue.faults import STATE, Fault, decode
from services.venue.house import House
from services.venue.instruments import Protocol
from services.venue.keys import TRADING, Permission
from services.venue.misfortunes import befall

if TYPE_CHECKING:
    from services.venue.server import VenueServer

USAGE: Final = (
    "GET /state, /provenance, /faults, /oracle, /arrivals; POST or DELETE /faults; "
    "POST /users, /keys, /deposits, /withdrawals, /prices, /strike"
)


def provenance(server: VenueServer) -> dict[str, str]:
    """Where each field of the replay comes from."""
    return dict(server.market.recording.provenance) | PROVENANCE


# What the trading half adds to the recording's own account of itself.
PROVENANCE: Final = {
    "margin brackets": "synthesised after the shape of Binance's published ones",
    "borrow rates": "synthesised constants near the published cross-margin rates",
    "trades of others": "synthesised: the turnover of a day spread over wall time, seeded sizes",
}


class NewUser(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /users."""

    user: str


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /keys. `number`: of a key that there is (0: the user's first), which gets other rights."""

    venue: Protocol
    user: str
    permissions: frozenset[Permission] = TRADING
    ip_bound: bool = True
    number: int | None = None


class NewPrice(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /prices. `venue` None: both."""

    base: str
    factor: float
    venue: Protocol | None = None


class Movement(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /deposits and /withdrawals."""

    venue: Protocol
    user: str
    wallet: str
    asset: str
    amount: Decimal


class Bad(ValueError):
    """A request that cannot be carried out; the text says why."""


class Control:
    """Handles the control endpoint's requests."""

    def __init__(self, server: VenueServer) -> None:
        self._server = server
        self._keys_made = 0

    async def handle(self, request: web.Request) -> web.Response:
        """One request. Only a loopback Host is served: a web page in a browser must not reach in."""
        if (request.host or "").rsplit(":", 1)[0] not in ("127.0.0.1", "localhost"):
            return _json({"error": "this endpoint is for this machine"}, status=403)
        found = self._actions().get((request.method, request.path.rstrip("/")))
        if found is None:
            return _json({"error": USAGE}, status=404)
        try:
            return _json(found(await request.read(), dict(request.query)))
        except (Bad, msgspec.DecodeError, ValueError, KeyError, Refused) as error:
            return _json(
                {"error": f"{error}" if not isinstance(error, KeyError) else f"unknown: {error}"}, status=400
            )

    def _actions(self) -> dict[tuple[str, str], Callable[[bytes, dict[str, str]], Any]]:
        server = self._server
        return {
            ("GET", "/faults"): lambda _body, _query: server.board.describe(),
            ("POST", "/faults"): self._add_faults,
            ("DELETE", "/faults"): self._clear_faults,
            ("GET", "/provenance"): lambda _body, _query: provenance(server),
            ("GET", "/state"): lambda _body, _query: self._state(),
            ("GET", ""): lambda _body, _query: self._state(),
            ("GET", "/oracle"): lambda _body, _query: oracle.told(server.houses, server.arrivals),
            ("GET", "/arrivals"): self._arrivals,
            ("POST", "/users"): self._open_user,
            ("POST", "/keys"): self._open_key,
            ("POST", "/deposits"): self._deposit,
            ("POST", "/withdrawals"): self._withdraw,
            ("POST", "/prices"): self._push,
            ("POST", "/strike"): self._strike,
        }

    # --- faults ------------------------------------------------------------------------------

    def _add_faults(self, body: bytes, _query: dict[str, str]) -> Any:
        self._server.board.add(decode(body).faults)
        return self._server.board.describe()

    def _clear_faults(self, _body: bytes, _query: dict[str, str]) -> Any:
        self._server.board.clear()
        return self._server.board.describe()

    def _strike(self, body: bytes, _query: dict[str, str]) -> Any:
        told = msgspec.json.decode(body, type=dict[str, Any])
        user = str(told.pop("user", "*"))
        fault = msgspec.convert(told, Fault)
        if fault.kind not in STATE:
            raise Bad(f"{fault.kind} is no state fault ({', '.join(sorted(STATE))}): POST it to /faults")
        hit = {}
        for name, house in self._server.houses.items():
            if fault.venue in ("*", name):
                hit[name] = befall(house, fault, self._server.now(name), user=user)
        return {"hit": hit}

    # --- customers ---------------------------------------------------------------------------

    def _house(self, venue: Protocol) -> House:
        return self._server.houses[venue]

    def _open_user(self, body: bytes, _query: dict[str, str]) -> Any:
        wanted = msgspec.json.decode(body, type=NewUser)
        if not wanted.user.isalnum():
            raise Bad("user: letters and digits")
        return {"user": wanted.user, "keys": customers.told(self._server.open_user(wanted.user))}

    def _open_key(self, body: bytes, _query: dict[str, str]) -> Any:
        wanted = msgspec.json.decode(body, type=NewKey)
        self._keys_made += wanted.number is None
        house = self._house(wanted.venue)
        key = keys.make(
            wanted.venue,
            wanted.user,
            seed=house.seed,
            number=self._keys_made if wanted.number is None else wanted.number,
            permissions=wanted.permissions,
            ip_bound=wanted.ip_bound,
            created_ms=self._server.now(wanted.venue).wall_ms,
        )
        house.add_key(key)
        return customers.told({wanted.venue: key})[wanted.venue]

    def _deposit(self, body: bytes, _query: dict[str, str]) -> Any:
        wanted = msgspec.json.decode(body, type=Movement)
        house = self._house(wanted.venue)
        now = self._server.now(wanted.venue)
        house.deposit(wanted.user, wanted.wallet, wanted.asset, wanted.amount, now)
        return _balances(house, wanted)

    def _withdraw(self, body: bytes, _query: dict[str, str]) -> Any:
        wanted = msgspec.json.decode(body, type=Movement)
        house = self._house(wanted.venue)
        account = house.account(wanted.user, wanted.wallet)
        command = Withdraw(account=account, asset=wanted.asset, amount=wanted.amount)
        house.apply(command, self._server.now(wanted.venue))
        return _balances(house, wanted)

    # --- the market ----------------------------------------------------------------------------

    def _push(self, body: bytes, _query: dict[str, str]) -> Any:
        wanted = msgspec.json.decode(body, type=NewPrice)
        if not 0.01 <= wanted.factor <= 100.0:
            raise Bad(f"factor: {wanted.factor} is not between 0.01 and 100")
        market_ms = self._server.clock.at(wall_us())
        venues = customers.PROTOCOLS if wanted.venue is None else (wanted.venue,)
        return {
            name: self._server.market.push(name, wanted.base, wanted.factor, market_ms) for name in venues
        }

    # --- what happened -----------------------------------------------------------------------

    def _arrivals(self, _body: bytes, query: dict[str, str]) -> Any:
        return list(self._server.arrivals.since(int(query.get("since", "0"))))

    def _state(self) -> dict[str, Any]:
        server = self._server
        market_ms = server.clock.at(wall_us())
        return {
            "clock": msgspec.to_builtins(server.clock),
            "market_ms": market_ms,
            "ended": {name: server.market.ended(name, market_ms) for name in server.desks},
            "listed": {
                name: [one.symbol for one in server.market.listed(name, "perp", market_ms)]
                for name in server.desks
            },
            "calls": dict(server.calls),
        }


def _balances(house: House, moved: Movement) -> Any:
    account = house.account(moved.user, moved.wallet)
    return {asset: msgspec.to_builtins(one) for asset, one in house.engine.balances(account).items()}


def _json(body: Any, *, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")
