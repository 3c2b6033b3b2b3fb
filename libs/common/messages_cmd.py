"""What operators say and what they are answered."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from libs.common.message import Message


class Command(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Body of `cmd.{verb}`; may be empty. Only what is said is sent: services of an older version refuse
    fields that they do not know.

    `direction` and `notional_usd` (a decimal number as text) belong to `open`: what they leave out is what
    the last evaluation and the config say. `hard` belongs to `close`: both legs at once, at any price within
    the collar. `coins` belongs to `reset` of one pair: whether its own coins were sold by hand, or still lie
    there. `key` belongs to `ack`: which critical alert somebody knows of, `*` for all.
    """

    pair: str | None = None
    scope: str | None = None
    reason: str | None = None
    actor: str | None = None
    id: str | None = None
    ts_ms: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    confirm: bool = False
    direction: Literal["forward", "reverse"] | None = None
    notional_usd: str | None = None
    hard: bool = False
    coins: Literal["sold", "held"] | None = None
    key: str | None = None


class CommandError(Message, frozen=True, kw_only=True):
    """Why a command had no effect."""

    code: str
    message: str


class CommandReply(Message, frozen=True, kw_only=True):
    """Every answerer replies once. Not `recorded`: its line in the audit stream was not durable by then."""

    service: str
    ok: bool
    error: CommandError | None = None
    result: dict[str, Any] = {}
    recorded: bool = True
