"""What of a pair stands alone, in words: for whoever has to close it by hand. Pure."""

from __future__ import annotations

from libs.common.subjects import SPOT
from services.executor.lane import Draft, Lane
from services.executor.model import Purpose
from services.executor.steps import last_reason


def why_stuck(lane: Lane, draft: Draft, reason: str, purpose: Purpose) -> str:
    """Why a pair was given up, what a venue said last, what is naked now, and what a person does about it."""
    return f"{reason}: {last_reason(draft, purpose)}. {in_words(lane, draft)}"


def in_words(lane: Lane, draft: Draft) -> str:
    """The leg that has too much, by how much and what that is worth (USD at its mid), and the way out."""
    state, after = draft.state, f"`fundarb reset --pair {lane.pair} --yes`"
    if not state.delta:
        held = " and ".join(f"{leg.quantity:f} {leg.venue} {leg.instrument}" for leg in state.legs)
        return f"Its legs hedge each other: {held}. When the venues are well, {after}"
    larger = max((0, 1), key=lambda leg: abs(state.legs[leg].quantity))
    leg, amount, mid = state.legs[larger], abs(state.delta), lane.world.sizing_mid(lane.keys[larger])
    side, way = ("long", "sell it there") if leg.quantity > 0 else ("short", "buy it there")
    way += " and repay it" if leg.owed else "" if leg.kind is SPOT else " (reduce-only)"
    usd = "USD unknown" if mid is None else f"about {amount * mid:.0f} USD"
    naked = f"Not hedged: {side} {amount:f} ({usd}) of {leg.venue} {leg.instrument}"
    return f"{naked}. By hand: {way}, then {after}; without that, a reset tries again"
