"""The rows of `fundarb check`: what is ok, doubtful, refused or out of reach, each with a remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal

import msgspec

from libs.common.config import live, venues
from libs.common.config.legs import Leg, PairSpec, pair_specs, venue_slug
from libs.common.config.load import Loaded
from libs.common.config.problems import Problem
from libs.common.config.schema import Config, Mode
from libs.common.subjects import Kind
from libs.console.options import NO_PAIRS, NO_PAIRS_REMEDY
from libs.exchange.port import FundingSeen, Instrument, QuoteSeen

State = Literal["ok", "warning", "refused", "unreachable"]

CLOCK_WARN_MS: Final = 250.0  # risk.md: processes further apart open nothing
CLOCK_REFUSE_MS: Final = 500.0
SIMULATED: Final = frozenset({"binance", "bitget"})
FILLS: Final = 4  # two legs, in and out


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table."""

    subject: str
    state: State
    text: str
    remedy: str = ""


def problem_row(problem: Problem, state: State) -> Row:
    """A problem of the loader as a row; the place stays in the text."""
    place = problem.source if problem.line is None else f"{problem.source}:{problem.line}"
    hint = f"did you mean {problem.nearest}?" if problem.nearest else ""
    remedy = "; ".join(part for part in (hint, problem.remedy) if part)
    return Row(
        subject=problem.path or "config", state=state, text=f"{problem.reason} ({place})", remedy=remedy
    )


def config_rows(loaded: Loaded) -> Iterator[Row]:
    """What can be said without a network."""
    config = loaded.config
    specs = pair_specs(config)
    involved = sorted({leg.venue for spec in specs for leg in spec.legs})
    if specs:
        pairs = "1 pair" if len(specs) == 1 else f"{len(specs)} pairs"
        text = f"mode {config.mode.value}, {pairs} on {', '.join(involved)}"
        yield Row(subject="config", state="ok", text=text)
    else:
        yield Row(subject="pairs", state="refused", text=NO_PAIRS, remedy=NO_PAIRS_REMEDY)
    for warning in loaded.warnings:
        if specs or warning.path != "symbols":  # which only repeats that there is no pair
            yield problem_row(warning, "warning")
    yield from _policy_rows(config)
    yield from _borrow_rows(config)
    yield from _key_rows(config)
    yield from _exercise_rows(config)


def _policy_rows(config: Config) -> Iterator[Row]:
    rules, costs = config.thresholds, config.costs
    fee = costs.taker if costs.role == "taker" else costs.maker
    round_trip_bps = FILLS * (fee * 10_000 + costs.slippage_bps)
    policy = rules.flip_policy or ("cost_aware" if rules.flip_exit is None else "tolerance")
    if rules.flip_exit is False:
        pass  # the loader has warned
    elif policy == "tolerance":
        yield Row(
            subject="thresholds.flip_policy",
            state="warning",
            text=f"tolerance leaves after {rules.flip_tolerance_hours:g} h of a flip, paying "
            f"{round_trip_bps:g} bps each time; measured on BTC and ETH at 40 bps: -16.6 % a year, "
            "cost_aware +11.7 %",
            remedy="set thresholds.flip_policy to cost_aware",
        )
    else:
        yield Row(
            subject="thresholds.flip_policy",
            state="ok",
            text=f"cost_aware: leaves after a loss of {rules.flip_loss_ratio:g} x {round_trip_bps:g} bps",
        )
    if rules.forecast == "expected":
        yield Row(
            subject="thresholds.forecast", state="ok", text="expected: a high rate is not taken to last"
        )
    else:
        yield Row(
            subject="thresholds.forecast",
            state="warning",
            text="flat: today's rate is taken to last; measured, the top 5 % fall from 15.8 to 7.4 bps a "
            "day within a week",
            remedy="set thresholds.forecast to expected",
        )


def _borrow_rows(config: Config) -> Iterator[Row]:
    if config.costs.borrow_daily > 0:
        yield Row(
            subject="costs.borrow_daily",
            state="ok",
            text=f"{config.costs.borrow_daily:g} a day is charged only where spot is borrowed (perp long, "
            "spot short); the blueprint's formula subtracts it always",
        )


def _key_rows(config: Config) -> Iterator[Row]:
    """Observers need no keys; who trades needs all of them, and two acts."""
    if config.mode is Mode.LIVE:
        for found in live.keys(config):
            yield Row(subject=found.path, state="refused", text=found.reason, remedy=found.remedy)
    elif config.mode is Mode.OBSERVER:
        for name, exchange in config.exchanges.items():
            if exchange.api_key or exchange.secret or exchange.password:
                yield Row(
                    subject=f"exchanges.{name}",
                    state="warning",
                    text="an observer uses no keys",
                    remedy="leave them out until you trade",
                )


def act_rows(config: Config, env: Mapping[str, str]) -> Iterator[Row]:
    """Mode live: whether the second act is done where `check` runs. `up --live` does it too, so that its
    absence is no refusal.
    """
    if config.mode is not Mode.LIVE:
        return
    missing = list(live.acts(env))
    for found in missing:
        yield Row(subject=found.path, state="warning", text=found.reason, remedy=found.remedy)
    if not missing:
        limit = config.limits.max_notional_usd or 0.0
        most = limit if live.capped(config) is None else live.CAP_USD
        text = f"live, meant twice: real orders, at most {most:,.0f} USD over all pairs"
        yield Row(subject="mode", state="ok", text=text)


def _exercise_rows(config: Config) -> Iterator[Row]:
    for venue in sorted({exchange.id for exchange in config.exchanges.values()} & set(venues.FIRST_CLASS)):
        if venue not in SIMULATED:
            yield Row(
                subject=venue,
                state="warning",
                text="market data follows its documentation and ccxt's source; its protocol is not simulated "
                "here, so trading on it was never exercised",
                remedy="watch it first; binance and bitget are rehearsed",
            )


# --- with a venue's answers ----------------------------------------------------------------------


def clock_row(venue: str, offset_ms: float) -> Row:
    """Venue clock against ours: beyond half a second signatures and data ages are wrong."""
    text = f"clock differs by {offset_ms:+.0f} ms"
    if abs(offset_ms) < CLOCK_WARN_MS:
        return Row(subject=f"{venue} clock", state="ok", text=text)
    state: State = "warning" if abs(offset_ms) < CLOCK_REFUSE_MS else "refused"
    return Row(
        subject=f"{venue} clock", state=state, text=text, remedy="synchronise this machine's clock (NTP)"
    )


def listing_row(leg: Leg, known: dict[str, Instrument]) -> Row | None:
    """Why a leg's instrument cannot be used, None when it can."""
    found = known.get(leg.instrument)
    subject = f"{leg.venue} {leg.instrument}"
    if found is None:
        base = leg.instrument.split("-", 1)[0]
        there = sorted(
            slug for slug, item in known.items() if slug.split("-", 1)[0] == base and item.kind is leg.kind
        )
        remedy = (
            f"there is {', '.join(there[:3])}" if there else f"no {leg.kind.value} market of {base} is there"
        )
        return Row(subject=subject, state="refused", text="is not listed", remedy=remedy)
    if found.refused is not None:
        return Row(
            subject=subject,
            state="refused",
            text=found.refused,
            remedy="remove the symbol, or pair it elsewhere",
        )
    return None


def units_row(leg: Leg, instrument: Instrument, quote: QuoteSeen | None, config: Config) -> Row:
    """Does the position fit the venue's minimum and its lot?"""
    subject = f"{leg.venue} {leg.instrument}"
    notional_usd = config.position.notional_usd
    minimum, step = instrument.notional_min, instrument.quantity_step
    parts = (
        [f"contract {instrument.contract_size} {instrument.base}"] if instrument.contract_size != 1 else []
    )
    parts += [f"step {step}"] if step is not None else ["step unknown"]
    parts += [f"at least {minimum} {instrument.quote}"] if minimum is not None else []
    text = ", ".join(parts)
    price = quote.bid if quote is not None else None
    if minimum is not None and notional_usd < float(minimum):
        remedy = f"position.notional_usd of at least {minimum}"
        return Row(
            subject=subject,
            state="refused",
            text=f"{notional_usd:g} USD is below its minimum; {text}",
            remedy=remedy,
        )
    if price is None:
        return Row(
            subject=subject, state="warning", text=f"has no bid right now; {text}", remedy="try again later"
        )
    quantity = notional_usd / price
    if instrument.quantity_min is not None and quantity < float(instrument.quantity_min):
        needed = float(instrument.quantity_min) * price
        return Row(
            subject=subject,
            state="refused",
            text=f"{notional_usd:g} USD is less than one lot of {instrument.quantity_min} {instrument.base}",
            remedy=f"position.notional_usd of at least {needed:.2f}",
        )
    if step is not None and float(step) / quantity > config.position.rebalance_threshold:
        share = float(step) / quantity * 100
        return Row(
            subject=subject,
            state="warning",
            text=f"one step is {share:.2f} % of the position, more than rebalance_threshold; {text}",
            remedy="a larger position.notional_usd, or a larger position.rebalance_threshold",
        )
    return Row(subject=subject, state="ok", text=text)


def interval_row(leg: Leg, seen: FundingSeen | None) -> Row:
    """Is the funding rate there, with its interval?"""
    subject = f"{leg.venue} {leg.instrument} funding"
    if seen is None or seen.rate is None:
        return Row(
            subject=subject,
            state="refused",
            text="the venue gives no funding rate",
            remedy="remove the symbol",
        )
    if seen.interval_hours is None:
        return Row(
            subject=subject,
            state="refused",
            text="no source gives its interval",
            remedy="it is never guessed; remove it",
        )
    text = (
        f"{seen.rate * 10_000:+.3f} bps per {seen.interval_hours:g} h (interval from: {seen.interval_source})"
    )
    return Row(subject=subject, state="ok", text=text)


def legs_by_venue(specs: tuple[PairSpec, ...]) -> dict[str, list[Leg]]:
    """Each venue's legs once, in the config's order."""
    found: dict[str, dict[str, Leg]] = {}
    for spec in specs:
        for leg in spec.legs:
            found.setdefault(leg.venue, {}).setdefault(leg.instrument, leg)
    return {venue: list(legs.values()) for venue, legs in found.items()}


def wanted_legs(config: Config) -> dict[str, list[Leg]]:
    """Legs by venue, and venues that no pair uses with none: they are asked for their clock too."""
    found = legs_by_venue(pair_specs(config))
    for exchange in config.exchanges.values():
        found.setdefault(venue_slug(exchange), [])
    return found


def is_funded(leg: Leg) -> bool:
    """Only perpetuals are paid funding."""
    return leg.kind is Kind.PERP
