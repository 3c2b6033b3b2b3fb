"""From a market view to decisions: what each pair is worth, which ones would be held, which left.

Pure: `decide(view, config, now, held)` answers a `Round`; `evaluate_pair` is one pair of it, for a tick.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec

from libs.carry.allocation import Allocation, Rotation, allocate
from libs.carry.case import Direction, percent
from libs.carry.evaluate import evaluate
from libs.carry.holding import Holding, judge, on_current, on_settled, opened
from libs.carry.ranking import ranked
from libs.common.config.schema import Config
from libs.common.instant import MS_PER_HOUR, Now
from libs.common.messages import Evaluation, Opportunity
from services.signal.view import MarketView


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A pair that is held, or in observer mode would be. `round_trip` as it was at the opening."""

    direction: Direction
    notional_usd: float
    round_trip: float
    holding: Holding


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One full evaluation: `opportunities` in rank order, `held` after it, changes with their reasons."""

    opportunities: tuple[Opportunity, ...]
    evaluation: Evaluation
    held: dict[str, Held]
    opened: dict[str, str]
    closed: dict[str, str]


def evaluate_pair(
    view: MarketView,
    pair: str,
    now: Now,
    *,
    tick_us: int | None = None,
    direction: Direction | None = None,
    hot: bool = False,
) -> Opportunity:
    """One pair now, in the direction that earns more unless one is given."""
    spec = view.specs[pair]
    found = evaluate(
        view.terms[pair],
        view.leg_input(spec.first, now, hot=hot),
        view.leg_input(spec.second, now, hot=hot),
        view.settled(pair),
        market_ms=now.market_ms,
        eval_us=now.wall_us,
        tick_us=tick_us,
        direction=direction,
    )
    apart = view.rates_apart.get(pair)
    return told(found, usd=0.0, notes={"account_rates": apart}) if apart else found


def follow(view: MarketView, pair: str, held: Held, *, seen: Opportunity, config: Config, now: Now) -> Held:
    """A held pair after `seen`, evaluated in its direction; an unknown carry moves no clock."""
    spec = view.specs[pair]
    first, second = view.prints(spec.first), view.prints(spec.second)
    long, short = (first, second) if held.direction == "forward" else (second, first)
    holding = on_settled(held.holding, long, short)
    if seen.daily is not None:
        minimum = config.thresholds.daily_funding_min
        holding = on_current(holding, seen.daily, now.market_ms, daily_funding_min=minimum)
    return held if holding is held.holding else msgspec.structs.replace(held, holding=holding)


def leaving(held: Held, opportunity: Opportunity, config: Config, now: Now) -> tuple[str, str]:
    """(action, why) for a held pair: the holding rules, and a dated leg's expiry."""
    if "expires_soon" in opportunity.refusals:
        return "close", opportunity.reasons["expires_soon"]
    verdict = judge(held.holding, now.market_ms, config.thresholds, round_trip=held.round_trip)
    return verdict.action, verdict.text


def decide(
    view: MarketView,
    config: Config,
    now: Now,
    held: Mapping[str, Held] | None,
    *,
    evaluations_before: int = 0,
    hot: frozenset[str] = frozenset(),
) -> Round:
    """Evaluate every pair, follow what is held, close what the rules say, open down the ranking.

    `held` None: it is not known yet what is held, so nothing is selected, opened or closed.
    """
    best = {pair: evaluate_pair(view, pair, now, hot=pair in hot) for pair in view.specs}
    count = len(best)
    current: dict[str, Opportunity] = {}
    kept: dict[str, Held] = {}
    closed: dict[str, str] = {}
    notes: dict[str, dict[str, str]] = {pair: {} for pair in best}
    for pair, item in (held or {}).items():
        if pair not in best:
            closed[pair] = "no longer configured"
            continue
        seen = best[pair]
        if seen.direction != item.direction:
            seen = evaluate_pair(view, pair, now, direction=item.direction)
            count += 1
        after = follow(view, pair, item, seen=seen, config=config, now=now)
        action, why = leaving(after, seen, config, now)
        if action == "close":
            closed[pair] = why
            notes[pair]["would_close"] = why
            continue
        kept[pair], current[pair] = after, seen
        notes[pair]["held"] = held_text(after, now)
        if action == "watch":
            notes[pair]["watch"] = why
    ordered = ranked(best.values())
    allocation = _allocated(ordered, current, config, closed) if held is not None else None
    entered: dict[str, str] = {}
    if allocation is not None:
        entered = _opened(
            allocation, {item.pair: item for item in ordered}, kept, closed, notes=notes, now=now
        )
    for pair, why in (allocation.skipped if allocation else {}).items():
        notes[pair]["not_selected"] = why
    opportunities = tuple(
        told(item, usd=kept[item.pair].notional_usd if item.pair in kept else 0.0, notes=notes[item.pair])
        for item in ordered
    )
    refusals = Counter(code for item in ordered for code in item.refusals)
    evaluation = Evaluation(
        pairs=len(ordered),
        passing=sum(item.passes for item in ordered),
        selected=tuple(sorted(kept)),
        evaluations_total=evaluations_before + count,
        refusals=dict(sorted(refusals.items())),
        market_ms=now.market_ms,
        eval_us=now.wall_us,
    )
    return Round(opportunities=opportunities, evaluation=evaluation, held=kept, opened=entered, closed=closed)


def _allocated(
    ordered: list[Opportunity], current: Mapping[str, Opportunity], config: Config, closed: Mapping[str, str]
) -> Allocation:
    """Capital down the ranking; what was just closed comes back at once only where reversals are wanted."""
    return allocate(
        ordered,
        current,
        config.limits,
        rotation_hurdle=config.thresholds.rotation_hurdle,
        horizon_days=config.thresholds.forecast_horizon_days,
        barred=() if config.thresholds.flip_reverse else closed,
    )


def _opened(
    allocation: Allocation,
    items: Mapping[str, Opportunity],
    kept: dict[str, Held],
    closed: dict[str, str],
    *,
    notes: dict[str, dict[str, str]],
    now: Now,
) -> dict[str, str]:
    """Carry the allocation out on `kept`: rotations leave, newcomers enter (answered: pair -> why)."""
    for rotation in allocation.rotations:
        kept.pop(rotation.old)
        closed[rotation.old] = rotation_text(rotation)
        notes[rotation.old].pop("held", None)
        notes[rotation.old]["would_close"] = closed[rotation.old]
    entered: dict[str, str] = {}
    for pair in allocation.opened:
        item = items[pair]
        kept[pair] = Held(
            direction=item.direction,
            notional_usd=item.notional_usd,
            round_trip=item.round_trip,
            holding=opened(now.market_ms),
        )
        entered[pair] = f"{item.direction} at {percent(item.daily or 0.0)} a day, rank {item.rank}"
        notes[pair]["held"] = f"would open {item.direction} now"
    return entered


def told(
    opportunity: Opportunity, *, usd: float, notes: Mapping[str, str], rank: int | None = None
) -> Opportunity:
    """The opportunity as it is published: with what was decided about the pair beside what was refused."""
    if not usd and not notes and rank is None:
        return opportunity
    return msgspec.structs.replace(
        opportunity,
        allocated_usd=usd,
        rank=opportunity.rank if rank is None else rank,
        reasons={**opportunity.reasons, **notes},
    )


def rotation_text(rotation: Rotation) -> str:
    """Why the old pair of a rotation leaves."""
    return (
        f"{rotation.new} earns {rotation.advantage_usd:.2f} USD more over the forecast horizon,"
        f" the hurdle is {rotation.hurdle_usd:.2f}"
    )


def held_text(held: Held, now: Now) -> str:
    """A held pair in one line."""
    hours = (now.market_ms - held.holding.since_ms) / MS_PER_HOUR
    return (
        f"{held.direction} for {hours:.1f} h, funding so far {percent(held.holding.earned)},"
        f" round trip {percent(held.round_trip)}"
    )
