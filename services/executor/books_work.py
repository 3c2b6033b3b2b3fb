"""What the books ask their shell for. Every request names the lane `books`, so that no pair waits for it."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from libs.common.effects import Request
from libs.exchange.trading_values import FeeRates, RecordKind

LANE: Final = "books"


class LoadBooks(Request, frozen=True, kw_only=True):
    """The snapshot under `books`. Answered with its bytes, or None when there is none yet."""

    pair: Literal["books"] = LANE


class TailStreams(Request, frozen=True, kw_only=True):
    """The next entries of ledger and journal after these ids. Answered with `Tail`."""

    ledger_at: str
    journal_at: str
    count: int
    pair: Literal["books"] = LANE


class Tail(msgspec.Struct, frozen=True):
    """Entries in order: (id, line) and (id, fields)."""

    ledger: tuple[tuple[str, bytes], ...] = ()
    journal: tuple[tuple[str, dict[str, bytes]], ...] = ()


class FetchRecords(Request, frozen=True, kw_only=True):
    """A venue's own books since a venue time. Answered with LedgerRecords, None without that kind."""

    venue: str
    kind: RecordKind
    since_ms: int
    pair: Literal["books"] = LANE


class ReadRates(Request, frozen=True, kw_only=True):
    """What the account pays at a venue. Answered with `Rates`."""

    venue: str
    instruments: tuple[str, ...]
    pair: Literal["books"] = LANE


class Rates(msgspec.Struct, frozen=True):
    """By instrument; those that the venue does not tell are left out."""

    fees: dict[str, FeeRates]
