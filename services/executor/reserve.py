"""The portfolio's notional reservation: what a pair takes of `limits.*`, over all executors of a deployment.

Taken in the same atomic step as the first orders of an opening, kept while the pair is anything but idle, and
given back by the step that makes it idle. What stands already is written without asking for room: a position
that is there counts, whatever the limits say today.
"""

from __future__ import annotations

import functools
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Final

from libs.carry.exposure import usd_by_exchange
from libs.common.config.schema import Config, Mode
from libs.common.instant import US_PER_SEC, Now
from libs.common.reservation import Reservation, value_of
from services.executor.model import PairState, State

if TYPE_CHECKING:
    from services.executor.world import World

KEY: Final = "reserved"
PAIRS: Final = "pairs"
TOTAL: Final = "usd_cents"

LIVE_USD_MAX: Final = Decimal(1_000)
"""Of all pairs together in live mode until `limits.acknowledged` (risk.md)."""

REFUSED_US: Final = 5 * US_PER_SEC
"""So long nothing else is opened after the store said that there is no room: each refusal costs a reload."""


def cap_usd(config: Config) -> tuple[Decimal | None, str]:
    """How much all pairs together may have a leg, in USD (None: any), and what says so."""
    limit = config.limits.max_notional_usd
    cap = None if limit is None else Decimal(str(limit))
    if config.mode is Mode.LIVE and not config.limits.acknowledged and (cap is None or cap > LIVE_USD_MAX):
        return LIVE_USD_MAX, "the live cap until limits.acknowledged"
    return cap, "limits.max_notional_usd"


def amounts_of(state: PairState) -> dict[str, int]:
    """What a pair takes, empty when it is idle. Cents of a leg in total; of both legs at their exchanges."""
    if state.state is State.IDLE:
        return {}
    return dict(_taken(state.notional_usd, state.legs[0].venue, state.legs[1].venue)[0])


def held_of(state: PairState) -> bytes | None:
    """What the hash has to hold for a pair; None for no field."""
    if state.state is State.IDLE:
        return None
    return _taken(state.notional_usd, state.legs[0].venue, state.legs[1].venue)[1]


@functools.lru_cache(maxsize=1_024)
def _taken(notional_usd: Decimal, first: str, second: str) -> tuple[dict[str, int], bytes]:
    """Asked several times at every turn of a pair, and the same for as long as it is open."""
    cents = int((notional_usd * 100).to_integral_value(rounding=ROUND_CEILING))
    on_exchanges = usd_by_exchange(((first, 1.0), (second, 1.0)))
    at = {f"{TOTAL}:{name}": cents * int(count) for name, count in on_exchanges.items()}
    amounts = {PAIRS: 1, TOTAL: cents, **at}
    return amounts, value_of(amounts)


def wish_of(state: PairState, config: Config) -> Reservation:
    """The reservation of a pair that is to be opened."""
    amounts, limits = amounts_of(state), {PAIRS: config.limits.max_pairs}
    total, _ = cap_usd(config)
    if total is not None:
        limits[TOTAL] = _cents(total)
    if (each := config.limits.max_notional_per_venue_usd) is not None:
        limits |= {name: _cents(Decimal(str(each))) for name in amounts if name.startswith(f"{TOTAL}:")}
    return Reservation(key=KEY, field=state.pair, amounts=amounts, limits=limits)


def _cents(usd: Decimal) -> int:
    return int((usd * 100).to_integral_value(rounding=ROUND_FLOOR))


def refusal_of(error: str | None, config: Config) -> str:
    """The limit that a store's refusal is about, in words; empty when it is about something else."""
    words = (error or "").removeprefix(f"{KEY}: no room: ")
    if error is None or words == error:
        return ""
    name, _, rest = words.partition(" would be ")
    wanted, _, limit = rest.partition(" of ")
    if name == PAIRS:
        return f"limits.max_pairs {limit} are taken, those of other executors included"
    said, most = f"{int(wanted) / 100:,.0f}", f"{int(limit) / 100:,.0f}"
    if name == TOTAL:
        return f"{cap_usd(config)[1]} {most} would be exceeded over all executors ({said})"
    at = name.removeprefix(f"{TOTAL}:")
    return f"limits.max_notional_per_venue_usd {most} would be exceeded on {at} over all executors ({said})"


def remember(world: World, text: str, now: Now) -> None:
    """The store has refused: nobody asks again at once."""
    world.no_room, world.no_room_until_us = text, now.mono_us + REFUSED_US


def no_room(world: World, now: Now) -> str:
    """Why nothing is opened since the store has refused a moment ago; empty otherwise."""
    return world.no_room if now.mono_us < world.no_room_until_us else ""
