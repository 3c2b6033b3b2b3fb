"""Keeps children running: starts them by stages, restarts what dies, ends them all.

Whatever happens to this process, no child outlives it: an orderly end stops them in reverse order, a
second signal kills them at once, and when this process is killed the kernel kills them (launch.py).
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from libs.common.child import (
    EXIT_USAGE,
    Child,
    ChildFailed,
    ChildSpec,
    ChildState,
    bound_log,
    describe_exit,
    log_tail,
)
from libs.common.clock import mono_us
from libs.common.instant import US_PER_SEC

log = logging.getLogger(__name__)

# First restart at once: what was killed must be back within seconds. Later ones slower, so that a child
# that cannot live does not eat the machine.
BACKOFF_SEC: Final = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0)
STEADY_SEC: Final = 30.0
"""After so long a life the next death counts as the first again."""

READY_POLL_SEC: Final = 0.05
PROBE_SEC_MAX: Final = 2.0
WATCH_SEC: Final = 1.0

OnChange = Callable[[str, ChildState, str], None]
"""Called with name, new state and a text that says why."""


class _Kept:
    """A child with its history. `changed` wakes whoever waits for a state."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.child: Child | None = None
        self.state = ChildState.STARTING
        self.reason = ""
        self.restarts = 0
        self.failures = 0
        self.refused = False
        self.changed = asyncio.Event()


class Supervisor:
    """Runs `specs`. Start and stop it from the main thread's event loop; `async with` does both."""

    def __init__(self, specs: Sequence[ChildSpec], *, on_change: OnChange | None = None) -> None:
        names = [spec.name for spec in specs]
        if len(set(names)) != len(names):
            raise ValueError(f"two children have one name: {sorted(names)}")
        self._kept = {spec.name: _Kept(spec) for spec in specs}
        self._on_change = on_change
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # --- what others ask --------------------------------------------------------------------------

    def states(self) -> dict[str, str]:
        """Name -> ok, starting, restarting, failed, stopped."""
        return {name: kept.state.value for name, kept in self._kept.items()}

    def reasons(self) -> dict[str, str]:
        """Name -> why it is not ok (its last death, in words)."""
        return {name: kept.reason for name, kept in self._kept.items() if kept.state is not ChildState.OK}

    def refusals(self) -> dict[str, str]:
        """Name -> the words of a child that refused to run at all (`EXIT_USAGE` in its first life)."""
        return {name: kept.reason for name, kept in self._kept.items() if kept.refused}

    def restarts(self) -> dict[str, int]:
        """Name -> how often it had to be started again."""
        return {name: kept.restarts for name, kept in self._kept.items()}

    def pids(self) -> dict[str, int]:
        """Name -> pid of what runs now."""
        return {
            name: kept.child.pid
            for name, kept in self._kept.items()
            if kept.child is not None and kept.child.exit_code is None
        }

    # --- life -------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start stage by stage; `ChildFailed` (with all children ended) when one does not become ready."""
        try:
            for stage in sorted({kept.spec.stage for kept in self._kept.values()}):
                await self.start_stage(stage)
        except BaseException:
            await self.stop()
            raise

    async def start_stage(self, stage: int) -> None:
        """Start the children of one stage and wait until all are ready."""
        group = [kept for kept in self._kept.values() if kept.spec.stage == stage]
        for kept in group:
            self._tasks.append(asyncio.create_task(self._keep(kept), name=f"keep {kept.spec.name}"))
        await asyncio.gather(*(self._first_ready(kept) for kept in group))

    async def add(self, spec: ChildSpec) -> None:
        """Start one more child and wait until it is ready; `ChildFailed` leaves the others running."""
        if spec.name in self._kept:
            raise ValueError(f"two children have one name: {spec.name}")
        kept = self._kept[spec.name] = _Kept(spec)
        self._tasks.append(asyncio.create_task(self._keep(kept), name=f"keep {spec.name}"))
        await self._first_ready(kept)

    async def stop(self) -> None:
        """End all, last stage first. When this is cancelled the rest is killed at once."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            for stage in sorted({kept.spec.stage for kept in self._kept.values()}, reverse=True):
                group = [k for k in self._kept.values() if k.spec.stage == stage and k.child is not None]
                await asyncio.gather(
                    *(k.child.end(grace_sec=k.spec.grace_sec) for k in group if k.child is not None)
                )
        finally:
            self.kill()
            for kept in self._kept.values():
                self._change(kept, ChildState.STOPPED, "stopped")

    def kill(self) -> None:
        """SIGKILL to every child, now; safe at any time and as often as one likes."""
        self._stopping = True
        for kept in self._kept.values():
            if kept.child is not None:
                kept.child.kill_group()

    # --- one child --------------------------------------------------------------------------------

    async def _keep(self, kept: _Kept) -> None:
        """Start, watch and restart one child until it fails for good or the supervisor stops."""
        spec = kept.spec
        while True:
            try:
                kept.child = child = Child.start(spec)
            except ChildFailed as error:
                self._change(kept, ChildState.FAILED, str(error))
                return
            born_us = mono_us()
            watch = asyncio.create_task(self._watch(kept, child), name=f"watch {spec.name}")
            try:
                code = await child.exited()
            finally:
                watch.cancel()
                with suppress(asyncio.CancelledError):
                    await watch
            was_ready = kept.state is ChildState.OK
            why = f"{spec.name} ended: {describe_exit(code)}"
            if code == EXIT_USAGE and was_ready and (words := log_tail(spec.log, lines=1).strip()):
                why = words  # the one line with which a program of ours refuses its config or its keys
                kept.refused = kept.restarts == 0
            if not spec.restart or code == EXIT_USAGE or (kept.restarts == 0 and not was_ready):
                self._change(kept, ChildState.FAILED, why)
                return
            kept.failures = 1 if mono_us() - born_us > STEADY_SEC * US_PER_SEC else kept.failures + 1
            kept.restarts += 1
            self._change(kept, ChildState.RESTARTING, why)
            await asyncio.sleep(BACKOFF_SEC[min(kept.failures, len(BACKOFF_SEC)) - 1])

    async def _watch(self, kept: _Kept, child: Child) -> None:
        """Say when the child is ready; kill it when it never is, or hangs later; keep its log bounded."""
        spec = kept.spec
        give_up_us = mono_us() + int(spec.ready_sec * US_PER_SEC)
        while not await self._answers(spec):
            if mono_us() > give_up_us:
                kept.reason = f"{spec.name} was not ready after {spec.ready_sec:g} s"
                child.kill_group()
                return
            await asyncio.sleep(READY_POLL_SEC)
        self._change(kept, ChildState.OK, f"{spec.name} is ready")
        answered_us = mono_us()
        while True:
            await asyncio.sleep(WATCH_SEC)
            try:
                bound_log(spec.log, bytes_max=spec.log_bytes_max)
            except OSError as error:  # a full disk must not cost the child its watch
                log.warning("cannot cut %s: %s", spec.log, error)
            if spec.hung_sec is None or await self._answers(spec):
                answered_us = mono_us()
            elif mono_us() - answered_us > spec.hung_sec * US_PER_SEC:
                child.kill_group()
                return

    @staticmethod
    async def _answers(spec: ChildSpec) -> bool:
        if spec.ready is None:
            return True
        try:
            async with asyncio.timeout(PROBE_SEC_MAX):
                return await spec.ready()
        except Exception as error:  # noqa: BLE001 - whatever a probe trips over, the child did not answer
            log.debug("%s does not answer: %r", spec.name, error)
            return False

    async def _first_ready(self, kept: _Kept) -> None:
        while kept.state is ChildState.STARTING:
            kept.changed.clear()
            await kept.changed.wait()
        if kept.state is ChildState.OK:
            return
        tail = log_tail(kept.spec.log)
        said = (
            f"; its last lines ({kept.spec.log}):\n{tail}"
            if tail
            else f" (it wrote nothing to {kept.spec.log})"
        )
        raise ChildFailed(f"{kept.reason}{said}")

    def _change(self, kept: _Kept, state: ChildState, reason: str) -> None:
        if kept.state is ChildState.STARTING and state is ChildState.FAILED and kept.reason:
            reason = kept.reason  # "not ready after 20 s" says more than "killed by SIGKILL"
        kept.state, kept.reason = state, reason
        kept.changed.set()
        if self._on_change is not None:
            self._on_change(kept.spec.name, state, reason)


class StopSignals:
    """SIGINT and SIGTERM for a supervising process: the first asks for an orderly end, the second kills.

    `with StopSignals(supervisor.kill) as stop: await stop.wait()`
    """

    def __init__(self, on_second: Callable[[], None]) -> None:
        self._on_second = on_second
        self._asked = asyncio.Event()

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._signalled)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    def _signalled(self) -> None:
        if self._asked.is_set():
            self._on_second()
        self._asked.set()

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    async def wait(self, *, timeout_sec: float | None = None) -> bool:
        """True when a signal came, False when the time was over first."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_sec):
                await self._asked.wait()
        return self.asked


def log_path(folder: Path, name: str) -> Path:
    """Where a child's output goes."""
    return folder / f"{name}.log"
