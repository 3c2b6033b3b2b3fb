"""What orders do: unknown ones, failures, attempts to open, unwinds. Counted by events, each once. Pure.

unknown orders    1: the venue takes no opens until it is resolved; 3 in 10 min: global halt, manual
order failures    3 in 10 min: venue `no_opens` for 15 min (post-only rejections are none)
open attempts     more than 2/s or 20/min into OPENING: pair `no_opens`, manual
churn             3 unwinds/h on a symbol: its quarantine for 24 h
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from libs.common.instant import US_PER_SEC, Now
from libs.common.message import Message
from libs.common.messages import AlertLevel
from libs.common.messages_exec import Level, OrderEvent, PairStatus
from services.risk.facts import Facts
from services.risk.finding import Base, Finding, Hold
from services.risk.hysteresis import Window
from services.risk.scopes import GLOBAL, pair_scope, symbol_scope, venue_scope

TEN_MIN_US: Final = 600 * US_PER_SEC
UNKNOWN_MAX: Final = 3
FAILURES_MAX: Final = 3
FAILURE_PAUSE_US: Final = 900 * US_PER_SEC
ATTEMPTS_PER_SEC: Final = 2
ATTEMPTS_PER_MIN: Final = 20
UNWINDS_MAX: Final = 3
MINUTE_US: Final = 60 * US_PER_SEC
HOUR_US: Final = 3_600 * US_PER_SEC
QUARANTINE_US: Final = 24 * HOUR_US
SEEN_MAX: Final = 4_096
POST_ONLY: Final = "post_only"
"""`OrderEvent.failure` of an order that would not have been a maker's."""


class _Once:
    """Remembers the newest names; a message that is said again counts once."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}

    def new(self, name: str) -> bool:
        if name in self._names:
            return False
        self._names[name] = None
        if len(self._names) > SEEN_MAX:
            del self._names[next(iter(self._names))]
        return True


class UnknownOrders(Base):
    """Orders of which nobody knows whether the venue has them."""

    name = "unknown_orders"

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._open: dict[str, OrderEvent] = {}
        self._once = _Once()
        self._window = Window(TEN_MIN_US)

    def observe(self, message: Message, now: Now) -> None:
        """`state` tells; a pair that counts none of its own has resolved them all (edges may be lost)."""
        match message:
            case OrderEvent(state="unknown"):
                self._open[message.id] = message
                if self._once.new(message.id):
                    self._window.add(now.mono_us)
            case OrderEvent():
                self._open.pop(message.id, None)
            case PairStatus(orders_unknown=0):
                self._open = {
                    name: one
                    for name, one in self._open.items()
                    if one.pair != message.pair or one.wall_us > message.wall_us
                }
            case _:
                pass

    def judge(self, now: Now) -> Iterable[Finding]:
        """One shuts its venue; of a pair that counts some which were never told, both of its venues."""
        shut = {one.venue: f"order {one.id} of {one.pair} is unknown" for one in self._open.values()}
        told = {one.pair for one in self._open.values()}
        for pair, status in self._facts.held().items():
            if status.orders_unknown and pair not in told:
                for leg in status.legs:
                    shut.setdefault(leg.venue, f"{status.orders_unknown} orders of {pair} are unknown")
        for venue, why in sorted(shut.items()):
            yield Finding(
                scope=venue_scope(venue),
                level=Level.NO_OPENS,
                control=self.name,
                reason=why,
                until="it is resolved",
                alert=AlertLevel.WARNING,
            )
        if (count := self._window.count(now.mono_us)) >= UNKNOWN_MAX:
            yield Finding(
                scope=GLOBAL,
                level=Level.REDUCE_ONLY,
                control=self.name,
                reason=f"{count} orders with an unknown outcome within 10 min",
                until="a reset",
                hold=Hold.LATCH,
                alert=AlertLevel.CRITICAL,
            )

    def reset(self, scope: str) -> None:
        """The count begins anew; what is unknown still shuts its venue."""
        if scope == GLOBAL:
            self._window.clear()


class OrderFailures(Base):
    """Definite rejections, by venue."""

    name = "order_failures"

    def __init__(self) -> None:
        self._once = _Once()
        self._windows: dict[str, Window] = {}
        self._last: dict[str, str] = {}

    def observe(self, message: Message, now: Now) -> None:
        """An order that only wanted to be a maker's, and was not, has done what it should."""
        if not isinstance(message, OrderEvent) or message.state != "rejected":
            return
        if message.failure == POST_ONLY or not self._once.new(message.id):
            return
        self._windows.setdefault(message.venue, Window(TEN_MIN_US)).add(now.mono_us)
        self._last[message.venue] = message.reason

    def judge(self, now: Now) -> Iterable[Finding]:
        """Latched for its time, so that a restart does not lift it."""
        for venue, window in sorted(self._windows.items()):
            if (count := window.count(now.mono_us)) >= FAILURES_MAX:
                yield Finding(
                    scope=venue_scope(venue),
                    level=Level.NO_OPENS,
                    control=self.name,
                    reason=f"{count} orders failed within 10 min, the last: {self._last[venue]}",
                    until="15 min after the third",
                    hold=Hold.LATCH,
                    until_us=now.wall_us + FAILURE_PAUSE_US,
                    alert=AlertLevel.WARNING,
                )
                window.clear()

    def reset(self, scope: str) -> None:
        """Counts begin anew."""
        for venue, window in self._windows.items():
            if scope in (GLOBAL, venue_scope(venue)):
                window.clear()


class OpenAttempts(Base):
    """Entries into OPENING: a loop that opens and gives up is cheap to start and dear to run.

    Counted at the instants at which they were made, by the stamps of who made them: a burst of old words
    (risk had paused, the bus was slow) is no burst of attempts, and what is latched takes a person to end.
    """

    name = "open_attempts"

    def __init__(self) -> None:
        self._once = _Once()
        self._second: dict[str, Window] = {}
        self._minute: dict[str, Window] = {}
        self._last_us: dict[str, int] = {}
        self._found: dict[str, str] = {}

    def observe(self, message: Message, _now: Now) -> None:
        """`from_state` names the move; each version of a pair is one."""
        if not isinstance(message, PairStatus) or message.state != "opening":
            return
        if message.from_state in ("", "opening") or not self._once.new(f"{message.pair}:{message.version}"):
            return
        pair = message.pair
        if message.wall_us < self._last_us.get(pair, 0) - MINUTE_US:  # a clock was set back: time begins anew
            self._last_us[pair] = 0
            for windows in (self._second, self._minute):
                windows.pop(pair, None)
        at_us = self._last_us[pair] = max(message.wall_us, self._last_us.get(pair, 0))
        counts = []
        for windows, span_us in ((self._second, US_PER_SEC), (self._minute, MINUTE_US)):
            window = windows.setdefault(pair, Window(span_us))
            window.add(at_us)
            counts.append(window.count(at_us))
        if counts[0] > ATTEMPTS_PER_SEC or counts[1] > ATTEMPTS_PER_MIN:
            self._found[pair] = f"{counts[0]} attempts to open within a second, {counts[1]} within a minute"

    def judge(self, _now: Now) -> Iterable[Finding]:
        """Pairs that tried more often than they may."""
        for pair, why in sorted(self._found.items()):
            yield Finding(
                scope=pair_scope(pair),
                level=Level.NO_OPENS,
                control=self.name,
                reason=why,
                until="a reset",
                hold=Hold.LATCH,
                alert=AlertLevel.WARNING,
            )
        self._found.clear()

    def reset(self, scope: str) -> None:
        """Counts begin anew."""
        for pair in self._minute:
            if scope in (GLOBAL, pair_scope(pair)):
                self._second[pair].clear()
                self._minute[pair].clear()
                self._found.pop(pair, None)


class Churn(Base):
    """Unwinds by symbol: each costs a round trip, and what caused one will cause the next."""

    name = "churn"

    def __init__(self) -> None:
        self._once = _Once()
        self._windows: dict[tuple[str, str], Window] = {}

    def observe(self, message: Message, now: Now) -> None:
        """Both legs of a pair that enters UNWINDING."""
        if not isinstance(message, PairStatus) or message.state != "unwinding":
            return
        if message.from_state in ("", "unwinding") or not self._once.new(f"{message.pair}:{message.version}"):
            return
        for leg in message.legs:
            self._windows.setdefault((leg.venue, leg.instrument), Window(HOUR_US)).add(now.mono_us)

    def judge(self, now: Now) -> Iterable[Finding]:
        """Quarantine, through every restart."""
        for key, window in sorted(self._windows.items()):
            if (count := window.count(now.mono_us)) >= UNWINDS_MAX:
                yield Finding(
                    scope=symbol_scope(*key),
                    level=Level.NO_OPENS,
                    control=self.name,
                    reason=f"quarantine: {count} unwinds within an hour",
                    until="24 h after the third, or a reset",
                    hold=Hold.LATCH,
                    until_us=now.wall_us + QUARANTINE_US,
                    alert=AlertLevel.WARNING,
                )
                window.clear()

    def reset(self, scope: str) -> None:
        """Counts begin anew."""
        for key, window in self._windows.items():
            if scope in (GLOBAL, symbol_scope(*key)):
                window.clear()
