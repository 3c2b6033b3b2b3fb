"""What the coins of an account that can borrow are worth, and what its debts come to, in USDT.

MARGIN (Binance's cross margin): each coin counts in full at the mark of its marginable spot market, and
level = assets / liabilities. Binance lets a classic cross account (3x) borrow down to level 1.5, transfer
out down to 2 and liquidates at 1.1.

UNIFIED: one pool backs contracts and debts. USDT counts in full, a coin with a marginable spot market at
`COIN_RATIO` of its mark (Bitget publishes 0.99 falling with size, in v3/market/discount-rate; one flat,
more careful figure stands for the table), any other coin not at all. A debt takes its value, half of it
as initial margin (3x, as on the margin desk) and a tenth as maintenance margin.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from libs.exchange.engine.state import USD, Account, State
from libs.exchange.engine.types import ZERO, AccountKind, Balance

ONE: Final = Decimal(1)
COIN_RATIO: Final = Decimal("0.9")
BORROW_LEVEL: Final = Decimal("1.5")
WITHDRAW_LEVEL: Final = Decimal(2)
LIQUIDATION_LEVEL: Final = Decimal("1.1")
DEBT_INITIAL: Final = BORROW_LEVEL - 1
DEBT_MAINTENANCE: Final = LIQUIDATION_LEVEL - 1
BORROWING: Final = (AccountKind.MARGIN, AccountKind.UNIFIED)


def value(state: State, asset: str) -> Decimal | None:
    """USDT for one unit of a coin that is collateral and can be borrowed; None for any other."""
    if asset == USD:
        return ONE
    key = state.spot_markets.get(f"{asset}/{USD}")
    if key is None or not state.markets[key].listing.marginable:
        return None
    return state.markets[key].mark


def ratio(state: State, account: Account, asset: str) -> Decimal:
    """The part of a coin's value that backs positions and debts of this account."""
    if value(state, asset) is None:
        return ZERO
    return ONE if asset == USD or account.spec.kind is AccountKind.MARGIN else COIN_RATIO


def owed(balance: Balance) -> Decimal:
    """Principal and interest."""
    return balance.borrowed + balance.interest


def in_debt(account: Account) -> bool:
    """Whether anything is owed at all."""
    return any(balance.borrowed or balance.interest for balance in account.balances.values())


def assets_usd(state: State, account: Account) -> Decimal:
    """All that the account holds, borrowed coins too, without any deduction."""
    return sum(
        (
            balance.total * price
            for asset, balance in account.balances.items()
            if balance.total and (price := value(state, asset)) is not None
        ),
        ZERO,
    )


def collateral_usd(state: State, account: Account) -> Decimal:
    """All that a unified account holds, each coin at its ratio."""
    total = ZERO
    for asset, balance in account.balances.items():
        if asset == USD:
            total += balance.total
        elif balance.total and (price := value(state, asset)) is not None:
            total += balance.total * price * COIN_RATIO
    return total


def liabilities_usd(state: State, account: Account) -> Decimal:
    """All that the account owes. A debt was only made where there was a price, and prices do not vanish."""
    total = ZERO
    for asset, balance in account.balances.items():
        if balance.borrowed or balance.interest:
            total += owed(balance) * debt_price(state, asset)
    return total


def debt_price(state: State, asset: str) -> Decimal:
    """The price of something owed: also where its market may no longer be borrowed on."""
    price = state.price(asset)
    if price is None:
        raise ValueError(f"{asset} is owed, but has no price")
    return price
