"""What a Redis or Valkey server says of itself, judged: may it hold state, does it keep it, has it room."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from libs.common.store import Durability

SERVER_MAJOR_MIN: Final = 7
FULL_BELOW: Final = 0.01
"""So little of a disk that is free is none: what fits into it is soon written."""


def unfit(info: Mapping[str, Any]) -> str:
    """Why a server cannot be trusted with state, from its INFO; empty when it can."""
    version = str(info.get("valkey_version") or info.get("redis_version") or "0")
    major = version.split(".", 1)[0]
    if not major.isdecimal() or int(major) < SERVER_MAJOR_MIN:
        return f"is version {version}: {SERVER_MAJOR_MIN} or newer is needed"
    if info.get("cluster_enabled"):
        return "is a cluster: a transition touches many keys at once, which needs one primary"
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if int(info.get("maxmemory", 0)) > 0 and policy != "noeviction":
        return f"throws keys away when full (maxmemory-policy {policy}): set noeviction"
    return ""


def durability_of(info: Mapping[str, Any], fsync: str | None) -> Durability:
    """Is a write on disk before it is answered: by INFO persistence and `appendfsync` (None: not told)."""
    journal = info.get("aof_enabled")
    if journal is None:
        return Durability(durable=None, text="does not say whether it keeps a journal (INFO persistence)")
    if not int(journal):
        return Durability(
            durable=False,
            text="loses what it acknowledged when it ends (appendonly no):"
            " set appendonly yes and appendfsync always",
        )
    if fsync is None:
        return Durability(
            durable=None,
            text="does not let us ask whether writes are on disk before they are answered (CONFIG GET"
            " appendfsync): make sure that it is always",
        )
    if fsync != "always":
        return Durability(
            durable=False,
            text=f"can lose its last writes in a crash of its machine (appendfsync {fsync}):"
            " set appendfsync always",
        )
    return Durability(durable=True)


LOOPBACK: Final = ("127.0.0.1:", "localhost:", "[::1]:", "::1:", "/")
"""How the address of a server on this machine begins; a socket's path begins with a slash."""


def free_of(info: Mapping[str, Any], address: str) -> float:
    """The least free share of memory and disk, from INFO server, memory and persistence.

    A disk is looked at when the server runs on this machine and its config file lies where it says: embedded
    servers have their data beside it. Of any other server only its own word tells: the last write of its
    journal or snapshot failed, so that it will refuse the next.
    """
    states = [info.get("aof_last_write_status", "ok") if int(info.get("aof_enabled", 0)) else "ok"]
    states.append(info.get("rdb_last_bgsave_status", "ok"))
    if any(state != "ok" for state in states):
        return 0.0
    shares = [1.0]
    if (limit := int(info.get("maxmemory", 0))) > 0:
        used = int(info["used_memory"]) - int(info.get("mem_not_counted_for_evict", 0))
        shares.append(1.0 - used / limit)
    if (folder := folder_of(info, address)) is not None:
        shares.append(_free(folder))
    return min(1.0, max(0.0, min(shares)))


def folder_of(info: Mapping[str, Any], address: str) -> Path | None:
    """Where a server on this machine has its config file, and an embedded one its data; None elsewhere."""
    config = Path(str(info.get("config_file") or ""))
    return config.parent if address.startswith(LOOPBACK) and config.is_file() else None


def disk_words(folder: Path | None) -> str:
    """For a failure's text: that the disk of a server is full, with which `appendfsync always` ends it."""
    try:
        full = folder is not None and _free(folder) < FULL_BELOW
    except OSError:  # the folder is gone as well, which its server will say
        return ""
    return f"; its disk is full ({folder}): make room" if full else ""


def _free(folder: Path) -> float:
    disk = shutil.disk_usage(folder)
    return disk.free / disk.total
