"""What executor and risk say, as signal sees it: which pair is in which state, and what risk forbids.

Pure. An executor that does not lead a pair (`owner` empty) has no word about it. What was said last counts
until it is contradicted: a pair of a silent executor keeps its place, and nothing is asked of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from libs.carry.case import Refusal
from libs.common.config.legs import PairSpec
from libs.common.instant import US_PER_SEC, Now
from libs.common.messages import Message
from libs.common.messages_exec import Level, PairStatus, Permit
from libs.common.permit import PermitView, scopes_of

SILENT_US: Final = 15 * US_PER_SEC
"""Three of the beats in which every state is said again (bus-and-store.md: edges may be lost)."""

LATE_US: Final = 10 * US_PER_SEC
"""When newer words have been missing for two of those beats, none come."""

QUIET_STATE: Final = "idle"
STEADY_STATE: Final = "active"


class Standing:
    """Built from the configured pairs. `permits` is shared with nobody."""

    def __init__(self, specs: Iterable[PairSpec], *, build: str) -> None:
        self._scopes = {
            spec.id: scopes_of(spec.id, tuple((leg.venue, leg.instrument) for leg in spec.legs))
            for spec in specs
        }
        self.permits = PermitView(build=build)
        self.pairs: dict[str, PairStatus] = {}
        self.strangers: dict[str, PairStatus] = {}
        self._heard_us: dict[str, int] = {}

    def apply(self, message: Message, now: Now) -> str:
        """Take a message in; answers the pair whose state it told, "" when it told none."""
        match message:
            case Permit():
                self.permits.apply(message, now)
                return ""
            case PairStatus():
                return self._on_pair(message, now)
            case _:
                return ""

    def _on_pair(self, status: PairStatus, now: Now) -> str:
        if not status.owner:
            return ""
        known = self.pairs if status.pair in self._scopes else self.strangers
        if self._is_late(status, known.get(status.pair), now):
            return ""
        known[status.pair] = status
        self._heard_us[status.pair] = now.mono_us
        return status.pair if known is self.pairs else ""

    def _is_late(self, status: PairStatus, former: PairStatus | None, now: Now) -> bool:
        """Older words do not count: of who led the pair before, or that came late. Unless nothing else is
        heard: a clock was set back.
        """
        if former is None or status.wall_us >= former.wall_us:
            return False
        return now.mono_us - self._heard_us[status.pair] < LATE_US

    # --- what is asked --------------------------------------------------------------------------

    def unheard(self) -> tuple[str, ...]:
        """Configured pairs of which no executor has said anything yet."""
        return tuple(pair for pair in self._scopes if pair not in self.pairs)

    def taking(self) -> dict[str, PairStatus]:
        """Pairs that have, or may have, a position: all that are not idle."""
        return {pair: status for pair, status in self.pairs.items() if status.state != QUIET_STATE}

    def strangers_held(self) -> tuple[str, ...]:
        """Pairs with a position that this config does not name: nobody decides about them."""
        return tuple(pair for pair, status in self.strangers.items() if status.state != QUIET_STATE)

    def silence(self, pair: str, now: Now) -> str:
        """Why what was said of a pair does not tell how it is now; empty while it is said again and again."""
        heard_us = self._heard_us.get(pair)
        if heard_us is None:
            return "no executor has said anything of it yet: is one running?"
        age_us = now.mono_us - heard_us
        if age_us <= SILENT_US:
            return ""
        return f"its executor has been silent for {age_us // US_PER_SEC} s"

    def no_open(self, pair: str, now: Now) -> Refusal | None:
        """Why nothing may be opened on an idle pair, by risk's and the executor's word."""
        if stale := self.permits.stale_reason(now):
            return Refusal("no_permit", stale)
        breaker = self.permits.strictest(self._scopes[pair])
        if breaker is not None and breaker.level is not Level.NORMAL:
            return Refusal("breaker", f"{breaker.scope} is {breaker.level}: {breaker.reason}")
        if (ratio := self.permits.max_ratio(pair)) < 1:
            return Refusal("breaker", f"risk allows {ratio:.0%} of its size")
        if silence := self.silence(pair, now):
            return Refusal("no_executor", silence)
        if unheard := self.unheard():
            text = f"what is held is not known: no executor has said anything of {unheard[0]}"
            more = f" and {len(unheard) - 1} more" if len(unheard) > 1 else ""
            return Refusal("no_executor", text + more)
        return self._quarantine(pair, now)

    def hands_off(self, pair: str, now: Now) -> str:
        """Why nothing may be asked of a held pair now, not even its close; empty when it may.

        Closing needs no permit. At `flatten` the executor closes by itself, and harder than a wish would.
        """
        if silence := self.silence(pair, now):
            return silence
        status = self.pairs[pair]
        if status.state != STEADY_STATE:
            return f"it is {status.state}: {status.reason}" if status.reason else f"it is {status.state}"
        if quarantine := self._quarantine(pair, now):
            return quarantine.text
        if self.permits.level(self._scopes[pair]) is Level.FLATTEN:
            return "risk flattens it"
        return ""

    def _quarantine(self, pair: str, now: Now) -> Refusal | None:
        until_ms = self.pairs[pair].quarantined_until_ms
        if until_ms is None or now.market_ms >= until_ms:
            return None
        hours = (until_ms - now.market_ms) / 3_600_000
        return Refusal("pair_quarantined", f"quarantined after several unwinds, {hours:.1f} h are left")
