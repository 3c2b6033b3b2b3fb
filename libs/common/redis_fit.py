"""What a Redis or Valkey server says of itself, judged: may it hold state, and does it keep it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from libs.common.store import Durability

SERVER_MAJOR_MIN: Final = 7


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
