"""What the executor answers when it is asked how things are: plain JSON values. Pure projections."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from libs.common.effects import Alert, Note
from libs.common.instant import US_PER_MS, Now
from libs.common.messages import AlertLevel
from services.executor import stall
from services.executor.events import StoreTold
from services.executor.lane import Lane
from services.executor.model import Intent, IntentState, State
from services.executor.opening import why_none
from services.executor.say import pair_status
from services.executor.world import World

OwnerOf = Callable[[str, Now], str]
"""(pair, now) -> who else leads it, "" while nobody is heard."""

LEFT_BEHIND: Final = (
    "not in this config; unless another executor has it, put it back, close it, then remove it"
)

STORE_KEY: Final = "executor:store"

_HELD_FIELDS: Final = ("state", "direction", "notional_usd", "delta", "delta_ratio", "naked_usd", "reason")


def positions(lanes: Mapping[str, Lane], owner_of: OwnerOf, now: Now) -> dict[str, Any]:
    """Held pairs that are led here, with their legs; who leads the others; how many are idle here."""
    held, idle = {}, 0
    for pair, lane in lanes.items():
        if lane.lease is None or not lane.loaded:
            continue
        if lane.state.state is State.IDLE and lane.state.is_flat:
            idle += 1
            continue
        told = msgspec.to_builtins(pair_status(lane, now))
        held[pair] = {name: told[name] for name in _HELD_FIELDS} | {"legs": told["legs"]}
    return {"pairs": held, "idle": idle, "elsewhere": _elsewhere(lanes, owner_of, now)}


def status(world: World, lanes: Mapping[str, Lane], owner_of: OwnerOf, now: Now) -> dict[str, Any]:
    """Why what is done is done, and what is not is not."""
    ours = {pair: lane for pair, lane in lanes.items() if lane.lease is not None}
    unknown = [
        (lane, one)
        for lane in ours.values()
        for one in lane.intents.values()
        if one.state is IntentState.UNKNOWN
    ]
    quarantined = {pair: until for pair, lane in ours.items() if (until := _quarantined(lane, now))}
    return {
        "pairs": {pair: _pair(lane, now) for pair, lane in ours.items()},
        "elsewhere": _elsewhere(lanes, owner_of, now),
        "unknown_orders": [_order(lane, one, now) for lane, one in unknown],
        "permit": _permit(world, now),
        "store": world.store_away or world.scarce or "ok",
        "reserved_elsewhere": {pair: f"{held}: {LEFT_BEHIND}" for pair, held in world.reserved_else.items()},
        "keys": world.bad_key or "ok",
        "venues": _venues(world, ours),
        "quarantined_until_ms": quarantined,
    }


def of_store(told: StoreTold) -> Alert | Note:
    """A person hears of it before a position meets it, and why nothing happens once it has."""
    if told.away:
        text = f"nothing is sent, to open or to close, until the store is back: {told.away}"
        return Alert(level=AlertLevel.CRITICAL, key=STORE_KEY, text=text)
    if told.scarce:
        return Alert(level=AlertLevel.WARNING, key=STORE_KEY, text=told.scarce)
    return Note(text="the store has room again", level=AlertLevel.INFO)


def waits_for(lane: Lane) -> str:
    """What the pair waits for, empty when for nothing."""
    return stall.why(lane) or lane.heed.waits


def _pair(lane: Lane, now: Now) -> dict[str, Any]:
    state, world = lane.state, lane.world
    ratio, _ = world.allowed(lane.pair, lane.keys, now)
    told: dict[str, Any] = {
        "state": state.state.value if lane.loaded else "not read yet",
        "reason": state.reason,
        "waits": waits_for(lane),
        "orders_open": sum(not one.state.is_final for one in lane.intents.values()),
        "opens": _why_not(lane, now) or "ok",
    }
    if ratio < 1:
        told["may_keep"] = float(ratio)
    return {**told, **({"flattened": state.flattened} if state.flattened else {})}


def _why_not(lane: Lane, now: Now) -> str:
    """Why nothing of the pair may increase now: by risk's word, or by what is known of its market."""
    world = lane.world
    why = world.forbidden(lane.pair, lane.keys, now) or world.why_not_set_up(lane.keys)
    return why or (why_none(lane, now) if lane.state.state is State.IDLE else "")


def _order(lane: Lane, one: Intent, now: Now) -> dict[str, Any]:
    venue, instrument = lane.keys[one.leg]
    return {
        "pair": lane.pair,
        "id": one.id,
        "venue": venue,
        "instrument": instrument,
        "purpose": one.purpose.value,
        "age_ms": (now.wall_us - one.created_us) // US_PER_MS,
        "reason": one.reason,
    }


def _permit(world: World, now: Now) -> dict[str, Any]:
    permit, age_us = world.permits.permit, world.permits.age_us(now)
    return {
        "fresh": world.permits.fresh(now),
        "why": world.permits.stale_reason(now),
        "age_ms": None if age_us is None else age_us // US_PER_MS,
        "risk_epoch": None if permit is None else permit.risk_epoch,
        "revision": None if permit is None else permit.revision,
    }


def _venues(world: World, lanes: Mapping[str, Lane]) -> dict[str, Any]:
    names = dict.fromkeys(venue for lane in lanes.values() for venue, _ in lane.keys)
    return {
        venue: {
            "account": world.unread.get(venue, "ok"),
            "liquidation_distance": world.distances.get(venue),
        }
        for venue in names
    }


def _elsewhere(lanes: Mapping[str, Lane], owner_of: OwnerOf, now: Now) -> dict[str, str]:
    away = (pair for pair, lane in lanes.items() if lane.lease is None)
    return {pair: owner_of(pair, now) or "nobody is heard" for pair in away}


def _quarantined(lane: Lane, now: Now) -> int | None:
    until_ms = pair_status(lane, now).quarantined_until_ms
    return until_ms if until_ms is not None and until_ms > now.market_ms else None
