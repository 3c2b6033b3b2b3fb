"""Rules about symbols and pairs: two legs, one quote, on exchanges that exist."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Final

from libs.common.config import legs, names
from libs.common.config.facts import Facts
from libs.common.config.legs import Leg
from libs.common.config.problems import Problem
from libs.common.config.schema import Config
from libs.common.config.values import shown
from libs.common.subjects import Kind, pair_id

SYMBOL: Final = re.compile(
    r"(?P<base>[^\s/:]+)/(?P<quote>[^\s/:]+)(?::(?P<settle>[^\s/:-]+)(?:-(?P<expiry>\d{6}))?)?"
)
QUOTES: Final = ("USDT", "USDC", "USD", "FDUSD", "BUSD", "TUSD", "USDE", "USD1", "DAI", "EUR", "BTC", "ETH")


def symbols(facts: Facts, config: Config) -> Iterator[Problem]:
    """Symbols that are none, and symbols that no exchange pairs."""
    explicit = {symbol for pair in config.pairs for symbol in legs.symbols_of(pair, config)}
    by_default = {"spot", "perp"} <= facts.exchange_names
    for index, symbol in enumerate(config.symbols):
        path = f"symbols[{index}]"
        bad = list(_symbol(facts, path, symbol))
        yield from bad
        if not bad and symbol not in explicit and {"spot", "perp"} <= config.exchanges.keys():
            yield from _undated(facts, config, path, symbol, ("spot", "perp"))
        if facts.exchange_names and not by_default and symbol not in explicit:
            missing = sorted({"spot", "perp"} - facts.exchange_names)
            close = names.nearest(missing[0], sorted(facts.exchange_names - {"spot", "perp"}))
            yield facts.problem(
                path,
                f"{shown(symbol)} is paired with nothing, since no exchange is named {' or '.join(missing)}",
                "",
                f"rename exchanges.{close} to exchanges.{missing[0]}, or list pairs"
                if close
                else "list it in pairs",
            )


def _symbol(facts: Facts, path: str, symbol: str) -> Iterator[Problem]:
    match = SYMBOL.fullmatch(symbol)
    if match is None or (match["quote"].islower() and symbol.islower()):
        yield facts.problem(path, f"BASE/QUOTE is expected, not {shown(symbol)}", spelled(symbol))
        return
    quote, settle, expiry = match["quote"], match["settle"], match["expiry"]
    if settle and settle != quote:
        yield facts.problem(
            path,
            f"{shown(symbol)} is quoted in {quote}, settled in {settle}: different currencies are no hedge",
            "",
            f"use a contract that settles in its quote: {match['base']}/{quote}",
        )
    elif settle and not expiry:
        yield facts.problem(
            path,
            f"{shown(symbol)} names one market",
            f"{match['base']}/{quote}",
            "an exchange's type says which market",
        )
    elif expiry and not _is_date(expiry):
        yield facts.problem(
            path, f"{shown(symbol)} has no date", "", "a dated contract ends in yymmdd: -261225"
        )


def spelled(symbol: str) -> str:
    """`BTC/USDT` for btc/usdt, BTCUSDT, BTC-USDT and the like."""
    flat = re.sub(r"[^A-Za-z0-9]", "", symbol.partition(":")[0]).upper()
    for quote in QUOTES:
        if flat.endswith(quote) and len(flat) > len(quote):
            return f"{flat.removesuffix(quote)}/{quote}"
    return f"{flat}/USDT" if flat else ""


def _is_date(text: str) -> bool:
    try:
        dt.date(2000 + int(text[:2]), int(text[2:4]), int(text[4:6]))
    except ValueError:
        return False
    return True


def pairs(facts: Facts, config: Config) -> Iterator[Problem]:
    """Explicit pairs that are no hedge, or that name what is not there."""
    seen: dict[str, str] = {}
    for index, pair in enumerate(config.pairs):
        path = f"pairs[{index}]"
        every = pair.symbol == legs.EVERY_SYMBOL
        bad = [] if every else list(_symbol(facts, f"{path}.symbol", pair.symbol))
        unknown = [name for name in pair.legs if name not in facts.exchange_names]
        for name in unknown:
            close = names.nearest(name, sorted(facts.exchange_names))
            yield facts.problem(f"{path}.legs", f"{shown(name)} is none of the exchanges", close)
        yield from bad
        if not bad and not unknown and all(name in config.exchanges for name in pair.legs):
            for symbol in legs.symbols_of(pair, config):
                if every and any(_symbol(facts, path, symbol)):
                    continue  # told already where the symbol stands
                undated = list(_undated(facts, config, f"{path}.symbol", symbol, pair.legs))
                yield from undated
                if not undated:
                    first, second = (legs.leg_of(name, config.exchanges[name], symbol) for name in pair.legs)
                    yield from _hedge(facts, path, symbol, (first, second), seen)


def _undated(
    facts: Facts, config: Config, path: str, symbol: str, both: tuple[str, str]
) -> Iterator[Problem]:
    """A dated symbol whose pair has no dated leg would be the perpetual: another product, with funding.

    One leg of type swap is fine beside one of type future: that is the future against the perpetual.
    """
    if ":" not in symbol or any(config.exchanges[name].type == "future" for name in both):
        return
    swaps = [name for name in dict.fromkeys(both) if config.exchanges[name].type == "swap"]
    types = " or ".join(f"exchanges.{name}.type" for name in swaps or both)
    yield facts.problem(
        path,
        f"{shown(symbol)} is dated, but no leg has type future",
        "",
        f'set {types} to "future", or name the perpetual: {symbol.partition(":")[0]}',
    )


def _hedge(
    facts: Facts, path: str, symbol: str, both: tuple[Leg, Leg], seen: dict[str, str]
) -> Iterator[Problem]:
    """Whether two legs make a hedge, and one that is not there yet (`seen`: id -> path)."""
    first, second = both
    if (first.venue, first.instrument) == (second.venue, second.instrument):
        reason = f"both legs are {first.instrument} on {first.venue}"
        yield facts.problem(f"{path}.legs", reason, "", "a hedge has two different legs")
        return
    if first.kind is Kind.SPOT and second.kind is Kind.SPOT:
        reason = "both legs are spot, and spot earns no funding"
        yield facts.problem(f"{path}.legs", reason, "", "one of them must be of type swap or future")
        return
    name = pair_id((first.venue, first.instrument), (second.venue, second.instrument))
    if name in seen:
        yield facts.problem(path, f"{symbol} is the same pair as in {seen[name]}", "", "remove one of them")
    seen.setdefault(name, path)
