"""What the simulated exchange remembers: markets, accounts, orders, the house's own ledger accounts.

One mutable `State` for an engine; everything in it that is a value (orders, balances, positions) is frozen
and replaced, never changed in place. All containers keep insertion order and none is a set, so that the
same commands give the same bytes. `snapshot` encodes a `State` as it stands.

How the engine calls the rules that live in modules of their own (all of them check first and change
afterwards, since a `Refused` must leave the state as it was; all get `now` from the command):

    positions.apply_fill(position, side, quantity, price) -> (Position, realised)   # from contracts.fill
    margin.check_order(state, account_id, submit, worst_price)                      # before an order is taken
    liquidation.after_change(state, account_id, now)     # after SetMark, funding, interest, transfers
    borrow.auto_borrow(state, account_id, asset, missing, now)       # missing > 0, before the order is taken
    borrow.auto_repay(state, account_id, asset, received, now)       # after a fill of an `auto_repay` order
    funding.settle, delivery.deliver, borrow.borrow/repay/accrue, transfers.deposit/withdraw/transfer,
    liquidation.deleverage/liquidate, settings of margin: (state, command, now) -> list[Event]
    delivery.delist(state, listing, now)      # the market's orders are canceled already; settles positions

What those modules build upon: `ledger.move` for money between two ledger accounts, `contracts.settle_cash`
for what a contracts account gains or must pay (it never fails: the insurance fund adds what is missing),
`contracts.force` for a fill that the venue makes itself, `orders.cancel_all` for open orders, and
`state.put_position` for a position that changes without a fill.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import Final

import msgspec

from libs.common.subjects import Kind
from libs.exchange.engine.commands import Levels, Reason, Refused
from libs.exchange.engine.types import (
    ZERO,
    AccountKind,
    AccountSpec,
    Balance,
    Entry,
    Fill,
    Listing,
    MarginMode,
    Order,
    Position,
    PositionMode,
    PositionSide,
    VenueRules,
)

# Sums and products of money are exact in 60 digits; only quotients (an average entry price) are rounded.
ARITHMETIC: Final = Context(
    prec=60, rounding=ROUND_HALF_EVEN, traps=[DivisionByZero, InvalidOperation, Overflow]
)

MARKET: Final = "@market"  # the counterparty of every fill
FEES: Final = "@fees"  # where fees go and rebates come from
INSURANCE: Final = "@insurance"  # gets liquidation fees, pays what an account cannot
LENDER: Final = "@lender"  # lends coins, gets interest
OUTSIDE: Final = "@outside"  # deposits come from it, so it is negative
HOUSE: Final = (MARKET, FEES, INSURANCE, LENDER, OUTSIDE)

USD: Final = "USDT"  # what liabilities and collateral are valued in

NO_BALANCE: Final = Balance()


class Settings(msgspec.Struct, frozen=True):
    """What an account has chosen for one contract."""

    leverage: int
    margin_mode: MarginMode


class Account(msgspec.Struct):
    """A wallet with its positions, orders and history. Histories are oldest first.

    `positions` holds open ones only, by instrument, then side. `open` maps the ids of resting orders to
    their instruments. `client_ids` maps a client id to the orders that have it, oldest first.
    """

    spec: AccountSpec
    position_mode: PositionMode
    balances: dict[str, Balance] = {}
    positions: dict[str, dict[PositionSide, Position]] = {}
    settings: dict[str, Settings] = {}
    open: dict[int, str] = {}
    closed: list[int] = []
    client_ids: dict[str, list[int]] = {}
    fills: list[Fill] = []
    entries: list[Entry] = []

    def balance(self, asset: str) -> Balance:
        """An asset's balance, zero when there never was one."""
        return self.balances.get(asset, NO_BALANCE)

    def position(self, instrument: str, side: PositionSide) -> Position | None:
        """An open position."""
        sides = self.positions.get(instrument)
        return sides.get(side) if sides is not None else None

    def settings_of(self, instrument: str) -> Settings:
        """Leverage and margin mode of a contract: what was chosen, else the account's defaults."""
        found = self.settings.get(instrument)
        return found or Settings(self.spec.leverage_default, self.spec.margin_mode_default)


class Half(msgspec.Struct):
    """One side of the last book, best first. What was eaten is always the best: levels before `at` are gone,
    and `eaten` of level `at`.
    """

    levels: Levels = ()
    at: int = 0
    eaten: Decimal = ZERO

    def best(self) -> Decimal | None:
        """The best price that still has size."""
        return self.levels[self.at][0] if self.at < len(self.levels) else None

    def left(self) -> list[tuple[Decimal, Decimal]]:
        """What is left of it: (price, base quantity), best first."""
        rest = list(self.levels[self.at :])
        if rest and self.eaten:
            rest[0] = (rest[0][0], rest[0][1] - self.eaten)
        return rest

    def size_at(self, price: Decimal) -> Decimal:
        """What is displayed at exactly this price."""
        for index in range(self.at, len(self.levels)):
            level, size = self.levels[index]
            if level == price:
                return size - self.eaten if index == self.at else size
        return ZERO


class Market(msgspec.Struct):
    """A listing with its book, its mark and the orders that rest in it.

    `buys` and `sells` hold (sort key, order id), best price first and oldest first at one price; the key is
    the price, negated for buys. `holders` are the accounts with an open position, with how many (hedge: 2).
    """

    listing: Listing
    bids: Half = msgspec.field(default_factory=Half)
    asks: Half = msgspec.field(default_factory=Half)
    version: int = -1
    mark: Decimal | None = None
    buys: list[tuple[Decimal, int]] = []
    sells: list[tuple[Decimal, int]] = []
    holders: dict[str, int] = {}


class State(msgspec.Struct):
    """Everything an engine knows. `units` holds what a resting spot order locks per base unit that remains.

    `funding_settled` and `interest_accrued` hold the last instant by instrument and asset; `spot_markets`
    the key of the spot market of `BASE/QUOTE`.
    """

    rules: VenueRules
    markets: dict[str, Market] = {}
    accounts: dict[str, Account] = {}
    orders: dict[int, Order] = {}
    units: dict[int, Decimal] = {}
    house: dict[str, dict[str, Decimal]] = msgspec.field(default_factory=lambda: {name: {} for name in HOUSE})
    funding_settled: dict[str, int] = {}
    interest_accrued: dict[str, int] = {}
    spot_markets: dict[str, str] = {}
    last_order_id: int = 0
    last_trade_id: int = 0
    last_entry_id: int = 0

    def account(self, account_id: str) -> Account:
        """An account; refused when there is none."""
        found = self.accounts.get(account_id)
        if found is None:
            raise Refused(Reason.UNKNOWN_ACCOUNT, f"no account {account_id}")
        return found

    def market(self, key: str) -> Market:
        """A market; refused when it was never listed."""
        found = self.markets.get(key)
        if found is None:
            raise Refused(Reason.UNKNOWN_INSTRUMENT, f"no market {key}")
        return found

    def contract(self, key: str) -> Market:
        """A perpetual or dated future; refused when there is none of that key."""
        market = self.market(key)
        if market.listing.kind is Kind.SPOT:
            raise Refused(Reason.UNKNOWN_INSTRUMENT, f"{key} is not a contract")
        return market

    def price(self, asset: str, quote: str = USD) -> Decimal | None:
        """An asset's price by the last mark of its spot market; 1 of itself, None when unknown."""
        if asset == quote:
            return Decimal(1)
        key = self.spot_markets.get(f"{asset}/{quote}")
        return self.markets[key].mark if key is not None else None

    def open_orders(self, account: Account, instrument: str) -> list[Order]:
        """An account's open orders, of one instrument or ("") of all, oldest first."""
        return [self.orders[order_id] for order_id, key in account.open.items() if instrument in ("", key)]

    def put_position(self, position: Position) -> None:
        """Keep a position as it now stands; a flat one is forgotten."""
        account = self.accounts[position.account]
        instrument, side = position.instrument, position.side
        sides = account.positions.get(instrument)
        if position.quantity:
            if sides is None:
                sides = account.positions[instrument] = {}
            sides[side] = position
        elif sides is not None and side in sides:
            del sides[side]
            if not sides:
                del account.positions[instrument]
        holders = self.markets[instrument].holders
        if sides:
            holders[position.account] = len(sides)
        else:
            holders.pop(position.account, None)

    def exposed_accounts(self, instrument: str) -> list[str]:
        """Whose margin the mark of this market moves: holders of the contract; for the spot market that
        prices a coin, the margin and unified accounts that own or owe it.
        """
        market = self.markets[instrument]
        if market.listing.kind is not Kind.SPOT:
            return list(market.holders)
        coin = market.listing.base
        return [name for name, account in self.accounts.items() if is_margined(account, coin)]


def is_margined(account: Account, coin: str) -> bool:
    """Whether the coin is collateral or a debt in an account that can borrow."""
    if account.spec.kind not in (AccountKind.MARGIN, AccountKind.UNIFIED):
        return False
    balance = account.balances.get(coin)
    return balance is not None and bool(balance.total or balance.borrowed or balance.interest)
