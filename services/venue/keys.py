"""Who may use the venue: users, their API keys, and what each key allows. Pure: keys come from a seed."""

from __future__ import annotations

import hashlib
from typing import Final, Literal, get_args

import msgspec

from services.venue.instruments import Protocol

Permission = Literal["read", "spot", "futures", "margin", "transfer", "withdraw"]

# What a trading bot's key should have: everything but withdrawing.
TRADING: Final[frozenset[Permission]] = frozenset({"read", "spot", "futures", "margin", "transfer"})
ALL: Final[frozenset[Permission]] = frozenset(get_args(Permission))

# The wallets that a user of a protocol has; an account's id is `user:wallet`.
WALLETS: Final[dict[Protocol, tuple[str, ...]]] = {
    "binance": ("spot", "usdm", "margin"),
    "bitget": ("unified", "funding"),
}


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A customer: `uid` is the number that payloads show."""

    name: str
    uid: int
    wallets: tuple[str, ...]


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """An API key. `passphrase` is Bitget's and empty on Binance."""

    user: str
    api_key: str
    secret: str
    passphrase: str = ""
    permissions: frozenset[Permission] = TRADING
    ip_bound: bool = True
    created_ms: int = 0

    def __repr__(self) -> str:
        """Without the secret: keys turn up in messages of failed tests and logs."""
        return f"Key(user={self.user!r}, api_key={self.api_key!r}, permissions={sorted(self.permissions)})"


def _text(seed: int, *names: object) -> str:
    return hashlib.sha512("|".join(str(name) for name in (seed, *names)).encode()).hexdigest()


def make(
    protocol: Protocol,
    user: str,
    *,
    seed: int,
    number: int = 0,
    permissions: frozenset[Permission] = TRADING,
    ip_bound: bool = True,
    created_ms: int = 0,
) -> Key:
    """Key number `number` of a user, in the venue's form; the same for the same seed.

    They open play money on loopback only, and a venue that is started again must know its clients' keys.
    """
    public, hidden = _text(seed, protocol, user, number, "key"), _text(seed, protocol, user, number, "secret")
    bitget = protocol == "bitget"
    return Key(
        user=user,
        api_key=f"bg_{public[:32]}" if bitget else public[:64],
        secret=hidden[:64],
        passphrase=hidden[64:80] if bitget else "",
        permissions=permissions,
        ip_bound=ip_bound,
        created_ms=created_ms,
    )


def user_of(protocol: Protocol, name: str) -> User:
    """A user with all of the protocol's wallets; the uid comes from the name."""
    uid = 100_000_000 + int(_text(0, name)[:8], 16) % 900_000_000
    return User(name=name, uid=uid, wallets=WALLETS[protocol])
