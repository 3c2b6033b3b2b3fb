"""Rules about symbols and pairs: two legs, one quote, on exchanges that exist."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Final

import msgspec

from libs.common.config import legs, names
from libs.common.config.facts import Facts
from libs.common.config.problems import Problem
from libs.common.config.schema import Config
from libs.common.config.values import shown
from libs.common.subjects import Kind

SYMBOL: Final = re.compile(
    r"(?P<base>[^\s/:]+)/(?P<quote>[^\s/:]+)(?::(?P<settle>[^\s/:-]+)(?:-(?P<expiry>\d{6}))?)?"
)
QUOTES: Final = ("USDT", "USDC", "USD", "FDUSD", "BUSD", "TUSD", "USDE", "USD1", "DAI", "EUR", "BTC", "ETH")


def symbols(facts: Facts, config: Config) -> Iterator[Problem]:
    """Symbols that are none, and symbols that no exchange pairs."""
    explicit = {pair.symbol for pair in config.pairs}
    by_default = {"spot", "perp"} <= facts.exchange_names
    for index, symbol in enumerate(config.symbols):
        path = f"symbols[{index}]"
        yield from _symbol(facts, path, symbol)
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
        yield facts.problem(path, f"BASE/QUOTE is expected, not {shown(symbol)}", _spelled(symbol))
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


def _spelled(symbol: str) -> str:
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
    seen: dict[str, int] = {}
    for index, pair in enumerate(config.pairs):
        path = f"pairs[{index}]"
        bad = list(_symbol(facts, f"{path}.symbol", pair.symbol))
        unknown = [name for name in pair.legs if name not in facts.exchange_names]
        for name in unknown:
            close = names.nearest(name, sorted(facts.exchange_names))
            yield facts.problem(f"{path}.legs", f"{shown(name)} is none of the exchanges", close)
        yield from bad
        if bad or not all(name in config.exchanges for name in pair.legs):
            continue
        first, second = (legs.leg_of(name, config.exchanges[name], pair.symbol) for name in pair.legs)
        if (first.venue, first.instrument) == (second.venue, second.instrument):
            yield facts.problem(
                f"{path}.legs",
                f"both legs are {first.instrument} on {first.venue}",
                "",
                "a hedge has two legs",
            )
        elif first.kind is Kind.SPOT and second.kind is Kind.SPOT:
            yield facts.problem(
                f"{path}.legs", "both legs are spot, and spot earns no funding", "", "one must be swap"
            )
        elif ":" in pair.symbol and Kind.FUTURE not in (first.kind, second.kind):
            yield facts.problem(
                f"{path}.symbol", f"{shown(pair.symbol)} is dated, but no leg has type future", "", ""
            )
        else:
            name = legs.pair_specs(msgspec.structs.replace(config, symbols=(), pairs=(pair,)))[0].id
            if name in seen:
                yield facts.problem(path, f"is the same pair as pairs[{seen[name]}]", "", "remove one")
            seen.setdefault(name, index)
