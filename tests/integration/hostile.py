"""Three hundred commands that nobody should obey: malformed, oversized, late, repeated, hostile."""

from __future__ import annotations

import json
from typing import Any, Final

from libs.common.commands import VERBS
from libs.common.intake import COMMAND_BYTES_MAX

Hostile = tuple[str, bytes]
"""Verb and payload."""

ACTING: Final = ("pause", "resume", "halt", "flatten", "reset", "open", "close", "rebalance")
NAMES: Final = (
    "DOGE-USDT_binance-spot_binance-perp",
    "BTC-USDT_binance-spot_binance-perp ",
    "btc-usdt_binance-spot_binance-perp",
    "*",
    ">",
    "",
    "..",
    "../../etc/passwd",
    "BTC-USDT_binance-spot_binance-perp\r\nPUB cmd.halt 2\r\n{}",
    "$(reboot)",
    "'; DROP TABLE pairs; --",
    "${jndi:ldap://x}",
    "%s%s%n",
    "\u202eprep-ecnanib",
    "\x00",
    "\u0430\u0412\u0421",
    "__proto__",
    "<script>alert(1)</script>",
    "pair:BTC-USDT_binance-spot_binance-perp|operator_halt",
    "x" * 5_000,
)
WRONG: Final[dict[str, Any]] = {
    "pair": [5, True, [], {}, ["BTC"]],
    "scope": [0, False, ["global"], {"global": 1}],
    "reason": [1, [], {}],
    "actor": [1.5, ["me"]],
    "id": [7, {}],
    "ts_ms": ["now", 1.5, -1, True, 2**60, [], "1700000000000"],
    "confirm": ["true", 1, 0, [], {}],
    "hard": ["yes", 1],
    "direction": ["up", 1, ["forward"]],
    "notional_usd": [5, [], {}],
}
BROKEN: Final = (
    b"[]",
    b"null",
    b"1",
    b'"halt"',
    b"true",
    b"{",
    b"{]",
    b"{}{}",
    b"not json",
    b"{'scope': 'global'}",
    b'{"scope": "global",}',
    b"\xff\xfe\x00",
    b"\xef\xbb\xbf{}",
    b'{"reason": "\xff"}',
    b'{"reason": "\\ud800"}',
    b'{"ts_ms": NaN}',
    b'{"ts_ms": Infinity}',
    b'{"ts_ms": 1e400}',
    b'{"ts_ms": ' + b"9" * 5_000 + b"}",
    b'{"scope": "global", "scope": "venue:binance"}',
    b'{"confirm": false, "confirm": true}',
    b'{"x": ' + b"[" * 7_000 + b"]" * 7_000 + b"}",
    b"[" * 16_000,
    b'{"x":' * 3_000,
)


def hostile(now_ms: int) -> list[Hostile]:
    """`now_ms`: wall time. None of them repeats one before it, but for those at the end, which say so."""
    made = [
        *_broken(),
        *_wrong_types(),
        *_large(),
        *_names(),
        *_times(now_ms),
        *_needing(),
        *_strange_verbs(),
    ]
    return made + _repeated()


def _broken() -> list[Hostile]:
    return [(verb, body) for verb in ("halt", "flatten", "open") for body in BROKEN]


def _wrong_types() -> list[Hostile]:
    return [
        (verb, json.dumps({name: value}).encode())
        for verb in ("halt", "reset")
        for name, values in WRONG.items()
        for value in values
    ]


def _large() -> list[Hostile]:
    """Over what a service reads, and below what the broker refuses."""
    sizes = (COMMAND_BYTES_MAX + 1, 20_000, 40_000, 60_000, 64 * 1024)
    return [
        (verb, b'{"reason": "' + b"x" * (size - 14) + b'"}') for verb in ("halt", "close") for size in sizes
    ]


def _names() -> list[Hostile]:
    made: list[tuple[str, dict[str, Any]]] = [("halt", {"pair": name}) for name in NAMES]
    made += [("pause", {"scope": f"venue:{name}"}) for name in NAMES]
    made += [("flatten", {"scope": f"pair:{name}", "confirm": True}) for name in NAMES]
    made += [("open", {"pair": name, "direction": "forward"}) for name in NAMES]
    made += [("close", {"pair": name, "hard": True}) for name in NAMES]
    return [(verb, json.dumps(body).encode()) for verb, body in made]


def _times(now_ms: int) -> list[Hostile]:
    """Late, early, in another unit."""
    stamps = (0, 1, now_ms - 31_000, now_ms - 86_400_000, now_ms // 1_000, now_ms + 60_000, now_ms * 1_000)
    return [
        (verb, json.dumps({"ts_ms": stamp, "confirm": True}).encode())
        for verb in ("halt", "reset", "flatten", "close")
        for stamp in stamps
    ]


def _needing() -> list[Hostile]:
    """What lacks a confirmation or a pair, says two things, or misspells one."""
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("flatten", {}),
        ("reset", {}),
        ("flatten", {"confirm": False}),
        ("flatten", {"confrim": True}),
        ("flatten", {"scpoe": "venue:binance", "confirm": True}),
        ("resume", {"pari": "x"}),
        ("open", {"size": 5}),
        ("open", {}),
        ("close", {"scope": "global"}),
        ("rebalance", {"scope": "venue:binance"}),
        ("halt", {"pair": "BTC-USDT_binance-spot_binance-perp", "scope": "global"}),
        ("halt", {"reason": "x" * 501}),
        ("halt", {"actor": "x" * 129}),
        ("halt", {"id": ""}),
        ("halt", {"id": "a\nb"}),
        ("halt", {"id": "x" * 200}),
        ("halt", {"scope": "binance"}),
        ("halt", {"scope": "GLOBAL"}),
        ("halt", {"scope": "symbol:binance-*"}),
        ("resume", {}),
    ]
    return [(verb, json.dumps(body).encode()) for verb, body in bodies]


def _strange_verbs() -> list[Hostile]:
    names = ("sell_all", "HALT", "halt-", "shutdown", "eval", "config", "x" * 200, "__class__")
    assert not VERBS.keys() & set(names)
    return [(name, b"{}") for name in names]


def _repeated() -> list[Hostile]:
    """The first of each is refused for its name, the others for their id."""
    return [
        (verb, json.dumps({"id": f"again-{verb}", "pair": "nonsense", "confirm": True}).encode())
        for verb in ACTING
        for _ in range(3)
    ]
