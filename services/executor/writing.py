"""A turn of a pair as one atomic change: state, orders, dust, ledger, journal, reservation. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from libs.common.codec import encode
from libs.common.store import Transition
from services.executor import reserve
from services.executor.model import State

if TYPE_CHECKING:
    from services.executor.lane import Draft, Lane

JOURNAL: Final = "journal"

FINALS_KEPT: Final = 32
"""Final orders that stay in the pair's hash, so that late news of them find their order."""


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


def _intents(draft: Draft) -> dict[str, bytes | None]:
    """Orders that changed, and old final ones beyond those that are kept: the journal has them all."""
    hashes: dict[str, bytes | None] = {key: encode(intent) for key, intent in draft.changed.items()}
    finals = [key for key, intent in draft.intents.items() if intent.state.is_final]
    for gone in finals[: max(0, len(finals) - FINALS_KEPT)]:
        hashes[gone] = None
        draft.intents.pop(gone)
    return hashes
