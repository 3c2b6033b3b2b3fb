"""The exchange port's private half: what the executor asks a venue to do, and what the answers prove.

Base units and `Decimal` throughout; instruments are slugs. One rule is above all others: an order whose fate
is not proven is `Unknown`, and only a query or the user stream can end that.

    legs = [await spot.prepare(buy), await perp.prepare(sell)]    # signed, a connection each, nothing written
    outcomes = await send_together(legs)                          # written in one turn of the event loop
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Protocol

from libs.exchange.port import Instrument
from libs.exchange.trading_values import (
    CLIENT_ID,
    FINAL_STATES,
    AccountSettings,
    BalanceReport,
    Done,
    FeeRates,
    FillReport,
    Found,
    KeyPermissions,
    LedgerRecord,
    Liquidity,
    MarginMode,
    NeverSent,
    NotFound,
    OrderReport,
    OrderRequest,
    OrderState,
    OrderType,
    Outcome,
    PositionMode,
    PositionReport,
    PositionSide,
    QueryFailed,
    QueryOutcome,
    RecordKind,
    Rejected,
    RejectReason,
    Room,
    Side,
    TimeInForce,
    TradingEvent,
    Unknown,
    Urgency,
    Wallet,
)

# The values are said again here: whoever talks to a venue finds all of the port in one place.
__all__ = [
    "CLIENT_ID",
    "FINAL_STATES",
    "AccountSettings",
    "BalanceReport",
    "Done",
    "FeeRates",
    "FillReport",
    "Found",
    "KeyPermissions",
    "LedgerRecord",
    "Liquidity",
    "MarginMode",
    "NeverSent",
    "NotFound",
    "OrderReport",
    "OrderRequest",
    "OrderState",
    "OrderType",
    "Outcome",
    "PositionMode",
    "PositionReport",
    "PositionSide",
    "Prepared",
    "QueryFailed",
    "QueryOutcome",
    "RecordKind",
    "RejectReason",
    "Rejected",
    "Room",
    "Side",
    "TimeInForce",
    "Trading",
    "TradingEvent",
    "Unknown",
    "Urgency",
    "Wallet",
    "send_together",
]


class Prepared(Protocol):
    """A signed order with its connection, held back: the gate is asked between this and `release`."""

    request: OrderRequest

    def release(self) -> None:
        """Let it go, in this turn of the event loop. At most once; never after `abandon`."""
        ...

    async def outcome(self) -> Outcome:
        """What became of it, after `release`. Never raises but on cancellation (which leaves it unknown)."""
        ...

    async def abandon(self, why: str) -> NeverSent:
        """Drop it instead; not one byte of it is written."""
        ...


async def send_together(legs: Sequence[Prepared | NeverSent]) -> list[Outcome]:
    """Release all legs in one turn of the event loop, of one venue or of several; outcomes in order.

    All or none: when a leg could not be prepared, no leg is sent.
    """
    failed = next((leg for leg in legs if isinstance(leg, NeverSent)), None)
    if failed is not None:
        why = f"the other leg was not ready: {failed.why}"
        return [leg if isinstance(leg, NeverSent) else await leg.abandon(why) for leg in legs]
    ready = [leg for leg in legs if not isinstance(leg, NeverSent)]
    for leg in ready:
        leg.release()
    return list(await asyncio.gather(*(leg.outcome() for leg in ready)))


class Trading(Protocol):
    """One account at one venue. Calls that only read raise `VenueError` and nothing else.

    `margin` names the desk of borrowed spot coins where the venue has one of its own.
    """

    venue: str

    async def load(self) -> dict[str, Instrument]:
        """Read markets, account ids and the clock; verify the account's layout. Once before anything else."""
        ...

    # --- orders ---------------------------------------------------------------------------------------------

    async def prepare(self, request: OrderRequest) -> Prepared | NeverSent:
        """Check against steps and minimums, sign, and get a connection. `NeverSent` says what is wrong.

        Nothing is rounded: a quantity or price that is no multiple of its step is refused.
        """
        ...

    async def submit(self, request: OrderRequest) -> Outcome:
        """`prepare` and release. Never raises but on cancellation."""
        ...

    async def submit_all(self, requests: Sequence[OrderRequest]) -> list[Outcome]:
        """Concurrent orders at this venue; over several venues use `prepare` and `send_together`."""
        ...

    async def query(self, instrument: str, client_id: str, *, margin: bool = False) -> QueryOutcome:
        """Ask for an order by our id. Never raises but on cancellation."""
        ...

    async def cancel(self, instrument: str, client_id: str, *, margin: bool = False) -> QueryOutcome:
        """Ask the venue to cancel. `Found` with the order after it (it may have filled meanwhile), `NotFound`
        when there was no such open order (query it then), `QueryFailed` when nothing is known.
        """
        ...

    async def open_orders(self, instrument: str = "", *, margin: bool = False) -> list[OrderReport]:
        """All open orders of the account (ours and others'), of one instrument or all."""
        ...

    async def fills(self, instrument: str, *, since_ms: int, margin: bool = False) -> list[FillReport]:
        """Trades from `since_ms` on, oldest first, all pages."""
        ...

    # --- account --------------------------------------------------------------------------------------------

    async def positions(self) -> list[PositionReport]:
        """Open positions only."""
        ...

    async def balances(self) -> list[BalanceReport]:
        """Every asset with a balance or a debt, in every wallet that this port trades with."""
        ...

    async def settings(self, instrument: str) -> AccountSettings:
        """What holds now, read from the venue."""
        ...

    async def configure(
        self, instrument: str, *, margin_mode: MarginMode, leverage: int, position_mode: PositionMode
    ) -> AccountSettings:
        """Set what differs and read it back. `VenueError` when what is read is not what was asked for."""
        ...

    async def borrow(self, asset: str, amount: Decimal) -> None:
        """Borrow coins into the margin wallet. A time-out leaves it unknown: compare balances."""
        ...

    async def repay(self, asset: str, amount: Decimal) -> None:
        """Pay back debt, interest first."""
        ...

    async def transfer(self, asset: str, amount: Decimal, *, source: Wallet, target: Wallet) -> str:
        """Move coins between wallets of the account; the venue's id of the transfer, "" where it has none."""
        ...

    async def permissions(self) -> KeyPermissions: ...

    async def fee_rates(self, instrument: str) -> FeeRates: ...

    async def records(self, kind: RecordKind, *, since_ms: int) -> list[LedgerRecord]:
        """Lines of the venue's books of one kind from `since_ms` on, oldest first."""
        ...

    # --- connection -----------------------------------------------------------------------------------------

    def clock_offset_ms(self) -> float | None:
        """Venue clock minus ours as last measured by `keep_warm` or `load`."""
        ...

    def room(self, instrument: str, *, urgency: Urgency, orders: int = 1) -> Room:
        """Whether the request budget has room for so many orders of this urgency now. Asks nobody."""
        ...

    async def keep_warm(self) -> None:
        """Until cancelled: keep two connections a host open, and the clock measured."""
        ...

    async def stream(self, sink: Callable[[TradingEvent], Any]) -> None:
        """Push private events until cancelled; after each reconnect a `GapSeen`, then the state by REST."""
        ...

    async def close(self) -> None: ...
