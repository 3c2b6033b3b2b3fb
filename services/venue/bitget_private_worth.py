"""What a unified account is worth: its coins, their prices, its margin; the figures of REST and stream.

One balance a coin: what is held less what is owed, so that a coin sold on loan stands below zero and its debt
is the same number above ("Debt = ABS(min(balance + unrealised PnL, 0))", "Available = Balance + unrealised
PnL", https://www.bitget.com/api-doc/uta/intro). Margin in use is not taken off `available`: the room for new
positions is `effEquity` less `imr`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from libs.exchange.engine.types import ZERO, Balance, MarginFigures
from services.venue.bitget_private_fields import ratio
from services.venue.desk import Instant
from services.venue.house import House

SETTLE: Final = "USDT"


class Coin(msgspec.Struct, frozen=True, kw_only=True):
    """A coin of an account. `price` in USDT, which stands for the dollar."""

    coin: str
    balance: Decimal
    locked: Decimal
    owed: Decimal
    borrowed: Decimal
    unrealised: Decimal
    price: Decimal

    @property
    def equity(self) -> Decimal:
        """What it is worth with the PnL of the positions that settle in it."""
        return self.balance + self.unrealised

    @property
    def debt(self) -> Decimal:
        """What it stands below zero."""
        return max(-self.equity, ZERO)

    @property
    def available(self) -> Decimal:
        """What of it new orders find."""
        return max(self.equity - self.locked, ZERO)

    @property
    def usd(self) -> Decimal:
        """Its equity in dollars."""
        return self.equity * self.price


class Worth(msgspec.Struct, frozen=True, kw_only=True):
    """The account as a whole, in dollars."""

    coins: tuple[Coin, ...]
    margin: MarginFigures
    btc: Decimal

    @property
    def equity(self) -> Decimal:
        """All coins together."""
        return sum((coin.usd for coin in self.coins), ZERO)

    @property
    def margin_ratio(self) -> Decimal:
        """Maintenance over what backs it; at 1 the account is liquidated."""
        return ratio(self.margin.maintenance, self.margin.equity)


def worth_of(house: House, account: str, now: Instant) -> Worth:
    """Everything about an account's money, at the marks of the engine."""
    margin = house.engine.margin(account, SETTLE)
    balances = house.engine.balances(account)
    if margin.unrealised:
        balances = {SETTLE: Balance()} | balances
    coins = [_coin(house, coin, balance, margin, now) for coin, balance in sorted(balances.items())]
    kept = tuple(coin for coin in coins if coin.balance or coin.locked or coin.owed or coin.unrealised)
    return Worth(coins=kept, margin=margin, btc=price_of(house, "BTC", now))


def price_of(house: House, coin: str, now: Instant) -> Decimal:
    """A coin in USDT by the engine's mark of its spot market; 0 without one."""
    if coin == SETTLE:
        return Decimal(1)
    key = house.listing_key("spot", coin + SETTLE, now)
    mark = house.engine.mark(key) if key is not None else None
    return mark if mark is not None else ZERO


def owed(balance: Balance) -> Decimal:
    """Principal and interest."""
    return balance.borrowed + balance.interest


def net(balance: Balance) -> Decimal:
    """What is held less what is owed: Bitget's balance."""
    return balance.total - owed(balance)


def _coin(house: House, coin: str, balance: Balance, margin: MarginFigures, now: Instant) -> Coin:
    return Coin(
        coin=coin,
        balance=net(balance),
        locked=balance.locked,
        owed=owed(balance),
        borrowed=balance.borrowed,
        unrealised=margin.unrealised if coin == SETTLE else ZERO,
        price=price_of(house, coin, now),
    )
