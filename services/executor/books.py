"""The books: everything that follows from the ledger stream, as one value that is kept as a snapshot. Pure.

`Books` is a fold of the streams `ledger` and `journal` up to the entries that it names; whoever starts reads
the snapshot and the entries after it. What is no line (the opening of an account, what funding was expected)
lies in the snapshot alone.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, localcontext
from typing import Final

import msgspec

from libs.carry.identity import Explained, explain
from libs.carry.pnl import EXACT, Key, PairBook, book
from libs.common.instant import MS_PER_SEC, US_PER_MS
from libs.common.messages_exec import LedgerKind, LedgerLine
from services.executor.model import ZERO, Trigger

replace = msgspec.structs.replace

KEY: Final = "books"
"""Where the snapshot lies in the store."""

STEPS_KEPT: Final = 128
"""Sizes of a position that are remembered: enough to look back over a day of settlements."""

NEAR_MS: Final = 60 * MS_PER_SEC
"""A payment of nobody at its instant belongs to who held the instrument within so much market time."""

MarketOf = Callable[[int], int]
"""Wall time in us -> market time in ms."""


class Step(msgspec.Struct, frozen=True, array_like=True):
    """From this market time on a pair held so much of an instrument."""

    market_ms: int
    quantity: Decimal


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """An account before the first line: units by asset, and what they were worth then. `wall_ms`: 0 in one of
    before it was kept.
    """

    units: dict[str, Decimal]
    usd: Decimal
    market_ms: int
    wall_ms: int = 0


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A funding payment that is expected and has not been seen in the venue's books yet."""

    venue: str
    instrument: str
    settles_ms: int
    expected: Decimal
    since_us: int  # wall: when the settlement passed here


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What the journal tells: orders by pair (its counter), moves of the machine."""

    orders: dict[str, int] = {}
    unwinds: int = 0
    opened: int = 0
    closed: int = 0


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """`pairs`: pair ("" is nobody) -> venue -> sums; `steps`: `{pair}|{venue}|{instrument}` -> sizes.

    `traded_us`: venue -> wall time at which its last trade was booked.
    """

    ledger_at: str = "0"
    journal_at: str = "0"
    pairs: dict[str, dict[str, PairBook]] = {}
    explained: dict[str, Explained] = {}
    steps: dict[str, tuple[Step, ...]] = {}
    traded_us: dict[str, int] = {}
    openings: dict[str, Opening] = {}
    counts: Counts = Counts()
    received: Decimal = ZERO
    expected: Decimal = ZERO
    settlements: int = 0
    settled_ms: dict[str, int] = {}
    due: tuple[Due, ...] = ()
    missing: int = 0
    naked: dict[str, float] = {}
    cursors: dict[str, int] = {}


class Moved(msgspec.Struct, frozen=True):
    """Of a journal entry what is counted."""

    target: str
    trigger: str


class Counted(msgspec.Struct, frozen=True):
    """Of a pair's state what is counted."""

    counter: int = 0


_lines = msgspec.json.Decoder(LedgerLine)
_moves = msgspec.json.Decoder(list[Moved])
_states = msgspec.json.Decoder(Counted)


def take_line(before: Books, line: LedgerLine, market_of: MarketOf) -> Books:
    """The books with one more line."""
    venues = dict(before.pairs.get(line.pair, {}))
    sums = venues[line.venue] = book(venues.get(line.venue, PairBook()), line)
    received = before.received
    if line.kind is LedgerKind.FUNDING and line.pair:
        received = EXACT.add(received, line.usd)
    return replace(
        before,
        pairs={**before.pairs, line.pair: venues},
        explained={
            **before.explained,
            line.venue: explain(before.explained.get(line.venue, Explained()), line),
        },
        steps=_stepped(before.steps, line, sums, market_of),
        traded_us=_traded(before.traded_us, line),
        received=received,
    )


def take_entries(
    before: Books,
    ledger: Iterable[tuple[str, bytes]],
    journal: Iterable[tuple[str, dict[str, bytes]]],
    market_of: MarketOf,
) -> Books:
    """With the next entries of both streams. Raises msgspec.DecodeError for one that cannot be read."""
    after = before
    for entry_id, payload in ledger:
        after = replace(take_line(after, _lines.decode(payload), market_of), ledger_at=entry_id)
    for entry_id, fields in journal:
        after = replace(after, counts=_counted(after.counts, fields), journal_at=entry_id)
    return after


def at(books: Books, pair: str, key: Key, market_ms: int) -> Decimal:
    """What a pair held of an instrument at a market time."""
    found = ZERO
    for step in books.steps.get(_name(pair, key), ()):
        if step.market_ms > market_ms:
            break
        found = step.quantity
    return found


def holders(books: Books, key: Key, market_ms: int) -> dict[str, Decimal]:
    """Pair -> what it held at an instant; when nobody did, who held most closest around it."""
    pairs = sorted(pair for pair in books.pairs if pair)
    exact = {pair: held for pair in pairs if (held := at(books, pair, key, market_ms))}
    if exact:
        return exact
    near: dict[str, Decimal] = {}
    for pair in pairs:
        inside = [
            step.quantity
            for step in books.steps.get(_name(pair, key), ())
            if abs(step.market_ms - market_ms) <= NEAR_MS
        ]
        inside.append(at(books, pair, key, market_ms - NEAR_MS))
        most = max(inside, key=abs)
        if most:
            near[pair] = most
    return near


def split(amount: Decimal, shares: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """An amount by the sizes of positions, to 8 decimals, the last one taking what is left: exact in sum."""
    if not shares:
        return {"": amount}
    names = sorted(shares)
    with localcontext(EXACT):
        whole = sum((abs(shares[name]) for name in names), ZERO)
        parts = {name: (amount * abs(shares[name]) / whole).quantize(Decimal("1e-8")) for name in names[:-1]}
        parts[names[-1]] = amount - sum(parts.values(), ZERO)
    return parts


def _traded(before: dict[str, int], line: LedgerLine) -> dict[str, int]:
    if line.kind is not LedgerKind.FILL or line.wall_us <= before.get(line.venue, 0):
        return before
    return {**before, line.venue: line.wall_us}


def _name(pair: str, key: Key) -> str:
    return f"{pair}|{key[0]}|{key[1]}"


def _stepped(
    steps: dict[str, tuple[Step, ...]], line: LedgerLine, sums: PairBook, market_of: MarketOf
) -> dict[str, tuple[Step, ...]]:
    """A size is known from the venue's stamp of the trade on; stamps may come in any order."""
    if not line.pair or not line.quantity or line.kind is LedgerKind.FUNDING:
        return steps
    name = _name(line.pair, (line.venue, line.instrument))
    in_market = line.kind is LedgerKind.INTEREST  # as funding and delivery; trades bear wall time
    stamp = line.venue_ms if in_market else market_of(line.venue_ms * US_PER_MS)
    held = sums.inventories[f"{line.venue}|{line.instrument}"].units
    with localcontext(EXACT):
        before = held - line.quantity
        known = steps.get(name, ())
        earlier = [step for step in known if step.market_ms <= stamp]
        later = [Step(s.market_ms, s.quantity + line.quantity) for s in known if s.market_ms > stamp]
        base = earlier[-1].quantity if earlier else (before if not later else ZERO)
        whole = sorted(
            [*earlier, Step(stamp, base + line.quantity), *later], key=operator.attrgetter("market_ms")
        )
    return {**steps, name: tuple(whole[-STEPS_KEPT:])}


def _counted(before: Counts, fields: Mapping[str, bytes]) -> Counts:
    moves = _moves.decode(fields["moves"])
    pair = fields["pair"].decode()
    return Counts(
        orders={**before.orders, pair: _states.decode(fields["state"]).counter},
        unwinds=before.unwinds + sum(one.target == "unwinding" for one in moves),
        opened=before.opened + sum(one.trigger == Trigger.OPENED for one in moves),
        closed=before.closed + sum(one.trigger == Trigger.CLOSED for one in moves),
    )
