"""A person's commands: who is asked, what each pair does, and one answer for all of them. Pure.

    cmd.* -> desk -> an errand -> `work` in the lane of each pair it concerns -> its part is durable -> answer

A pair is changed in its own lane alone; its part counts when it is durable, which a timer behind the write
tells. Whoever asks waits a second: what is not done by then is refused, and dropped where it has not begun.
A pair that another executor leads is answered with its owner: only that one decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from libs.common.commands import Asked, CommandDesk
from libs.common.effects import Alert, CancelTimer, Effect, Received, SetTimer
from libs.common.instant import US_PER_MS, US_PER_SEC, Now
from libs.common.messages import AlertLevel
from libs.common.messages_exec import Level, PairStatus
from services.executor import resetting, telling
from services.executor.events import AccountSeen
from services.executor.lane import Draft, Lane
from services.executor.obeying import WORKS, Said, no
from services.executor.permit import scopes_of
from services.executor.together import Together
from services.executor.world import World

VERBS: Final = ("status", "positions", "open", "close", "rebalance", "flatten", "reset")
ANSWER_US: Final = 800 * US_PER_MS
"""Replies are gathered for a second (contract.md)."""

OWNER_US: Final = 12 * US_PER_SEC
"""States are said each 5 s, with their owner: one not heard for so long leads no more."""

RISK_US: Final = 3 * US_PER_SEC
LOOK_US: Final = US_PER_SEC // 4
"""So long, and so often, a `flatten` that was left to risk is looked after: risk may die of it."""


class Errand:
    """A command under way. `left`: pairs whose part is not durable yet; `said`: what they would answer."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.left: set[str] = set()
        self.said: dict[str, Said] = {}


class Commands:
    """The executor's door for `cmd.*`. Owned by the actor; `work` runs in the pairs' lanes."""

    def __init__(self, world: World, lanes: Mapping[str, Lane], together: Together) -> None:
        self.desk = CommandDesk("executor", verbs=VERBS, pairs={one.pair: one.keys for one in lanes.values()})
        self._world = world
        self._lanes = lanes
        self._together = together
        self._errands: dict[int, Errand] = {}
        self._waiting: dict[str, list[int]] = {}
        self._left_to_risk: dict[int, tuple[Asked, int]] = {}
        self._owners: dict[str, tuple[str, int]] = {}
        self._count = 0
        self._me = ""  # by what name our leases go

    # --- asked ------------------------------------------------------------------------------------

    def take(self, event: Received, now: Now) -> Iterable[Effect]:
        """A command from the bus."""
        asked = self.desk.take(event, now)
        if not isinstance(asked, Asked):
            return asked
        match asked.verb:
            case "status":
                return asked.done(telling.status(self._world, self._lanes, self.owner_of, now))
            case "positions":
                return asked.done(telling.positions(self._lanes, self.owner_of, now))
            case "flatten" if self._world.permits.fresh(now):
                return self._leave_to_risk(asked, now)
            case _:
                return self._begin(asked, now)

    def hear(self, status: PairStatus, now: Now) -> None:
        """An executor tells that it leads a pair. Our own words come back too: they are no news."""
        lane = self._lanes.get(status.pair)
        if lane is not None and lane.lease is not None:
            self._me = lane.lease.owner
        elif status.owner not in ("", self._me):
            self._owners[status.pair] = (status.owner, now.mono_us)

    def owner_of(self, pair: str, now: Now) -> str:
        """Who leads a pair that is not led here, "" while nobody is heard."""
        owner, heard_us = self._owners.get(pair, ("", 0))
        return owner if now.mono_us - heard_us <= OWNER_US else ""

    def _begin(self, asked: Asked, now: Now) -> Iterator[Effect]:
        self._count += 1
        number, errand = self._count, Errand(asked)
        self._errands[number] = errand
        for pair in asked.pairs:
            lane = self._lanes[pair]
            if lane.lease is None:
                errand.said[pair] = self._elsewhere(pair, now)
            elif not lane.loaded:
                errand.said[pair] = no("not_ready", lane.blocked)
            else:
                errand.left.add(pair)
                self._waiting.setdefault(pair, []).append(number)
                yield SetTimer(name=lane_timer(pair), after_us=0)
        if errand.left:
            yield SetTimer(name=f"{PREFIX}{number}", after_us=ANSWER_US)
        else:
            yield from self._conclude(number)

    def _elsewhere(self, pair: str, now: Now) -> Said:
        if owner := self.owner_of(pair, now):
            return Said(result={"owner": owner})
        if away := self._world.store_away:
            return no("store", f"nothing can be sent without the store: {away}")
        why = self._lanes[pair].blocked
        return no("no_owner", f"no executor is heard to lead it ({why}): ask again in a few seconds")

    # --- in the lanes -----------------------------------------------------------------------------

    def work(self, lane: Lane, draft: Draft) -> None:
        """What is asked of this pair, in its own turn."""
        for number in self._waiting.pop(lane.pair, ()):
            errand = self._errands[number]
            said: Said | None
            if errand.asked.verb == "reset":
                said = resetting.begin(lane, draft, errand.asked, self._together)
            else:
                said = WORKS[errand.asked.verb](lane, draft, errand.asked)
            self._say(lane.pair, number, said, draft)

    def look(self, lane: Lane, draft: Draft, seen: AccountSeen) -> None:
        """A look at an account has come: a reset may wait for it."""
        resetting.on_look(lane, draft, seen, self._together)
        for number, errand in self._errands.items():
            begun = number not in self._waiting.get(lane.pair, ())
            if lane.pair in errand.left and lane.pair not in errand.said and begun:
                self._say(
                    lane.pair, number, resetting.judge(lane, draft, errand.asked, self._together), draft
                )

    def _say(self, pair: str, number: int, said: Said | None, draft: Draft) -> None:
        if said is not None:
            self._errands[number].said[pair] = said
            # an effect of the turn: it happens when all before it is durable
            draft.effects.append(SetTimer(name=f"{PREFIX}{number}:{pair}", after_us=0))

    # --- answered ---------------------------------------------------------------------------------

    def on_timer(self, name: str, now: Now) -> Iterable[Effect]:
        """`asked:7` is the time-out of errand 7, `asked:7:PAIR` its part that is durable."""
        number, _, pair = name.removeprefix(PREFIX).partition(":")
        if pair == RISK:
            return self._look_at_risk(int(number), now)
        errand = self._errands.get(int(number))
        if errand is None:
            return ()
        if pair:
            errand.left.discard(pair)
            return () if errand.left else self._conclude(int(number))
        for late in sorted(errand.left):
            errand.said[late] = self._late(late, int(number), errand)
        return self._conclude(int(number))

    def not_stored(self, pair: str, why: str) -> Iterator[Effect]:
        """What this pair was about to answer has not become durable."""
        for number, errand in list(self._errands.items()):
            if pair in errand.left and pair in errand.said:
                errand.said[pair] = no("store", why)
                errand.left.discard(pair)
                if not errand.left:
                    yield from self._conclude(number)

    def _late(self, pair: str, number: int, errand: Errand) -> Said:
        """Why there is no answer; what has not begun never will."""
        waiting, why = self._waiting.get(pair, []), self._lanes[pair].blocked
        if number in waiting:
            waiting.remove(number)
            return no("busy", f"{why or 'its last write is not done yet'}, nothing is changed: ask again")
        if pair not in errand.said:
            return resetting.silence(self._lanes[pair])
        return no("store", "the store has not taken it yet, it may still: see `fundarb positions`")

    def _conclude(self, number: int) -> Iterator[Effect]:
        """One answer: refused when one pair refuses, with what the others have done."""
        errand = self._errands.pop(number)
        yield CancelTimer(name=f"{PREFIX}{number}")
        asked, refused = errand.asked, [pair for pair in errand.asked.pairs if errand.said[pair].code]
        if refused:
            first = errand.said[refused[0]]
            others = [pair for pair in asked.pairs if pair not in refused]
            text = (
                first.text if asked.pair else "; ".join(f"{one}: {errand.said[one].text}" for one in refused)
            )
            done = f" (done for {', '.join(others)})" if others else ""
            yield from asked.refuse(first.code, text + done)
        elif asked.pair:
            yield from asked.done({"pair": asked.pair, **errand.said[asked.pair].result})
        else:
            yield from asked.done({"pairs": {pair: errand.said[pair].result for pair in asked.pairs}})

    # --- flatten ----------------------------------------------------------------------------------

    def _leave_to_risk(self, asked: Asked, now: Now) -> Iterator[Effect]:
        """Risk latches it, and its next permit says so; when it dies instead we are asked after all."""
        self._count += 1
        self._left_to_risk[self._count] = (asked, now.mono_us + RISK_US)
        yield from asked.done({"left_to": "risk"}, because="risk is there: its permit will say so")
        yield SetTimer(name=f"{PREFIX}{self._count}:{RISK}", after_us=LOOK_US)

    def _look_at_risk(self, number: int, now: Now) -> Iterator[Effect]:
        asked, until_us = self._left_to_risk.pop(number)
        legs = ((pair, self._lanes[pair].keys) for pair in asked.pairs)
        levels = [self._world.permits.level(scopes_of(pair, keys)) for pair, keys in legs]
        if all(level is Level.FLATTEN for level in levels):
            return
        if not self._world.permits.fresh(now):
            yield from self._begin(msgspec.structs.replace(asked, reply_to=""), now)
        elif now.mono_us < until_us:
            self._left_to_risk[number] = (asked, until_us)
            yield SetTimer(name=f"{PREFIX}{number}:{RISK}", after_us=LOOK_US)
        else:  # it may have refused it, for its own reasons, or never have heard it
            late = f"{RISK_US // US_PER_SEC} s later"
            text = f"flatten of {asked.scope} was left to risk, whose permits do not say so {late}: nothing"
            text += " is closed by it. See `fundarb status`, and say it again"
            yield Alert(level=AlertLevel.CRITICAL, key="flatten", text=text, context={"scope": asked.scope})


PREFIX: Final = "asked:"
RISK: Final = "-risk"
"""In a pair's place: no pair's id begins like this."""


def lane_timer(pair: str) -> str:
    """The timer that brings a command into a pair's lane."""
    return f"{pair}|asked"
