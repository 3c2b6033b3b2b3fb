"""The newest permit, and what it forbids. Starts halted; absence is a breaker.

Every service that obeys risk has one `PermitView`; the executor's gate reads it just before the wire. Pure.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Final

from libs.common.effects import Measure
from libs.common.instant import US_PER_SEC, Now
from libs.common.messages_exec import Breaker, Level, Permit

LEASE_US: Final = US_PER_SEC
"""Monotonic time since the last permit was received after which nothing may increase."""

STEADY_US: Final = 10 * US_PER_SEC // 4
"""How long permits must have come in time after a lapse before anything may increase: ten beats of risk.

Counted as time: a change goes out as an extra permit, and a link that comes back delivers several at once.
"""

WALL_AGE_US_MAX: Final = US_PER_SEC
"""An older stamp does not extend the lease (a backlog must not); it still forbids, see `PermitView.apply`."""

SILENT_SEC: Final = 1e6

CLOCKS_APART_US: Final = 250_000
"""Further in the future than this, the clocks of two processes cannot be compared."""


class PermitView:
    """What a service of this `build` knows of risk. Not thread-safe."""

    def __init__(self, *, build: str) -> None:
        self._build = build
        self._permit: Permit | None = None
        self._mistimed: Permit | None = None
        self._received_us: int | None = None
        self._lapsed_until_us: int | None = None
        self.refusal = "no permit has been received yet: is the risk service running?"

    def apply(self, permit: Permit, now: Now) -> bool:
        """Take a permit over; False when it does not count for the lease (`refusal` says why).

        One that is refused for its stamp alone is risk's newest word all the same: until one counts it
        forbids beside the last one that did, so that a wrong clock keeps nobody from obeying a flatten.
        """
        if self._is_behind(permit, now):
            return False
        if permit.build != self._build:
            self.refusal = f"risk runs build {permit.build}, this service {self._build}: restart both alike"
            return False
        if mistimed := self._refusal_of_stamp(permit, now):
            self.refusal, self._mistimed = mistimed, permit
            return False
        if self._received_us is not None and not self.fresh(now):
            self._lapsed_until_us = now.mono_us
        self._permit, self._mistimed, self._received_us, self.refusal = permit, None, now.mono_us, ""
        return True

    def _is_behind(self, permit: Permit, now: Now) -> bool:
        newest = self._mistimed or self._permit
        if newest is None or order(permit) > order(newest):
            return False
        if permit.risk_epoch < newest.risk_epoch and not self.fresh(now):
            epochs = f"epoch {permit.risk_epoch} after {newest.risk_epoch}"
            self.refusal = f"an older life of risk speaks ({epochs}): was the store lost? Restart all"
        return True

    @staticmethod
    def _refusal_of_stamp(permit: Permit, now: Now) -> str:
        """Why the lease cannot run on its wall stamp, in words; empty when it can."""
        age_us = now.wall_us - permit.wall_us
        if age_us > WALL_AGE_US_MAX:
            return f"the permit is {age_us / US_PER_SEC:.1f} s old: is the bus behind, or a clock wrong?"
        if age_us < -CLOCKS_APART_US:
            return f"the permit comes {-age_us / 1e6:.1f} s from the future: compare the clocks"
        return ""

    @property
    def permit(self) -> Permit | None:
        """The newest one that counted, fresh or not."""
        return self._permit

    def age_us(self, now: Now) -> int | None:
        """Monotonic time since it was received, None before the first."""
        return None if self._received_us is None else now.mono_us - self._received_us

    def measured(self, now: Now) -> Measure:
        """Its age for Prometheus; one that never came is older than every threshold."""
        age_us = self.age_us(now)
        seconds = SILENT_SEC if age_us is None else age_us / US_PER_SEC
        return Measure(metric="fundarb_permit_age_seconds", value=seconds)

    def fresh(self, now: Now) -> bool:
        """Whether the lease runs."""
        age = self.age_us(now)
        return age is not None and age <= LEASE_US

    def stale_reason(self, now: Now) -> str:
        """Why nothing may increase, by the permits' ages: no lease, or only just one again. Else empty."""
        age = self.age_us(now)
        if age is None:
            return self.refusal
        if age <= LEASE_US:
            return self._settling(now)
        since = f"the last permit came {age / US_PER_SEC:.1f} s ago"
        return f"{since}; {self.refusal}" if self.refusal else f"{since}: is the risk service running?"

    def _settling(self, now: Now) -> str:
        if self._lapsed_until_us is None or now.mono_us - self._lapsed_until_us >= STEADY_US:
            return ""
        left_sec = (STEADY_US - now.mono_us + self._lapsed_until_us) / US_PER_SEC
        return f"risk's permits have just come back: nothing increases for {left_sec:.1f} s more"

    def _words(self) -> Iterator[Permit]:
        """What forbids: the newest that counted, and a newer one whose stamp did not."""
        yield from (one for one in (self._permit, self._mistimed) if one is not None)

    def strictest(self, scopes: frozenset[str]) -> Breaker | None:
        """The strictest breaker on any of these scopes, None when all are normal."""
        found = [one for permit in self._words() for one in permit.breakers if one.scope in scopes]
        return max(found, key=lambda one: one.level.rank) if found else None

    def level(self, scopes: frozenset[str]) -> Level:
        """How much is forbidden there, freshness aside."""
        found = self.strictest(scopes)
        return Level.NORMAL if found is None else found.level

    def max_ratio(self, pair: str) -> float:
        """The share of its size that a pair may keep."""
        return min((permit.max_ratio.get(pair, 1.0) for permit in self._words()), default=1.0)


def order(permit: Permit) -> tuple[int, int]:
    """Risk's words are in this order: by its life, and by the beat in it."""
    return permit.risk_epoch, permit.revision


@functools.lru_cache(maxsize=4_096)
def scopes_of(pair: str, legs: tuple[tuple[str, str], ...]) -> frozenset[str]:
    """Every scope whose breaker concerns a pair with these (venue, instrument) legs."""
    return frozenset(
        {
            "global",
            f"pair:{pair}",
            *(f"venue:{venue}" for venue, _ in legs),
            *(f"symbol:{venue}-{instrument}" for venue, instrument in legs),
        }
    )
