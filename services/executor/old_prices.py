"""What an order that reduces may cost while the feed is silent. Pure.

A quote that is older than `QUOTE_AGE_US_MAX` says little: the market may have moved on, and a limit within
5 % of it is then beside the market for ever, while the other leg is gone. Whatever is newer counts too, the
worst of it for us: marks (the feed's, and those of the account's own positions), quotes of the same coin
elsewhere, what the pair's own orders got. Where that is not enough either, the last step of a spot buy gets
wider with each try; contracts and sales end with market orders anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from services.executor.model import LOANS, ZERO, Side
from services.executor.sizing import FINEST, LADDER, SPOT_BUY_LAST, ceil_to, floor_to, limit_price
from services.executor.world import Key, Seen

if TYPE_CHECKING:
    from services.executor.lane import Draft, Lane
    from services.executor.model import Intent

WIDEST: Final = Decimal("0.25")
"""The last step of a spot buy on an old quote: 5 %, 10 %, ... up to this; then from 5 % on again, since a
wide limit asks for more money than the account may have.
"""

MOVED_MAX: Final = Decimal("0.5")
"""No limit is further than this beyond the last quote, whatever the marks say."""


def reducing_price(lane: Lane, draft: Draft, leg: int, side: Side, collar: Decimal | None) -> Decimal | None:
    """The limit of an order that reduces, None for a market order (or where no price was ever seen)."""
    key, rules = lane.keys[leg], lane.rules(leg)
    best = lane.world.price(key, side)
    if best is None or collar is None:
        return None
    tick = rules.tick if rules is not None else FINEST
    seen = lane.world.seen(key)
    if seen is None or not lane.world.is_old(key, draft.now):
        return limit_price(side, best, collar, tick)
    newer = list(_newer(lane, draft, key, seen))
    if side == "buy":
        price = limit_price(side, max(best, *newer, ZERO), collar, tick)
        return max(tick, min(price, floor_to(best * (1 + MOVED_MAX), tick)))
    price = limit_price(side, min((best, *newer)), collar, tick)
    return max(price, ceil_to(best * (1 - MOVED_MAX), tick))


def last_collar(lane: Lane, draft: Draft, leg: int, tries: int) -> Decimal:
    """The last step of a spot buy at try number `tries` of its ladder."""
    if not lane.world.is_old(lane.keys[leg], draft.now):
        return SPOT_BUY_LAST
    steps = int(WIDEST / SPOT_BUY_LAST)
    return SPOT_BUY_LAST * (1 + (tries - len(LADDER)) % steps)


def _newer(lane: Lane, draft: Draft, key: Key, seen: Seen) -> Iterator[Decimal]:
    """Prices of the same coin that were seen after a quote."""
    world, coin = lane.world, _coin(key)
    for other, (mark, mono_us) in world.marked.items():
        if mono_us > seen.mono_us and _coin(other) == coin:
            yield mark
    for other, quote in world.quotes.items():
        if quote.mono_us > seen.mono_us and _coin(other) == coin:
            yield quote.mid
    age_us = draft.now.mono_us - seen.mono_us
    yield from _paid(draft.intents.values(), draft.now.wall_us - age_us)


def _paid(intents: Iterable[Intent], since_us: int) -> Iterator[Decimal]:
    """The mean prices of a pair's own orders that were made after a wall time."""
    for one in intents:
        if one.purpose not in LOANS and one.filled > 0 and one.filled_quote > 0 and one.created_us > since_us:
            yield one.filled_quote / one.filled


def _coin(key: Key) -> list[str]:
    """Base and quote currency of an instrument."""
    return key[1].split("-")[:2]
