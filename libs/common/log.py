"""Logs: JSON lines for files and collectors, human lines for terminals, secrets in neither.

Everything goes through one handler with one redacting formatter, third-party libraries included.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final, TextIO

import msgspec

from libs.common.messages import AlertLevel
from libs.common.redact import REDACTOR, Redactor

FILE_ENV: Final = "FUNDARB_LOG_FILE"
LEVEL_ENV: Final = "FUNDARB_LOG_LEVEL"
FILE_BYTES_MAX: Final = 10_000_000
FILES_KEPT: Final = 3
LINE_CHARS_MAX: Final = 8_000

_COLOURS: Final = {"WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[1;31m"}
_RESET: Final = "\x1b[0m"
LEVELS: Final = {
    AlertLevel.INFO: logging.INFO,
    AlertLevel.WARNING: logging.WARNING,
    AlertLevel.CRITICAL: logging.ERROR,
}
"""How an actor's `Note` or `Alert` appears in the log."""

# Libraries whose chatter says nothing to a trader.
_QUIET: Final = ("asyncio", "ccxt", "urllib3", "aiohttp.access", "nats")


def setup(
    *, service: str, env: Mapping[str, str], stream: TextIO | None = None, redactor: Redactor = REDACTOR
) -> None:
    """Send all logs of this process to `stream` (stderr), and to FUNDARB_LOG_FILE where it is set.

    FUNDARB_LOG_LEVEL: debug, info (default), warning, error.
    """
    out = stream or sys.stderr
    human = out.isatty()
    handlers: list[logging.Handler] = [logging.StreamHandler(out)]
    handlers[0].setFormatter(
        HumanFormatter(redactor, colour=human) if human else JsonFormatter(redactor, service=service)
    )
    if path := env.get(FILE_ENV):
        handlers.append(_file_handler(Path(path), JsonFormatter(redactor, service=service)))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        root.addHandler(handler)
    level = env.get(LEVEL_ENV, "info").upper()
    root.setLevel(level if level in logging.getLevelNamesMapping() else "INFO")
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    logging.raiseExceptions = False  # a full disk or closed terminal must not print tracebacks over the table
    sys.excepthook = _log_uncaught


def fields(**named: Any) -> dict[str, Any]:
    """`log.info("text", extra=fields(pair=..., n=...))`: structured fields of a line."""
    return {"fields": named}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ts, level, service, logger, text, fields, error."""

    def __init__(self, redactor: Redactor, *, service: str) -> None:
        super().__init__()
        self._redactor = redactor
        self._service = service
        self._encoder = msgspec.json.Encoder()

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "ts": _stamp(record),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "text": self._redactor.text(_message(record)),
        }
        if named := getattr(record, "fields", None):
            line["fields"] = self._redactor.value(named)
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = self._redactor.text(self.formatException(record.exc_info))[-LINE_CHARS_MAX:]
        return self._encoder.encode(line).decode()


class HumanFormatter(logging.Formatter):
    """`12:30:05 WARNING feed: text  pair=BTC n=3`; tracebacks stay in the files."""

    def __init__(self, redactor: Redactor, *, colour: bool) -> None:
        super().__init__()
        self._redactor = redactor
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        named = self._redactor.value(getattr(record, "fields", None) or {})
        tail = "".join(f" {key}={value}" for key, value in named.items())
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            tail += self._redactor.text(f" ({type(error).__name__}: {error})")
        level = record.levelname
        if self._colour and level in _COLOURS:
            level = f"{_COLOURS[level]}{level}{_RESET}"
        line = f"{_stamp(record)[11:19]} {level} {self._redactor.text(_message(record))}{tail}"
        return line.replace("\n", " | ")


def _message(record: logging.LogRecord) -> str:
    text = record.getMessage()
    return text if len(text) <= LINE_CHARS_MAX else f"{text[:LINE_CHARS_MAX]} ... ({len(text)} characters)"


def _stamp(record: logging.LogRecord) -> str:
    instant = datetime.fromtimestamp(record.created, tz=UTC)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _PrivateFiles(logging.handlers.RotatingFileHandler):
    """Bounded, and for the owner alone: the first file and each that follows it."""

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return open(descriptor, "a", encoding=self.encoding, errors=self.errors)  # noqa: PTH123


def _file_handler(path: Path, formatter: logging.Formatter) -> logging.Handler:
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = _PrivateFiles(path, maxBytes=FILE_BYTES_MAX, backupCount=FILES_KEPT, encoding="utf-8")
    handler.setFormatter(formatter)
    return handler


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("uncaught").critical(
        "ended by %s: %s", kind.__name__, error, exc_info=(kind, error, trace)
    )


class RateLimit:
    """At most one line of a kind per `every_us`; `allow` answers how many were left out, None for silence."""

    def __init__(self, *, every_us: int, kinds_max: int = 1_000) -> None:
        self._every_us = every_us
        self._kinds_max = kinds_max
        self._last: dict[str, tuple[int, int]] = {}

    def allow(self, kind: str, now_us: int) -> int | None:
        last_us, silenced = self._last.get(kind, (None, 0))
        if last_us is not None and now_us - last_us < self._every_us:
            self._last[kind] = (last_us, silenced + 1)
            return None
        if len(self._last) >= self._kinds_max and kind not in self._last:
            self._last.clear()
        self._last[kind] = (now_us, 0)
        return silenced
