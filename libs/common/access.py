"""Who may say and hear what on the bus, and write what in the store: one table, default deny.

The broker's and the store's user lists are made from it (`access_files`), for embedded servers and for
containers alike, a test walks all of it against real servers, and another holds it to what the services'
code says and hears: nothing is missing, nothing is granted that nobody uses. Only risk says `risk.>`, only
executor `exec.>`, only the operator `cmd.>` (design: keys and access). Pure.
"""

from __future__ import annotations

from typing import Final

import msgspec

OPERATOR: Final = "operator"
"""Who types `fundarb`, or publishes `cmd.*` by any NATS client."""


class BusGrant(msgspec.Struct, frozen=True, kw_only=True):
    """Subjects that a user may publish and subscribe to, besides its own inbox and answers to requests."""

    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()


class StoreGrant(msgspec.Struct, frozen=True, kw_only=True):
    """Key patterns below the deployment's prefix. `writes` may be read too. `scripts`: runs our Lua scripts,
    whose inner commands the server checks against the same patterns.
    """

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    scripts: bool = False


BUS: Final[dict[str, BusGrant]] = {
    "feed": BusGrant(
        publish=("md.>",),
        subscribe=("sys.clock", "sys.want.feed", "signal.opportunity.>", "risk.permit", "cmd.>"),
    ),
    "signal": BusGrant(
        publish=("signal.>", "sys.want.feed"),
        subscribe=("sys.clock", "md.>", "exec.pair.>", "exec.account.>", "risk.permit", "cmd.>"),
    ),
    "executor": BusGrant(
        publish=("exec.>", "sys.want.feed"),
        subscribe=(
            *("sys.clock", "md.quote.>", "md.book.>", "md.funding.>", "md.history.>", "md.instrument.>"),
            *("signal.intent.>", "exec.pair.>", "risk.permit", "cmd.>"),
        ),
    ),
    "risk": BusGrant(
        publish=("risk.>", "sys.want.feed"),
        subscribe=(
            *("sys.clock", "sys.health.>", "md.quote.>", "md.funding.>", "md.instrument.>", "md.health.>"),
            *("exec.>", "cmd.>"),
        ),
    ),
    "recorder": BusGrant(
        publish=("sys.want.feed",),
        subscribe=("sys.clock", "sys.health.>", "md.>", "signal.>", "exec.books", "alert.>", "cmd.>"),
    ),
    "notifier": BusGrant(
        subscribe=(
            *("sys.clock", "alert.>", "signal.opportunity.>", "signal.evaluation", "exec.books", "cmd.>"),
        ),
    ),
    "venue": BusGrant(publish=("sys.clock",), subscribe=("cmd.>",)),
    OPERATOR: BusGrant(
        publish=("cmd.*",),
        subscribe=("md.>", "signal.>", "exec.>", "risk.>", "alert.>", "sys.>", "cmd.>"),
    ),
}

# What every service may do with the store: its identity, and lines for a person.
_COMMON_WRITES: Final = ("store_id", "alerts", "audit", "_versions")

STORE: Final[dict[str, StoreGrant]] = {
    "feed": StoreGrant(writes=(*_COMMON_WRITES, "feed:*"), scripts=True),
    "signal": StoreGrant(writes=(*_COMMON_WRITES, "signal:*"), scripts=True),
    "executor": StoreGrant(writes=("*",), scripts=True),
    "risk": StoreGrant(writes=(*_COMMON_WRITES, "breakers", "risk_epoch", "risk:*"), scripts=True),
    "recorder": StoreGrant(writes=_COMMON_WRITES, scripts=True),
    "notifier": StoreGrant(writes=(*_COMMON_WRITES, "notifier:*"), scripts=True),
    "venue": StoreGrant(writes=_COMMON_WRITES, scripts=True),
    OPERATOR: StoreGrant(reads=("*",)),
}

READ_COMMANDS: Final = (
    *("get", "exists", "type", "strlen", "scan"),
    *("hget", "hgetall", "smembers", "sismember", "scard", "xrange", "xrevrange", "xlen"),
    *("ping", "hello", "auth", "client|setname", "client|setinfo", "client|id", "info", "select"),
    *("multi", "exec", "discard", "command|docs", "command|count"),
)
WRITE_COMMANDS: Final = (
    *("set", "del", "pexpire", "hset", "hsetnx", "hdel", "hincrby", "sadd", "xadd", "xtrim"),
    "config|get",
)
SCRIPT_COMMANDS: Final = ("eval", "evalsha")


def bus_grant(user: str) -> BusGrant:
    """All that a user may say and hear, its own pulse and alerts too. KeyError for a stranger."""
    grant = BUS[user]
    if user == OPERATOR:
        return BusGrant(publish=grant.publish, subscribe=(*grant.subscribe, "_INBOX.>"))
    return BusGrant(
        publish=(*grant.publish, f"sys.health.{user}", "alert.*"),
        subscribe=(*grant.subscribe, f"{inbox_of(user)}.>"),
    )


def inbox_of(user: str) -> str:
    """The prefix of a user's own inboxes: nobody else hears the answers to its requests.

    The operator's is what every NATS client uses by itself, so that `nats req` works without an option.
    """
    return "_INBOX" if user == OPERATOR else f"_INBOX_{user}"
