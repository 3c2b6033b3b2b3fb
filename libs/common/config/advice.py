"""What a config may say, but should know about: warnings, one function each."""

from __future__ import annotations

from collections.abc import Iterator

from libs.common.config import legs, live, names, venues
from libs.common.config.facts import Facts
from libs.common.config.pairing import QUOTES
from libs.common.config.problems import Problem
from libs.common.config.schema import Config, Exchange


def warnings(facts: Facts, config: Config) -> list[Problem]:
    """What is accepted, but should be known."""
    rules = (_never_exercised, _unused, _doubtful_symbols, _shared_venue, _no_exit, _capped)
    return [problem for rule in rules for problem in rule(facts, config)]


def _never_exercised(facts: Facts, config: Config) -> Iterator[Problem]:
    for name, exchange in config.exchanges.items():
        if exchange.id not in venues.FIRST_CLASS and exchange.id not in venues.SAME_AS:
            yield facts.problem(
                f"exchanges.{name}.id",
                f"{exchange.id} is known to ccxt, but never exercised here, and its data is not watched",
                "",
                f"watched are {', '.join(venues.FIRST_CLASS)}",
            )


def _unused(facts: Facts, config: Config) -> Iterator[Problem]:
    specs = legs.pair_specs(config)
    if not specs:
        yield facts.problem(
            "symbols",
            "there is no pair to watch",
            "",
            "name exchanges.spot and exchanges.perp, and list symbols",
        )
        return
    used = {leg.exchange for spec in specs for leg in spec.legs}
    for name in config.exchanges:
        if name not in used:
            yield facts.problem(
                f"exchanges.{name}.id", "is part of no pair", "", "name it in pairs, or remove it"
            )


def _doubtful_symbols(facts: Facts, config: Config) -> Iterator[Problem]:
    doubled = sorted({symbol for symbol in config.symbols if config.symbols.count(symbol) > 1})
    for symbol in doubled:
        yield facts.problem("symbols", f"{symbol} is listed twice", "", "once is enough")
    for symbol in config.symbols:
        quote = symbol.partition(":")[0].rpartition("/")[2]
        close = names.nearest(quote, list(QUOTES))
        if quote not in QUOTES:
            yield facts.problem("symbols", f"{symbol} is quoted in {quote}, which is unusual", close, "")


def _shared_venue(facts: Facts, config: Config) -> Iterator[Problem]:
    by_slug: dict[str, tuple[str, Exchange]] = {}
    for name, exchange in config.exchanges.items():
        slug = legs.venue_slug(exchange)
        other_name, other = by_slug.setdefault(slug, (name, exchange))
        if exchange.api_key and other.api_key and exchange.api_key != other.api_key:
            yield facts.problem(
                f"exchanges.{name}.api_key",
                f"differs from that of exchanges.{other_name}, and both are account {slug}",
                "",
                "if these are different sub-accounts, set account",
            )


def _no_exit(facts: Facts, config: Config) -> Iterator[Problem]:
    if config.thresholds.flip_exit is False:
        yield facts.problem(
            "thresholds.flip_exit",
            "is false: a pair stays open when its funding turns against it",
            "",
            "cost_aware leaves when staying has cost as much as leaving",
        )


def _capped(facts: Facts, config: Config) -> Iterator[Problem]:
    if (found := live.capped(config)) is not None:
        yield facts.problem(found.path, found.reason, "", found.remedy)
