"""Which work an answer of the shell is for its pair. Pure; what concerns no single pair is the actor's."""

from __future__ import annotations

from collections.abc import Callable

from libs.common.effects import Answered
from libs.exchange.trading_values import FillReport, QueryFailed, QueryOutcome
from services.executor import leftovers, loans, news, searching
from services.executor.events import (
    CancelOrder,
    FetchFills,
    FindTaken,
    ListOrders,
    MoveLoan,
    QueryOrder,
    ReadAccount,
    SendOrders,
)
from services.executor.lane import Draft, Lane
from services.executor.together import Together
from services.executor.world import Key

Work = Callable[[Lane, Draft], None]
"""Part of a pair's turn."""


def work_of(event: Answered, together: Together) -> Work | None:
    """None where nothing is to be learned: a request that failed is made again by whoever needs it."""
    work: Work | None = None
    match event.request:
        case SendOrders(intents=intents) if event.error is not None:
            # the shell failed between the write and the answers: what was sent is not known
            ids, why = [intent.id for intent in intents], event.error
            work = lambda lane, draft: news.unanswered(lane, draft, ids, why)  # noqa: E731
        case QueryOrder(id=order_id) | CancelOrder(id=order_id):
            canceling, outcome = isinstance(event.request, CancelOrder), _outcome(event)
            work = lambda lane, draft: news.on_queried(lane, draft, order_id, outcome, canceling=canceling)  # noqa: E731
        case FetchFills() as asked if event.error is None:
            fills = tuple(event.result)
            work = lambda lane, draft: _fetched(lane, draft, asked, fills)  # noqa: E731
        case FindTaken(venue=venue, instrument=instrument) if event.error is None:
            taken, key = tuple(event.result), (venue, instrument)
            work = lambda lane, draft: _taken(lane, draft, key, taken, together)  # noqa: E731
        case FindTaken(venue=venue, instrument=instrument):
            unread_at, unread = (venue, instrument), event.error or "no answer"
            work = lambda lane, _: _untaken(lane, unread_at, unread)  # noqa: E731
        case ListOrders() as request if event.error is None:
            listed = tuple(event.result)
            work = lambda lane, draft: leftovers.on_listed(lane, draft, request, listed)  # noqa: E731
        case ReadAccount(venue=venue) if event.error is not None:
            held = event.error_class == "rate_limit"  # by our own limiter, or told to wait
            unlooked = {venue: event.error if held else ""}
            work = lambda lane, _: lane.heed.unlooked.update(unlooked)  # noqa: E731
        case MoveLoan(id=order_id):
            work = lambda lane, draft: loans.on_answer(lane, draft, order_id, event)  # noqa: E731
        case _:
            pass
    return work


def _taken(lane: Lane, draft: Draft, key: Key, taken: tuple[FillReport, ...], together: Together) -> None:
    _untaken(lane, key, "")
    together.take(lane, draft, key, taken)


def _untaken(lane: Lane, key: Key, why: str) -> None:
    """A leg that differs from its venue stays so while its trades cannot be read: why is to be told."""
    if key in lane.keys:
        lane.heed.untaken[lane.keys.index(key)] = why


def _fetched(lane: Lane, draft: Draft, asked: FetchFills, fills: tuple[FillReport, ...]) -> None:
    news.on_fills(lane, draft, asked.venue, fills)
    searching.on_found(lane, draft, asked, fills)


def _outcome(event: Answered) -> QueryOutcome:
    if event.error is not None:
        return QueryFailed(why=event.error)
    outcome: QueryOutcome = event.result
    return outcome
