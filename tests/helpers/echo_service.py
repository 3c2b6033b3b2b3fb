"""A service for tests of the runtime: counts, keeps the count in the store, says it on the bus.

`python tests/helpers/echo_service.py [BROKEN]`; BROKEN is where it goes wrong: assemble, fault, outside.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable

from libs.common.assembly import Assembly, CannotStart, ServiceContext
from libs.common.effects import (
    Draining,
    Effect,
    Event,
    Note,
    Persist,
    Publish,
    Received,
    SetTimer,
    Started,
    TimerFired,
)
from libs.common.instant import Now
from libs.common.messages import VenueHealth
from libs.common.run import serve

TICK_US = 50_000


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def handle(self, event: Event, now: Now) -> Iterable[Effect]:
        match event:
            case Started():
                yield SetTimer(name="tick", after_us=TICK_US)
            case TimerFired():
                self.count += 1
                yield SetTimer(name="tick", after_us=TICK_US)
                yield Persist(token="count", writes={"count": str(self.count).encode()})
                yield self.said("echo", now)
            case Received() if "fault" in sys.argv:
                raise ZeroDivisionError("as asked")
            case Draining():
                yield Note(text=f"the secret url is {os.environ['FUNDARB_REDIS_URL']}")
                yield Persist(token="last", writes={"last": b"bye"})
                yield self.said("last", now)
            case _:
                pass

    def said(self, venue: str, now: Now) -> Publish:
        ages = {"market_ms": float(now.market_ms)}
        message = VenueHealth(
            venue=venue, connected=True, ages_sec=ages, gaps=self.count, recv_us=now.wall_us
        )
        return Publish(subject=f"md.health.{venue}", message=message)


async def assemble(context: ServiceContext) -> Assembly:
    if "assemble" in sys.argv:
        raise CannotStart("no exchange is configured; add one to `exchanges`", code=2)
    if "outside" in sys.argv:
        await asyncio.open_connection("192.0.2.1", 443)  # a documentation address: nobody is there
    return Assembly(actor=Counter(), subscriptions=("sys.want.echo",))


if __name__ == "__main__":
    sys.exit(serve("echo", assemble))
