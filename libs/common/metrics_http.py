"""`/metrics`, `/health` and `/live` of a service, served by a thread so that a frozen event loop is seen.

`/health` is 200 when nothing is wrong, `/live` as long as the event loop runs: a service that waits for
its store is unwell and alive, and restarting it would not help.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, make_server

import msgspec
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from libs.common.clock import mono_us
from libs.common.instant import US_PER_SEC
from libs.common.messages import ServiceHealth, encode

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

log = logging.getLogger(__name__)

PORT_ENV: Final = "FUNDARB_METRICS_PORT"
HOST_ENV: Final = "FUNDARB_METRICS_HOST"
PORTS: Final = {
    "feed": 9101,
    "signal": 9102,
    "executor": 9103,
    "risk": 9104,
    "notifier": 9105,
    "venue": 9106,
    "recorder": 9107,
}
FROZEN_SEC: Final = 5.0
"""A pulse older than this is a process that does not run (stopped, dead-locked), whatever it said last."""

HEADERS: Final = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))


class BadSetting(ValueError):
    """An environment variable that cannot be used; the text names it."""


class Pulse:
    """The last health a service gave, and when. Written by the event loop, read by the server's thread."""

    def __init__(self) -> None:
        self._health: ServiceHealth | None = None
        self._beat_us = mono_us()

    def beat(self, health: ServiceHealth) -> None:
        self._health, self._beat_us = health, mono_us()

    def alive(self) -> bool:
        """The event loop runs; it may be unwell."""
        return mono_us() - self._beat_us <= FROZEN_SEC * US_PER_SEC

    def report(self) -> tuple[bool, bytes]:
        """(Healthy, JSON of the health with `age_sec`)."""
        age_sec = (mono_us() - self._beat_us) / US_PER_SEC
        health = self._health
        said: dict[str, Any] = msgspec.json.decode(encode(health)) if health else {"ok": False}
        problems = list(said.get("problems", ()))
        if health is None:
            problems.append("starting")
        if age_sec > FROZEN_SEC:
            problems.append(f"frozen: no pulse for {age_sec:.0f} s")
        healthy = not problems and bool(said["ok"])
        return healthy, msgspec.json.encode(
            {**said, "ok": healthy, "problems": problems, "age_sec": round(age_sec, 3)}
        )


class MetricsServer:
    """Serves until `close`. `port` is the one that was really taken."""

    def __init__(self, *, registry: CollectorRegistry, pulse: Pulse, host: str, port: int) -> None:
        app = _application(registry, pulse)
        try:
            self._server = _listen(host, port, app)
        except OSError as error:
            if port == 0:
                raise
            log.info("metrics port %d is taken (%s): taking a free one", port, error.strerror)
            self._server = _listen(host, 0, app)
        self.port: int = self._server.server_port
        # It looks so often whether it shall end; the default of 0.5 s would delay every stop of a service.
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="metrics", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=2)


def wanted_port(service: str, env: Mapping[str, str]) -> int:
    """FUNDARB_METRICS_PORT, else the service's own; 0 is any free one. `BadSetting` for nonsense."""
    text = env.get(PORT_ENV)
    if text is None:
        return PORTS.get(service, 0)
    if not text.isdecimal() or int(text) > 65_535:
        raise BadSetting(f"{PORT_ENV}={text!r} is no port: 0 to 65535 is")
    return int(text)


class _Server(ThreadingWSGIServer):
    # A port held by a listener must count as taken, but the remains of old connections must not.
    allow_reuse_address = True
    request_queue_size = 16

    def server_bind(self) -> None:
        # The base class asks DNS for the host's name here, which can take seconds.
        socket_server_bind(self)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the base class's
        log.debug("a metrics client (%s) went away: %r", client_address, sys.exception())


def socket_server_bind(server: _Server) -> None:
    """Bind without a name lookup, and fill in what WSGI wants to know."""
    server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.socket.bind(server.server_address)
    server.server_address = server.socket.getsockname()
    server.server_name, server.server_port = "localhost", server.server_address[1]
    server.setup_environ()


class _Handler(WSGIRequestHandler):
    timeout = 5  # a client that says nothing must not keep a thread

    def address_string(self) -> str:
        return str(self.client_address[0])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        log.debug(format, *args)


def _listen(host: str, port: int, app: WSGIApplication) -> _Server:
    return make_server(host, port, app, server_class=_Server, handler_class=_Handler)


def _application(registry: CollectorRegistry, pulse: Pulse) -> WSGIApplication:
    metrics: Callable[..., Iterable[bytes]] = make_wsgi_app(registry)  # type: ignore[no-untyped-call,unused-ignore]

    def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        match environ.get("PATH_INFO"):
            case "/metrics":
                return metrics(environ, start_response)
            case "/health":
                healthy, body = pulse.report()
                start_response("200 OK" if healthy else "503 Service Unavailable", list(HEADERS))
                return [body]
            case "/live":
                alive = pulse.alive()
                start_response("200 OK" if alive else "503 Service Unavailable", list(HEADERS))
                return [msgspec.json.encode({"alive": alive})]
            case _:
                start_response("404 Not Found", list(HEADERS))
                return [b'{"error":"there are /metrics, /health and /live"}']

    return application
