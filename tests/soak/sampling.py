"""One look at everything that could grow: processes, their metrics, the store, logs, what was traded.

Reads /proc, `/metrics`, the store and files; changes nothing. A process that is just away has no figures.
"""

from __future__ import annotations

import asyncio
import os
import re
import urllib.request
from pathlib import Path
from typing import Any, Final

import redis.asyncio

from libs.common.runtime_file import Deployment, deployment_path, read
from libs.console.stack import Stack

MB: Final = 1_000_000
STREAMS: Final = ("journal", "ledger", "alerts", "audit")
GAUGES: Final = {
    "fundarb_loop_lag_seconds": "loop_lag_ms",
    "fundarb_inbox_depth": "inbox",
    "fundarb_requests_running": "requests",
    "fundarb_bus_lag_seconds": "bus_lag_ms",
}
COUNTERS: Final = {
    "fundarb_actor_faults_total": "actor_faults",
    "fundarb_bus_lost_total": "bus_lost",
    "fundarb_bus_bad_messages_total": "bus_bad",
    "fundarb_store_failures_total": "store_failures",
    "fundarb_inbox_dropped_total": "inbox_dropped",
}
_KINDS: Final = GAUGES | COUNTERS
_LINE: Final = re.compile(r"^(fundarb_[a-z_]+)(?:\{[^}]*\})? (\S+)$", re.MULTILINE)
_THREADS: Final = re.compile(r"^Threads:\s+(\d+)$", re.MULTILINE)
_RSS: Final = re.compile(r"^VmRSS:\s+(\d+) kB$", re.MULTILINE)
TRACEBACK: Final = b"Traceback (most recent call last)"
METRICS_SEC: Final = 3.0


def process(pid: int) -> dict[str, float]:
    """Kind -> figure of one process; empty when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        fds = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - names alone, each two seconds
    except (FileNotFoundError, ProcessLookupError):
        return {}
    memory, threads = _RSS.search(status), _THREADS.search(status)
    if memory is None or threads is None:  # it has ended, and nobody has asked how
        return {}
    return {"rss_mb": int(memory[1]) * 1024 / MB, "fds": float(fds), "threads": float(threads[1])}


def metrics(text: str) -> dict[str, float]:
    """Kind -> figure from an exposition, summed over labels; seconds of lags become ms."""
    found: dict[str, float] = {}
    for name, value in _LINE.findall(text):
        if (kind := _KINDS.get(name)) is not None:
            figure = float(value) * (1_000 if kind.endswith("_ms") else 1)
            found[kind] = found.get(kind, 0.0) + figure
    return found


class Logs:
    """Sizes of log files and the tracebacks in them. A file cut at its bound is read from its start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, int] = {}
        self._written: dict[str, int] = {}
        self.tracebacks: dict[str, int] = {}

    def look(self) -> dict[str, float]:
        """`log_mb/name` -> what was written in all, cut or not."""
        for path in sorted(self._folder.glob("*.log")):
            name, size = path.stem, path.stat().st_size
            before = self._read.get(name, 0)
            if size < before:
                before = 0
            with path.open("rb") as file:
                file.seek(before)
                new = file.read(size - before)
            self._read[name] = size
            self._written[name] = self._written.get(name, 0) + len(new)
            if found := new.count(TRACEBACK):
                self.tracebacks[name] = self.tracebacks.get(name, 0) + found
        return {f"log_mb/{name}": written / MB for name, written in self._written.items()}


class Sampler:
    """Looks at a running stack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.logs = Logs(stack.plan.folder / "logs")
        self._redis: Any = redis.asyncio.from_url(stack.redis_url)

    async def look(self) -> dict[str, float]:
        """Every figure of now by its name."""
        found: dict[str, float] = {}
        pids = self._stack.supervisor.pids() | {"console": os.getpid()}
        for who, pid in pids.items():
            found |= {f"{kind}/{who}": value for kind, value in process(pid).items()}
        found |= await asyncio.to_thread(self._metrics)
        found |= await asyncio.to_thread(self.logs.look)
        found |= await self._store()
        return found | self._traded()

    async def close(self) -> None:
        """Leave the store."""
        await self._redis.aclose()

    def _metrics(self) -> dict[str, float]:
        plan = self._stack.plan
        known = read(deployment_path(plan.runtime, plan.deployment), Deployment) or Deployment()
        found: dict[str, float] = {}
        for service, port in known.metrics_ports.items():
            try:
                with urllib.request.urlopen(
                    f"http://127.0.0.1:{port}/metrics", timeout=METRICS_SEC
                ) as answer:
                    text = answer.read().decode()
            except OSError:  # whoever does not answer is missing in the curves, and its restart is counted
                continue
            found |= {f"{kind}/{service}": value for kind, value in metrics(text).items()}
        return found

    async def _store(self) -> dict[str, float]:
        prefix = f"fundarb:{self._stack.plan.deployment}:"
        info = await self._redis.info("memory")
        keys = [key async for key in self._redis.scan_iter(match="*", count=1_000)]
        found = {"store/mb": info["used_memory"] / MB, "store/keys": float(len(keys))}
        for name in STREAMS:
            found[f"stream/{name}"] = float(await self._redis.xlen(prefix + name))
        return found

    def _traded(self) -> dict[str, float]:
        trades = self._stack.watch.trades
        held = float(sum(one.state == "active" for one in trades.pairs.values()))
        found = {"pairs/active": held}
        if (books := trades.books) is not None:
            found |= {
                "traded/orders": float(books.orders),
                "traded/opened": float(books.pairs_opened),
                "traded/closed": float(books.pairs_closed),
                "traded/settlements": float(books.settlements),
            }
            if books.residual_usd is not None:
                found["residual_usd/all"] = float(books.residual_usd)
        return found
