"""Whether the keys may still be used, asked of every venue each hour. Pure.

At the start a key that may not be used ends the process (`shell.Account`). One that is found later, because a
right was added on the venue's site, stops all that increases a position, at every venue, and pages: who can
change a key can do more. What reduces goes on. Risk hears of it (`ServiceHealth.key_problems`) and latches a
halt that a person ends (`api_key`); here it ends with the next reading that is good. A venue that does not
answer is asked again each minute; after two hours without an answer nobody knows what the key may do, which
is as bad. `fundarb reload` has all keys looked at now: whoever has mended one need not wait for the hour.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from libs.common.effects import (
    Actor,
    Alert,
    Answered,
    Effect,
    Event,
    Health,
    Note,
    Request,
    SetTimer,
    Started,
    TimerFired,
)
from libs.common.instant import US_PER_MS, US_PER_SEC, Now
from libs.common.messages import AlertLevel
from libs.exchange.permissions import UNREADABLE, KeyRules
from libs.exchange.trading_values import KeyPermissions
from services.executor.world import World

HOUR_US: Final = 3_600 * US_PER_SEC
RETRY_US: Final = 60 * US_PER_SEC
BLIND_US: Final = 2 * HOUR_US
"""So long after the last answer the rights of a key count as unknown."""

ASKED_US: Final = 10 * US_PER_SEC
"""So long after a look that was asked for another one is not: each costs some of the venue's budget."""

TIMER: Final = "keys:"


class ReadKeys(Request, frozen=True, kw_only=True):
    """What the key of a venue may do. Answered with `KeyPermissions`."""

    venue: str


class KeysDoubted(Event, frozen=True, kw_only=True):
    """Somebody wants the keys to be looked at now."""


class KeyWatch:
    """An executor's actor, and beside it the look at its keys. `venues`: those whose keys it holds."""

    def __init__(self, actor: Actor, world: World, venues: Iterable[str], rules: KeyRules) -> None:
        self.actor = actor
        self._world = world
        self._rules = rules
        self._venues = tuple(venues)
        self._read_us: dict[str, int] = {}
        self._bad: dict[str, str] = {}
        self._asked_us: int | None = None

    def handle(self, event: Event, now: Now) -> Iterable[Effect]:
        """The keys' own events here, all others as before."""
        match event:
            case TimerFired(name=name) if name.startswith(TIMER):
                yield ReadKeys(venue=name.removeprefix(TIMER))
                return
            case Answered(request=ReadKeys(venue=venue)):
                yield from self._answered(venue, event, now)
                return
            case KeysDoubted():
                if self._asked_us is None or now.mono_us - self._asked_us >= ASKED_US:
                    self._asked_us = now.mono_us
                    yield from (SetTimer(name=TIMER + venue, after_us=0) for venue in self._venues)
                return
            case Started():
                for venue in self._venues:
                    self._read_us[venue] = now.mono_us  # the start has read them
                    yield SetTimer(name=TIMER + venue, after_us=HOUR_US)
            case _:
                pass
        yield from self.actor.handle(event, now)

    def _answered(self, venue: str, event: Answered, now: Now) -> Iterable[Effect]:
        may = event.result if isinstance(event.result, KeyPermissions) else None
        if may is None and event.error_class in UNREADABLE:
            may = KeyPermissions(readable=False)
        yield SetTimer(name=TIMER + venue, after_us=RETRY_US if may is None else HOUR_US)
        if may is not None:
            self._read_us[venue] = now.mono_us
            now_ms = now.wall_us // US_PER_MS
            yield from self._judged(
                venue, self._rules.refusal(venue, may, now_ms=now_ms, why=event.error or "")
            )
        elif now.mono_us - self._read_us.get(venue, now.mono_us) >= BLIND_US and venue not in self._bad:
            text = f"{venue}: what the API key may do could not be read for two hours ({event.error})"
            yield from self._judged(venue, text)

    def _judged(self, venue: str, why: str) -> Iterable[Effect]:
        """Take a verdict over; a bad one pages at each reading, until it is mended."""
        before = self._bad.pop(venue, "")
        if why:
            self._bad[venue] = why
        self._world.bad_key = "; ".join(self._bad.values())
        yield Health(key=f"keys:{venue}", problem=why)
        if why:
            text = f"nothing is opened any more, because of an API key: {why}"
            yield Alert(level=AlertLevel.CRITICAL, key=f"keys:{venue}", text=text, context={"venue": venue})
        elif before:
            text = f"{venue}: the API key is as it should be again"
            yield Note(text=text, level=AlertLevel.WARNING)
