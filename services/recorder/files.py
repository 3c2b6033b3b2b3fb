"""The recorder's hands: appending lines to files that survive a kill, and starting the merging child.

Lines are written whole or not at all: a write that fails half-way (a full disk) is undone, and a last line
that a kill cut off is removed when the file is opened again. Two flushes never overlap.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from libs.common.instant import Clock
from libs.research.segments import FINISHED, adopt_orphans, segment_folder, segment_name
from services.recorder import columns, equity
from services.recorder.work import Merged, MergeSegments, WriteBatch, Written

CSV_NAME: Final = "funding_opportunities.csv"
EQUITY_NAME: Final = "equity.csv"
LOG_NAME: Final = "observer.log"
FILE_BYTES_MAX: Final = 64 * 1024 * 1024
SEGMENT_BYTES_MAX: Final = 8 * 1024 * 1024
MERGE_SEC_MAX: Final = 300.0
LAST_MERGE_SEC_MAX: Final = 4.0
"""At the end there is little time; what is not merged then is merged at the next start."""

TAIL_BYTES: Final = 65_536
PASSED_ON: Final = frozenset({"PATH", "HOME", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV"})


class MergeFailed(Exception):
    """The child could not merge; its own line says why."""


class AppendFile:
    """One file that only grows, until it is put aside under another name and begun anew.

    `header` is the first line; a file that begins with another one is put aside (its columns are not ours).
    """

    def __init__(self, path: Path, *, header: bytes = b"", bytes_max: int = FILE_BYTES_MAX) -> None:
        self.path = path
        self._header = header
        self._bytes_max = bytes_max
        self._descriptor: int | None = None
        self._size = 0

    def append(self, lines: Sequence[bytes], wall_us: int) -> None:
        """Write all lines or raise OSError with the file as it was."""
        if not lines:
            return
        if self._descriptor is not None and not _same_file(self._descriptor, self.path):
            self.close()  # somebody moved or removed it (a log rotation): begin anew
        if self._descriptor is None:
            self._open(wall_us)
        elif self._size >= self._bytes_max:
            self.close()
            self._put_aside(wall_us)
            self._open(wall_us)
        self._write(b"".join(lines))

    def repair(self) -> None:
        """Remove a last line that a kill cut off."""
        if self.path.exists():
            _cut_torn_line(self.path)

    def close(self) -> None:
        """Closing twice is fine."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self, wall_us: int) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            _cut_torn_line(self.path)
            if self._header and not _begins_with(self.path, self._header):
                self._put_aside(wall_us)
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._size = os.fstat(self._descriptor).st_size
        if self._size == 0 and self._header:
            self._write(self._header)

    def _put_aside(self, wall_us: int) -> None:
        if self.path.stat().st_size == 0:
            return
        stamp = columns.iso_us(wall_us)[:19].replace("-", "").replace(":", "")
        aside = self.path.with_name(f"{self.path.stem}.until-{stamp}{self.path.suffix}")
        number = 1
        while aside.exists():
            number += 1
            aside = self.path.with_name(f"{self.path.stem}.until-{stamp}-{number}{self.path.suffix}")
        self.path.rename(aside)

    def _write(self, data: bytes) -> None:
        assert self._descriptor is not None  # noqa: S101 - append opens it
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(data)


class Segment:
    """The open segment of an archive; locked, so that nobody takes it for an orphan."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._file: AppendFile | None = None
        self._lock: int | None = None
        self._bytes = 0

    def append(self, lines: Sequence[bytes], wall_us: int) -> None:
        """Write all lines or raise OSError; a segment that is full is finished."""
        if not lines:
            return
        if self._file is None:
            self._begin(wall_us)
        assert self._file is not None  # noqa: S101 - just begun
        data = [line + b"\n" for line in lines]
        self._file.append(data, wall_us)
        self._bytes += sum(len(line) for line in data)
        if self._bytes >= SEGMENT_BYTES_MAX:
            self.finish()

    def finish(self) -> None:
        """Hand the segment over to `compact`; nothing to do when none is open."""
        if self._file is None or self._lock is None:
            return
        path = self._file.path
        os.fsync(self._lock)
        self._file.close()
        with suppress(FileNotFoundError):
            path.rename(path.with_suffix(FINISHED))
        os.close(self._lock)
        self._file = self._lock = None

    def _begin(self, wall_us: int) -> None:
        folder = segment_folder(self._root)
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            path = folder / segment_name(wall_us, os.getpid())
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _same_file(lock, path):
                break
            os.close(lock)  # a merge took it for an orphan before it was locked: the next name
            wall_us += 1
        self._lock = lock
        self._file = AppendFile(path)
        self._bytes = 0


class Files:
    """Handlers of the recorder's requests."""

    def __init__(self, *, logs: Path, archive: Path, clock: Clock, env: Mapping[str, str]) -> None:
        self._archive = archive
        self._clock = clock
        # The child needs no address and no secret of ours.
        passed = {name: value for name, value in env.items() if name in PASSED_ON}
        self._child_env = {**passed, "PYTHONSAFEPATH": "1"}
        self._csv = AppendFile(logs / CSV_NAME, header=columns.header().encode())
        self._log = AppendFile(logs / LOG_NAME)
        self._equity = AppendFile(logs / EQUITY_NAME, header=equity.header().encode())
        self._segment = Segment(archive)
        self._busy = asyncio.Lock()

    def prepare(self) -> None:
        """Make the folders and finish what a killed predecessor left; OSError when nothing can be written."""
        for folder in (self._csv.path.parent, segment_folder(self._archive)):
            folder.mkdir(parents=True, exist_ok=True)
        adopt_orphans(self._archive)
        for file in (self._csv, self._log, self._equity):
            file.repair()

    async def write(self, batch: WriteBatch) -> Written:
        """Handler of `WriteBatch`."""
        async with self._busy:
            return await asyncio.to_thread(self._write, batch)

    async def merge(self, _request: MergeSegments) -> Merged:
        """Handler of `MergeSegments`. Raises `MergeFailed`."""
        return await self._merge(MERGE_SEC_MAX)

    async def close(self) -> None:
        """Finish the segment and merge once more; what cannot be merged now waits for the next start."""
        with suppress(MergeFailed, OSError):
            await self._merge(LAST_MERGE_SEC_MAX)
        self._csv.close()
        self._log.close()
        self._equity.close()

    def _write(self, batch: WriteBatch) -> Written:
        wall_us = self._clock.now().wall_us
        return Written(
            csv=_attempt(self._csv.path, lambda: self._csv.append(batch.csv, wall_us)),
            log=_attempt(self._log.path, lambda: self._log.append(batch.log, wall_us)),
            equity=_attempt(self._equity.path, lambda: self._equity.append(batch.equity, wall_us)),
            rows=_attempt(segment_folder(self._archive), lambda: self._segment.append(batch.rows, wall_us)),
        )

    async def _merge(self, patience_sec: float) -> Merged:
        async with self._busy:
            await asyncio.to_thread(self._segment.finish)
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "libs.research.compact",
            str(self._archive),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._child_env,
        )
        try:
            async with asyncio.timeout(patience_sec):
                out, err = await child.communicate()
        except TimeoutError as error:
            raise MergeFailed(f"not done after {patience_sec:g} s") from error
        finally:
            if child.returncode is None:
                with suppress(ProcessLookupError):
                    child.kill()
                await child.wait()
        if child.returncode != 0:
            last = err.decode(errors="replace").strip().splitlines()[-1:] or [f"exit code {child.returncode}"]
            raise MergeFailed(last[0])
        return msgspec.json.decode(out, type=Merged)


def _attempt(where: Path, work: Callable[[], None]) -> str:
    """Empty when it worked, else why not, with the path."""
    try:
        work()
    except OSError as error:
        return f"cannot write {where}: {error.strerror or error}"
    return ""


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        there = path.stat()
    except OSError:
        return False
    here = os.fstat(descriptor)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def _begins_with(path: Path, header: bytes) -> bool:
    with path.open("rb") as handle:
        return handle.read(len(header)) == header or path.stat().st_size == 0


def _cut_torn_line(path: Path) -> None:
    """Remove what follows the last line end: a kill came in the middle of a write."""
    with path.open("r+b") as handle:
        end = handle.seek(0, os.SEEK_END)
        position = end
        while position > 0:
            start = max(0, position - TAIL_BYTES)
            handle.seek(start)
            found = handle.read(position - start).rfind(b"\n")
            if found >= 0:
                position = start + found + 1
                break
            position = start
        if position < end:
            handle.truncate(position)
