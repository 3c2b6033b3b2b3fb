"""What risk says while a lab runs, and what its executor makes of it: breakers by control, and orders."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from libs.common import subjects
from libs.common.bus import Frame
from libs.common.clock import mono_us, wall_us
from libs.common.messages import Command, CommandReply, Intent, decode, encode
from libs.common.messages_exec import Breaker, LedgerLine, OrderEvent, PairStatus, Permit
from tests.helpers.executor import NOTIONAL, Lab

OFFERED_SEC, OFFER_SEC = 2.0, 0.2
TAKES_SEC: Final = 1.0
"""A permit is obeyed as soon as it is heard; on a busy machine that may take a while."""


SETTLES_SEC: Final = 1.0
"""After so long a permit tells what a reset has changed."""


class Seen:
    """One row of the control set, as it was seen: what shut, when, and whether it opened again by itself."""

    def __init__(self) -> None:
        self.breakers: list[tuple[Breaker, float]] = []
        self.left_sec: float | None = None
        self.increases: list[OrderEvent] = []
        self.notes: dict[str, Any] = {}


class Breakers:
    """An ear on `risk.permit` and `exec.>` of a lab."""

    def __init__(self, made: Lab) -> None:
        self.lab = made
        self.permit: Permit | None = None
        self.heard_us = 0
        self.moves: list[tuple[str, str]] = []
        self.lines: list[LedgerLine] = []
        self.history: list[tuple[float, str, str, tuple[str, ...]]] = []
        self._told: tuple[Breaker, ...] = ()
        self._versions: set[tuple[str, int]] = set()
        self._born_us = mono_us()

    async def listen(self) -> None:
        await self.lab.bus.subscribe(subjects.PERMIT, self._hear)
        await self.lab.bus.subscribe("exec.pair.*", self._move)
        await self.lab.bus.subscribe(subjects.exec_ledger(subjects.NOBODY), self._line)

    def _hear(self, frame: Frame) -> None:
        self.permit, self.heard_us = decode(frame.payload, Permit), mono_us()
        at = (self.heard_us - self._born_us) / 1e6
        before = {(one.scope, one.level, one.controls) for one in self._told}
        self.history += [
            (round(at, 1), one.scope, one.level.value, one.controls)
            for one in self.permit.breakers
            if (one.scope, one.level, one.controls) not in before
        ]
        self._told = self.permit.breakers

    def _move(self, frame: Frame) -> None:
        status = decode(frame.payload, PairStatus)
        if status.from_state and (status.pair, status.version) not in self._versions:
            self._versions.add((status.pair, status.version))
            self.moves.append((status.pair, status.state))

    def attempts(self, pair: str) -> int:
        """How often it has entered OPENING."""
        return self.moves.count((pair, "opening"))

    def _line(self, frame: Frame) -> None:
        self.lines.append(decode(frame.payload, LedgerLine))

    async def books_begin(self, *venues: str, sec: float = 60.0) -> None:
        """Wait until the executor compares these accounts with its books: what was moved before is in their
        opening, and no line tells of it.
        """
        await self.lab.until(lambda: all(self._compared(venue) for venue in venues), sec=sec)

    def _compared(self, venue: str) -> bool:
        told = next((one for one in reversed(self.lab.accounts) if one.venue == venue), None)
        return told is not None and told.unexplained_usd is not None

    # --- breakers -----------------------------------------------------------------------------------

    def found(self, scope: str, control: str) -> Breaker | None:
        """The breaker of a scope, when this control holds it."""
        shut = () if self.permit is None else self.permit.breakers
        return next((one for one in shut if one.scope == scope and control in one.controls), None)

    async def enters(self, seen: Seen, scope: str, control: str, *, sec: float) -> Breaker:
        """Wait for it."""
        await self.until(
            lambda: self.found(scope, control) is not None, sec=sec, text=f"{control} of {scope}"
        )
        breaker = self.found(scope, control)
        assert breaker is not None
        seen.breakers.append((breaker, round((mono_us() - self._born_us) / 1e6, 1)))
        return breaker

    async def leaves(self, seen: Seen, scope: str, control: str, *, sec: float) -> None:
        """Wait until this control holds the scope no more."""
        text = f"the end of {control} of {scope}"
        seen.left_sec = await self.until(lambda: self.found(scope, control) is None, sec=sec, text=text)

    async def until(self, condition: Any, *, sec: float, text: str) -> float:
        """Like the lab's; what was waited for and what is shut instead is in the failure's text."""
        try:
            return round(await self.lab.until(condition, sec=sec), 1)
        except TimeoutError as late:
            shut = () if self.permit is None else self.permit.breakers
            held = [(one.scope, one.level.value, one.controls, one.reason) for one in shut]
            raise TimeoutError(f"{text} did not come within {sec:.0f} s; shut: {held}\n{late}") from None

    async def reset(self, scope: str, *services: str, sec: float = 70.0) -> None:
        """The person who has looked, until risk (or all of these) obey: what still holds is refused, and a
        look at an account waits for its turn.
        """
        body = Command(scope=scope, confirm=True, reason="looked", actor="ann")
        missing, until_us = set(services or ("risk",)), mono_us() + int(sec * 1e6)
        while missing:
            frames = await self.lab.bus.gather(subjects.command("reset"), encode(body), timeout_sec=1.5)
            replies = [decode(frame.payload, CommandReply) for frame in frames]
            missing -= {one.service for one in replies if one.ok}
            assert mono_us() < until_us or not missing, replies

    async def lets(self, seen: Seen, scope: str, control: str, *, sec: float) -> None:
        """Wait, as a person who resets again and again, until this control does not come back at once: it
        judges afresh, and its own way out would take longer than a test.
        """
        begun_us = mono_us()
        while self.found(scope, control) is not None:
            assert mono_us() - begun_us < sec * 1e6, self.found(scope, control)
            await self.reset(scope)
            await asyncio.sleep(SETTLES_SEC)
        seen.left_sec = round((mono_us() - begun_us) / 1e6, 1)

    # --- orders -------------------------------------------------------------------------------------

    def increases(self, pair: str, since: int) -> list[OrderEvent]:
        """Orders of a pair that would have increased something and were sent since so many events."""
        return [
            one
            for one in self.lab.orders[since:]
            if one.pair == pair and one.order_class == "increase" and one.state not in ("void", "rejected")
        ]

    def offer(self, pair: str, action: Any = "open") -> None:
        wanted = Intent(
            pair=pair,
            action=action,
            direction="forward",
            notional_usd=str(NOTIONAL),
            reason="test",
            expires_us=wall_us() + 2_000_000,
        )
        assert self.lab.bus.publish(subjects.intent(pair), encode(wanted))

    async def offers(self, *pairs: str) -> None:
        """Offer these once, and wait a little."""
        for pair in pairs:
            self.offer(pair)
        await asyncio.sleep(OFFER_SEC)

    async def refuses(self, seen: Seen, *pairs: str) -> None:
        """Offer openings of idle pairs in what is shut: none of them may send anything."""
        await asyncio.sleep(TAKES_SEC)
        since = len(self.lab.orders)
        assert all(self.lab.state(pair) in ("idle", "") for pair in pairs), [
            self.lab.state(one) for one in pairs
        ]
        for _ in range(int(OFFERED_SEC / OFFER_SEC)):
            await self.offers(*pairs)
        for pair in pairs:
            seen.increases += self.increases(pair, since)
            assert self.lab.state(pair) in ("idle", ""), self.lab.state(pair)
