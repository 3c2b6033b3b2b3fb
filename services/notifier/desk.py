"""Items from alert to delivery: repeats are counted, critical ones escalate, what is done is let go. Pure.

All that changes is marked, and `change` makes one transition of it: position and items are durable together,
so that each entry of the stream is taken in once, whenever the process dies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from libs.common.instant import US_PER_SEC
from libs.common.messages import AlertRaised
from libs.common.store import Transition
from services.notifier.model import ITEMS_KEY, POSITION_KEY, RANK, Item, Position, Setting, item_of

ITEMS_MAX: Final = 5_000
UNACKNOWLEDGED_US_MAX: Final = 24 * 3_600 * US_PER_SEC
"""A delivered critical item waits so long for somebody to acknowledge it; then it is forgotten."""

_encode: Final = msgspec.json.Encoder().encode


class Desk:
    """All items of a deployment, in memory as in the store."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self.position: Position | None = None
        self._version = 0
        self._store_id = ""
        self.items: dict[str, Item] = {}
        self._newest: dict[str, str] = {}
        self._dirty: set[str] = set()
        self._moved = False

    def reload(self, setting: Setting) -> None:
        """Other settings from now on; what waits goes by them."""
        self._setting = setting
        for item in list(self.items.values()):
            self._rerouted(item)

    # --- store ------------------------------------------------------------------------------------

    def load(self, position: Position, version: int, items: Iterable[Item], *, store_id: str) -> None:
        """Begin with what the store of this id holds; what was heard on the bus alone stays."""
        self.position, self._version, self._store_id = position, version, store_id
        direct = [item for item in self.items.values() if item.direct]
        self.items = {item.id: item for item in sorted([*items, *direct], key=lambda item: item.taken_us)}
        self._newest = {item.key: item.id for item in self.items.values() if item.kind != "resolved"}
        self._dirty.clear()
        self._moved = False
        for item in list(self.items.values()):
            self._rerouted(item)

    def unload(self) -> None:
        """What is durable is not known any more: nothing may be built on it until it is loaded again."""
        self.position = None

    def change(self) -> Transition | None:
        """What has changed since the last call, at the version that is expected; None when nothing has."""
        position = self.position
        if position is None or not (self._dirty or self._moved):
            return None
        fields: dict[str, bytes | None] = {}
        for one in sorted(self._dirty):
            item = self.items.get(one)
            fields[one] = None if item is None else _encode(item)
        change = Transition(
            store_id=self._store_id,  # in one that replaces a lost one the same version may be another life's
            expect={POSITION_KEY: self._version},
            writes={POSITION_KEY: _encode(position)},
            hash_writes={ITEMS_KEY: fields},
        )
        self._version += 1
        self._dirty.clear()
        self._moved = False
        return change

    def move(self, position: Position) -> None:
        self.position = position
        self._moved = True

    # --- intake -----------------------------------------------------------------------------------

    def take(self, entry_id: str, raised: AlertRaised, *, wall_us: int) -> Item | None:
        """An alert comes in; answers the item when it is a new matter. The caller moves the cursor."""
        item = item_of(entry_id, raised, taken_us=wall_us)
        known = self.items.get(self._newest.get(item.key, ""))
        if item.kind == "resolved":
            self.acknowledge(item.key, by="resolved")
            self._newest.pop(item.key, None)
        elif known is not None and self._repeats(known, item):
            self._count(known, item)
            return None
        return self.add(item)

    def add(self, item: Item) -> Item:
        """A new matter, for whoever wants to know it."""
        self._make_room()
        urgent = {"stage_us": item.taken_us} if item.urgent else {}
        waiting = tuple(name for name in self._setting.routes if self._goes_to(item, name))
        item = msgspec.structs.replace(item, waiting=waiting, **urgent)
        if item.kind != "resolved":
            self._newest[item.key] = item.id
        self._put(item)
        return item

    def settle_direct(self, direct: Item, entry_id: str) -> None:
        """What was heard on the bus has arrived in the stream: it goes on as a durable item."""
        self._drop(direct)
        item = msgspec.structs.replace(direct, id=entry_id, direct=False)
        self._newest[item.key] = item.id
        self._put(item)

    def _goes_to(self, item: Item, name: str) -> bool:
        chain = self._setting.chain
        if name in chain[1:]:
            return False
        return self._setting.routes[name].wants(item) or (item.urgent and name in chain)

    def _repeats(self, known: Item, item: Item) -> bool:
        """Whether it is said already: the same matter, not louder, within the window."""
        fresh = item.taken_us - known.taken_us < self._setting.repeat_us
        return fresh and known.kind == item.kind and RANK[item.level] >= RANK[known.level]

    def _count(self, known: Item, item: Item) -> None:
        if item.print == known.print:
            return  # the same entry again: its append was repeated
        newest = item.text if item.text != known.text else ""
        self._put(msgspec.structs.replace(known, repeats=known.repeats + 1, last_text=newest))

    def _make_room(self) -> None:
        """Bounded: the oldest of the least loud gives way, is counted, and the count is told. A critical one
        does so only when it has been told everywhere: what came later must not wait for its acknowledgement.
        """
        position = self.position
        if len(self.items) < ITEMS_MAX or position is None:
            return
        loose = [item for item in self.items.values() if _may_give_way(item)]
        if not loose:
            return  # `full` keeps the stream from being read on
        victim = min(loose, key=lambda item: (item.urgent, -RANK[item.level], item.taken_us))
        left_out = dict(position.left_out)
        for name in victim.waiting:
            left_out[name] = left_out.get(name, 0) + 1
        self.move(msgspec.structs.replace(position, left_out=left_out))
        self._drop(victim)

    @property
    def full(self) -> bool:
        """Nothing more fits, and nothing may give way: what comes waits in the stream."""
        return len(self.items) >= ITEMS_MAX and not any(map(_may_give_way, self.items.values()))

    # --- outcome ----------------------------------------------------------------------------------

    def delivered(self, channel: str, said: Mapping[str, int], *, wall_us: int, left_out: int = 0) -> None:
        """A channel has confirmed these: id -> repeats that the message told of, and how many found no room.
        On the last channel of the chain the time to acknowledge begins only now.
        """
        self._told_left_out(channel, left_out)
        last = self._setting.chain[-1:] == (channel,)
        for one, repeats in said.items():
            item = self.items.get(one)
            if item is None or channel not in item.waiting:
                continue
            waiting = tuple(name for name in item.waiting if name != channel)
            reached = item.reached if channel in item.reached else (*item.reached, channel)
            changed = msgspec.structs.replace(
                item,
                waiting=waiting,
                reached=reached,
                said=max(item.said, repeats),
                stage_us=wall_us if last and item.urgent else item.stage_us,
            )
            self._put(changed)

    def _told_left_out(self, channel: str, count: int) -> None:
        position = self.position
        if position is None or not count:
            return
        rest = {**position.left_out, channel: position.left_out.get(channel, 0) - count}
        left = {name: more for name, more in rest.items() if more > 0}
        self.move(msgspec.structs.replace(position, left_out=left))

    def acknowledge(self, key: str, *, by: str) -> int:
        """Somebody knows: no escalation of this matter (`*`: of any). Answers how many that were."""
        found = [
            item
            for item in self.items.values()
            if item.urgent and not item.acknowledged_by and key in ("*", item.key)
        ]
        for item in found:
            self._put(msgspec.structs.replace(item, acknowledged_by=by))
        return len(found)

    def unacknowledged(self) -> list[str]:
        """Keys of critical matters that nobody has acknowledged."""
        return sorted({i.key for i in self.items.values() if i.urgent and not i.acknowledged_by})

    def escalate(self, item: Item, *, why: str, wall_us: int) -> None:
        """To the next channel of the chain, at its end to the last one again, with the reason."""
        stage = min(item.stage + 1, len(self._setting.chain) - 1)
        name, again = self._setting.chain[stage], stage == item.stage
        known = item.waiting if again else (*item.waiting, *item.reached)
        changed = msgspec.structs.replace(
            item,
            stage=stage,
            stage_us=wall_us,
            why=why,
            reminders=item.reminders + again,
            waiting=item.waiting if name in known else (*item.waiting, name),
        )
        self._put(changed)

    def sweep(self, wall_us: int) -> None:
        """Repeats are told when their window ends; what is done is let go."""
        for item in list(self.items.values()):
            if wall_us - item.taken_us < self._setting.repeat_us:
                continue
            if item.unsaid:
                self._say_repeats(item, wall_us)
            elif not item.waiting and self._is_done(item, wall_us):
                self._drop(item)

    def _is_done(self, item: Item, wall_us: int) -> bool:
        if not item.urgent or item.acknowledged_by:
            return True
        return wall_us - item.taken_us >= UNACKNOWLEDGED_US_MAX

    def _say_repeats(self, item: Item, wall_us: int) -> None:
        """A storm is told once a window, with its count and its newest words."""
        minutes = (wall_us - item.taken_us) / US_PER_SEC / 60
        again = Item(
            id=f"{item.id.partition('+')[0]}+{wall_us // US_PER_SEC}",
            kind=item.kind,
            level=item.level,
            key=item.key,
            text=item.last_text or item.text,
            service=item.service,
            context={"raised again": f"{item.unsaid} times in {minutes:.0f} min"},
            raised_us=item.raised_us,
            taken_us=wall_us,
            direct=item.direct,
        )
        self._put(msgspec.structs.replace(item, said=item.repeats))
        self.add(again)

    def _rerouted(self, item: Item) -> None:
        """The config may have changed since: a channel that is gone is waited for no more, and an
        item that would reach nobody goes the way of a new one.
        """
        routes, chain = self._setting.routes, self._setting.chain
        waiting = tuple(name for name in item.waiting if name in routes)
        stage = min(item.stage, max(0, len(chain) - 1))
        if waiting == item.waiting and stage == item.stage:
            return
        if not waiting and not item.reached:
            waiting = tuple(name for name in routes if self._goes_to(item, name))
        self._put(msgspec.structs.replace(item, waiting=waiting, stage=stage))

    def _put(self, item: Item) -> None:
        self.items[item.id] = item
        if not item.direct:
            self._dirty.add(item.id)

    def _drop(self, item: Item) -> None:
        self.items.pop(item.id, None)
        if self._newest.get(item.key) == item.id:
            del self._newest[item.key]
        if not item.direct:
            self._dirty.add(item.id)


def _may_give_way(item: Item) -> bool:
    return not item.direct and not (item.urgent and item.waiting)
