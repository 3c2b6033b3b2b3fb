"""What signal has last evaluated of a pair: `fundarb open` without a direction goes the way that pays."""

from __future__ import annotations

import secrets
from typing import Any, Final, Literal, cast

import msgspec

from libs.common.clock import wall_us
from libs.common.instant import US_PER_MS
from libs.common.messages import BadMessage, Command, CommandReply, decode, encode
from libs.common.nats_bus import NatsBus
from libs.common.runtime_file import Deployment
from libs.common.subjects import command
from libs.console.commanding import GATHER_SEC, actor
from libs.console.reach import CONNECT_SEC

SIGNAL: Final = "signal"


class Evaluated(msgspec.Struct, frozen=True, kw_only=True):
    """`daily`: funding a day in that direction, a fraction of notional; None while it is not known."""

    pair: str
    direction: Literal["forward", "reverse"]
    passes: bool
    daily: float | None = None

    def __str__(self) -> str:
        paid = "" if self.daily is None else f", {self.daily * 100:+.4f} % a day"
        gates = "passes every gate" if self.passes else "does not pass every gate"
        return f"direction {self.direction}, as last evaluated ({gates}{paid})"


async def last_evaluated(known: Deployment, pair: str) -> Evaluated | None:
    """By id or alias; None when signal does not know it. Raises `BusUnavailable`."""
    bus = NatsBus(known.nats_url, name="console-evaluated", connect_timeout_sec=CONNECT_SEC)
    await bus.connect()
    asked = Command(
        pair=pair, actor=actor(), id=secrets.token_hex(8), ts_ms=wall_us() // US_PER_MS, reason="which way?"
    )
    try:
        frames = await bus.gather(command("status"), encode(asked), timeout_sec=GATHER_SEC)
    finally:
        await bus.close()
    found = (evaluated_of(frame.payload) for frame in frames)
    return next((one for one in found if one is not None), None)


def evaluated_of(payload: bytes) -> Evaluated | None:
    """Out of one answer to `status`; None from another service, or where it is not said."""
    try:
        reply = decode(payload, CommandReply)
    except BadMessage:
        return None
    if reply.service != SIGNAL or not reply.ok:
        return None
    pair = str(reply.result.get("scope", "")).removeprefix("pair:")
    pairs = cast("dict[str, Any]", reply.result.get("pairs") or {})
    try:
        return msgspec.convert({**pairs.get(pair, {}), "pair": pair}, Evaluated)
    except (msgspec.ValidationError, TypeError):
        return None
