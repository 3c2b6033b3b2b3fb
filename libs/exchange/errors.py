"""Every failure of a venue call as one `VenueError`: a class to count and decide by, and one clean line."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import Final

import aiohttp
import ccxt

from libs.exchange.port import VenueError

TEXT_MAX: Final = 200
_QUERY: Final = re.compile(r"\?[^\s\"']*")  # signatures, keys and timestamps travel in query strings
_SECRET: Final = re.compile(
    r"(?i)(\"?\b(?:api[-_]?key|secret|signature|sign|passphrase|password|token|listenkey|authorization)\b\"?"
    r"\s*[:=]\s*)(\"[^\"]*\"|[^\s,&;}]+)"
)
_HTML: Final = re.compile(r"(?is)<!doctype.*|<html.*|<head.*|<body.*")
_STATUS: Final = re.compile(r"\b([45]\d\d)\b")

# What parsing raises over a payload of another shape: ccxt reads fields without checking them.
NONSENSE: Final = (TypeError, KeyError, AttributeError, ValueError, IndexError, ArithmeticError)

# First match wins: ccxt's classes nest (DDoSProtection and RequestTimeout are NetworkErrors).
_CLASSES: Final[tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...]] = (
    ((ccxt.DDoSProtection, ccxt.RateLimitExceeded), "rate_limit"),
    (ccxt.OnMaintenance, "maintenance"),
    ((ccxt.RequestTimeout, TimeoutError, asyncio.TimeoutError), "timeout"),
    ((ccxt.AuthenticationError, ccxt.PermissionDenied, ccxt.AccountNotEnabled), "auth"),
    ((ccxt.NotSupported, ccxt.BadSymbol, ccxt.ArgumentsRequired), "not_supported"),
    ((ccxt.BadResponse, ccxt.NullResponse), "bad_payload"),
)


_OUTAGES: Final = frozenset({"network", "timeout", "rate_limit", "maintenance", "bad_payload"})


class HtmlAnswerError(ccxt.BadResponse):  # type: ignore[misc]  # ccxt ships no types
    """HTTP 200 with something that is not JSON: a captive page, a proxy, a truncated body."""


def is_transport(error: BaseException) -> bool:
    """Whether the wire failed rather than the venue's answer: what ccxt wraps is in `__cause__`."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, (aiohttp.ClientConnectionError, socket.gaierror, ConnectionError)):
            return True
        seen = seen.__cause__
    return False


def error_class_of(error: BaseException) -> str:
    """The class of port.VenueError that `error` belongs to.

    A 5xx reaches us as ExchangeNotAvailable without a transport cause: the venue answered, so it is
    `exchange`, while the same class over a refused connection is `network`.
    """
    for kinds, name in _CLASSES:
        if isinstance(error, kinds):
            return name
    if is_transport(error):
        return "network"
    if isinstance(error, ccxt.ExchangeNotAvailable):
        return "exchange"
    if isinstance(error, (ccxt.NetworkError, aiohttp.ClientError, OSError)):
        return "network"
    if isinstance(error, ccxt.BaseError):
        return "exchange"
    return "bad_payload" if isinstance(error, NONSENSE) else "exchange"


def is_local(error: VenueError) -> bool:
    """Whether nobody was asked: our own budget had no room, or the port does not know how."""
    return error.error_class == "not_supported" or (
        error.error_class == "rate_limit" and error.__cause__ is None
    )


def is_outage(error: VenueError) -> bool:
    """Whether a call ended without the venue's reasoned word: network, time-out, 5xx, 429, maintenance, or
    a page in place of JSON.
    """
    if error.error_class in _OUTAGES:
        return True
    return isinstance(error.__cause__, ccxt.ExchangeNotAvailable)


def one_line(text: str) -> str:
    """`text` without line breaks, markup, query strings and secrets, at most 200 characters.

    >>> one_line("GET https://x.com/order?signature=abc 400  {}")
    'GET https://x.com/order 400 {}'
    """
    clean = _HTML.sub("(an HTML page)", text)
    clean = _SECRET.sub(r"\1***", _QUERY.sub("", clean))
    clean = " ".join(clean.split())
    return clean if len(clean) <= TEXT_MAX else clean[: TEXT_MAX - 1] + "…"


def describe(error: BaseException) -> str:
    """What happened, in words: ccxt's text is often only a method and an address."""
    text = " ".join(str(error).split())
    cause = error.__cause__
    if isinstance(error, NONSENSE):
        return one_line(f"an answer that cannot be read ({type(error).__name__}: {text})")
    if isinstance(error, (ccxt.RequestTimeout, TimeoutError)):
        return one_line(f"no answer in time {text}".rstrip())
    if is_transport(error):
        reason = str(cause or error).replace("Cannot connect to host", "cannot connect to")
        return one_line(reason.replace(" ssl:default", "") or type(error).__name__)
    status = _STATUS.search(_QUERY.sub("", text))
    if isinstance(error, ccxt.ExchangeNotAvailable) and status:
        return one_line(f"the venue answered HTTP {status.group(1)}: {text}")
    return one_line(text or type(error).__name__)


def venue_error(
    venue: str, call: str, error: BaseException, *, retry_after_sec: float | None = None
) -> VenueError:
    """`error` of `call` (`fetch_funding`, ...) as the port's only exception."""
    if isinstance(error, VenueError):
        return error
    name = error_class_of(error)
    hint = f" (wait {retry_after_sec:g} s)" if name == "rate_limit" and retry_after_sec is not None else ""
    failure = VenueError(venue, name, f"{call}: {describe(error)}{hint}")
    failure.retry_after_sec = retry_after_sec if name == "rate_limit" else None
    return failure


def retry_after_sec(headers: object, *, default: float = 60.0) -> float:
    """Seconds of a `Retry-After` header (Binance bans grow from 2 minutes), else `default`."""
    if isinstance(headers, dict):
        for key, value in headers.items():
            if str(key).lower() == "retry-after":
                try:
                    seconds = float(value)
                except (TypeError, ValueError):
                    return default
                return seconds if 0 <= seconds < 1e6 else default
    return default
