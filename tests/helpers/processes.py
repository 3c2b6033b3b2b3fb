"""What tests ask about processes that are not theirs to wait for."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path


def alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")


def children_with(variable: str) -> dict[int, str]:
    """Pid -> command line of every process that has `NAME=value` in its environment or is our own child."""
    found: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal() or int(folder.name) == os.getpid():
            continue
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            parent = int((folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it has ended meanwhile, or belongs to somebody else
        if variable.encode() in environment or parent == os.getpid():
            found[int(folder.name)] = command
    return {pid: command for pid, command in found.items() if alive(pid) and not is_pythons_own(command)}


def is_pythons_own(command: str) -> bool:
    """What `multiprocessing` keeps until this process ends."""
    return "multiprocessing" in command and ("resource_tracker" in command or "forkserver" in command)


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether `condition` came to hold within `seconds`."""
    until = time.perf_counter() + seconds
    while not condition():
        if time.perf_counter() > until:
            return False
        time.sleep(0.02)
    return True
