"""What a venue of the simulation answers to questions, looks and set-ups, and how that goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from libs.common.effects import Request
from libs.common.subjects import SPOT, kind_of
from libs.exchange.engine.commands import Refused, SetLeverage, SetMarginMode, SetPositionMode
from libs.exchange.engine.types import Entry, EntryKind
from libs.exchange.paper.reports import record_of
from libs.exchange.trading_values import AccountSettings, FeeRates, LedgerRecord, QueryFailed
from services.executor.books_work import FetchRecords, Rates, ReadRates
from services.executor.events import (
    AccountSeen,
    CancelOrder,
    FetchFills,
    FindTaken,
    ListOrders,
    QueryOrder,
    ReadAccount,
    SetUp,
    SetUpDone,
)
from services.executor.setup import Terms, differences
from tests.sim.plan import Misfortune
from tests.sim.terms import BOT, FEES, listing_key

if TYPE_CHECKING:
    from tests.sim.venue import SimVenue

TRADES: Final = frozenset({EntryKind.TRADE, EntryKind.FEE})
"""Lines of trades: the books take those from the fills."""


class Failed(Exception):
    """The venue has answered with an error, or not at all."""


def told_by(venue: SimVenue, request: Request, terms: Terms, asked_us: int) -> Any:
    """The answer of a venue to a request. Raises `Failed`."""
    told: Any
    match request:
        case QueryOrder():
            told = venue.query(request.instrument, request.id)
        case CancelOrder():
            told = venue.cancel(request.instrument, request.id)
        case FetchFills():
            told = venue.fills(request.instrument, request.since_ms)
        case ListOrders():
            told = venue.open_orders(request.instrument)
        case FindTaken():
            told = venue.taken(request.instrument, request.since_ms)
        case ReadAccount():
            positions, balances, orders = venue.account()
            told = AccountSeen(
                venue=request.venue,
                positions=positions,
                balances=balances,
                open_orders=orders,
                asked_mono_us=asked_us,
            )
        case FetchRecords():
            told = records(venue, request)
        case ReadRates():
            told = Rates(fees={name: fees_of(name) for name in request.instruments})
        case SetUp():
            told = set_up(venue, request, terms)
        case _:
            raise AssertionError(f"no venue answers {type(request).__name__}")
    return told


def no_answer(request: Request) -> QueryFailed | None:
    """How a question ends that nobody has answered: as an outcome, or (None) as an error."""
    return QueryFailed(why="no answer in time") if isinstance(request, QueryOrder | CancelOrder) else None


def fees_of(name: str) -> FeeRates:
    """What we pay."""
    return FEES.spot if kind_of(name) is SPOT else FEES.perp


# --- the venue's books ------------------------------------------------------------------------------------


def records(venue: SimVenue, request: FetchRecords) -> list[LedgerRecord]:
    """Lines of one kind; those of the last seconds may be missing still."""
    shown = [one for one in venue.engine.entries(BOT) if one.kind not in TRADES and not _hidden(venue, one)]
    told = [record_of(entry) for entry in shown]
    named = [
        replace(record, instrument=venue.instruments.get(entry.instrument) or record.instrument)
        for entry, record in zip(shown, told, strict=True)
    ]
    return [one for one in named if one.kind == request.kind and one.ts_ms >= request.since_ms]


def _hidden(venue: SimVenue, entry: Entry) -> bool:
    now_us = venue.world.now.wall_us
    return now_us < venue.records_hidden_until_us and entry.wall_us >= venue.records_hidden_from_us


# --- set-ups ----------------------------------------------------------------------------------------------


def set_up(venue: SimVenue, request: SetUp, terms: Terms) -> SetUpDone:
    """As the desk does it: read, set what differs, read back. Raises `Failed`."""
    fees = fees_of(request.instrument)
    if kind_of(request.instrument) is SPOT:
        return SetUpDone(settings=None, fees=fees)
    world, before = venue.world, settings_of(venue, request.instrument)
    if world.hits(Misfortune.SETUP_REFUSED, 0.2):
        raise Failed("the venue refuses to change it")
    if request.change and differences(terms, before):
        _configure(venue, request.instrument, terms)
    if world.hits(Misfortune.SETUP_UNKNOWN, 0.2):
        raise Failed("no answer in time")
    stale = world.hits(Misfortune.SETUP_STALE, 0.2)
    return SetUpDone(settings=before if stale else settings_of(venue, request.instrument), fees=fees)


def settings_of(venue: SimVenue, instrument: str) -> AccountSettings:
    """What holds there."""
    key = listing_key(instrument)
    return AccountSettings(
        instrument=instrument,
        margin_mode=venue.engine.margin_mode(BOT, key),
        leverage=venue.engine.leverage(BOT, key),
        position_mode=venue.engine.position_mode(BOT),
    )


def _configure(venue: SimVenue, instrument: str, terms: Terms) -> None:
    key, found = listing_key(instrument), settings_of(venue, instrument)
    try:
        if found.margin_mode != terms.margin_mode:
            venue.apply(SetMarginMode(account=BOT, instrument=key, mode=terms.margin_mode))
        if found.position_mode != terms.position_mode:
            venue.apply(SetPositionMode(account=BOT, mode=terms.position_mode))
        if found.leverage != terms.leverage:
            venue.apply(SetLeverage(account=BOT, instrument=key, leverage=terms.leverage))
    except Refused as refused:
        raise Failed(str(refused)) from None
