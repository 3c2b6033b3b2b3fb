"""Looks for words in what `docker save` gives: a tar of layers, each a tar itself, some compressed.

A layer is read unpacked, so that the bytes of a file are seen whole, also where a later
layer deletes it. What a file packs once more (a wheel, an archive) is not opened.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable, Iterator
from typing import IO, Any, Final

GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"
CHUNK_BYTES: Final = 1 << 20
BYTES_MAX: Final = 4 << 30
"""Of all layers, unpacked. Our image has some 300 MB."""


class TooMuch(RuntimeError):
    """More than was to be looked at: nothing is known of the rest."""


class Unreadable(RuntimeError):
    """Packed in a way that is not looked into."""


class Chunks(io.RawIOBase):
    """A file that can only be read onwards, of the pieces that an engine sends."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces: Iterator[bytes] = iter(pieces)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, into: object) -> int:
        view = memoryview(into).cast("B")  # type: ignore[arg-type]
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        size = min(len(view), len(self._rest))
        view[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def words_in(
    saved: IO[bytes] | io.RawIOBase, words: Iterable[str], *, bytes_max: int = BYTES_MAX
) -> set[str]:
    """Which of the words some layer or manifest holds. `saved` is read to its end, without a seek.

    Raises `TooMuch` beyond `bytes_max`, `Unreadable` for a layer that is packed otherwise than with gzip, and
    tarfile's own errors for what is no tar.
    """
    wanted = {word: word.encode() for word in words}
    if not all(wanted.values()):
        raise ValueError("an empty word is in everything")
    found: set[str] = set()
    left = bytes_max
    with tarfile.open(fileobj=saved, mode="r|", bufsize=CHUNK_BYTES) as outer:
        for member in outer:
            file = outer.extractfile(member)
            if file is not None:
                left -= _search(file, member.name, wanted, found, left)
    return found


def _search(file: IO[bytes], name: str, wanted: dict[str, bytes], found: set[str], left: int) -> int:
    """Adds to `found`; answers how many bytes were looked at. A word may lie across two chunks."""
    head = file.read(len(ZSTD))
    if head.startswith(ZSTD):
        raise Unreadable(f"{name} is packed with zstd, which is not looked into")
    source: Any = _Rest(head, file)
    if head.startswith(GZIP):
        source = gzip.GzipFile(fileobj=source)
    overlap = max(map(len, wanted.values()), default=1) - 1
    seen, tail = 0, b""
    while chunk := source.read(CHUNK_BYTES):
        seen += len(chunk)
        if seen > left:
            raise TooMuch(f"the image has more than it should, at {name}: the rest was not looked at")
        window = tail + chunk
        found.update(word for word, raw in wanted.items() if raw in window)
        tail = window[-overlap:] if overlap else b""
    return seen


class _Rest(io.RawIOBase):
    """A file of which the first bytes were taken already."""

    def __init__(self, head: bytes, file: IO[bytes]) -> None:
        self._head, self._file = head, file

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if self._head:
            taken = self._head if size < 0 else self._head[:size]
            self._head = self._head[len(taken) :]
            return taken + (self._file.read() if size < 0 else b"")
        return self._file.read(size)
