"""What a command is decided by, and what it comes to: the seam between the actor and `commands`.

    take(event, situation, now) -> Taken

is called for every `cmd.*` that reaches risk. The actor writes the changed latches, the epoch (when
`resets`) and the audit entries in one transition, and only then replies; when the store does not take it,
nobody is told `ok`. Pure values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from libs.common.effects import Alert, Audit, Received
from libs.common.instant import Now
from libs.common.messages import CommandReply
from libs.common.messages_exec import Breaker, PairStatus
from services.risk.latches import Key, Latches
from services.risk.scopes import Scopes


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What risk knows at this moment; commands only read it.

    `breakers`: what the next permit says, strictest first. `status`: risk's whole answer to `cmd.status`.
    `holding`: (scope, control) of latches whose condition holds at this moment -> that condition in words;
    a reset refuses them by name.
    """

    scopes: Scopes
    latches: Latches
    breakers: tuple[Breaker, ...]
    pairs: Mapping[str, PairStatus]
    status: Callable[[], dict[str, Any]]
    holding: Mapping[Key, str] = {}


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one command.

    `latches`: the whole table afterwards. `resets`: scopes whose controls forget their state; not empty
    raises the epoch. `reply` None: the command is somebody else's and nothing is said. `denied`: the
    code of the reply when the store does not take it is `store`.
    """

    latches: Latches
    reply: CommandReply | None = None
    audits: tuple[Audit, ...] = ()
    alerts: tuple[Alert, ...] = ()
    resets: tuple[str, ...] = ()


Take = Callable[[Received, Situation, Now], Taken]
