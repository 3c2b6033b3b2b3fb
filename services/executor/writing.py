"""A turn of a pair as one atomic change: state, orders, dust, ledger, journal, reservation. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from libs.common.codec import encode
from libs.common.messages import AlertLevel
from libs.common.store import Transition
from services.executor import keeping, reserve
from services.executor.model import Leg, State
from services.executor.recalled import known_of

if TYPE_CHECKING:
    from services.executor.lane import Draft, Lane

replace = msgspec.structs.replace

JOURNAL: Final = "journal"


def pair_key(pair: str) -> str:
    """Where a pair lies in the store."""
    return f"pair:{pair}"


def intents_key(pair: str) -> str:
    """Where its orders lie."""
    return f"intents:{pair}"


def change_of(lane: Lane, draft: Draft) -> Transition:
    """The change that makes a draft durable; `draft.state` has its new version already."""
    written, hashes = encode(draft.state), _intents(draft)
    entry = {
        "pair": lane.pair.encode(),
        "version": str(draft.state.version).encode(),
        "wall_us": str(draft.now.wall_us).encode(),
        "moves": msgspec.json.encode(draft.moves),
        "state": written,
        "intents": msgspec.json.encode(
            {key: None if value is None else msgspec.Raw(value) for key, value in hashes.items()}
        ),
    }
    changed = {intents_key(lane.pair): hashes} if hashes else {}
    if draft.dust:
        changed["dust"] = draft.dust
    opens = lane.state.state is State.IDLE and draft.state.state is State.OPENING
    held = reserve.held_of(draft.state)
    if held != lane.reserved and not opens:
        changed[reserve.KEY] = {lane.pair: held}
    appends: dict[str, tuple[dict[str, bytes], ...]] = {JOURNAL: (entry,)}
    if draft.ledger:
        appends["ledger"] = tuple({"json": line} for line in draft.ledger)
    return Transition(
        expect={pair_key(lane.pair): lane.stored_version},
        lease=lane.lease,
        writes={pair_key(lane.pair): written},
        hash_writes=changed,
        set_adds={"ledger_ids": tuple(draft.ledger_ids)} if draft.ledger_ids else {},
        appends=appends,
        reserve=reserve.wish_of(draft.state, lane.world.config) if opens else None,
    )


def remembered(lane: Lane, draft: Draft) -> tuple[Leg, Leg]:
    """The legs with the coins that lay beside them at the last look that agreed, and what is known of their
    instruments: written with whatever is written, since a look or a quote alone is no reason to.
    """
    first, second = (
        replace(
            held,
            others=held.others if others is None or draft.borrows(leg) else others,
            known=known_of(lane, draft, leg),
        )
        for leg, held in enumerate(draft.state.legs)
        for others in (lane.heed.beside.get(leg),)
    )
    return first, second


def _intents(draft: Draft) -> dict[str, bytes | None]:
    """Orders that changed, and old ones that go: the journal has them all."""
    hashes: dict[str, bytes | None] = {key: encode(intent) for key, intent in draft.changed.items()}
    gone = keeping.parting(draft.intents.values(), wall_us=draft.now.wall_us)
    for order_id in (*gone.done, *gone.early):
        hashes[order_id] = None
        draft.intents.pop(order_id)
    if gone.early:
        text = f"more than {keeping.KEPT_MAX} orders may still fill or lack trades; no longer looked for: "
        draft.alert(AlertLevel.CRITICAL, "forgotten", f"{draft.state.pair}: {text}{', '.join(gone.early)}")
    return hashes
