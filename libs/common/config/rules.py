"""What single values cannot show: settings that contradict each other, and what a mode demands.

Each rule is a function of the facts; it yields problems that name the setting to change.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from libs.common.config import channels, legs, live, names, pairing, venues
from libs.common.config.facts import Facts
from libs.common.config.problems import Problem
from libs.common.config.schema import Config, Mode
from libs.common.config.values import plain, shown
from libs.common.subjects import SLUG, Kind

HISTORY_DAYS_MIN: Final = 7.0  # economics: below it a pair is refused `history_short`
NAME_REMEDY: Final = "use letters, digits, - and _"


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
    rules = (
        _names, _venue_costs, _venue_ids, _options, _mixed_keys, pairing.symbols, pairing.pairs, _flip,
        _bounds, _live, _paper, channels.refusals,
    )  # fmt: skip
    return [problem for rule in rules for problem in rule(facts, config)]


def _names(facts: Facts, config: Config) -> Iterator[Problem]:
    if not SLUG.match(config.deployment):
        yield facts.problem("deployment", f"{shown(config.deployment)} is no name", "", NAME_REMEDY)
    for name, exchange in config.exchanges.items():
        if exchange.account and not SLUG.match(exchange.account):
            yield facts.problem(
                f"exchanges.{name}.account",
                f"{shown(exchange.account)} is no name",
                "",
                NAME_REMEDY,
            )
    url = config.notify.heartbeat_url
    if url and not url.startswith(("https://", "http://")):
        yield facts.problem("notify.heartbeat_url", "is no web address", "", "it starts with https://")


def _venue_costs(facts: Facts, config: Config) -> Iterator[Problem]:
    """Keys of `costs.venues` that no leg's costs are looked up by: what stands there would be ignored.

    A leg looks for its venue's slug (`binance`, `binance-sub1`), also with its product (`binance-perp`),
    and a sub-account for those of its exchange. Exchanges that are not configured yet may stand there.
    """
    slugs = {legs.venue_slug(exchange) for exchange in config.exchanges.values()}
    slugs |= {slug.partition("-")[0] for slug in slugs}
    known = slugs | {f"{slug}-{kind.value}" for slug in slugs for kind in Kind}
    for key in config.costs.venues:
        venue, _, rest = key.partition("-")
        if key in known or (key in venues.KNOWN and key not in venues.SAME_AS):
            continue
        meant = "-".join([venues.SAME_AS.get(venue, venue), *([rest] if rest else [])])
        meant = meant.removesuffix("-swap") + "-perp" if meant.endswith("-swap") else meant
        close = names.nearest(meant, sorted(known | (venues.KNOWN - venues.SAME_AS.keys())))
        yield facts.problem(
            f"costs.venues.{key}",
            "is no exchange, sub-account or product of one that is configured",
            f"costs.venues.{close}" if close else "",
            "use the ccxt id, -ACCOUNT for a sub-account, then -spot, -perp or -future for one product",
        )


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


def _options(facts: Facts, config: Config) -> Iterator[Problem]:
    """The receive window is part of the time after which an order that nobody knows counts as never accepted
    (`services.executor.resolve`): a longer one would let it land after that.
    """
    for name, exchange in config.exchanges.items():
        for option in exchange.options:
            if option.replace("_", "").lower() == "recvwindow":
                yield facts.problem(
                    f"exchanges.{name}.options.{option}",
                    "is not to be changed: how long an order may be under way is counted on",
                    "",
                    "leave it out",
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
            f"{plain(position.futures_margin_leverage)} exceeds max_leverage {plain(limits.max_leverage)}",
            "",
            "lower it, or raise the limit on purpose",
        )
    for name in ("max_notional_usd", "max_notional_per_venue_usd"):
        limit = getattr(limits, name)
        if limit is not None and limit < position.notional_usd:
            yield facts.problem(
                f"limits.{name}",
                f"{plain(limit)} is below notional_usd {plain(position.notional_usd)}: nothing opens",
                "",
                "raise the limit or lower the position",
            )
    if timeouts.poll_interval_sec >= timeouts.open_timeout_sec:
        yield facts.problem(
            "timeouts.poll_interval_sec",
            f"{plain(timeouts.poll_interval_sec)} reaches open_timeout {plain(timeouts.open_timeout_sec)}",
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
    if config.mode is Mode.LIVE:
        for found in live.decisions(config):
            yield facts.problem(found.path, found.reason, "", found.remedy)


def _paper(facts: Facts, config: Config) -> Iterator[Problem]:
    """Balances of accounts that nobody has: what stands there would be ignored."""
    slugs = sorted({legs.venue_slug(exchange) for exchange in config.exchanges.values()})
    for venue, wallets in config.paper.balances.items():
        path = f"paper.balances.{venue}"
        if venue not in slugs:
            close = names.nearest(venues.SAME_AS.get(venue, venue), slugs)
            yield facts.problem(
                path,
                "is no exchange or sub-account that is configured",
                f"paper.balances.{close}" if close else "",
                f"known are {', '.join(slugs)}" if slugs else "configure one in exchanges first",
            )
            continue
        known = venues.WALLETS.get(venue.partition("-")[0], venues.ONE_WALLET)
        for wallet, assets in wallets.items():
            if wallet not in known:
                close = names.nearest(wallet, list(known))
                yield facts.problem(
                    f"{path}.{wallet}",
                    f"{venue} has no wallet of that name",
                    f"{path}.{close}" if close else "",
                    f"its wallets are {', '.join(known)}",
                )
            for asset in assets:
                if asset.islower():
                    yield facts.problem(
                        f"{path}.{wallet}.{asset}",
                        "coins are written in capitals",
                        f"{path}.{wallet}.{asset.upper()}",
                        "",
                    )
