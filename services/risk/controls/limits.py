"""Limits: what is held beyond them opens nothing further. Pure.

They are checked before each opening by those who open; here what is held is counted again, by its own word,
so that a mistake there is found. A person mends it: by closing, or by another limit.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from libs.carry.bounds import EPSILON_USD
from libs.carry.costs import venue_id
from libs.carry.exposure import too_much, usd_by_exchange
from libs.common.config.schema import Config, Mode
from libs.common.instant import Now
from libs.common.messages import AlertLevel
from libs.common.messages_exec import Level, PairStatus
from services.risk.facts import Facts
from services.risk.finding import Finding, Quiet
from services.risk.scopes import GLOBAL, venue_scope

LIVE_CAP_USD: Final = 1_000.0
"""In mode live, until `limits.acknowledged`."""


def notional_limit_usd(config: Config) -> tuple[float | None, str]:
    """The limit on all pairs together, and its name."""
    told = config.limits.max_notional_usd
    capped = config.mode is Mode.LIVE and not config.limits.acknowledged
    if capped and (told is None or told > LIVE_CAP_USD):
        return LIVE_CAP_USD, "the cap of live mode before limits.acknowledged"
    return told, "limits.max_notional_usd"


class Limits(Quiet):
    """Compared with what is held."""

    name = "limits"

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def judge(self, _now: Now) -> Iterable[Finding]:
        """Each limit that is exceeded, by name."""
        held = self._facts.held()
        if broken := "; ".join(self._whole(held)):
            yield self._finding(GLOBAL, broken)
        yield from self._venues(held)
        yield from self._leverage()

    def _whole(self, held: dict[str, PairStatus]) -> Iterable[str]:
        limit_usd, name = notional_limit_usd(self._facts.config)
        total_usd = sum(float(status.notional_usd) for status in held.values())
        if limit_usd is not None and total_usd > limit_usd + EPSILON_USD:
            yield f"{total_usd:,.0f} USD are held, {name} is {limit_usd:,.0f}"
        pairs_max = self._facts.config.limits.max_pairs
        if len(held) > pairs_max:
            yield f"{len(held)} pairs are held, limits.max_pairs is {pairs_max}"

    def _venues(self, held: dict[str, PairStatus]) -> Iterable[Finding]:
        limit_usd = self._facts.config.limits.max_notional_per_venue_usd
        on = usd_by_exchange(
            (leg.venue, float(status.notional_usd)) for status in held.values() for leg in status.legs
        )
        for exchange, usd in on.items():
            if too_much({exchange: usd}, limit_usd) is None or limit_usd is None:
                continue
            text = f"{usd:,.0f} USD lie on {exchange}, limits.max_notional_per_venue_usd is {limit_usd:,.0f}"
            for venue in sorted(self._facts.scopes.venues):
                if venue_id(venue) == exchange:
                    yield self._finding(venue_scope(venue), text)

    def _leverage(self) -> Iterable[Finding]:
        limit = self._facts.config.limits.max_leverage
        for venue, heard in sorted(self._facts.accounts.items()):
            if venue not in self._facts.scopes.venues:
                continue
            ours = self._facts.contracts_at(venue)
            high = [
                f"{one.instrument} {one.leverage:g}"
                for one in heard.message.positions
                if one.instrument in ours and one.quantity and one.leverage is not None
                if not one.leverage <= limit
            ]
            if high:
                text = f"leverage of {', '.join(sorted(high))}, limits.max_leverage is {limit:g}"
                yield self._finding(venue_scope(venue), text)

    def _finding(self, scope: str, reason: str) -> Finding:
        return Finding(
            scope=scope,
            level=Level.NO_OPENS,
            control=self.name,
            reason=reason,
            until="it is within the limit",
            alert=AlertLevel.WARNING,
        )
