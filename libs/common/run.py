"""The life of a service process: config, logs, bus, store, actor, and an orderly end.

    def main() -> int:
        return serve("feed", assemble)

Exit codes (contract.md): 0 stopped as asked, 1 failed, 2 wrong usage or config, 3 cannot reach what it
needs. Errors to people are one clear line on stderr.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

import uvloop

from libs.common import runtime_file
from libs.common.actor import Runtime
from libs.common.assembly import Assemble, Assembly, Background, CannotStart, Offer, ServiceContext
from libs.common.beat import Beat
from libs.common.build import build
from libs.common.bus import Bus, BusUnavailable, Frame
from libs.common.clock import SystemClock, mono_us
from libs.common.config.load import load_config, secrets_of
from libs.common.config.paths import paths_of
from libs.common.config.problems import ConfigError
from libs.common.config.schema import Config, Mode
from libs.common.guard import guard_loopback, peers_of
from libs.common.instant import US_PER_SEC, MarketClock
from libs.common.log import setup as setup_log
from libs.common.messages import BadMessage, ClockState, decode
from libs.common.metrics import Metrics
from libs.common.metrics_http import HOST_ENV, BadSetting, MetricsServer, Pulse, wanted_port
from libs.common.nats_bus import NatsBus
from libs.common.redact import REDACTOR
from libs.common.redis_store import RedisStore
from libs.common.reloading import Reloader
from libs.common.server_url import (
    LOGIN,
    NATS_ENV,
    REDIS_ENV,
    BadUrl,
    nats_address,
    redis_address,
    with_url_files,
)
from libs.common.store import Store, StoreUnavailable
from libs.common.subjects import CLOCK

__all__ = ["Assembly", "Background", "CannotStart", "Offer", "ServiceContext", "serve"]

log = logging.getLogger(__name__)

CONFIG_ENV: Final = "FUNDARB_CONFIG"
WAIT_ENV: Final = "FUNDARB_WAIT_SEC"

OK, FAILED, USAGE, UNREACHABLE = 0, 1, 2, 3
WAIT_SEC_DEFAULT: Final = 120.0
WAIT_SEC_MAX: Final = 1e6
ATTEMPT_SEC: Final = 10.0
RETRY_SEC: Final = 0.5
PROGRESS_US: Final = 10 * US_PER_SEC
CLOSE_SEC_MAX: Final = 3.0


T = TypeVar("T")


class _Stopped(Exception):
    """A signal came while the service was still waiting for something."""


def serve(service: str, assemble: Assemble, *, env: Mapping[str, str] | None = None) -> int:
    """Run a service until SIGTERM or SIGINT; answers the exit code. A second signal ends it at once.

    In mode demo no socket of the process leaves this machine, whatever the service does later.
    """
    known = os.environ if env is None else env
    setup_log(service=service, env=known)
    try:
        known = with_url_files(known)
        config = load_config(paths_of(known.get(CONFIG_ENV, "")), known)
        _register_secrets(config, known)
        nats_url = _url(known, NATS_ENV, "nats", nats_address)
        redis_url = _url(known, REDIS_ENV, "redis", redis_address)
        port, wait_sec = wanted_port(service, known), _wait_sec(known)
    except (ConfigError, BadSetting, BadUrl) as error:
        return _refused(service, str(error), USAGE)
    except CannotStart as error:
        return _refused(service, str(error), error.code)
    if config.mode is Mode.DEMO:
        guard_loopback(peers_of(known))
    clock, attempt_sec = SystemClock(), min(ATTEMPT_SEC, wait_sec)
    bus = NatsBus(nats_url, name=service, connect_timeout_sec=attempt_sec)
    store = RedisStore(redis_url, deployment=config.deployment, connect_timeout_sec=attempt_sec)
    process = _Process(service=service, config=config, env=known, clock=clock, bus=bus, store=store)
    bus.on_fatal = process.bus_lost
    try:
        code: int = uvloop.run(process.live(assemble, port=port, wait_sec=wait_sec))
    except CannotStart as error:
        return _refused(service, str(error), error.code)
    except (BusUnavailable, StoreUnavailable) as error:
        return _refused(service, str(error), UNREACHABLE)
    return code


class _Process:
    """One service process from its first wait to its last word."""

    def __init__(
        self,
        *,
        service: str,
        config: Config,
        env: Mapping[str, str],
        clock: SystemClock,
        bus: Bus,
        store: Store,
    ) -> None:
        self._context = ServiceContext(
            service=service, config=config, clock=clock, bus=bus, store=store, env=env
        )
        self._metrics = Metrics(deployment=config.deployment, service=service)
        self._pulse = Pulse()
        self._runtime: Runtime | None = None
        self._lost = ""
        self._beat = Beat(
            service=service,
            build=build(env),
            clock=clock,
            bus=bus,
            store=store,
            metrics=self._metrics,
            pulse=self._pulse,
        )

    async def live(self, assemble: Assemble, *, port: int, wait_sec: float) -> int:
        """Serve metrics, wait for what is needed, run the actor; exit code.

        `CannotStart`, `BusUnavailable` and `StoreUnavailable` come out after everything was closed, so
        that the line about them is the last one of the log.
        """
        context, stop = self._context, asyncio.Event()
        _on_signals(stop)
        asyncio.get_running_loop().set_exception_handler(_log_loop_error)
        host = context.env.get(HOST_ENV, "127.0.0.1")
        server = MetricsServer(registry=self._metrics.registry, pulse=self._pulse, host=host, port=port)
        self._announce(server.port)
        helpers = [asyncio.create_task(self._beat.run(), name="beat")]
        try:
            await self._ready(stop, wait_sec)
            helpers.append(asyncio.create_task(self._beat.watch_store(), name="watch store"))
            self._beat.waiting_for = "assembling"
            assembly = await _or_stop(assemble(context), stop)
            return await self._run(assembly, stop)
        except _Stopped:
            return OK
        except (CannotStart, BusUnavailable, StoreUnavailable):
            raise
        except Exception:
            log.exception("%s failed", context.service)
            return FAILED
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            for closing in (context.bus, context.store):
                with suppress(TimeoutError, BusUnavailable, StoreUnavailable):
                    async with asyncio.timeout(CLOSE_SEC_MAX):
                        await closing.close()
            server.close()

    def bus_lost(self, text: str) -> None:
        """The bus says that no retry helps (a permission is missing): end, and let a restart try."""
        if self._runtime is not None:
            self._runtime.fatal(f"bus: {text}")
        else:
            log.critical("bus: %s", text)
            self._lost = f"bus: {text}"

    async def _run(self, assembly: Assembly, stop: asyncio.Event) -> int:
        context = self._context
        env = context.env
        reloader = Reloader.of(context, assembly, lambda: load_config(paths_of(env.get(CONFIG_ENV, "")), env))
        runtime = Runtime(
            service=context.service,
            assembly=replace(assembly, background=(*assembly.background, reloader.run)),
            clock=context.clock,
            bus=context.bus,
            store=context.store,
            metrics=self._metrics,
        )
        self._runtime, reloader.entries = runtime, runtime.store_log
        if self._lost:
            raise CannotStart(self._lost, code=UNREACHABLE)
        self._beat.attach(runtime)
        log.info("%s runs", context.service)
        code = await runtime.run(stop)
        self._beat.beat(lag_us=0, last_word="stopped" if code == OK else "failed")
        log.info("%s ended", context.service)
        return code

    async def _ready(self, stop: asyncio.Event, wait_sec: float) -> None:
        """Wait for bus, store and (in the demo) the market's clock; `CannotStart` after FUNDARB_WAIT_SEC."""
        context = self._context
        until_us = mono_us() + int(wait_sec * US_PER_SEC)
        await self._connected("bus", context.bus.connect, until_us, stop)
        await self._connected("store", self._store, until_us, stop)
        if context.config.mode is Mode.DEMO and context.service != "venue":
            await self._market_clock(until_us, stop)

    async def _store(self) -> None:
        """Connect, and say once when what the store acknowledges may be lost; a demo keeps nothing anyway."""
        context = self._context
        await context.store.connect()
        if context.config.mode is Mode.DEMO:
            return
        found = await context.store.durability()
        if found.durable is not True:
            log.warning("the store %s", found.text)
        # An observer loses a notebook, not an order: it says so once and is well all the same.
        if found.durable is False and context.config.mode is not Mode.OBSERVER:
            self._beat.store_forgets = f"store: {found.text}"

    async def _connected(
        self, what: str, connect: Callable[[], Awaitable[None]], until_us: int, stop: asyncio.Event
    ) -> None:
        self._beat.waiting_for = f"waiting for the {what}"
        said_us: int | None = None
        while True:
            try:
                await _or_stop(connect(), stop)
            except (BusUnavailable, StoreUnavailable) as error:
                if mono_us() >= until_us:
                    raise CannotStart(f"cannot reach the {what}: {error}", code=UNREACHABLE) from error
                if said_us is None or mono_us() - said_us > PROGRESS_US:
                    log.warning("waiting for the %s: %s", what, error)
                    said_us = mono_us()
                await _or_stop(asyncio.sleep(RETRY_SEC), stop)
            else:
                if said_us is not None:
                    log.info("the %s is there", what)
                return

    async def _market_clock(self, until_us: int, stop: asyncio.Event) -> None:
        """Follow `sys.clock`; answers when the first one has come."""
        heard = asyncio.Event()

        def follow(frame: Frame) -> None:
            try:
                said = decode(frame.payload, ClockState)
            except BadMessage as error:
                log.warning("the market's clock is unreadable: %s", error)
                return
            self._context.clock.market = MarketClock(
                market0_ms=said.market0_ms, wall0_ms=said.wall0_ms, speed=said.speed
            )
            heard.set()

        self._beat.waiting_for = "waiting for the market's clock (published by the venue service)"
        await self._context.bus.subscribe(CLOCK, follow)
        try:
            async with asyncio.timeout(max(0.0, (until_us - mono_us()) / US_PER_SEC)):
                await _or_stop(heard.wait(), stop)
        except TimeoutError as error:
            text = f"no {CLOCK} on the bus: the venue service does not run"
            raise CannotStart(text, code=UNREACHABLE) from error

    def _announce(self, port: int) -> None:
        folder = self._context.env.get(runtime_file.ENV_DIR)
        if folder:
            path = runtime_file.deployment_path(Path(folder), self._context.config.deployment)
            runtime_file.announce(path, service=self._context.service, pid=os.getpid(), metrics_port=port)
        log.info("metrics on port %d", port)


async def _or_stop(work: Awaitable[T], stop: asyncio.Event) -> T:
    """The result of `work`, or `_Stopped` when a signal comes first."""
    task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise _Stopped
    finally:
        for one in (task, stopped):
            one.cancel()
        await asyncio.gather(task, stopped, return_exceptions=True)


def _on_signals(stop: asyncio.Event) -> None:
    def asked() -> None:
        if stop.is_set():
            os._exit(FAILED)  # asked twice: whoever asks does not want to wait
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked)


def _log_loop_error(_loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    error = context.get("exception")
    log.error("%s", context.get("message"), exc_info=error if isinstance(error, BaseException) else None)


def _url(env: Mapping[str, str], variable: str, scheme: str, address_of: Callable[[str], str]) -> str:
    """The variable's URL; `BadSetting` when it is missing or none."""
    url = env.get(variable, "")
    if not url:
        remedy = f"start everything with `fundarb up`, or set it ({scheme}://host:port; {LOGIN})"
        raise BadSetting(f"{variable} is not set: {remedy}")
    try:
        address_of(url)
    except BadUrl as error:
        raise BadSetting(f"{variable}: {error}") from error
    return url


def _wait_sec(env: Mapping[str, str]) -> float:
    text = env.get(WAIT_ENV, "")
    try:
        seconds = float(text) if text else WAIT_SEC_DEFAULT
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < WAIT_SEC_MAX:
        raise BadSetting(f"{WAIT_ENV}={text!r} is no number of seconds above 0")
    return seconds


def _register_secrets(config: Config, env: Mapping[str, str]) -> None:
    REDACTOR.add(*secrets_of(config))
    for variable in (NATS_ENV, REDIS_ENV):
        REDACTOR.add_url(env.get(variable, ""))


def _refused(service: str, text: str, code: int) -> int:
    sys.stderr.write(REDACTOR.text(f"{service}: {text}\n"))
    return code
