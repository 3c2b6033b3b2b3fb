"""Decisions where an executor runs: what is held is its word, and what signal wants goes out as intents.

Pure: `decide_trades(view, config, now, memory, standing)` answers a `TradeRound`. The rules are those of the
observer (`libs.carry`); what differs is that nothing is done because it was wished. A pair that leaves keeps
its place until it is idle, a wish to open keeps one until it has expired, and every wish is repeated each
round for as long as it holds and the pair's state has not followed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

import msgspec

from libs.carry.allocation import Allocation, allocate, beside
from libs.carry.case import Direction, Refusal, percent
from libs.carry.holding import soft_close_waits
from libs.carry.ranking import ranked
from libs.common.config.schema import Config
from libs.common.instant import MS_PER_HOUR, Now
from libs.common.messages import Evaluation, Intent, Opportunity
from libs.common.messages_exec import PairStatus
from services.signal.decide import Held, evaluate_pair, follow, held_text, leaving, rotation_text, told
from services.signal.selection import Left
from services.signal.standing import Standing
from services.signal.view import MarketView
from services.signal.wishes import (
    Asked,
    Memory,
    asked_by,
    held_of,
    held_usd,
    in_vain,
    intent_of,
    next_tries,
    rest_ms,
)

replace = msgspec.structs.replace

MOVING: Final = frozenset({"opening", "closing", "unwinding"})


class TradeRound(msgspec.Struct, frozen=True, kw_only=True):
    """One round: `intents` to publish; `fresh` are the pairs whose wish was not there a round ago.

    `waiting`: pair -> code -> why in words, for whatever passes or should close and is not asked for.
    """

    opportunities: tuple[Opportunity, ...]
    evaluation: Evaluation
    memory: Memory
    intents: tuple[Intent, ...]
    fresh: frozenset[str]
    waiting: dict[str, dict[str, str]]


class _Round:
    """What a round works out on its way; lives for one call of `decide_trades`."""

    def __init__(
        self, view: MarketView, config: Config, now: Now, memory: Memory, standing: Standing
    ) -> None:
        self.view, self.config, self.now = view, config, now
        self.memory, self.standing = memory, standing
        self.best: dict[str, Opportunity] = {}
        self.count = 0
        self.taking: dict[str, Opportunity] = {}  # as the limits count them
        self.fixed: set[str] = set()
        self.held: dict[str, Held] = {}
        self.closes: dict[str, str] = {}
        self.rests: dict[str, Left] = {}
        self.withheld: dict[str, Refusal] = {}
        self.waiting: dict[str, dict[str, str]] = {}
        self.notes: dict[str, dict[str, str]] = {}

    def evaluate(self, hot: frozenset[str]) -> None:
        self.best = {
            pair: evaluate_pair(self.view, pair, self.now, hot=pair in hot) for pair in self.view.specs
        }
        self.count = len(self.best)
        self.notes = {pair: {} for pair in self.best}

    def seen(self, pair: str, direction: Direction) -> Opportunity:
        """A pair as evaluated in a direction."""
        seen = self.best[pair]
        if seen.direction == direction:
            return seen
        self.count += 1
        return evaluate_pair(self.view, pair, self.now, direction=direction)

    def tick_us(self, pair: str) -> int | None:
        """Wall time of the newest quote of its legs: a round decides upon all that is known by then."""
        spec = self.view.specs[pair]
        quotes = (self.view.legs[leg.venue, leg.instrument].quote for leg in (spec.first, spec.second))
        return max((one.recv_us for one in quotes if one is not None), default=None)

    def wait(self, pair: str, code: str, text: str) -> None:
        self.waiting.setdefault(pair, {})[code] = text
        self.notes[pair][code] = text


def decide_trades(
    view: MarketView,
    config: Config,
    now: Now,
    memory: Memory,
    standing: Standing,
    *,
    evaluations_before: int = 0,
    hot: frozenset[str] = frozenset(),
) -> TradeRound:
    """Evaluate every pair, follow what is held, ask for closes by the rules and for opens by the ranking."""
    this = _Round(view, config, now, memory, standing)
    this.evaluate(hot)
    this.rests = {pair: left for pair, left in memory.left.items() if rest_ms(left, config, now) > 0}
    for pair, status in standing.taking().items():
        _judge_held(this, pair, status)
    this.held |= _unheard(memory, standing, view)
    asked = _still_asked(this)
    _fix_while_moving(this, asked)
    ordered = ranked(this.best.values())
    for item in ordered:
        if item.passes and item.pair not in this.taking:
            _withhold(this, item.pair)
    allocation = allocate(
        ordered,
        this.taking,
        config.limits,
        rotation_hurdle=config.thresholds.rotation_hurdle,
        horizon_days=config.thresholds.forecast_horizon_days,
        barred=this.withheld,
        fixed=this.fixed,
    )
    opens = _opens(this, allocation, asked)
    intents = (*_open_intents(this, opens), *_close_intents(this))
    return _told(this, ordered, allocation, intents, asked, evaluations_before=evaluations_before)


# --- what is held ---------------------------------------------------------------------------------


def _judge_held(this: _Round, pair: str, status: PairStatus) -> None:
    """A pair that is not idle takes its place; when it is steady the rules may want it closed."""
    now, standing = this.now, this.standing
    seen = this.seen(pair, status.direction)
    usd = held_usd(status)
    this.taking[pair] = replace(seen, notional_usd=usd)
    hands_off = standing.hands_off(pair, now)
    held = held_of(this.memory.held.get(pair), status, seen)
    if held is None:
        this.fixed.add(pair)
        this.notes[pair]["held"] = hands_off or f"{status.direction} since just now"
        return
    held = follow(this.view, pair, held, seen=seen, config=this.config, now=now)
    this.held[pair] = held
    text = held_text(held, now)
    this.notes[pair]["held"] = f"{text}; {hands_off}" if hands_off else text
    holds_off = hands_off or soft_close_waits(seen, now.market_ms)
    if holds_off:
        this.fixed.add(pair)
    action, why = leaving(held, seen, this.config, now)
    if action == "watch":
        this.notes[pair]["watch"] = why
    elif action == "close":
        this.fixed.add(pair)
        if holds_off:
            this.wait(pair, "close_waits", f"{why}; {holds_off}")
            return
        this.closes[pair] = why
        if not this.config.thresholds.flip_reverse:
            this.rests[pair] = Left(market_ms=now.market_ms, why=why)


def _unheard(memory: Memory, standing: Standing, view: MarketView) -> dict[str, Held]:
    """Pairs of which nothing has been said since this process began: what is remembered of them stays."""
    return {
        pair: held for pair, held in memory.held.items() if pair in view.specs and pair not in standing.pairs
    }


# --- what is asked for ----------------------------------------------------------------------------


def _still_asked(this: _Round) -> dict[str, Asked]:
    """Wishes that may be carried out still; one to open takes its place as if it had been."""
    kept: dict[str, Asked] = {}
    for pair, wish in this.memory.asked.items():
        if pair not in this.best or this.now.mono_us > wish.until_us:
            continue
        if wish.action == "close" and pair in this.taking:
            kept[pair] = wish
        elif wish.action == "open" and pair not in this.taking:
            kept[pair] = wish
            seen = this.seen(pair, wish.direction)
            this.taking[pair] = replace(seen, notional_usd=wish.notional_usd)
            this.fixed.add(pair)
            if this.best[pair].passes:
                _withhold(this, pair)
    return kept


def _fix_while_moving(this: _Round, asked: Mapping[str, Asked]) -> None:
    """While any pair is on its way, or about to leave, no further one is replaced.

    The newcomer that it makes room for has none yet, and would else drive out a second pair. A replacement
    that was asked for and has not begun is repeated.
    """
    statuses = this.standing.taking().values()
    moving = this.closes or asked or any(status.state in MOVING for status in statuses)
    if moving:
        leaving_now = {pair for pair, wish in asked.items() if wish.action == "close"}
        this.fixed |= set(this.taking) - leaving_now


def _withhold(this: _Round, pair: str) -> None:
    """Name what stands against opening a pair that passes every gate of the market."""
    refusal = this.standing.no_open(pair, this.now)
    if refusal is None and (left := this.rests.get(pair)) is not None:
        hours = rest_ms(left, this.config, this.now) / MS_PER_HOUR
        refusal = Refusal("resting", f"left lately ({left.why}); rests for another {hours:.1f} h")
    if refusal is None and (tried := this.memory.tries.get(pair)) is not None and in_vain(tried, this.now):
        said = this.standing.pairs[pair].reason
        text = f"asked {tried.count} times, and its executor has not begun"
        refusal = Refusal("not_followed", f"{text}: {said}" if said else text)
    if refusal is not None:
        this.withheld[pair] = refusal
        this.wait(pair, refusal.code, refusal.text)


def _opens(this: _Round, allocation: Allocation, asked: Mapping[str, Asked]) -> list[str]:
    """Pairs to ask for now: the allocation's newcomers that have room already, and earlier wishes again."""
    for rotation in allocation.rotations:
        why = rotation_text(rotation)
        this.closes[rotation.old] = why
        this.rests[rotation.old] = Left(market_ms=this.now.market_ms, why=why)
    again = [
        pair
        for pair, wish in asked.items()
        if wish.action == "open"
        and this.best[pair].passes
        and this.best[pair].direction == wish.direction
        and pair not in this.withheld
    ]
    newcomers = [this.best[pair] for pair in allocation.opened]
    now, waiting = beside(newcomers, this.taking.values(), this.config.limits)
    successors = {rotation.new: rotation.old for rotation in allocation.rotations}
    for pair, obstacle in waiting.items():
        old = successors.get(pair)
        this.wait(pair, "waits", f"opens when {old} has left" if old else f"waits for room: {obstacle}")
    return [*again, *now]


def _open_intents(this: _Round, pairs: list[str]) -> list[Intent]:
    found = []
    for pair in pairs:
        item = this.best[pair]
        reason = f"{item.direction} at {percent(item.daily or 0.0)} a day"
        found.append(intent_of(item, "open", reason, this.now, tick_us=this.tick_us(pair)))
        this.notes[pair]["opening"] = f"asked to open {reason}"
    return found


def _close_intents(this: _Round) -> list[Intent]:
    found = []
    for pair, why in sorted(this.closes.items()):
        item = this.taking[pair]
        found.append(intent_of(item, "close", why, this.now, tick_us=this.tick_us(pair)))
        this.notes[pair]["closing"] = f"asked to close: {why}"
    return found


# --- what is said ---------------------------------------------------------------------------------


def _told(
    this: _Round,
    ordered: list[Opportunity],
    allocation: Allocation,
    intents: tuple[Intent, ...],
    asked: dict[str, Asked],
    *,
    evaluations_before: int,
) -> TradeRound:
    now = this.now
    for pair, why in allocation.skipped.items():
        this.wait(pair, "not_selected", why)
    taken = {pair: float(status.notional_usd) for pair, status in this.standing.taking().items()}
    refusals = Counter(code for item in ordered for code in item.refusals)
    refusals.update(refusal.code for refusal in this.withheld.values())
    wishes = {intent.pair: asked_by(intent, now) for intent in intents}
    idle = frozenset(this.standing.pairs.keys() - this.standing.taking().keys())
    opens = [intent.pair for intent in intents if intent.action == "open"]
    return TradeRound(
        opportunities=tuple(
            told(item, usd=taken.get(item.pair, 0.0), notes=this.notes[item.pair]) for item in ordered
        ),
        evaluation=Evaluation(
            pairs=len(ordered),
            passing=sum(item.passes for item in ordered),
            selected=tuple(sorted(taken)),
            evaluations_total=evaluations_before + this.count,
            refusals=dict(sorted(refusals.items())),
            market_ms=now.market_ms,
            eval_us=now.wall_us,
        ),
        memory=Memory(
            held=this.held,
            asked=asked | wishes,
            tries=next_tries(this.memory.tries, opens, idle, now),
            left=this.rests,
        ),
        intents=intents,
        fresh=frozenset(
            pair
            for pair, wish in wishes.items()
            if (former := asked.get(pair)) is None or former.action != wish.action
        ),
        waiting=this.waiting,
    )
