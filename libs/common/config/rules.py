"""What single values cannot show: settings that contradict each other, and what a mode demands.

Each rule is a function of the facts; it yields problems that name the setting to change.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from libs.common.config import legs, names, venues
from libs.common.config.assign import Assigned, Key
from libs.common.config.problems import Problem
from libs.common.config.schema import Config, Exchange, Mode
from libs.common.config.values import plain, shown
from libs.common.subjects import SLUG, Kind

SYMBOL: Final = re.compile(
    r"(?P<base>[^\s/:]+)/(?P<quote>[^\s/:]+)(?::(?P<settle>[^\s/:-]+)(?:-(?P<expiry>\d{6}))?)?"
)
QUOTES: Final = ("USDT", "USDC", "USD", "FDUSD", "BUSD", "TUSD", "USDE", "USD1", "DAI", "EUR", "BTC", "ETH")
HISTORY_DAYS_MIN: Final = 7.0  # economics: below it a pair is refused `history_short`


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What was written and where. `broken`: written paths that are wrong already."""

    merged: Mapping[Key, Assigned]
    sections: frozenset[Key]
    broken: frozenset[str]
    files: int
    demo: bool

    def problem(self, path: str, reason: str, nearest: str = "", remedy: str = "") -> Problem:
        """A problem at the setting `path`, with the place where it was written."""
        assigned = self.find(path)
        if assigned is None:
            return Problem(source=self.owner(path), path=path, reason=reason, nearest=nearest, remedy=remedy)
        return Problem(
            source=assigned.source,
            path=assigned.written + path[len(path.partition("[")[0]) :],
            line=assigned.line,
            reason=reason,
            nearest=nearest,
            remedy=remedy,
        )

    def find(self, path: str) -> Assigned | None:
        return self.merged.get(tuple(path.partition("[")[0].split(".")))

    def owner(self, path: str) -> str:
        """The source that wrote something near `path`: its section's, else the last file's."""
        parts = tuple(path.split("."))
        for length in range(len(parts) - 1, -1, -1):
            near = [value for key, value in self.merged.items() if key[:length] == parts[:length]]
            if near:
                return max(near, key=lambda value: value.rank).source
        return "config"

    @property
    def exchange_names(self) -> frozenset[str]:
        """Names of all exchanges that were written, complete or not."""
        return frozenset(
            key[1] for key in (*self.sections, *self.merged) if len(key) > 1 and key[0] == "exchanges"
        )


# --- before the config can be built --------------------------------------------------------------


def before_building(facts: Facts) -> list[Problem]:
    """Required settings that are missing, and modes that may not be written."""
    return [*_required(facts), *_mode(facts)]


def _required(facts: Facts) -> Iterator[Problem]:
    for name in sorted(facts.exchange_names):
        for key, remedy in (
            ("id", f"an exchange's ccxt id: {', '.join(venues.FIRST_CLASS)}"),
            ("type", "one of spot, swap, future"),
        ):
            path = f"exchanges.{name}.{key}"
            if (
                facts.find(path) is None
                and path not in facts.broken
                and f"exchanges.{name}" not in facts.broken
            ):
                yield facts.problem(path, "is missing", "", remedy)


def _mode(facts: Facts) -> Iterator[Problem]:
    assigned = facts.find("mode")
    if assigned is None:
        return
    if assigned.value == Mode.DEMO:
        yield facts.problem("mode", "demo is set by `fundarb demo` alone", "", "use observer, paper or live")
    elif assigned.value == Mode.LIVE and assigned.rank >= facts.files:
        yield facts.problem(
            "mode",
            "live must be written in a config file, not in a variable",
            "",
            'write "mode": "live" in the file',
        )


# --- contradictions ------------------------------------------------------------------------------


def refusals(facts: Facts, config: Config) -> list[Problem]:
    """All that makes no sense together."""
    rules = (_names, _venue_ids, _mixed_keys, _symbols, _pairs, _flip, _bounds, _live)
    return [problem for rule in rules for problem in rule(facts, config)]


def _names(facts: Facts, config: Config) -> Iterator[Problem]:
    if not SLUG.match(config.deployment):
        yield facts.problem(
            "deployment", f"{shown(config.deployment)} is no name", "", "use letters, digits, - and _"
        )
    for name, exchange in config.exchanges.items():
        if exchange.account and not SLUG.match(exchange.account):
            yield facts.problem(
                f"exchanges.{name}.account",
                f"{shown(exchange.account)} is no name",
                "",
                "use letters, digits, - and _",
            )
    for venue in config.costs.venues:
        known = {legs.venue_slug(exchange) for exchange in config.exchanges.values()} | venues.KNOWN
        if venue not in known:
            close = names.nearest(venue, sorted(known))
            yield facts.problem(
                f"costs.venues.{venue}",
                "is no exchange",
                f"costs.venues.{close}" if close else "",
                "use its ccxt id",
            )
    url = config.notify.heartbeat_url
    if url and not url.startswith(("https://", "http://")):
        yield facts.problem("notify.heartbeat_url", "is no web address", "", "it starts with https://")


def _venue_ids(facts: Facts, config: Config) -> Iterator[Problem]:
    for name, exchange in config.exchanges.items():
        path = f"exchanges.{name}"
        if exchange.id in venues.COIN_MARGINED:
            yield facts.problem(f"{path}.id", "is margined in coins, which no hedge here covers", "binance")
        elif exchange.id not in venues.KNOWN:
            former = venues.FORMER_NAMES.get(exchange.id.lower(), "")
            close = former or names.nearest(exchange.id, [*venues.FIRST_CLASS, *sorted(venues.KNOWN)])
            yield facts.problem(
                f"{path}.id",
                f"unknown exchange {shown(exchange.id)}",
                close,
                "" if close else f"well known are {', '.join(venues.FIRST_CLASS)}",
            )
        elif exchange.id in venues.SAME_AS and exchange.type == "spot":
            yield facts.problem(
                f"{path}.type",
                f"{exchange.id} has no spot market",
                "",
                f'use id "{venues.SAME_AS[exchange.id]}"',
            )
        if name == "spot" and exchange.type != "spot":
            yield facts.problem(
                f"{path}.type",
                f"the exchange named spot has type {exchange.type}",
                "spot",
                "or give it another name",
            )
        if name == "perp" and exchange.type == "spot":
            yield facts.problem(
                f"{path}.type", "the exchange named perp has type spot", "swap", "or give it another name"
            )


def _mixed_keys(facts: Facts, config: Config) -> Iterator[Problem]:
    """A key given for one exchange must not reach another, because a later file changed the id alone."""
    for name in config.exchanges:
        chosen = facts.find(f"exchanges.{name}.id")
        for key in ("api_key", "secret", "password"):
            secret = facts.find(f"exchanges.{name}.{key}")
            if (
                chosen is not None
                and secret is not None
                and secret.rank < chosen.rank
                and secret.inline_secret
            ):
                yield facts.problem(
                    f"exchanges.{name}.id",
                    f"changes the exchange whose {key} stands in {secret.source}",
                    "",
                    "give id and keys in the same place",
                )


def _symbols(facts: Facts, config: Config) -> Iterator[Problem]:
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
            f"{shown(symbol)} is quoted in {quote} and settled in {settle}; legs with different currencies are no hedge",
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
        datetime.date(2000 + int(text[:2]), int(text[2:4]), int(text[4:6]))
    except ValueError:
        return False
    return True


def _pairs(facts: Facts, config: Config) -> Iterator[Problem]:
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


def _flip(facts: Facts, config: Config) -> Iterator[Problem]:
    rules = config.thresholds
    if rules.flip_exit is not False:
        return
    if rules.flip_policy is not None:
        yield facts.problem(
            "thresholds.flip_policy",
            f"{rules.flip_policy} says when to leave on a flip, but flip_exit is false",
            "",
            "remove one of the two",
        )
    if rules.flip_reverse:
        yield facts.problem(
            "thresholds.flip_reverse", "reverses on a flip, but flip_exit is false", "", "remove one"
        )


def _bounds(facts: Facts, config: Config) -> Iterator[Problem]:
    position, limits, timeouts = config.position, config.limits, config.timeouts
    if position.futures_margin_leverage > limits.max_leverage:
        yield facts.problem(
            "position.futures_margin_leverage",
            f"{plain(position.futures_margin_leverage)} is above limits.max_leverage {plain(limits.max_leverage)}",
            "",
            "lower it, or raise the limit on purpose",
        )
    for name in ("max_notional_usd", "max_notional_per_venue_usd"):
        limit = getattr(limits, name)
        if limit is not None and limit < position.notional_usd:
            yield facts.problem(
                f"limits.{name}",
                f"{plain(limit)} is below position.notional_usd {plain(position.notional_usd)}: no pair could ever open",
                "",
                "raise the limit or lower the position",
            )
    if timeouts.poll_interval_sec >= timeouts.open_timeout_sec:
        yield facts.problem(
            "timeouts.poll_interval_sec",
            f"{plain(timeouts.poll_interval_sec)} is not below open_timeout_sec {plain(timeouts.open_timeout_sec)}",
            "",
            "an opening pair is polled several times before it times out",
        )
    if config.thresholds.forecast == "expected" and config.monitor.history_days < HISTORY_DAYS_MIN:
        yield facts.problem(
            "monitor.history_days",
            f"{plain(config.monitor.history_days)} is too short for forecast expected",
            "",
            "give at least 7, better 31",
        )


def _live(facts: Facts, config: Config) -> Iterator[Problem]:
    """What must be a decision of the user before money moves."""
    if config.mode is not Mode.LIVE:
        return
    for path, value, remedy in (
        (
            "limits.max_notional_usd",
            config.limits.max_notional_usd,
            "the most that all legs together may hold, in USD",
        ),
        ("thresholds.flip_policy", config.thresholds.flip_policy, "cost_aware (advised) or tolerance"),
        ("thresholds.forecast", config.thresholds.forecast, "expected (advised) or flat"),
    ):
        if value is None:
            yield facts.problem(path, "must be written explicitly in live mode", "", remedy)


# --- warnings ------------------------------------------------------------------------------------


def warnings(facts: Facts, config: Config) -> list[Problem]:
    """What is accepted, but should be known."""
    return [
        *_never_exercised(facts, config),
        *_unused(facts, config),
        *_shared_venue(facts, config),
        *_no_exit(facts, config),
    ]


def _never_exercised(facts: Facts, config: Config) -> Iterable[Problem]:
    for name, exchange in config.exchanges.items():
        if exchange.id not in venues.FIRST_CLASS and exchange.id not in venues.SAME_AS:
            yield facts.problem(
                f"exchanges.{name}.id",
                f"{exchange.id} is supported by ccxt, but never exercised here",
                "",
                f"well known are {', '.join(venues.FIRST_CLASS)}",
            )


def _unused(facts: Facts, config: Config) -> Iterable[Problem]:
    if not legs_possible(config):
        yield facts.problem(
            "symbols",
            "there is no pair to watch",
            "",
            "name exchanges.spot and exchanges.perp, and list symbols",
        )
        return
    used = {leg.exchange for spec in legs.pair_specs(config) for leg in spec.legs}
    for name in config.exchanges:
        if name not in used:
            yield facts.problem(
                f"exchanges.{name}.id", "is part of no pair", "", "name it in pairs, or remove it"
            )
    doubled = sorted({symbol for symbol in config.symbols if config.symbols.count(symbol) > 1})
    for symbol in doubled:
        yield facts.problem("symbols", f"{symbol} is listed twice", "", "once is enough")
    for symbol in config.symbols:
        quote = symbol.partition(":")[0].rpartition("/")[2]
        close = names.nearest(quote, list(QUOTES))
        if quote not in QUOTES:
            yield facts.problem("symbols", f"{symbol} is quoted in {quote}, which is unusual", close, "")


def legs_possible(config: Config) -> bool:
    """True when the config makes at least one pair."""
    return bool(config.pairs) or bool(config.symbols and {"spot", "perp"} <= config.exchanges.keys())


def _shared_venue(facts: Facts, config: Config) -> Iterable[Problem]:
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


def _no_exit(facts: Facts, config: Config) -> Iterable[Problem]:
    if config.thresholds.flip_exit is False:
        yield facts.problem(
            "thresholds.flip_exit",
            "is false: a pair stays open when its funding turns against it",
            "",
            "cost_aware leaves when staying has cost as much as leaving",
        )
