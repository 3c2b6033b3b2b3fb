"""What risk says of a venue, beside how it is seen: the feed goes on in any case, and marks its data.

Where nobody permits anything (observer mode) there is no mark. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from libs.common.effects import Effect, Publish
from libs.common.instant import Now
from libs.common.messages import VenueHealth
from libs.common.messages_exec import Permit
from libs.common.permit import PermitView

NO_PERMIT = "no_permit"


class Marks:
    """`build` is this process's own: permits of another one do not count."""

    def __init__(self, *, build: str) -> None:
        self._permits = PermitView(build=build)
        self._heard = False

    def apply(self, permit: Permit, now: Now) -> None:
        """A permit has come."""
        self._heard = True
        self._permits.apply(permit, now)

    def level(self, venue: str, now: Now) -> str:
        """The strictest level that holds for all of a venue; "" before risk has ever spoken."""
        if not self._heard:
            return ""
        if not self._permits.fresh(now):
            return NO_PERMIT
        return self._permits.level(frozenset({"global", f"venue:{venue}"})).value

    def marked(self, effects: Iterable[Effect], now: Now) -> Iterator[Effect]:
        """The same effects, with what is said of a venue's health marked."""
        for effect in effects:
            if isinstance(effect, Publish) and isinstance(effect.message, VenueHealth):
                level = self.level(effect.message.venue, now)
                if level:
                    said = msgspec.structs.replace(effect.message, breaker=level)
                    yield Publish(subject=effect.subject, message=said)
                    continue
            yield effect
