"""The only home of subject names, slugs and pair ids.

Subjects go from general to specific, in ASCII letters, digits, `-` and `_`: a venue's symbol with
`.`, `*`, `/`, `:` or a space never gets through unslugged.
"""

from __future__ import annotations

import functools
import re
from enum import StrEnum
from typing import Final

_PAIR: Final = re.compile(
    r"[^-]+-[A-Za-z0-9]+_(.+)-(?:spot|perp|[0-9]{6})_(.+)-(?:spot|perp|[0-9]{6})", re.ASCII
)
SLUG: Final = re.compile(r"\A[A-Za-z0-9_-]+\Z")
_DATED: Final = re.compile(r"\A[0-9]{6}\Z")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9]")

# Families, one prefix each: who may publish what is decided by them.
MD, SIGNAL, EXEC, RISK, ALERT, SYS, CMD = "md", "signal", "exec", "risk", "alert", "sys", "cmd"

ALL_MD: Final = "md.>"
ALL_QUOTES: Final = "md.quote.>"
ALL_BOOKS: Final = "md.book.>"
ALL_FUNDING: Final = "md.funding.>"
ALL_HISTORY: Final = "md.history.>"
ALL_INSTRUMENTS: Final = "md.instrument.>"
ALL_MD_HEALTH: Final = "md.health.>"
ALL_SIGNAL: Final = "signal.>"
ALL_OPPORTUNITIES: Final = "signal.opportunity.>"
ALL_HEALTH: Final = "sys.health.>"
ALL_ALERTS: Final = "alert.>"
ALL_CMD: Final = "cmd.>"
ALL_EXEC: Final = "exec.>"
ALL_PAIRS: Final = "exec.pair.>"
ALL_ACCOUNTS: Final = "exec.account.>"
ALL_INTENTS: Final = "signal.intent.>"
BOOKS: Final = "exec.books"
NOBODY: Final = "none"
PERMIT: Final = "risk.permit"
CLOCK: Final = "sys.clock"
EVALUATION: Final = "signal.evaluation"


class Kind(StrEnum):
    """What a leg is."""

    SPOT = "spot"
    PERP = "perp"
    FUTURE = "future"


# As globals: a member is looked up several times a leg and tick, and an enum's attribute costs a call.
SPOT: Final = Kind.SPOT
PERP: Final = Kind.PERP
FUTURE: Final = Kind.FUTURE
_PERP_TAIL: Final = f"-{PERP.value}"
_SPOT_TAIL: Final = f"-{SPOT.value}"


class Channel(StrEnum):
    """Control and market data go over two connections, so that ticks cannot delay a halt."""

    CONTROL = "control"
    DATA = "data"


def channel_of(subject: str) -> Channel:
    """Market data and what follows from it on one connection; intents, commands, health on the other."""
    family = subject.split(".", 1)[0]
    if family == MD or subject.startswith(("signal.opportunity.", "signal.evaluation")):
        return Channel.DATA
    return Channel.CONTROL


def slug(text: str) -> str:
    """`text` as one subject token; what is not a letter or digit becomes `_` and its hex code, `_`.

    >>> slug("BTC"), slug("xyz:AAPL")
    ('BTC', 'xyz_3a_AAPL')
    """
    if not text:
        raise ValueError("an empty name cannot be a subject token")
    return _UNSAFE.sub(lambda match: f"_{ord(match.group()):x}_", text)


def instrument_slug(base: str, quote: str, kind: Kind, *, expiry: str = "") -> str:
    """`BTC-USDT` (spot), `BTC-USDT-PERP`, `BTC-USDT-241227` (expiry as yymmdd)."""
    stem = f"{slug(base)}-{slug(quote)}"
    match kind:
        case Kind.SPOT:
            return stem
        case Kind.PERP:
            return f"{stem}-PERP"
        case Kind.FUTURE:
            if not _DATED.match(expiry):
                raise ValueError(f"a dated future needs its expiry as yymmdd, not {expiry!r}")
            return f"{stem}-{expiry}"


def kind_of(instrument: str) -> Kind:
    """The kind that an instrument's slug names."""
    if instrument.endswith("-PERP"):
        return PERP
    if instrument.count("-") == 2 and _DATED.match(instrument.rsplit("-", 1)[1]):
        return FUTURE
    return SPOT


def leg_name(venue: str, instrument: str) -> str:
    """`binance-spot`, `binance-perp`, `binance-241227`: a leg's part of a pair id."""
    kind = kind_of(instrument)
    if kind is FUTURE:
        return f"{venue}-{instrument.rsplit('-', 1)[1]}"
    return venue + (_PERP_TAIL if kind is PERP else _SPOT_TAIL)


def pair_id(first: tuple[str, str], second: tuple[str, str]) -> str:
    """Id of a pair from its (venue, instrument) legs, in the config's order; the direction is not in it.

    >>> pair_id(("binance", "BTC-USDT"), ("binance", "BTC-USDT-PERP"))
    'BTC-USDT_binance-spot_binance-perp'
    """
    return pair_name(pair_stem(first[1]), leg_name(*first), leg_name(*second))


def pair_stem(instrument: str) -> str:
    """`BTC-USDT`: what a pair's id says of its instruments."""
    return "-".join(instrument.split("-", 2)[:2])


def pair_name(stem: str, first: str, second: str) -> str:
    """A pair's id out of its parts, for who makes many of the same legs."""
    return f"{stem}_{first}_{second}"


def venues_of(pair: str) -> tuple[str, ...]:
    """The two venues of a pair's id; none when it is no pair's id.

    >>> venues_of("BTC-USDT_binance-spot_bitget-perp")
    ('binance', 'bitget')
    """
    match = _PAIR.fullmatch(pair)
    return match.groups() if match else ()


@functools.lru_cache(maxsize=16_384)
def _checked(*tokens: str) -> str:
    for token in tokens:
        if not SLUG.match(token):
            raise ValueError(f"{token!r} is no subject token: letters, digits, - and _ only (see slug)")
    return ".".join(tokens)


def quote(venue: str, instrument: str) -> str:
    """Best bid and ask of an instrument."""
    return _checked(MD, "quote", venue, instrument)


def book(venue: str, instrument: str) -> str:
    """Depth of an instrument."""
    return _checked(MD, "book", venue, instrument)


def funding(venue: str, instrument: str) -> str:
    """Current rates and settled prints."""
    return _checked(MD, "funding", venue, instrument)


def history(venue: str, instrument: str) -> str:
    """All settled prints that are known."""
    return _checked(MD, "history", venue, instrument)


def instrument(venue: str, instrument: str) -> str:
    """What an instrument is, in base units."""
    return _checked(MD, "instrument", venue, instrument)


def md_health(venue: str) -> str:
    """How well a venue is seen."""
    return _checked(MD, "health", venue)


def opportunity(pair: str) -> str:
    """Every figure of a pair."""
    return _checked(SIGNAL, "opportunity", pair)


def intent(pair: str) -> str:
    """What the executor is asked to do."""
    return _checked(SIGNAL, "intent", pair)


def exec_pair(pair: str) -> str:
    """State of a pair."""
    return _checked(EXEC, "pair", pair)


def exec_order(pair: str) -> str:
    """Each order event."""
    return _checked(EXEC, "order", pair)


def exec_fill(pair: str) -> str:
    """Each fill."""
    return _checked(EXEC, "fill", pair)


def exec_ledger(pair: str) -> str:
    """Each booked movement; what belongs to no pair goes to `NOBODY`."""
    return _checked(EXEC, "ledger", pair)


def exec_account(venue: str) -> str:
    """Balances, positions, margin of an account."""
    return _checked(EXEC, "account", venue)


def breaker(scope: str) -> str:
    """A change of one scope; `:` becomes `-`."""
    return _checked(RISK, "breaker", scope.replace(":", "-"))


def health(service: str) -> str:
    """A service's pulse."""
    return _checked(SYS, "health", service)


def want(service: str) -> str:
    """Asks a service to publish its slow state again (a newcomer has missed it)."""
    return _checked(SYS, "want", service)


def alert(level: str) -> str:
    """Something a person should know."""
    return _checked(ALERT, level)


def command(verb: str) -> str:
    """A request of the operator."""
    return _checked(CMD, verb)
