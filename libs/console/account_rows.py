"""Rows of `fundarb check` about accounts: keys, settings, funds and where they lie, sizes of a pair. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from math import lcm
from typing import Final

import msgspec

from libs.common.config import venues
from libs.common.config.legs import Leg, PairSpec
from libs.common.config.schema import Config, Mode
from libs.common.money import floor_to, plain
from libs.common.subjects import SPOT, Kind
from libs.console.checks import Row, State
from libs.exchange.permissions import KeyFinding
from libs.exchange.port import Instrument
from libs.exchange.trading_values import AccountSettings, BalanceReport

LegKey = tuple[str, str]
"""(venue slug, instrument)."""

LATENCY_WARN_MS: Final = 500.0
LATENCY_REFUSE_MS: Final = 3_000.0  # risk.md: beyond it a venue opens nothing
LOT_LOSS_WARN: Final = 0.02
"""A pair that is smaller than asked for by more than this share has a coarse common step."""

FUNDS_ROOM: Final = Decimal("1.02")
"""Fees, collar and a moving price on top of what one pair takes."""

# How coins are moved between wallets, as the venues' sites name it.
TRANSFERS: Final[dict[str, str]] = {
    "binance": "Binance > Wallet > Transfer",
    "bitget": "Bitget > Assets > Transfer",
    "bybit": "Bybit > Assets > Transfer",
    "okx": "OKX > Assets > Transfer",
}


class Sized(msgspec.Struct, frozen=True, kw_only=True):
    """An instrument and what it costs now."""

    item: Instrument
    price: Decimal


def key_rows(venue: str, findings: Iterable[KeyFinding]) -> Iterator[Row]:
    """What the key may do."""
    for one in findings:
        yield Row(subject=f"{venue} key", state=one.state, text=one.text, remedy=one.remedy)


def latency_row(venue: str, round_trip_ms: float) -> Row:
    """One question and its answer, on an open connection."""
    text = f"answers in {round_trip_ms:.0f} ms"
    subject = f"{venue} latency"
    if round_trip_ms < LATENCY_WARN_MS:
        return Row(subject=subject, state="ok", text=text)
    state: State = "warning" if round_trip_ms < LATENCY_REFUSE_MS else "refused"
    remedy = "run it nearer to the venue, or look at this machine's line: legs are apart for as long"
    return Row(subject=subject, state=state, text=text, remedy=remedy)


# --- settings -------------------------------------------------------------------------------------


def settings_row(venue: str, found: AccountSettings, config: Config, *, held: bool) -> Row:
    """Margin mode, leverage and position mode of one contract; `held`: a position is open in it."""
    subject = f"{venue} {found.instrument} settings"
    wanted = {
        "margin_mode": str(config.position.margin_mode),
        "leverage": max(1, int(config.position.futures_margin_leverage)),
        "position_mode": str(config.position.position_mode),
    }
    here = {name: getattr(found, name) for name in wanted}
    other = [
        f"{name} is {'not told' if here[name] is None else here[name]}, {wanted[name]} is configured"
        for name in wanted
        if here[name] is None or str(here[name]) != str(wanted[name])
    ]
    if not other:
        text = f"{wanted['margin_mode']} margin, leverage {wanted['leverage']}, {wanted['position_mode']}"
        return Row(subject=subject, state="ok", text=text)
    if held:
        remedy = "close the position first, or configure what is set: nothing is changed beneath a position"
        return Row(subject=subject, state="refused", text="; ".join(other), remedy=remedy)
    remedy = "it is set before the first opening; where the venue's API cannot, set it on the venue's site"
    return Row(subject=subject, state="warning", text="; ".join(other), remedy=remedy)


# --- funds ----------------------------------------------------------------------------------------


def wallet_of(venue: str, kind: Kind) -> str:
    """The wallet that pays for a leg."""
    known = venues.WALLETS.get(venue.partition("-")[0], venues.ONE_WALLET)
    wanted = "spot" if kind is SPOT else "futures"
    return wanted if wanted in known else "unified"


def needs_of(specs: Iterable[PairSpec], config: Config) -> dict[tuple[str, str, str], Decimal]:
    """(venue, wallet, coin) -> what the dearest pair there takes: a spot leg its notional, a contract its
    margin. Of one pair: how many are held at once is the limits' matter.
    """
    notional = Decimal(str(config.position.notional_usd)) * FUNDS_ROOM
    margin = notional / max(1, int(config.position.futures_margin_leverage))
    found: dict[tuple[str, str, str], Decimal] = {}
    for spec in specs:
        one: dict[tuple[str, str, str], Decimal] = {}
        for leg in spec.legs:
            key = (leg.venue, wallet_of(leg.venue, leg.kind), leg.instrument.split("-")[1])
            one[key] = one.get(key, Decimal(0)) + (notional if leg.kind is SPOT else margin)
        for key, amount in one.items():
            found[key] = max(found.get(key, Decimal(0)), amount)
    return found


def funds_rows(
    venue: str,
    balances: Sequence[BalanceReport],
    needs: Mapping[tuple[str, str, str], Decimal],
    config: Config,
) -> Iterator[Row]:
    """Whether each wallet can pay for a pair, and where the coins lie when it cannot."""
    bad: State = "refused" if config.mode is Mode.LIVE else "warning"
    free: dict[tuple[str, str], Decimal] = {(one.wallet, one.asset): one.free for one in balances}
    for (at, wallet, coin), needed in needs.items():
        if at != venue:
            continue
        here = free.get((wallet, coin), Decimal(0))
        subject = f"{venue} {wallet} {coin}"
        if here >= needed:
            yield Row(
                subject=subject, state="ok", text=f"{_usd(here)} {coin} free, a pair takes {_usd(needed)}"
            )
            continue
        text = f"{_usd(here)} {coin} free and a pair takes {_usd(needed)}"
        lying = _elsewhere(free, wallet, coin, needs, venue)
        if not lying:
            yield Row(
                subject=subject,
                state=bad,
                text=text,
                remedy=f"deposit {_usd(needed - here)} {coin}, or trade less",
            )
            continue
        there = ", ".join(f"{_usd(amount)} in {name}" for name, amount in lying)
        source, most = lying[0]
        move = min(most, needed - here)
        page = TRANSFERS.get(venue.partition("-")[0], "transfer between wallets on the venue's site")
        rest = "" if move == needed - here else f", and deposit {_usd(needed - here - move)}"
        yield Row(
            subject=subject,
            state=bad,
            text=f"{text}; there are {there}",
            remedy=f"move {_usd(move)} {coin} from {source} to {wallet} ({page}){rest}",
        )


def _elsewhere(
    free: Mapping[tuple[str, str], Decimal],
    wallet: str,
    coin: str,
    needs: Mapping[tuple[str, str, str], Decimal],
    venue: str,
) -> list[tuple[str, Decimal]]:
    """Wallets with more of a coin than they need themselves, the fullest first."""
    spare = {
        name: amount - needs.get((venue, name, coin), Decimal(0))
        for (name, asset), amount in free.items()
        if asset == coin and name != wallet
    }
    return sorted(((name, one) for name, one in spare.items() if one >= 1), key=lambda one: -one[1])


# --- sizes ----------------------------------------------------------------------------------------


def pair_rows(specs: Iterable[PairSpec], seen: Mapping[LegKey, Sized], config: Config) -> Iterator[Row]:
    """Whether the configured notional is a size that both legs can have, in multiples of both steps."""
    for spec in specs:
        legs = [seen.get((leg.venue, leg.instrument)) for leg in spec.legs]
        if legs[0] is not None and legs[1] is not None:
            yield pair_row(spec, legs[0], legs[1], config)


def pair_row(spec: PairSpec, first: Sized, second: Sized, config: Config) -> Row:
    """One pair's size."""
    subject, notional = spec.id, Decimal(str(config.position.notional_usd))
    if first.item.quote != second.item.quote:
        text = f"its legs are quoted in {first.item.quote} and {second.item.quote}"
        return Row(subject=subject, state="refused", text=text, remedy="pair legs of one quote currency")
    steps = [one.item.quantity_step for one in (first, second)]
    if steps[0] is None or steps[1] is None:
        text = "a leg does not tell its step"
        return Row(subject=subject, state="refused", text=text, remedy="pair the symbol elsewhere")
    step, price = common_step(steps[0], steps[1]), max(first.price, second.price)
    least = _least(first, second, step)
    quantity = floor_to(notional / price, step)
    coin = f"{plain(quantity)} {first.item.base}"
    if quantity < least:
        needed = least * price
        text = f"{_usd(notional)} USD make {coin} a leg, and both take at least {plain(least)}"
        remedy = f"position.notional_usd of at least {_usd(needed * Decimal('1.01'))}"
        return Row(subject=subject, state="refused", text=text, remedy=remedy)
    text = f"{coin} a leg ({_usd(quantity * price)} USD) on a common step of {plain(step)}"
    if 1 - float(quantity * price / notional) > LOT_LOSS_WARN:
        more = _usd((quantity + step) * price * Decimal("1.01"))
        remedy = f"position.notional_usd of {more} takes one step more"
        return Row(subject=subject, state="warning", text=text, remedy=remedy)
    return Row(subject=subject, state="ok", text=text)


def _least(first: Sized, second: Sized, step: Decimal) -> Decimal:
    """The smallest quantity that both venues take, on the common step."""
    wanted = step
    for one in (first, second):
        wanted = max(wanted, one.item.quantity_min or Decimal(0))
        wanted = max(wanted, (one.item.notional_min or Decimal(0)) / one.price)
    floored = floor_to(wanted, step)
    return floored if floored >= wanted else floored + step


def common_step(first: Decimal, second: Decimal) -> Decimal:
    """The least common multiple of two steps."""
    scale = max(0, *(-int(one.normalize().as_tuple().exponent) for one in (first, second)))
    whole = [int(one.scaleb(scale)) for one in (first, second)]
    return Decimal(lcm(*whole)).scaleb(-scale)


def contract_legs(legs: Iterable[Leg]) -> list[Leg]:
    """Legs with margin settings."""
    return [leg for leg in legs if leg.kind is not SPOT]


def _usd(amount: Decimal) -> str:
    return f"{amount:,.2f}" if amount < 100 else f"{amount:,.0f}"
