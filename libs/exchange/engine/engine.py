"""The simulated exchange: commands in, events out, and questions that change nothing.

    engine = Engine(VenueRules())
    events = engine.apply(Submit(...), now)      # or raises `Refused`, and nothing has changed

Pure and deterministic: no I/O, no clock, no randomness. The same commands at the same instants give the same
bytes (`snapshot`), and an engine restored from them goes on as the first would have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, localcontext
from typing import Any, Final

from libs.common.instant import Now
from libs.exchange.engine import (
    borrow,
    delivery,
    funding,
    liquidation,
    margin,
    matching,
    registry,
    settings,
    snapshot,
    transfers,
)
from libs.exchange.engine.commands import (
    AccrueInterest,
    Borrow,
    Cancel,
    CancelAll,
    Command,
    Deleverage,
    Deliver,
    Deposit,
    Event,
    Liquidate,
    OpenAccount,
    PublicTrade,
    Refused,
    Repay,
    SetBook,
    SetFees,
    SetLeverage,
    SetListing,
    SetMarginMode,
    SetMark,
    SetPositionMode,
    SettleFunding,
    Submit,
    Transfer,
    Withdraw,
)
from libs.exchange.engine.orders import by_client_id, cancel, cancel_every
from libs.exchange.engine.pools import leverage_of
from libs.exchange.engine.state import ARITHMETIC, State
from libs.exchange.engine.submission import submit
from libs.exchange.engine.types import (
    ZERO,
    AccountSpec,
    Balance,
    Entry,
    Fill,
    Listing,
    MarginFigures,
    MarginMode,
    Order,
    PositionFigures,
    PositionMode,
    PositionSide,
    VenueRules,
)

__all__ = ["Engine", "Refused"]

Handler = Callable[[State, Any, Now], list[Event]]

HANDLERS: Final[dict[type[Command], Handler]] = {
    SetListing: registry.set_listing,
    OpenAccount: registry.open_account,
    SetFees: registry.set_fees,
    SetMark: registry.set_mark,
    SetBook: matching.set_book,
    PublicTrade: matching.public_trade,
    Submit: submit,
    Cancel: cancel,
    CancelAll: cancel_every,
    SetLeverage: settings.set_leverage,
    SetMarginMode: settings.set_margin_mode,
    SetPositionMode: settings.set_position_mode,
    Deposit: transfers.deposit,
    Withdraw: transfers.withdraw,
    Transfer: transfers.transfer,
    Borrow: borrow.borrow,
    Repay: borrow.repay,
    AccrueInterest: borrow.accrue,
    SettleFunding: funding.settle,
    Deliver: delivery.deliver,
    Deleverage: liquidation.deleverage,
    Liquidate: liquidation.liquidate,
}


class Engine:
    """One venue. Money is `Decimal`; quantities are base units; lists are oldest first."""

    def __init__(self, rules: VenueRules | None = None) -> None:
        self._state = State(rules or VenueRules())

    # --- what happens -------------------------------------------------------------------------------------

    def apply(self, command: Command, now: Now) -> list[Event]:
        """Carry out a command; what became of it, in order. Raises `Refused` with nothing changed."""
        with localcontext(ARITHMETIC):
            return HANDLERS[type(command)](self._state, command, now)

    def snapshot(self) -> bytes:
        """The whole state. Two engines that were told the same give the same bytes."""
        return snapshot.encode(self._state)

    @classmethod
    def restore(cls, data: bytes) -> Engine:
        """The engine that gave these bytes. Raises `BadSnapshot`."""
        engine = cls()
        engine._state = snapshot.decode(data)
        return engine

    # --- markets ------------------------------------------------------------------------------------------

    @property
    def rules(self) -> VenueRules:
        """How this venue behaves where venues differ."""
        return self._state.rules

    @property
    def listings(self) -> Mapping[str, Listing]:
        """Every market that was ever listed, by key."""
        return {key: market.listing for key, market in self._state.markets.items()}

    def listing(self, key: str) -> Listing:
        """Raises `Refused` (UNKNOWN_INSTRUMENT)."""
        return self._state.market(key).listing

    def mark(self, instrument: str) -> Decimal | None:
        """The last mark, None before the first; `Refused` for an unknown market."""
        return self._state.market(instrument).mark

    def watched(self) -> frozenset[str]:
        """Markets with resting orders: their books are wanted at every step."""
        markets = self._state.markets.items()
        return frozenset(key for key, market in markets if market.buys or market.sells)

    def exposed(self) -> frozenset[str]:
        """Markets whose marks matter now: of positions, of coins that are owed or back a debt or a position,
        of coins that fees are paid in.
        """
        return registry.exposed(self._state)

    # --- accounts -----------------------------------------------------------------------------------------

    @property
    def accounts(self) -> Mapping[str, AccountSpec]:
        """Every account as it was opened, with its present fees."""
        return {name: account.spec for name, account in self._state.accounts.items()}

    def balances(self, account: str) -> dict[str, Balance]:
        """Every asset that the account ever had, zero or not."""
        return dict(self._state.account(account).balances)

    def entries(self, account: str) -> list[Entry]:
        """The account's ledger: the last `history_max` lines at least."""
        return list(self._state.account(account).entries)

    def totals(self) -> dict[str, Decimal]:
        """The sum over all wallets and the house's accounts, per asset: always exactly 0."""
        with localcontext(ARITHMETIC):
            return registry.totals(self._state)

    # --- orders -------------------------------------------------------------------------------------------

    def order(
        self, account: str, *, order_id: int | None = None, client_id: str = "", instrument: str = ""
    ) -> Order | None:
        """By its id, or the newest that has the client id; None when the account has none of it."""
        owner = self._state.account(account)
        if order_id is None:
            return by_client_id(self._state, owner, client_id, instrument) if client_id else None
        found = self._state.orders.get(order_id)
        if found is None or found.account != account or instrument not in ("", found.instrument):
            return None
        return found

    def open_orders(self, account: str, instrument: str = "") -> list[Order]:
        """Resting orders, on one instrument or on all."""
        return sorted(
            self._state.open_orders(self._state.account(account), instrument),
            key=lambda order: order.order_id,
        )

    def orders(self, account: str, instrument: str = "") -> list[Order]:
        """All orders that are still known: resting ones and at least the last `history_max` closed ones."""
        owner, orders = self._state.account(account), self._state.orders
        ids = sorted([*owner.closed, *owner.open])
        return [orders[one] for one in ids if instrument in ("", orders[one].instrument)]

    def fills(self, account: str, instrument: str = "") -> list[Fill]:
        """The account's trades: at least the last `history_max`."""
        fills = self._state.account(account).fills
        return [fill for fill in fills if instrument in ("", fill.instrument)]

    # --- contracts and debts ------------------------------------------------------------------------------

    def positions(self, account: str) -> list[PositionFigures]:
        """Open positions with what the mark says of them."""
        owner = self._state.account(account)
        with localcontext(ARITHMETIC):
            return [
                margin.position_figures(self._state, account, position)
                for sides in owner.positions.values()
                for position in sides.values()
            ]

    def position(
        self, account: str, instrument: str, side: PositionSide = PositionSide.BOTH
    ) -> PositionFigures | None:
        """One open position as `positions` has it, at the cost of one; None when there is none."""
        found = self._state.account(account).position(instrument, side)
        if found is None:
            return None
        with localcontext(ARITHMETIC):
            return margin.position_figures(self._state, account, found)

    def margin(self, account: str, asset: str) -> MarginFigures:
        """What backs the contracts of a FUTURES or UNIFIED account, and what is left."""
        with localcontext(ARITHMETIC):
            return margin.figures(self._state, account, asset)

    def margin_level(self, account: str) -> Decimal | None:
        """Assets / liabilities; None without liabilities."""
        with localcontext(ARITHMETIC):
            return margin.margin_level(self._state, account)

    def max_borrow(self, account: str, asset: str) -> Decimal:
        """How much of a coin the account could borrow now."""
        with localcontext(ARITHMETIC):
            return max(margin.max_borrow(self._state, account, asset), ZERO)

    def max_withdraw(self, account: str, asset: str) -> Decimal:
        """What may leave the account."""
        with localcontext(ARITHMETIC):
            return max(margin.max_withdraw(self._state, account, asset), ZERO)

    def leverage(self, account: str, instrument: str) -> int:
        """In force for a contract: as chosen or the account's default, within what the market allows."""
        market = self._state.contract(instrument)
        return leverage_of(self._state.account(account), market.listing)

    def margin_mode(self, account: str, instrument: str) -> MarginMode:
        """In force for a contract."""
        self._state.contract(instrument)
        return self._state.account(account).settings_of(instrument).margin_mode

    def position_mode(self, account: str) -> PositionMode:
        """One-way or hedge, for all contracts of the account."""
        return self._state.account(account).position_mode
