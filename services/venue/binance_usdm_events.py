"""What happens to a USD-M account, in the order in which its user stream says it.

A trade comes as TRADE_LITE, then ACCOUNT_UPDATE (reason ORDER) with wallet and position after it, then
ORDER_TRADE_UPDATE. A fill-or-kill order that does not fill is never heard of. Liquidations, ADL and
deliveries come as CALCULATED executions, which are no TRADE.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from libs.exchange.engine.commands import Booked, Configured, Event, Ordered, Positioned
from libs.exchange.engine.types import ZERO, EntryKind, MarginMode, Order, Position, TimeInForce
from services.venue.binance_usdm_event_rows import Said, empty_row, order_event, position_row, trade_lite
from services.venue.binance_usdm_rows import money

if TYPE_CHECKING:
    from services.venue.desk import Instant
    from services.venue.house import House

ORDER: Final = "ORDER"
FUNDING: Final = "FUNDING_FEE"
_REASON: Final = {
    EntryKind.FUNDING: FUNDING,
    EntryKind.LIQUIDATION_FEE: "INSURANCE_CLEAR",
    EntryKind.INSURANCE: "INSURANCE_CLEAR",
    EntryKind.DELIVERY: ORDER,
    EntryKind.PNL: ORDER,
    EntryKind.FEE: ORDER,
    EntryKind.DEPOSIT: "DEPOSIT",
    EntryKind.WITHDRAWAL: "WITHDRAW",
}
# `bc` is the change of the balance other than by PnL and commission.
_OF_TRADES: Final = frozenset({EntryKind.PNL, EntryKind.FEE})


def of_account(house: House, account: str, events: list[Event], now: Instant) -> list[Said]:
    """The events of one account out of what one command has brought about, in order."""
    teller = Teller(house, account, now)
    for event in events:
        teller.tell(event)
    return teller.told()


class Teller:
    """Turns the engine's events into the stream's: what belongs to one trade or booking is told together."""

    def __init__(self, house: House, account: str, now: Instant) -> None:
        self._house = house
        self._account = account
        self._now = now
        self._said: list[Said] = []
        self._update: AccountUpdate | None = None
        self._trade: Said | None = None  # told after the account update of its trade
        self._kept_back: Order | None = None  # a fill-or-kill order, as long as it is not clear that it fills

    def told(self) -> list[Said]:
        """Everything, the last account update included."""
        self._flush()
        return self._said

    def tell(self, event: Event) -> None:
        """One event; those of other accounts are not told."""
        match event:
            case Ordered(order=order) if order.account == self._account:
                self._order(event)
            case Booked(entry=entry) if entry.account == self._account:
                self._of(_reason(entry.kind, entry.amount)).book(event)
            case Positioned(position=position, cause=cause) if position.account == self._account:
                if cause != "settings":
                    self._of(FUNDING if cause == "funding" else self._reason).place(position)
            case Configured(account=owner) if owner == self._account:
                self._flush()
                self._said += _configured(self._house, event, self._now)
            case _:
                return

    @property
    def _reason(self) -> str:
        return self._update.reason if self._update is not None else ORDER

    def _of(self, reason: str) -> AccountUpdate:
        """The account update under way, or a new one when its reason is another."""
        if self._update is None or self._update.reason != reason:
            self._flush()
            self._update = AccountUpdate(self._house, self._account, reason)
        return self._update

    def _order(self, event: Ordered) -> None:
        self._flush()
        order, fill = event.order, event.fill
        if order.tif is TimeInForce.FOK and fill is None:
            self._kept_back = order if order.is_open else None
            return
        if self._kept_back is not None:
            self._said.append(order_event(self._house, self._kept_back, None, self._now))
            self._kept_back = None
        said = order_event(self._house, order, fill, self._now)
        if fill is None:
            self._said.append(said)
            return
        self._said += trade_lite(self._house, fill, order, self._now)
        self._update = AccountUpdate(self._house, self._account, ORDER)
        self._trade = said

    def _flush(self) -> None:
        if self._update is not None:
            self._said.append(self._update.event(self._now))
            self._update = None
        if self._trade is not None:
            self._said.append(self._trade)
            self._trade = None


def _reason(kind: EntryKind, amount: Decimal) -> str:
    if kind is EntryKind.TRANSFER:
        return "DEPOSIT" if amount > 0 else "WITHDRAW"
    return _REASON[kind]


class AccountUpdate:
    """One ACCOUNT_UPDATE while its lines come in."""

    def __init__(self, house: House, account: str, reason: str) -> None:
        self.reason = reason
        self._house = house
        self._account = account
        self._balances: dict[str, tuple[Decimal, Decimal]] = {}
        self._positions: list[Position] = []
        self._market_ms: int | None = None

    def book(self, booked: Booked) -> None:
        """A ledger line: the wallet after it, and what of it is neither PnL nor commission."""
        entry = booked.entry
        changed = self._balances.get(entry.asset, (ZERO, ZERO))[1]
        if entry.kind not in _OF_TRADES:
            changed += entry.amount
        self._balances[entry.asset] = (booked.balance.total, changed)
        if entry.kind is EntryKind.FUNDING:
            self._market_ms = entry.market_ms

    def place(self, position: Position) -> None:
        """A position after it."""
        self._positions = [one for one in self._positions if _slot(one) != _slot(position)] + [position]

    def event(self, now: Instant) -> Said:
        """A settlement is stamped with its market time, everything else with wall time."""
        positions = self._positions
        # Funding of cross positions names none, as on the real venue.
        if self.reason == FUNDING:
            positions = [one for one in positions if one.margin_mode is MarginMode.ISOLATED]
        body = {
            "m": self.reason,
            "B": [self._balance(asset, *found) for asset, found in self._all_balances().items()],
            "P": [position_row(self._house, one) for one in positions],
        }
        stamp_ms = now.wall_ms if self._market_ms is None else self._market_ms
        event = {"e": "ACCOUNT_UPDATE", "E": now.wall_ms, "T": stamp_ms, "a": body}
        return self._symbol(), event

    def _symbol(self) -> str:
        if not self._positions:
            return ""
        return self._house.engine.listing(self._positions[0].instrument).symbol

    def _all_balances(self) -> dict[str, tuple[Decimal, Decimal]]:
        """A trade that moved no money still tells the wallet of its settlement asset."""
        if self._balances or not self._positions:
            return self._balances
        asset = self._house.engine.listing(self._positions[0].instrument).quote
        found = self._house.engine.balances(self._account).get(asset)
        return {asset: (found.total if found is not None else ZERO, ZERO)}

    def _balance(self, asset: str, wallet: Decimal, changed: Decimal) -> dict[str, Any]:
        isolated = self._isolated(asset)
        return {"a": asset, "wb": money(wallet), "cw": money(wallet - isolated), "bc": money(changed)}

    def _isolated(self, asset: str) -> Decimal:
        """The margins of isolated positions, of those in this update as they stand after it."""
        engine = self._house.engine
        found = {_slot(one.position): one.position for one in engine.positions(self._account)}
        found |= {_slot(one): one for one in self._positions}
        margins = [
            one.isolated_margin for one in found.values() if engine.listing(one.instrument).quote == asset
        ]
        return sum(margins, ZERO)


def _slot(position: Position) -> tuple[str, str]:
    return position.instrument, position.side


def _configured(house: House, event: Configured, now: Instant) -> list[Said]:
    """Leverage as ACCOUNT_CONFIG_UPDATE, margin type as ACCOUNT_UPDATE; a position mode is not announced."""
    if not event.instrument:
        return []
    listing = house.engine.listing(event.instrument)
    stamps = {"E": now.wall_ms, "T": now.wall_ms}
    said: list[Said] = []
    if event.leverage is not None:
        body = {"s": listing.symbol, "l": event.leverage}
        said.append((listing.symbol, {"e": "ACCOUNT_CONFIG_UPDATE", **stamps, "ac": body}))
    if event.margin_mode is not None:
        row = empty_row(listing, event.margin_mode)
        body = {"m": "MARGIN_TYPE_CHANGE", "B": [], "P": [row]}
        said.append((listing.symbol, {"e": "ACCOUNT_UPDATE", **stamps, "a": body}))
    return said
