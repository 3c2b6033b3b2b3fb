"""What really happened, by the venue's own books, against what the deployment says. Pure, over plain JSON.

sent once      no client id has reached a venue twice, and each was in the journal first (I1, I2)
agree          what pairs say that they own is what the venue shows (coins beside it are dust)
hedged         legs of a pair cancel out, or the pair is named: STUCK with a page
ledger         every trade is booked once with its quantity; funding adds up to what the venue paid
audit          every command that was answered has its line
naked          USD x seconds that a pair's coins were not hedged, integrated over the venue's trades
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from tests.chaos.trader import Answered

DUST_USD: Final = Decimal(25)
"""Coins of a pair beside what it says: remainders of many openings that are too small to be sold."""

NAKED_USD_MIN: Final = 5.0
"""What is worth less than the smallest order is not counted as naked."""

Told = Mapping[str, Any]
ZERO: Final = Decimal(0)


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """One of the venue's fills. `quantity` is signed, less a fee in the coin itself."""

    venue: str
    instrument: str
    trade_id: str
    client_id: str
    quantity: Decimal
    gross: Decimal
    price: Decimal
    wall_us: int


def instrument_of(name: str) -> str:
    """`perp:BTCUSDT` as subjects name it."""
    kind, _, symbol = name.partition(":")
    stem = f"{symbol.removesuffix('USDT')}-USDT"
    return f"{stem}-PERP" if kind == "perp" else stem


def trades_of(told: Told) -> list[Trade]:
    """All fills of all accounts, in order of time."""
    found = []
    for venue, house in told.items():
        for account in house["accounts"].values():
            for fill in account["fills"]:
                instrument = instrument_of(fill["instrument"])
                signed = Decimal(fill["quantity"]) * (1 if fill["side"] == "buy" else -1)
                own = fill["fee_asset"] == instrument.split("-")[0]
                found.append(
                    Trade(
                        venue=venue,
                        instrument=instrument,
                        trade_id=str(fill["trade_id"]),
                        client_id=fill["client_id"],
                        quantity=signed - Decimal(fill["fee"]) if own else signed,
                        gross=signed,
                        price=Decimal(fill["price"]),
                        wall_us=fill["wall_us"],
                    )
                )
    return sorted(found, key=lambda one: one.wall_us)


def sent(told: Told) -> Counter[str]:
    """Client id -> how often it has reached a venue."""
    return Counter({name: count for house in told.values() for name, count in house["sent"].items()})


def sent_problems(told: Told, classes: Mapping[str, str]) -> list[str]:
    """Ids that came twice, and ids of which the journal did not know."""
    counted = sent(told)
    twice = [f"{name} was sent {count} times" for name, count in counted.items() if count > 1]
    strange = [f"{name} was sent and is not in the journal" for name in counted if name not in classes]
    return twice + strange


def classes_of(journal: Iterable[Mapping[str, bytes]]) -> dict[str, str]:
    """Client id -> `increase` or `reduce`, of every order that was ever decided."""
    found: dict[str, str] = {}
    for entry in journal:
        for name, intent in msgspec.json.decode(entry["intents"]).items():
            if intent is not None:
                found[name] = intent["order_class"]
    return found


# --- positions ------------------------------------------------------------------------------------


def shown(told: Told) -> dict[tuple[str, str], Decimal]:
    """(venue, instrument) -> what the venue shows: positions of contracts, totals of coins."""
    found: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for venue, house in told.items():
        for account in house["accounts"].values():
            for figures in account["positions"]:
                position = figures["position"]
                found[venue, instrument_of(position["instrument"])] += Decimal(str(position["quantity"]))
            for asset, balance in account["balances"].items():
                found[venue, f"{asset}-USDT"] += Decimal(str(balance["total"]))
    return found


def position_problems(told: Told, states: Mapping[str, Told], prices: Mapping[str, Decimal]) -> list[str]:
    """`states`: pair -> what the store has of it. The slack of coins is their dust."""
    found, venue = [], shown(told)
    for pair, state in states.items():
        for leg in state["legs"]:
            key = (leg["venue"], leg["instrument"])
            mine, there = Decimal(leg["quantity"]), venue[key]
            if leg["instrument"].endswith("-PERP"):
                if mine != there:
                    found.append(f"{pair}: {key} shows {there}, the pair says {mine}")
                continue
            dust = DUST_USD / prices.get(leg["instrument"].split("-")[0], Decimal(1))
            if not mine - dust / 1_000 <= there <= mine + dust:
                found.append(f"{pair}: {key} shows {there}, the pair says {mine} and dust")
    return found


def state_problems(
    states: Mapping[str, Told], prices: Mapping[str, Decimal], paged: Iterable[str]
) -> list[str]:
    """Every pair rests, hedged; who is stuck has been named to a person."""
    found, pages = [], " ".join(paged)
    for pair, state in states.items():
        name = state["state"]
        if name == "stuck":
            if pair not in pages:
                found.append(f"{pair} is stuck and nobody was paged")
            continue
        if name not in ("idle", "active"):
            found.append(f"{pair} is {name}: {state['reason']}")
        net = sum((Decimal(leg["quantity"]) for leg in state["legs"]), ZERO)
        usd = abs(net) * prices.get(pair.split("-")[0], ZERO)
        if usd > DUST_USD:
            found.append(f"{pair} is {name} and naked by {usd:.2f} USD")
    return found


def prices_of(trades: Iterable[Trade]) -> dict[str, Decimal]:
    """Coin -> its last price."""
    return {one.instrument.split("-")[0]: one.price for one in trades}


def naked_usd_seconds(trades: Iterable[Trade], *, since_us: int, until_us: int) -> float:
    """Over all coins (one pair each): |net quantity| at the last price, where it is worth an order at all."""
    total = 0.0
    by_coin: dict[str, list[Trade]] = defaultdict(list)
    for one in trades:
        by_coin[one.instrument.split("-")[0]].append(one)
    for each in by_coin.values():
        net = ZERO
        ends = [*(one.wall_us for one in each[1:]), until_us]
        for one, end_us in zip(each, ends, strict=True):
            net += one.quantity
            usd = float(abs(net) * one.price)
            seconds = (min(end_us, until_us) - max(one.wall_us, since_us)) / 1e6
            if usd > NAKED_USD_MIN and seconds > 0:
                total += usd * seconds
    return total


# --- books ----------------------------------------------------------------------------------------------


def lines_of(ledger: Iterable[Mapping[str, bytes]]) -> list[dict[str, Any]]:
    """Ledger lines of the store's stream."""
    return [msgspec.json.decode(entry["json"]) for entry in ledger]


def ledger_problems(lines: list[dict[str, Any]], trades: Iterable[Trade]) -> list[str]:
    """Lines that are there twice, trades that are not there, or with another quantity."""
    found = [f"booked twice: {key}" for key, n in Counter(one["key"] for one in lines).items() if n > 1]
    booked: dict[str, Decimal] = defaultdict(Decimal)
    for one in lines:
        if one["kind"] == "fill":
            booked[one["key"].split("@")[0].split("~")[0]] += Decimal(one["quantity"])
    for trade in trades:
        key = f"{trade.venue}:fill:{trade.instrument}/{trade.trade_id}"
        quantity = booked.pop(key, None)
        if quantity is None:
            found.append(f"not booked: {key} of {trade.client_id}")
        elif quantity != trade.gross:
            found.append(f"{key}: {quantity} is booked, {trade.gross} was traded")
    return found + [f"booked and never traded: {key}" for key in booked]


def funding(told: Told) -> dict[str, Decimal]:
    """Venue -> what it has paid and charged for funding."""
    sums: dict[str, Decimal] = {}
    for venue, house in told.items():
        entries = itertools.chain.from_iterable(one["entries"] for one in house["accounts"].values())
        sums[venue] = sum((Decimal(one["amount"]) for one in entries if one["kind"] == "funding"), ZERO)
    return sums


def funding_problems(lines: list[dict[str, Any]], told: Told) -> list[str]:
    """Venues whose funding is not what is booked; wires tell eight decimals a payment."""
    found = []
    for venue, paid in funding(told).items():
        mine = [Decimal(one["amount"]) for one in lines if one["kind"] == "funding" and one["venue"] == venue]
        if abs(sum(mine, ZERO) - paid) > Decimal("1e-8") * (len(mine) + 1):
            found.append(f"{venue}: funding of {sum(mine, ZERO)} is booked, {paid} was paid")
    return found


def audit_problems(audit: Iterable[Mapping[str, bytes]], answered: Iterable[Answered]) -> list[str]:
    """Commands that somebody answered, and of whose answer there is no line."""
    written: Counter[tuple[str, str]] = Counter()
    for entry in audit:
        body = msgspec.json.decode(entry["body"]) if entry["body"].startswith(b"{") else {}
        written[body.get("id", ""), entry["service"].decode()] += 1
    return [
        f"{one.verb} {one.id} was answered by {service} and is not in the audit"
        for one in answered
        for service in one.services
        if not written[one.id, service]
    ]
