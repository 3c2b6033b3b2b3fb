"""What a person's command does to one pair, in that pair's own turn; and what is answered. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from libs.common.commands import Asked
from libs.common.money import plain
from services.executor import closing, flatten, rebalancing, wishes
from services.executor.lane import Draft, Lane
from services.executor.model import State
from services.executor.steps import unbalanced
from services.executor.telling import waits_for


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """The answer for one pair: `result`, or with a `code` why nothing was done, in words."""

    code: str = ""
    text: str = ""
    result: dict[str, Any] = {}


Work = Callable[[Lane, Draft, Asked], Said]


def no(code: str, text: str) -> Said:
    """Nothing was done."""
    return Said(code=code, text=text)


def by_hand(asked: Asked) -> str:
    """`by hand (ann): delisting`: a reason that says that a person is behind it."""
    who = f" ({asked.actor})" if asked.actor else ""
    return f"by hand{who}: {asked.reason}" if asked.reason else f"by hand{who}"


def open_pair(lane: Lane, draft: Draft, asked: Asked) -> Said:
    """As an intent would, by the same rules. The size is the config's where the command names none."""
    command, config = asked.command, lane.world.config
    if command.direction is None:
        return no("direction", "say `direction`: forward is long the pair's first leg, reverse its second")
    usd = command.notional_usd or f"{config.position.notional_usd:g}"
    if why := wishes.not_opened(lane, draft, usd, command.direction, by_hand(asked)):
        return no("not_opened", why)
    return Said(result={"begun": "open", "direction": command.direction, "notional_usd": usd})


def close_pair(lane: Lane, draft: Draft, asked: Asked) -> Said:
    """A soft close, also while the back-off after a failed one lasts: a person knows what he wants. A hard
    one begins when both venues answer, also over a restart.
    """
    if asked.command.hard and draft.state.state in (State.ACTIVE, State.CLOSING):
        draft.set(forced=f"closed by force {by_hand(asked)}")
        if lane.ready and not draft.live:
            flatten.demand(lane, draft, draft.state.forced)
        return Said(result={"begun": "hard close", "waits": waits_for(lane)})
    if draft.state.state is State.CLOSING:
        return Said(result={"begun": "", "state": "closing", "why": draft.state.reason})
    if refused := _not_held(lane, draft, "closed"):
        return refused
    closing.begin(draft, reason=by_hand(asked), hard=False)
    return Said(result={"begun": "close"})


def rebalance(lane: Lane, draft: Draft, asked: Asked) -> Said:
    """Bring the legs together now, by the cheaper way, also within `position.rebalanceThreshold`."""
    if refused := _not_held(lane, draft, "rebalanced"):
        return refused
    if (plan := draft.state.plan) is not None:
        return Said(result={"begun": "", "why": f"under way already: {plan.reason}"})
    apart = {"delta": plain(draft.state.delta), "delta_ratio": float(rebalancing.drift(draft))}
    if not unbalanced(lane, draft) or rebalancing.drift(draft) == 0:
        return Said(result={"begun": "", "why": "the legs agree as well as the venues can trade", **apart})
    plan = rebalancing.best_plan(lane, draft)
    draft.set(plan=msgspec.structs.replace(plan, reason=f"{plan.reason}, {by_hand(asked)}"))
    lane.entered_us = draft.now.mono_us
    return Said(result={"begun": "rebalance", "goals": [plain(goal) for goal in plan.goals], **apart})


def _not_held(lane: Lane, draft: Draft, done: str) -> Said | None:
    """Why a held pair is needed and this is none, or not now."""
    if draft.state.state is not State.ACTIVE:
        return no("state", f"the pair is {draft.state.state}: only an active one is {done}")
    if waits := waits_for(lane):
        return no("waits", f"it waits: {waits}")
    if draft.live or not lane.ready:
        return no("busy", "an order of it is under way: ask again in a second")
    return None


def flatten_pair(lane: Lane, draft: Draft, asked: Asked) -> Said:
    """Risk is away: the pair's own state keeps the demand, over restarts, until a reset ends it."""
    state = draft.state.state
    if state is State.STUCK:
        return no("stuck", f"it is stuck and does nothing by itself: {draft.state.reason}. Reset it first")
    draft.set(flattened=f"flattened {by_hand(asked)}")
    if state is State.IDLE:
        return Said(result={"begun": "", "state": "idle", "why": "nothing is held; nothing is opened either"})
    if lane.ready and not draft.live:
        flatten.demand(lane, draft, draft.state.flattened)
    return Said(result={"begun": "flatten", "state": state.value, "waits": waits_for(lane)})


WORKS: Final[Mapping[str, Work]] = {
    "open": open_pair,
    "close": close_pair,
    "rebalance": rebalance,
    "flatten": flatten_pair,
}
"""Verb -> what it does; `reset` needs looks at the venues first (`resetting`)."""
