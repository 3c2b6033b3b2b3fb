"""One ccxt instance for public data: how it is made, and how its calls become answers or `VenueError`s."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import ssl
from collections.abc import Awaitable, Coroutine, Iterable, Iterator
from typing import Any, Final, TypeVar

import ccxt.pro

from libs.exchange.errors import NONSENSE, HtmlAnswerError, error_class_of, retry_after_sec, venue_error
from libs.exchange.record import ClientSpec

log = logging.getLogger(__name__)

T = TypeVar("T")
_OK_BELOW: Final = 300


class StrictAnswers:
    """ccxt's own response hooks, used to refuse a success that is no JSON.

    Without it an HTML page under status 200, or a body cut short, parses to nothing: markets, rates and
    quotes would silently be empty (fetch of async_support/base/exchange.py returns the text).
    """

    _status = 0

    def on_rest_response(self, code: int, *args: Any, **kwargs: Any) -> Any:
        """Remember the status: `parse_json` follows in the same turn of the loop."""
        self._status = code
        return super().on_rest_response(code, *args, **kwargs)  # type: ignore[misc]  # ccxt's class comes after

    def parse_json(self, http_response: str) -> Any:
        """The decoded body; a body of a success that cannot be decoded raises `HtmlAnswerError`."""
        parsed = super().parse_json(http_response)  # type: ignore[misc]  # see on_rest_response
        if parsed is None and 0 < self._status < _OK_BELOW and http_response != "null":
            what = "an HTML page" if http_response.lstrip()[:1] == "<" else f"{len(http_response)} characters"
            raise HtmlAnswerError(f"the venue answered HTTP {self._status} with {what} in place of JSON")
        return parsed


_classes: dict[tuple[str, type], type] = {}


@functools.cache
def _trust(cafile: str) -> ssl.SSLContext:
    """What ccxt would make for each instance by itself: 20 ms of the loop's time, for equal contents."""
    return ssl.create_default_context(cafile=cafile)


def make_exchange(
    spec: ClientSpec,
    *,
    session: Any,
    timeout_sec: float,
    options: dict[str, Any],
    keys: dict[str, str] | None = None,
    answers: type[StrictAnswers] = StrictAnswers,
) -> Any:
    """A ccxt.pro exchange of `spec`, without keys unless `keys` (apiKey, secret, ...) are given; `options`
    (the user's) win over the venue's record. `session` is aiohttp's, or stands for one; `answers`: the hooks
    in front of ccxt's class.

    `maxRetriesOnFailure` stays 0: it would send again whatever failed. The limiter is on, since polls
    of many callers meet here.
    """
    cls = _classes.get((spec.ccxt_id, answers))
    if cls is None:
        cls = type(spec.ccxt_id, (answers, getattr(ccxt.pro, spec.ccxt_id)), {})
        _classes[spec.ccxt_id, answers] = cls
    exchange = cls(
        {
            "session": session,
            "timeout": int(timeout_sec * 1000),
            "enableRateLimit": True,
            "options": {**spec.options, **options, "maxRetriesOnFailure": 0},
            **(keys or {}),
        }
    )
    exchange.ssl_context = _trust(exchange.cafile)
    # Coins are of no use to an observer; on most venues they cost requests, on some they need keys.
    exchange.has["fetchCurrencies"] = False
    return exchange


class Client:
    """An exchange with its record and the venue's name for errors."""

    def __init__(self, venue: str, spec: ClientSpec, exchange: Any) -> None:
        self.venue = venue
        self.spec = spec
        self.exchange = exchange
        self._told: set[tuple[str, ...]] = set()

    async def call(self, name: str, work: Awaitable[T]) -> T:
        """Await `work` of ccxt; whatever goes wrong leaves as `VenueError` (cancellation passes)."""
        with self.errors(name):
            return await work

    @contextlib.contextmanager
    def errors(self, name: str) -> Iterator[None]:
        """Translate what ccxt raises: it reads fields without checking them, so that nonsense of a venue
        comes out as a TypeError. Only its own work belongs inside: the same error of ours is no venue's.
        """
        try:
            yield
        except Exception as error:
            self.tell(name, error)
            hint = None
            if error_class_of(error) == "rate_limit":
                hint = retry_after_sec(self.exchange.last_response_headers)
            raise venue_error(self.venue, name, error, retry_after_sec=hint) from error

    def tell(self, name: str, error: Exception) -> None:
        """Log the traceback of what looks like an answer that cannot be read, once for each place: it may as
        well be a mistake in the code.
        """
        if not isinstance(error, NONSENSE):
            return
        place = (name, type(error).__name__, *place_of(error))
        if place not in self._told:
            self._told.add(place)
            log.error(
                "%s: %s: an answer that cannot be read, or a mistake in reading it",
                self.venue,
                name,
                exc_info=error,
            )

    async def close(self) -> None:
        """End sockets; the session belongs to the factory."""
        await end(self.exchange)


async def end(exchange: Any) -> None:
    """Close the sockets of a ccxt instance. The session is shared and not its own to close: without one ccxt
    does not complain when a drain ends the wait for the sockets.
    """
    exchange.timeout_on_exit = 0
    try:
        await exchange.close()
    finally:
        exchange.session = None


def place_of(error: BaseException) -> tuple[str, str]:
    """File and line that raised it, empty when it never was raised."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return ("", "") if frame is None else (frame.tb_frame.f_code.co_filename, str(frame.tb_lineno))


async def all_of(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Results in order; the first failure cancels the others and is raised as it is (no group)."""
    tasks = [asyncio.ensure_future(item) for item in work]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
