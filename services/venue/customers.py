"""Who lives in the houses when the venue opens: users, what they were given, and their keys."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

from services.venue import keys
from services.venue.house import House
from services.venue.instruments import Protocol
from services.venue.keys import Key

PROTOCOLS: Final[tuple[Protocol, ...]] = ("binance", "bitget")
FIRST: Final = "u1"

# (protocol, wallet, asset): what each user begins with.
Deposits = Mapping[tuple[str, str, str], Decimal]
DEPOSITS: Final[dict[tuple[str, str, str], Decimal]] = {
    ("binance", "spot", "USDT"): Decimal(50_000),
    ("binance", "usdm", "USDT"): Decimal(50_000),
    ("bitget", "unified", "USDT"): Decimal(100_000),
}


def deposits_of(text: str) -> dict[tuple[str, str, str], Decimal]:
    """`binance.spot.USDT=50000,bitget.unified.BTC=2`; ValueError says which part is wrong."""
    found = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        place, _, amount = part.partition("=")
        names = place.split(".")
        try:
            given = Decimal(amount)
        except InvalidOperation:
            raise ValueError(f"{part!r}: no amount (e.g. binance.spot.USDT=50000)") from None
        if len(names) != 3 or names[1] not in dict(keys.WALLETS).get(names[0], ()):  # type: ignore[call-overload]
            wallets = ", ".join(f"{venue}.{one}" for venue, many in keys.WALLETS.items() for one in many)
            raise ValueError(f"{part!r}: no wallet (there are {wallets})")
        if not given.is_finite() or given <= 0:
            raise ValueError(f"{part!r}: the amount must be above 0")
        found[names[0], names[1], names[2]] = given
    return found


def move_in(
    houses: Mapping[Protocol, House], users: int, deposits: Deposits, wall_ms: int
) -> dict[str, dict[Protocol, Key]]:
    """Open `u1`..`un` in both houses with the same deposits each; their keys by user and protocol."""
    found: dict[str, dict[Protocol, Key]] = {}
    for number in range(1, users + 1):
        name = f"u{number}"
        lives_here = any(
            account.startswith(f"{name}:") for one in houses.values() for account in one.engine.accounts
        )
        found[name] = open_user(houses, name, wall_ms)
        if lives_here:  # a venue that goes on gives nobody money twice
            continue
        for protocol, house in houses.items():
            for (venue, wallet, asset), amount in deposits.items():
                if venue == protocol:
                    house.deposit(name, wallet, asset, amount, house.desk.instant(wall_ms))
    return found


def open_user(houses: Mapping[Protocol, House], name: str, wall_ms: int) -> dict[Protocol, Key]:
    """A user without money in every house, and his first keys."""
    found: dict[Protocol, Key] = {}
    for protocol, house in houses.items():
        house.open_user(name, house.desk.instant(wall_ms))
        found[protocol] = key = keys.make(protocol, name, seed=house.seed, created_ms=wall_ms)
        house.add_key(key)
    return found


def told(owned: Mapping[Protocol, Key]) -> dict[str, dict[str, str]]:
    """A user's keys as `venue.json` and the control endpoint say them."""
    found: dict[str, dict[str, str]] = {}
    for protocol, key in owned.items():
        said = {"api_key": key.api_key, "secret": key.secret}
        found[protocol] = said | ({"passphrase": key.passphrase} if key.passphrase else {})
    return found
