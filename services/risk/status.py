"""Risk's answer to `cmd.status`: what is shut, why, since when, until when, and what risk sees. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from libs.common.instant import US_PER_MS, Now
from libs.common.messages_exec import Breaker
from services.risk.controls.limits import notional_limit_usd
from services.risk.controls.loss import DailyLoss
from services.risk.facts import Facts
from services.risk.latches import Latch


def ages_ms(facts: Facts, now: Now) -> dict[str, int]:
    """Ages of risk's own inputs, the oldest of each kind; of what has never come, since risk listens."""
    found: dict[str, int] = {}
    quotes = [facts.since_us(leg.quote, now) for leg in facts.legs.values()]
    pairs = [facts.since_us(facts.pairs.get(pair), now) for pair in facts.scopes.specs]
    found["md.quote"] = max(quotes, default=0) // US_PER_MS
    found["exec.pair"] = max(pairs, default=0) // US_PER_MS
    found["sys.health.executor"] = facts.since_us(facts.services.get("executor"), now) // US_PER_MS
    for venue in sorted(facts.scopes.venues):
        found[f"md.health.{venue}"] = facts.since_us(facts.venues.get(venue), now) // US_PER_MS
        found[f"exec.account.{venue}"] = facts.since_us(facts.accounts.get(venue), now) // US_PER_MS
    return found


def limits_of(facts: Facts) -> dict[str, Any]:
    """The limits in use, by the names of the config."""
    limit_usd, name = notional_limit_usd(facts.config)
    limits = facts.config.limits
    return {
        "max_notional_usd": limit_usd,
        "max_notional_usd_is": name,
        "max_notional_per_venue_usd": limits.max_notional_per_venue_usd,
        "max_pairs": limits.max_pairs,
        "max_leverage": limits.max_leverage,
        "max_naked_usd": limits.max_naked_usd,
    }


def status_of(
    facts: Facts,
    *,
    epoch: int,
    revision: int,
    breakers: Iterable[Breaker],
    latches: Iterable[tuple[Latch, bool]],
    max_ratio: Mapping[str, float],
    loss: DailyLoss,
    problems: Mapping[str, str],
    now: Now,
) -> dict[str, Any]:
    """Plain JSON values. `nothing_because`: why nothing may be opened anywhere, "" while something may."""
    held = list(breakers)
    whole = next((one for one in held if one.scope == "global"), None)
    return {
        "risk_epoch": epoch,
        "revision": revision,
        "level": "normal" if whole is None else whole.level.value,
        "nothing_because": "" if whole is None else f"global is {whole.level.value}: {whole.reason}",
        "breakers": [msgspec.to_builtins(one) for one in held],
        "latches": [{**msgspec.to_builtins(one), "durable": durable} for one, durable in latches],
        "max_ratio": dict(max_ratio),
        "ages_ms": ages_ms(facts, now),
        "limits": limits_of(facts),
        "equity": {
            "known_usd": loss.known_usd,
            "day_start_usd": None if loss.day is None else loss.day.start_usd,
            "unknown_because": loss.unknown,
        },
        "problems": {key: text for key, text in problems.items() if text},
    }
