"""What befalls positions and markets on purpose: ADL, liquidation, their owner, delisting, new filters.

From a plan at its time, or at once over the control endpoint.
"""

from __future__ import annotations

import contextlib
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import msgspec

from libs.exchange.engine.commands import Command, Deleverage, Liquidate, Refused, Submit
from libs.exchange.engine.types import OrderType, Position, PositionSide, Side
from services.venue.desk import Instant
from services.venue.faults import Fault, Kind
from services.venue.tape import down

if TYPE_CHECKING:
    from services.venue.house import House


def strike(house: House, now: Instant) -> None:
    """Let everything befall this house that is due; what the engine refuses now is tried again."""
    for number, fault in house.desk.board.due(house.protocol):
        with contextlib.suppress(Refused):
            if befall(house, fault, now):
                house.desk.board.befell(number, house.protocol)


def befall(house: House, fault: Fault, now: Instant, *, user: str = "*") -> int:
    """One misfortune now, to `user` (a pattern) where it is about positions; how many it hit."""
    match fault.kind:
        case Kind.DELISTING:
            return _delist(house, fault, now)
        case Kind.FILTER_CHANGE:
            return _change_filters(house, fault, now)
        case Kind.ADL | Kind.LIQUIDATION | Kind.MANUAL_CLOSE:
            return _positions(house, fault, now, user)
        case _:
            raise ValueError(f"{fault.kind} befalls no position and no market")


def _positions(house: House, fault: Fault, now: Instant, user: str) -> int:
    engine = house.engine
    hit = 0
    for account in [name for name, spec in engine.accounts.items() if fnmatchcase(spec.user, user)]:
        for figures in engine.positions(account):
            position = figures.position
            if fnmatchcase(engine.listing(position.instrument).symbol, fault.symbol):
                house.tape.bring(position.instrument, now)
                house.apply(_command(house, fault, position, now), now)
                hit += 1
    return hit


def _command(house: House, fault: Fault, position: Position, now: Instant) -> Command:
    size = abs(position.quantity)
    step = house.engine.listing(position.instrument).quantity_step
    part = min(size, max(step, down(size * Decimal(str(fault.share)), step)))
    account, instrument = position.account, position.instrument
    match fault.kind:
        case Kind.ADL:
            mark = house.engine.mark(position.instrument)
            if mark is None:
                raise LookupError(f"{position.instrument}: a position without a mark")
            return Deleverage(
                account=account,
                instrument=instrument,
                position_side=position.side,
                quantity=part,
                price=mark,
            )
        case Kind.LIQUIDATION:
            return Liquidate(account=account, instrument=instrument, position_side=position.side)
        case _:
            return Submit(
                account=account,
                instrument=instrument,
                side=Side.SELL if position.quantity > 0 else Side.BUY,
                type=OrderType.MARKET,
                quantity=part,
                client_id=f"web_{now.wall_ms}",
                reduce_only=position.side is PositionSide.BOTH,
                position_side=position.side,
            )


def _delist(house: House, fault: Fault, now: Instant) -> int:
    hit = 0
    market = house.desk.market
    for instrument in market.listed(house.protocol, "perp", now.market_ms):
        if fnmatchcase(instrument.symbol, fault.symbol) and market.trading(instrument, now.market_ms):
            ended = msgspec.structs.replace(instrument, ended_ms=now.market_ms)
            market.replace(ended)
            house.timetable.delist(ended, now)
            hit += 1
    return hit


def _change_filters(house: House, fault: Fault, now: Instant) -> int:
    hit = 0
    market = house.desk.market
    factor = Decimal(str(fault.factor))
    for kind in ("perp", "spot"):
        for instrument in market.listed(house.protocol, kind, now.market_ms):
            if fnmatchcase(instrument.symbol, fault.symbol):
                market.replace(
                    msgspec.structs.replace(
                        instrument,
                        step=(instrument.step * factor).normalize(),
                        min_qty=(instrument.min_qty * factor).normalize(),
                        min_notional=(instrument.min_notional * factor).normalize(),
                    )
                )
                hit += 1
    house.tape.list_all(now)
    return hit
