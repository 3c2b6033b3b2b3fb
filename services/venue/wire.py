"""What a protocol's handlers take and give: one HTTP call, one answer. No sockets here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from services.venue.desk import Desk, Instant
from services.venue.keys import Key, Permission

if TYPE_CHECKING:
    from services.venue.house import House


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request that reached the venue. Header names are lower case; `raw_query` is as it was sent.

    `arrived_ns` (CLOCK_MONOTONIC) is when the socket gave it.
    """

    host: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    now: Instant
    raw_query: str = ""
    arrived_ns: int = 0


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What goes back."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = {}


Handler = Callable[[Desk, Call], Answer]


class Route(msgspec.Struct, frozen=True):
    """A handler and what a call weighs against the venue's request limit."""

    handler: Handler
    weight: Callable[[Call], int]


PrivateHandler = Callable[["House", Call, Key], Answer]


class PrivateRoute(msgspec.Struct, frozen=True):
    """A handler of an account's call, its weight, the permission that the key needs, and how many orders
    it counts for against the order-rate limits. `by_account`: the weight is counted by account, not by IP.
    """

    handler: PrivateHandler
    weight: Callable[[Call], int]
    permission: Permission
    orders: int = 0
    by_account: bool = False


def answer(body: Any, *, status: int = 200) -> Answer:
    """A JSON answer."""
    return Answer(status=status, body=msgspec.json.encode(body))


class Refused(Exception):
    """A call that the venue refuses, with the answer that says so."""

    def __init__(self, refusal: Answer) -> None:
        super().__init__(refusal.body.decode())
        self.answer = refusal


def number(query: dict[str, str], name: str, default: int, refuse: Callable[[str], Refused]) -> int:
    """An integer parameter, `default` when absent; `refuse(name)` is raised when it is none."""
    text = query.get(name, "")
    if not text:
        return default
    try:
        return int(text)
    except ValueError:
        raise refuse(name) from None
