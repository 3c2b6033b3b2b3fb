"""Loss of the day by known equity, and equity that is not known. Pure.

    1 % of the day's first equity for 30 s: global `no_opens` until the next UTC day
    2 %: global halt; 4 %: global flatten; both until a reset, which begins the day's count anew
    equity unknown for 30 s: `no_opens` until it has been known for 60 s; no loss is counted meanwhile

The day's first equity lies in the store: a restart does not forgive a loss. Deposits and withdrawals move it
when their ledger lines come; until then, for 90 s at most, dollars that the executor's books do not explain
(`unexplained_usd`) are neither lost nor won. What no line explains by then is gone.

On the very first day the equity is known before the executor's books of a venue begin, and what moves until
then is in their opening: no line ever tells of it. So the first equity follows that account until its books
begin or anything is held. Only the first day: a restart has books, and must forgive no loss.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from libs.carry.identity import USD_COINS, is_outside
from libs.common.instant import MS_PER_DAY, US_PER_MS, US_PER_SEC, Now
from libs.common.message import Message
from libs.common.messages import AlertLevel
from libs.common.messages_exec import LedgerLine, Level
from libs.common.subjects import slug
from services.risk.equity import Unknown, account_usd, known_usd
from services.risk.facts import Facts
from services.risk.finding import Base, Finding, Hold
from services.risk.hysteresis import Switch
from services.risk.scopes import GLOBAL

FOR_US: Final = 30 * US_PER_SEC
KNOWN_US: Final = 60 * US_PER_SEC
EXPLAIN_US: Final = 90 * US_PER_SEC
"""A venue's records are read at once when a balance is not explained, and every 60 s in any case."""
DAY_US: Final = MS_PER_DAY * US_PER_MS
SEEN_MAX: Final = 4_096


class Step(msgspec.Struct, frozen=True):
    """A loss of `share` of the day's first equity leads to `level`."""

    share: float
    level: Level
    control: str
    alert: AlertLevel


STEPS: Final = (
    Step(0.04, Level.FLATTEN, "daily_loss_flatten", AlertLevel.CRITICAL),
    Step(0.02, Level.REDUCE_ONLY, "daily_loss_halt", AlertLevel.CRITICAL),
    Step(0.01, Level.NO_OPENS, "daily_loss", AlertLevel.CRITICAL),
)


class Day(Message, frozen=True, kw_only=True):
    """The UTC day (days since 1970), the equity that its loss is counted from, and when that was (wall)."""

    day: int
    start_usd: float
    since_us: int


class DailyLoss(Base):
    """`day` is what the store should hold; None before the equity was known for the first time."""

    name = "daily_loss"

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self.day: Day | None = None
        self.known_usd: float | None = None
        self.unknown = ""
        self._switches = {step.control: Switch(enter=FOR_US) for step in STEPS}
        self._unknown = Switch(enter=FOR_US, leave=KNOWN_US)
        self._heard = False
        self._lines: dict[str, None] = {}
        self._unexplained_us: dict[str, int] = {}
        self._forgiven_usd = 0.0  # by a reset that the store has not taken yet
        self._bookless_usd: dict[str, float] = {}  # what accounts showed last whose books have yet to begin

    @property
    def ratio(self) -> float | None:
        """Lost since the day's beginning, as a fraction of what was there (< 0: won); None while unknown."""
        if self.day is None or self.known_usd is None or not self.day.start_usd > 0:
            return None
        return (self.day.start_usd - self.known_usd) / self.day.start_usd

    def observe(self, message: Message, _now: Now) -> None:
        """Dollars that came or went are no profit and no loss; of coins only the pairs' own count at all."""
        if not isinstance(message, LedgerLine) or self.day is None or not is_outside(message):
            return
        if message.key in self._lines or message.wall_us < self.day.since_us:
            return
        if slug(message.asset) not in USD_COINS:
            return
        self._lines[message.key] = None
        if len(self._lines) > SEEN_MAX:
            del self._lines[next(iter(self._lines))]
        start_usd = self.day.start_usd + float(message.usd)
        self.day = msgspec.structs.replace(self.day, start_usd=start_usd)

    def judge(self, now: Now) -> Iterable[Finding]:
        """The loss while the equity is known, and its absence while it is not."""
        try:
            self.known_usd, self.unknown = known_usd(self._facts, now) - self._unexplained(now), ""
            self._heard = True
        except Unknown as why:
            self.known_usd, self.unknown = None, str(why)
        yield from self._not_known(now)
        if self.known_usd is None:
            for switch in self._switches.values():
                switch.judge(now.mono_us, over=False)
            return
        self._follow_accounts_without_books(now)
        today = now.wall_us // DAY_US
        empty = self.day is not None and not self.day.start_usd > 0 and self.known_usd > 0
        if self.day is None or self.day.day != today or empty:  # of nothing no share can be lost
            if self.day is None:
                self._bookless_usd = {
                    venue: account_usd(self._facts, venue, now) for venue in self._bookless()
                }
            self.day = Day(day=today, start_usd=self.known_usd, since_us=now.wall_us)
            self._forgiven_usd = 0.0
            for switch in self._switches.values():
                switch.reset()
        if (lost := self.ratio) is not None:
            yield from self._lost(self.day, lost, now)

    def _bookless(self) -> set[str]:
        """Venues whose executor has nothing yet to compare an account with, while no pair may have lost."""
        if self._facts.held():
            return set()
        told = ((venue, self._facts.accounts.get(venue)) for venue in self._facts.scopes.venues)
        return {venue for venue, heard in told if heard and heard.message.unexplained_usd is None}

    def _follow_accounts_without_books(self, now: Now) -> None:
        """The equity is known, so that each account is."""
        if self.day is None or not self._bookless_usd:
            return
        moved_usd, still = 0.0, {}
        for venue in sorted(self._bookless() & self._bookless_usd.keys()):
            still[venue] = account_usd(self._facts, venue, now)
            moved_usd += still[venue] - self._bookless_usd[venue]
        self._bookless_usd = still
        if moved_usd:
            self.day = msgspec.structs.replace(self.day, start_usd=self.day.start_usd + moved_usd)

    def _unexplained(self, now: Now) -> float:
        """Dollars that came or went lately and whose ledger lines are still to come."""
        total = 0.0
        for venue in sorted(self._facts.scopes.venues):
            heard = self._facts.accounts.get(venue)
            usd = None if heard is None else heard.message.unexplained_usd
            if not usd:
                self._unexplained_us.pop(venue, None)
            elif now.mono_us - self._unexplained_us.setdefault(venue, now.mono_us) < EXPLAIN_US:
                total += usd
        return total

    def _lost(self, day: Day, lost: float, now: Now) -> Iterable[Finding]:
        for step in STEPS:
            if self._switches[step.control].judge(now.mono_us, over=not lost < step.share):
                by_day = step.level is Level.NO_OPENS
                yield Finding(
                    scope=GLOBAL,
                    level=step.level,
                    control=step.control,
                    reason=f"{lost:.2%} of the day's {day.start_usd:,.0f} USD are lost",
                    until="the next UTC day" if by_day else "a reset",
                    hold=Hold.LATCH,
                    until_us=(day.day + 1) * DAY_US if by_day else None,
                    alert=step.alert,
                )

    def _not_known(self, now: Now) -> Iterable[Finding]:
        """An account that was never heard of matters only to what is held."""
        matters = bool(self.unknown) and (self._heard or bool(self._facts.held()))
        if self._unknown.judge(now.mono_us, over=matters):
            yield Finding(
                scope=GLOBAL,
                level=Level.NO_OPENS,
                control="equity_unknown",
                reason=f"no loss can be counted: {self.unknown or 'it is known again since just now'}",
                until=f"{KNOWN_US // US_PER_SEC} s known",
                alert=AlertLevel.CRITICAL,
            )

    def reset(self, scope: str) -> None:
        """A person has taken note of the loss: the next one counts from here."""
        if scope != GLOBAL:
            return
        for switch in self._switches.values():
            switch.reset()
        if self.day is not None and self.known_usd is not None:
            self._forgiven_usd += self.day.start_usd - self.known_usd
            self.day = msgspec.structs.replace(self.day, start_usd=self.known_usd)

    def settle_reset(self, *, kept: bool) -> None:
        """What has become of a reset in the store. One that was refused forgives no loss."""
        if self.day is not None and not kept:
            start_usd = self.day.start_usd + self._forgiven_usd
            self.day = msgspec.structs.replace(self.day, start_usd=start_usd)
        self._forgiven_usd = 0.0
