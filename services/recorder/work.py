"""What the recorder asks its shell to do with files, and the answers: plain values."""

from __future__ import annotations

import msgspec

from libs.common.effects import Request


class WriteBatch(Request, frozen=True, kw_only=True):
    """Append lines to their places; all but `rows` (segment lines) have their line ends."""

    csv: tuple[bytes, ...] = ()
    log: tuple[bytes, ...] = ()
    rows: tuple[bytes, ...] = ()
    equity: tuple[bytes, ...] = ()


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """Which parts of a batch could not be written, and why; a part is written whole or not at all."""

    csv: str = ""
    log: str = ""
    rows: str = ""
    equity: str = ""


class MergeSegments(Request, frozen=True, kw_only=True):
    """Finish the open segment and merge all of them into the Parquet files, in a child process."""


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """The child's report (`libs.research.compact.CompactReport`)."""

    segments: int = 0
    added: int = 0
    updated: int = 0
    same: int = 0
    conflicts: int = 0
    unreadable: int = 0
