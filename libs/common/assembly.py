"""What a service tells the runtime about itself, and what it gets to assemble itself from."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from libs.common.bus import Bus
from libs.common.clock import SystemClock
from libs.common.config.schema import Config
from libs.common.core import LaneOf
from libs.common.effects import Actor, Event, Request, lane_of
from libs.common.inbox import CAPACITY, KeyOf, conflation_key
from libs.common.store import Store

Offer = Callable[[Event], None]
Background = Callable[[Offer], Awaitable[None]]
RequestHandler = Callable[[Any], Awaitable[Any]]


class CannotStart(Exception):
    """A service cannot do its work here; the text is one clear line, `code` the exit code of contract.md."""

    def __init__(self, text: str, *, code: int = 3) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class ServiceContext:
    """What `assemble` gets: a connected bus and store, the effective config, the clock."""

    service: str
    config: Config
    clock: SystemClock
    bus: Bus
    store: Store
    env: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """A service, put together.

    - `subscriptions`: bus patterns whose messages come to the actor as `Received`
    - `handlers`: one async function for each kind of `Request`; its result or error comes as `Answered`
    - `at_once`: what a handler can do of such a request within the turn in which it is due; what is left is
      awaited and answered as ever. None: its handler does it all, in a task of its own
    - `ahead`: told of a request behind a `Persist` while that is being written; nothing may come of it that
      would be wrong if the write failed
    - `background`: coroutines that offer events of their own (streams, servers); one that ends with an
      exception ends the service, which its supervisor restarts
    - `lane_of`: which events wait for each other behind a `Persist`
    - `conflate`: key of events that replace each other when the inbox is full; None is control, never
      dropped. A service with observations of its own kind names them here.
    - `requests_max`: so many requests run at once, later ones wait in order
    - `faults_max`: so many exceptions of the actor within a minute end the process (exit 1)
    - `reloads`: the actor takes `Reloaded`; else a changed config needs a restart of the service
    - `close`: called last, after the inbox was drained
    """

    actor: Actor
    subscriptions: tuple[str, ...] = ()
    handlers: Mapping[type[Request], RequestHandler] = field(default_factory=dict)
    at_once: Mapping[type[Request], Callable[[Any], Awaitable[Any] | None]] = field(default_factory=dict)
    ahead: Mapping[type[Request], Callable[[Any], None]] = field(default_factory=dict)
    background: tuple[Background, ...] = ()
    lane_of: LaneOf = lane_of
    conflate: KeyOf = conflation_key
    close: Callable[[], Awaitable[None]] | None = None
    inbox_capacity: int = CAPACITY
    requests_max: int = 64
    requests_waiting_max: int = 4_096
    faults_max: int = 3
    reloads: bool = False


Assemble = Callable[[ServiceContext], Awaitable[Assembly]]

Stop = asyncio.Event
