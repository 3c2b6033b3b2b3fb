"""From config to the pairs that are watched: legs as (venue, instrument), ids, aliases."""

from __future__ import annotations

from typing import Final

import msgspec

from libs.common.config.schema import Config, Exchange, PairLegs
from libs.common.subjects import Kind, instrument_slug, leg_name, pair_id


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """One leg: `exchange` is the config's name, `venue` the slug that subjects use (ccxt id, sub-account)."""

    exchange: str
    venue: str
    instrument: str
    kind: Kind

    @property
    def name(self) -> str:
        return leg_name(self.venue, self.instrument)


class PairSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A pair to watch; `first` and `second` in the order of its id."""

    id: str
    symbol: str
    first: Leg
    second: Leg

    @property
    def legs(self) -> tuple[Leg, Leg]:
        return (self.first, self.second)

    @property
    def same_venue(self) -> bool:
        return self.first.venue == self.second.venue


def venue_slug(exchange: Exchange) -> str:
    """`binance` for binance and binanceusdm alike (one account), `binance-sub1` for a sub-account."""
    venue = "binance" if exchange.id == "binanceusdm" else exchange.id
    return f"{venue}-{exchange.account}" if exchange.account else venue


def leg_of(name: str, exchange: Exchange, symbol: str) -> Leg:
    """The leg that `symbol` (`BTC/USDT`, dated: `BTC/USDT:USDT-241227`) has on an exchange."""
    pair, _, settle = symbol.partition(":")
    base, _, quote = pair.partition("/")
    _, _, expiry = settle.partition("-")
    if exchange.type == "spot":
        kind = Kind.SPOT
    elif expiry and exchange.type == "future":
        kind = Kind.FUTURE
    else:
        kind = Kind.PERP
    slug = instrument_slug(base, quote, kind, expiry=expiry)
    return Leg(exchange=name, venue=venue_slug(exchange), instrument=slug, kind=kind)


EVERY_SYMBOL: Final = "*"


def symbols_of(pair: PairLegs, config: Config) -> tuple[str, ...]:
    """The symbols that an explicit pair stands for: its own, or every one of `symbols`."""
    return tuple(dict.fromkeys(config.symbols)) if pair.symbol == EVERY_SYMBOL else (pair.symbol,)


def pair_specs(config: Config) -> tuple[PairSpec, ...]:
    """All pairs of a config: the explicit ones, and each symbol's `spot` with `perp` where both exist."""
    specs: dict[str, PairSpec] = {}
    wanted = [(symbol, pair.legs) for pair in config.pairs for symbol in symbols_of(pair, config)]
    if {"spot", "perp"} <= config.exchanges.keys():
        explicit = {symbol for symbol, _ in wanted}
        wanted += [(symbol, ("spot", "perp")) for symbol in config.symbols if symbol not in explicit]
    for symbol, (first_name, second_name) in wanted:
        first = leg_of(first_name, config.exchanges[first_name], symbol)
        second = leg_of(second_name, config.exchanges[second_name], symbol)
        pair = pair_id((first.venue, first.instrument), (second.venue, second.instrument))
        specs.setdefault(pair, PairSpec(id=pair, symbol=symbol.partition(":")[0], first=first, second=second))
    return tuple(specs.values())


def aliases(specs: tuple[PairSpec, ...]) -> dict[str, str]:
    """Short ids (`BTC-USDT_spot_perp`) that are unambiguous -> full ids."""
    short: dict[str, list[str]] = {}
    for spec in specs:
        stem = spec.id.split("_", 1)[0]
        tails = [leg.name.removeprefix(f"{leg.venue}-") for leg in spec.legs]
        short.setdefault("_".join([stem, *tails]), []).append(spec.id)
    return {alias: ids[0] for alias, ids in short.items() if len(ids) == 1}
