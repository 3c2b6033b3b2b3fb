"""A floor without fees, so that margin and funding are the only figures, and shorthands for contracts."""

from __future__ import annotations

from decimal import Decimal
from typing import TypeVar

from libs.exchange.engine.commands import Booked, Event, OpenAccount
from libs.exchange.engine.types import (
    AccountKind,
    AccountSpec,
    EntryKind,
    FeeRates,
    FeeSchedule,
    Position,
    PositionFigures,
    PositionMode,
    PositionSide,
    Side,
)
from tests.helpers.floor import PERP, D, Floor, market

NONE = FeeRates(maker=Decimal(0), taker=Decimal(0))
FREE = FeeSchedule(spot=NONE, perp=NONE, future=NONE)
Of = TypeVar("Of", bound=Event)


def free_floor() -> Floor:
    """Books and marks are the test's; every account is empty."""
    return Floor(fees=FREE)


def hedge_account(floor: Floor) -> str:
    """A second contracts account, in hedge mode."""
    spec = AccountSpec(
        account="hedge", user="u1", kind=AccountKind.FUTURES, fees=FREE, position_mode=PositionMode.HEDGE
    )
    floor.do(OpenAccount(spec=spec))
    return "hedge"


def hold(
    floor: Floor, account: str, side: Side, quantity: str, price: str, *, key: str = PERP
) -> list[Event]:
    """Marked at a price and bought or sold there by a market order; the book is empty afterwards."""
    floor.mark(key, price)
    level = f"{price} 1000"
    floor.book(key, level if side is Side.SELL else "", level if side is Side.BUY else "")
    events = floor.do(market(account, key, side, quantity))
    floor.book(key)
    return events


def figures_of(floor: Floor, account: str, side: PositionSide = PositionSide.BOTH) -> PositionFigures:
    return next(one for one in floor.engine.positions(account) if one.position.side is side)


def position_of(floor: Floor, account: str, side: PositionSide = PositionSide.BOTH) -> Position:
    return figures_of(floor, account, side).position


def lines(events: list[Event]) -> list[tuple[EntryKind, str, Decimal]]:
    """Kind, asset and amount of each ledger line."""
    return [
        (event.entry.kind, event.entry.asset, event.entry.amount)
        for event in events
        if isinstance(event, Booked)
    ]


def only(events: list[Event], kind: type[Of]) -> list[Of]:
    return [event for event in events if isinstance(event, kind)]


def line(kind: EntryKind, amount: str, asset: str = "USDT") -> tuple[EntryKind, str, Decimal]:
    return kind, asset, D(amount)
