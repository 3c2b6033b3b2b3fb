"""A venue's request budget: what its headers say is used, what we sent since, and who may use the rest.

Pure. Polls stop at half of a limit, opens at three quarters; what is above is the reserve of orders that
reduce risk and of the reads that they wait for, which leave the last twentieth to the orders. A ban (418)
stops everybody, since asking on makes it longer; a 429 stops all but orders that reduce.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import msgspec

from libs.common.instant import US_PER_SEC
from libs.exchange.errors import retry_after_sec
from libs.exchange.trading_values import Room, Urgency

SHARES: Final[dict[Urgency, float]] = {"poll": 0.5, "increase": 0.75, "reduce": 1.0}
READS_MAX: Final = 0.95
"""Of a limit, what reads that a reduction waits for may use. The rest is 120 of Binance's 2,400."""

_BANNED: Final = 418
_LIMITED: Final = 429


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """One limit of a host: at most `most` in windows of `window_sec`.

    `header` names the answer's header with the used figure (counted in fixed windows of wall time); without
    one our own orders are counted. `orders`: it counts orders, else request weight.
    """

    most: int
    window_sec: float
    header: str = ""
    orders: bool = False


class Budget:
    """The budget of one host. `mono_us` is the monotonic clock."""

    def __init__(self, host: str, limits: tuple[Limit, ...], *, mono_us: Callable[[], int]) -> None:
        self.host = host
        self._limits = limits
        self._mono_us = mono_us
        self._used: dict[int, tuple[int, int]] = {}
        self._sent: deque[int] = deque(maxlen=10_000)
        self._limited_until_us = 0
        self._banned_until_us = 0

    def read(self, url: str, status: int, headers: dict[str, str]) -> None:
        """Learn from an answer. Headers of other hosts (one ccxt class talks to several) are not ours."""
        if self.host and urlsplit(url).hostname != self.host:
            return
        now_us = self._mono_us()
        found = {name.lower(): value for name, value in headers.items()}
        for i, limit in enumerate(self._limits):
            text = found.get(limit.header, "") if limit.header else ""
            if text.isdigit():
                self._used[i] = (int(text), now_us)
        if status in (_BANNED, _LIMITED):
            until_us = now_us + int(retry_after_sec(headers) * US_PER_SEC)
            self._limited_until_us = max(self._limited_until_us, until_us)
            if status == _BANNED:
                self._banned_until_us = max(self._banned_until_us, until_us)

    def sent(self, orders: int = 1) -> None:
        """Count orders that are let go now."""
        now_us = self._mono_us()
        self._sent.extend([now_us] * orders)

    def room(self, urgency: Urgency, orders: int = 1) -> Room:
        """Whether so many orders (0: a read) of this urgency fit now."""
        now_us = self._mono_us()
        reads = urgency == "reduce" and not orders
        most = READS_MAX if reads else SHARES[urgency]
        until_us = self._banned_until_us if urgency == "reduce" and orders else self._limited_until_us
        shares = [(limit, self._share(i, limit, now_us)) for i, limit in enumerate(self._limits)]
        weight = max((share for limit, share in shares if not limit.orders), default=0.0)
        counted = max((share for limit, share in shares if limit.orders), default=0.0)
        wait_sec = max(0.0, (until_us - now_us) / US_PER_SEC)
        if wait_sec > 0:
            why = _asked(wait_sec)
            return Room(allowed=False, weight_used=weight, orders_used=counted, wait_sec=wait_sec, why=why)
        for i, (limit, share) in enumerate(shares):
            if limit.orders and not orders:
                continue  # a poll is no order
            more = orders / limit.most if limit.orders else 0.0
            if share + more > most or share >= (most if reads else 1.0):
                what = "orders" if limit.orders else "request weight"
                used = f"{share:.0%} of {limit.most} {what} in {limit.window_sec:g} s are used"
                why = f"our own limiter holds it back, not the venue: {used}"
                wait = self._wait_sec(i, limit, now_us)
                return Room(allowed=False, weight_used=weight, orders_used=counted, wait_sec=wait, why=why)
        return Room(allowed=True, weight_used=weight, orders_used=counted)

    def asked(self) -> Room:
        """No room while the venue wants to be left alone, whatever is used."""
        wait_sec = max(0.0, (self._limited_until_us - self._mono_us()) / US_PER_SEC)
        if wait_sec == 0:
            return Room(allowed=True, weight_used=0.0, orders_used=0.0)
        return Room(allowed=False, weight_used=0.0, orders_used=0.0, wait_sec=wait_sec, why=_asked(wait_sec))

    def _share(self, i: int, limit: Limit, now_us: int) -> float:
        """Used part of a limit. A header holds until its window must have ended; later orders add to it."""
        window_us = int(limit.window_sec * US_PER_SEC)
        used, at_us = self._used.get(i, (0, 0))
        if i not in self._used or now_us - at_us >= window_us:
            used, at_us = 0, now_us - window_us
        if limit.orders:
            for stamp in reversed(self._sent):  # the newest first: what is older than one is out too
                if stamp <= at_us:
                    break
                used += 1
        return used / limit.most

    def _wait_sec(self, i: int, limit: Limit, now_us: int) -> float:
        """At most one window since the count was heard, or the newest order: by then it is another."""
        at_us = self._sent[-1] if limit.orders and self._sent else self._used.get(i, (0, now_us))[1]
        return max(0.0, limit.window_sec - (now_us - at_us) / US_PER_SEC)


def _asked(wait_sec: float) -> str:
    return f"the venue asked to wait {wait_sec:.0f} s"
