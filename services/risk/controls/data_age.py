"""Data age, and blind risk: nothing opens on a market, or a pair, that risk itself cannot see. Pure.

    quote    2 s streamed, 2.5 intervals polled; 2.5 s where the pair is held (it is polled each second then)
    mark     5 s streamed (2.5 intervals where only polls tell it);  funding 120 s
    venue    its `md.health` comes each second: 5 s
    pair     its `exec.pair` comes each 5 s: 15 s

A quiet symbol is not a stale one: while the venue is connected and its quotes flow, a streamed quote stands
until the feed must have polled it. 30 s fresh before it opens again; what has not come yet since the start
opens as soon as it is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from libs.carry.ages import HOT_QUOTE_AGE_MAX_SEC, standing_quote_age_sec
from libs.carry.case import FUNDING_AGE_MAX_SEC, mark_age_max_sec, quote_age_max_sec
from libs.common.instant import US_PER_SEC, Now
from libs.common.messages import AlertLevel
from libs.common.messages_exec import Level
from libs.common.subjects import Kind
from services.risk.facts import Facts, Key, LegFacts
from services.risk.finding import Finding, Quiet
from services.risk.hysteresis import Switch
from services.risk.scopes import pair_scope, symbol_scope, venue_scope

FRESH_US: Final = 30 * US_PER_SEC
HEALTH_US_MAX: Final = 5 * US_PER_SEC
PAIR_US_MAX: Final = 15 * US_PER_SEC
_FRESH: Final = f"{FRESH_US // US_PER_SEC} s fresh"


class DataAge(Quiet):
    """Every leg, venue and pair of the config by what is known of it."""

    name = "data_age"

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._switches: dict[str, Switch] = {}
        self._why: dict[str, str] = {}

    def judge(self, now: Now) -> Iterable[Finding]:
        """Symbols that are stale, venues and pairs that risk is blind for."""
        for key, leg in self._facts.legs.items():
            yield from self._say(symbol_scope(*key), self._leg(key, leg, now), now)
        for venue in sorted(self._facts.scopes.venues):
            yield from self._say(venue_scope(venue), self._venue(venue, now), now, AlertLevel.WARNING)
        for pair in self._facts.scopes.specs:
            yield from self._say(pair_scope(pair), self._pair(pair, now), now)

    def _say(
        self, scope: str, found: tuple[str, bool], now: Now, alert: AlertLevel | None = None
    ) -> Iterable[Finding]:
        """`found`: why it is not seen ("" when it is), and whether it has ever been."""
        why, seen = found
        switch = self._switches.get(scope)
        if switch is None:
            if not seen:  # nothing to come back to: it opens with the first sight
                yield self._finding(scope, why, "it is seen", None)
                return
            switch = self._switches[scope] = Switch(leave=FRESH_US)
        if why:
            self._why[scope] = why
        if switch.judge(now.mono_us, over=bool(why)):
            yield self._finding(scope, self._why[scope], _FRESH, alert)

    def _finding(self, scope: str, why: str, until: str, alert: AlertLevel | None) -> Finding:
        return Finding(
            scope=scope, level=Level.NO_OPENS, control=self.name, reason=why, until=until, alert=alert
        )

    # --- one leg --------------------------------------------------------------------------------

    def _leg(self, key: Key, leg: LegFacts, now: Now) -> tuple[str, bool]:
        perp = leg.kind is Kind.PERP
        if leg.quote is None or (perp and leg.funding is None):
            return f"blind: no {'quote' if leg.quote is None else 'funding rate'} has come yet", False
        return self._quote(key, leg, now) or (self._rates(leg, now) if perp else ""), True

    def _quote(self, key: Key, leg: LegFacts, now: Now) -> str:
        if leg.quote is None:
            raise AssertionError("asked for before")
        quote, interval_sec = leg.quote.message, self._facts.config.monitor.interval_sec
        limit_sec = quote_age_max_sec(quote.source, interval_sec)
        if self._facts.is_held(key):
            limit_sec = min(limit_sec, HOT_QUOTE_AGE_MAX_SEC)
        own_sec = leg.quote.age_us(now) / US_PER_SEC
        venue_sec = None
        health = self._facts.venues.get(key[0])
        if health is not None and health.message.connected and quote.source == "stream":
            told = health.message.ages_sec.get("quote")
            venue_sec = None if told is None else told + health.age_us(now) / US_PER_SEC
        age_sec = standing_quote_age_sec(own_sec, venue_sec, poll_interval_sec=interval_sec)
        return f"its quote is {age_sec:.1f} s old, at most {limit_sec:.1f} s" if age_sec > limit_sec else ""

    def _rates(self, leg: LegFacts, now: Now) -> str:
        if leg.funding is not None and leg.funding.age_us(now) > FUNDING_AGE_MAX_SEC * US_PER_SEC:
            age_sec = leg.funding.age_us(now) / US_PER_SEC
            return f"its funding rate is {age_sec:.0f} s old, at most {FUNDING_AGE_MAX_SEC:.0f} s"
        if leg.mark is None:
            return ""
        interval_sec = self._facts.config.monitor.interval_sec
        polled_sec = mark_age_max_sec(interval_sec, streamed=False)
        streamed_us = leg.mark_streamed_us
        streams = streamed_us is not None and now.mono_us - streamed_us <= polled_sec * US_PER_SEC
        limit_sec = mark_age_max_sec(interval_sec, streamed=streams)
        age_sec = leg.mark.age_us(now) / US_PER_SEC
        return f"its mark is {age_sec:.1f} s old, at most {limit_sec:.1f} s" if age_sec > limit_sec else ""

    # --- venues and pairs -------------------------------------------------------------------------

    def _venue(self, venue: str, now: Now) -> tuple[str, bool]:
        heard = self._facts.venues.get(venue)
        if heard is None:
            return f"blind: no md.health of {venue} has come yet: is the feed running?", False
        if (age_us := heard.age_us(now)) > HEALTH_US_MAX:
            return f"blind: no md.health of {venue} for {age_us // US_PER_SEC} s: is the feed running?", True
        if heard.message.connected:
            return "", True
        return f"the feed is not connected to {venue}", venue_scope(venue) in self._switches

    def _pair(self, pair: str, now: Now) -> tuple[str, bool]:
        heard = self._facts.pairs.get(pair)
        if heard is None:
            return "blind: no executor has said yet what is held: is one running?", False
        if (age_us := heard.age_us(now)) > PAIR_US_MAX:
            return f"blind: no exec.pair for {age_us // US_PER_SEC} s: is the executor running?", True
        return "", True
