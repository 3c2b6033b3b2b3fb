"""The pulse of a service: once a second its health goes to the bus, to `/health` and into the metrics."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from typing import Final

from libs.common.actor import Runtime
from libs.common.bus import Bus
from libs.common.clock import mono_us
from libs.common.instant import US_PER_MS, US_PER_SEC, Clock
from libs.common.messages import AlertLevel, ServiceHealth, encode
from libs.common.metrics import Metrics, resident_bytes
from libs.common.metrics_http import Pulse
from libs.common.store import Store, StoreUnavailable
from libs.common.subjects import health as health_subject

log = logging.getLogger(__name__)

BEAT_US: Final = US_PER_SEC
STORE_PROBE_SEC: Final = 2.0
STORE_PROBE_SEC_MAX: Final = 2.0
STORE_FREE_RATIO_MIN: Final = 0.1
DROPS_SHOWN_US: Final = 10 * US_PER_SEC
LAG_MS_MAX: Final = 1_000.0
KEYS: Final = "keys:"
"""Health keys under which an executor tells of API keys that may not be used (`keys:{venue}`)."""

"""More than a beat late is a service that does not keep up."""


class Beat:
    """Gathers what is wrong and says it. `run` and `watch_store` go on until they are cancelled."""

    def __init__(
        self,
        *,
        service: str,
        build: str,
        clock: Clock,
        bus: Bus,
        store: Store,
        metrics: Metrics,
        pulse: Pulse,
    ) -> None:
        self._service = service
        self._build = build
        self._clock = clock
        self._bus = bus
        self._store = store
        self._metrics = metrics
        self._pulse = pulse
        self._born_us = mono_us()
        self._runtime: Runtime | None = None
        self._store_problem = ""
        self.store_forgets = ""
        self._drops: deque[tuple[int, int]] = deque()
        self._counted: dict[str, float] = {}
        self.waiting_for = "starting"

    def attach(self, runtime: Runtime) -> None:
        """From now on the health is that of a running actor."""
        self._runtime, self.waiting_for = runtime, ""
        # Prometheus sees an increase only over a value before it: the first fault is not the first sample.
        self._metrics.measure("fundarb_actor_faults_total", 0)
        self._metrics.measure("fundarb_store_failures_total", 0)
        for level in AlertLevel:
            self._metrics.measure("fundarb_alerts_total", 0, {"level": level.value})

    async def run(self) -> None:
        """Beat once a second; how late a beat is, is the event loop's lag."""
        due_us = mono_us()
        while True:
            now_us = mono_us()
            self.beat(lag_us=max(0, now_us - due_us))
            due_us = max(due_us + BEAT_US, now_us)  # a suspended machine owes no beats
            await asyncio.sleep((due_us - mono_us()) / US_PER_SEC)

    async def watch_store(self) -> None:
        """Ask the store every few seconds whether it is there, and how full."""
        while True:
            try:
                async with asyncio.timeout(STORE_PROBE_SEC_MAX):
                    free = await self._store.free_ratio()
            except (StoreUnavailable, TimeoutError) as error:
                self._store_problem = f"store: not reachable ({str(error) or 'no answer'})"
            else:
                full = f"store: {100 * (1 - free):.0f} % full"
                self._store_problem = full if free < STORE_FREE_RATIO_MIN else ""
            await asyncio.sleep(STORE_PROBE_SEC)

    def beat(self, *, lag_us: int, last_word: str = "") -> ServiceHealth:
        """One pulse; `last_word` is the problem of a service that ends."""
        runtime = self._runtime
        oldest_us = runtime.core.oldest_us() if runtime else None
        waiting_us = max(0, mono_us() - oldest_us) if oldest_us is not None else 0
        wait_us = max(runtime.waited_us_max if runtime else 0, waiting_us)
        lag_ms = (lag_us + wait_us) / US_PER_MS
        problems = [last_word] if last_word else []
        problems += self._problems(lag_ms)
        health = ServiceHealth(
            service=self._service,
            ok=not problems,
            problems=tuple(problems),
            key_problems=tuple(runtime.problems_of(KEYS)) if runtime else (),
            build=self._build,
            pid=os.getpid(),
            uptime_sec=(mono_us() - self._born_us) / US_PER_SEC,
            lag_ms=round(lag_ms, 3),
            inbox_depth=runtime.core.depth() if runtime else 0,
            inbox_dropped=runtime.core.inbox.dropped if runtime else 0,
            wall_us=self._clock.now().wall_us,
        )
        self._measure(health, lag_us, wait_us)
        self._pulse.beat(health)
        if runtime:
            runtime.publish(health_subject(self._service), health)
            runtime.waited_us_max = runtime.intake.lag_us_max = 0
            runtime.arm()
        else:
            self._publish_early(health)
        return health

    def _publish_early(self, health: ServiceHealth) -> None:
        """Before there is an actor: say what is waited for, as soon as the bus is there."""
        if self._bus.connected:
            self._bus.publish(health_subject(self._service), encode(health))

    def _problems(self, lag_ms: float) -> list[str]:
        problems = []
        if self.waiting_for:
            problems.append(self.waiting_for)
        if not self._bus.connected:
            problems.append("bus: not connected")
        runtime = self._runtime
        if runtime is None:
            return problems
        problems += [text for text in (self._store_problem, self.store_forgets) if text]
        if lag_ms > LAG_MS_MAX:
            problems.append(f"late: {lag_ms / 1_000:.1f} s behind")
        if dropped := self._recent_drops(runtime.core.inbox.dropped):
            problems.append(f"inbox: {dropped} market updates dropped in the last 10 s")
        if faults := runtime.faults.recent(mono_us()):
            problems.append(f"actor: {faults} faults in the last minute")
        if waiting := runtime.store_log.problem():
            problems.append(waiting)
        return [*problems, *runtime.problems.values()]

    def _recent_drops(self, dropped: int) -> int:
        now_us = mono_us()
        self._drops.append((now_us, dropped))
        while len(self._drops) > 1 and now_us - self._drops[0][0] > DROPS_SHOWN_US:
            self._drops.popleft()
        return dropped - self._drops[0][1]

    def _measure(self, health: ServiceHealth, lag_us: int, wait_us: int) -> None:
        measure = self._metrics.measure
        measure("fundarb_build_info", 1, {"build": self._build})
        measure("fundarb_service_up", 1 if health.ok else 0)
        measure("fundarb_resident_bytes", resident_bytes())
        measure("fundarb_loop_lag_seconds", lag_us / US_PER_SEC)
        runtime = self._runtime
        if runtime is None:
            return
        measure("fundarb_inbox_wait_seconds", wait_us / US_PER_SEC)
        measure("fundarb_inbox_depth", health.inbox_depth)
        measure("fundarb_requests_running", runtime.requests.running)
        measure("fundarb_alerts_waiting", len(runtime.store_log))
        measure("fundarb_bus_lag_seconds", runtime.intake.lag_us_max / US_PER_SEC)
        self._count("fundarb_inbox_dropped_total", health.inbox_dropped)
        self._count("fundarb_bus_published_total", runtime.published)
        self._count("fundarb_bus_lost_total", runtime.lost)
        self._count("fundarb_bus_bad_messages_total", runtime.intake.bad)
        for event, handled in runtime.events.items():
            measure("fundarb_events_total", handled, {"event": event})
        runtime.events.clear()

    def _count(self, metric: str, total: float) -> None:
        """Counters kept elsewhere as totals: hand over what was added."""
        self._metrics.measure(metric, total - self._counted.get(metric, 0))
        self._counted[metric] = total
