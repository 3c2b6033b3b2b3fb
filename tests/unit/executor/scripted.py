"""A venue that does what a test says, order by order: fill, half, none, reject, lost, silent, rest.

Not an exchange: an order fills at the best price of its book, or as the script has it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from decimal import Decimal
from typing import Literal

import msgspec

from libs.common.instant import Now
from libs.common.messages import InstrumentInfo, Quote
from libs.common.subjects import SPOT, kind_of
from libs.exchange.trading_values import (
    BalanceReport,
    Done,
    FillReport,
    Found,
    NeverSent,
    NotFound,
    OrderReport,
    OrderRequest,
    OrderState,
    Outcome,
    PositionReport,
    PositionSide,
    QueryOutcome,
    Rejected,
    Side,
    TimeInForce,
    Unknown,
)
from services.executor.world import Key

Act = Literal[
    "fill",  # all of it
    "half",  # half of it, the rest expires
    "none",  # it expires
    "reject",  # no funds
    "never_sent",  # the connection was refused
    "lost",  # never arrives, no answer
    "silent",  # fills, no answer
    "silent_half",
    "rest",  # on the book
    "rest_silent",  # likewise, no answer
    "cross",  # post-only, and it would take
]
SILENCE: frozenset[Act] = frozenset({"lost", "silent", "silent_half", "rest_silent"})
STEP = Decimal("0.001")
_NO_ANSWER = Unknown(why="no answer in time")
_UNPLACED: dict[Act, Outcome] = {
    "reject": Rejected(code="-2019", reason="funds", text="margin is insufficient"),
    "cross": Rejected(code="-5022", reason="post_only", text="it would take"),
    "never_sent": NeverSent(why="connection refused"),
    "lost": _NO_ANSWER,
}


def times(count: int, act: Act) -> list[Act]:
    """The same several times."""
    return [act] * count


class Book(msgspec.Struct):
    """Best prices of an instrument."""

    bid: Decimal
    ask: Decimal
    size: Decimal = Decimal(10)

    def quote(self, key: Key, now: Now) -> Quote:
        """As the feed tells it."""
        return Quote(
            venue=key[0],
            instrument=key[1],
            bid=float(self.bid),
            ask=float(self.ask),
            bid_size=float(self.size),
            ask_size=float(self.size),
            ts_ms=now.market_ms,
            recv_us=now.wall_us,
        )


class Placed(msgspec.Struct):
    """An order as the venues have it."""

    request: OrderRequest
    key: Key
    order_id: str
    status: OrderState = "open"
    filled: Decimal = Decimal(0)
    quote: Decimal = Decimal(0)

    def report(self) -> OrderReport:
        return OrderReport(
            client_id=self.request.client_id,
            order_id=self.order_id,
            instrument=self.key[1],
            side=self.request.side,
            status=self.status,
            quantity=self.request.quantity,
            filled=self.filled,
            average=self.quote / self.filled if self.filled else None,
            price=self.request.price,
            ts_ms=0,
        )


class Venues:
    """All venues of a rig. `acts`: instrument -> what becomes of its next orders; then they fill, or rest."""

    def __init__(self, books: dict[Key, Book], *, base_fee: Decimal = Decimal(0)) -> None:
        self.books = books
        self.base_fee = base_fee
        self.wall_ms: Callable[[], int] = int  # venue time of what it does by itself
        self.acts: dict[Key, deque[Act]] = defaultdict(deque)
        self.orders: dict[str, Placed] = {}
        self.held: dict[Key, Decimal] = dict.fromkeys(books, Decimal(0))
        self.trades: dict[Key, list[FillReport]] = {key: [] for key in books}
        self.users_coins = Decimal(0)
        self.shut: set[Key] = set()  # markets that refuse every order, acts or not
        self.denies: set[str] = set()  # ids of which it says that it has never heard
        self.cancel_fails = 0
        self.queries_fail = False
        self.lists_fail = self.fills_fail = 0

    def arrive(self, key: Key, request: OrderRequest) -> Outcome:
        """An order, as the next act has it."""
        post_only = request.tif is TimeInForce.POST_ONLY
        act: Act = "rest" if post_only else "fill"
        if self.acts[key]:
            act = self.acts[key].popleft()
        if key in self.shut:
            act = "reject"
        if act in _UNPLACED:
            return _UNPLACED[act]
        placed = Placed(request=request, key=key, order_id=f"v{len(self.orders) + 1}")
        if request.client_id in self.orders:
            raise AssertionError(f"{request.client_id} has come in twice")
        self.orders[request.client_id] = placed
        if act.startswith("rest"):
            return _NO_ANSWER if act in SILENCE else Done(report=placed.report())
        share = {"fill": request.quantity, "none": Decimal(0)}.get(act.removeprefix("silent_"))
        if act == "silent":
            share = request.quantity
        fills = self.fill(placed, share if share is not None else request.quantity / 2 // STEP * STEP)
        placed.status = "filled" if placed.filled == request.quantity else "expired"
        if act in SILENCE:
            return _NO_ANSWER
        return Done(report=placed.report(), fills=fills)

    def fill(self, placed: Placed, quantity: Decimal) -> tuple[FillReport, ...]:
        """Trade some of an order, at its own price when it rests."""
        if not quantity:
            return ()
        request, key = placed.request, placed.key
        buys = request.side is Side.BUY
        book = self.books[key]
        price = book.ask if buys else book.bid
        if request.tif is TimeInForce.POST_ONLY and request.price is not None:
            price = request.price
        placed.filled += quantity
        placed.quote += quantity * price
        placed.status = "filled" if placed.filled == request.quantity else "partial"
        in_base = buys and kind_of(key[1]) is SPOT and self.base_fee > 0
        fee = quantity * self.base_fee if in_base else quantity * price * Decimal("0.0005")
        trade = FillReport(
            trade_id=f"t{sum(map(len, self.trades.values()))}",
            order_id=placed.order_id,
            client_id=request.client_id,
            instrument=key[1],
            side=request.side,
            price=price,
            quantity=quantity,
            fee=fee,
            fee_asset="BTC" if in_base else "USDT",
            liquidity=None,
            ts_ms=0,
        )
        self.trades[key].append(trade)
        self.held[key] += (quantity if buys else -quantity) - (fee if in_base else 0)
        return (trade,)

    def take(self, key: Key, quantity: Decimal) -> None:
        """The venue takes from a position by itself (ADL)."""
        buys = self.held[key] < 0
        self.held[key] += quantity if buys else -quantity
        self.trades[key].append(
            FillReport(
                trade_id=f"adl{len(self.trades[key])}",
                order_id="",
                client_id=None,
                instrument=key[1],
                side=Side.BUY if buys else Side.SELL,
                price=self.books[key].bid,
                quantity=quantity,
                fee=Decimal(0),
                fee_asset="USDT",
                liquidity=None,
                ts_ms=self.wall_ms(),
                cause="adl",
            )
        )

    def query(self, client_id: str) -> QueryOutcome | None:
        """What is known of an order; None: no answer."""
        if self.queries_fail:
            return None
        placed = self.orders.get(client_id)
        if placed is None or client_id in self.denies:
            return NotFound(code="-2013")
        return Found(report=placed.report())

    def cancel(self, client_id: str) -> QueryOutcome:
        """Cancel what rests."""
        placed = self.orders.get(client_id)
        if self.cancel_fails or placed is None or placed.status not in ("open", "partial"):
            self.cancel_fails = max(0, self.cancel_fails - 1)
            return NotFound(code="-2011")
        placed.status = "canceled"
        return Found(report=placed.report())

    def told_trades(self, key: Key) -> list[FillReport] | None:
        """Trades of orders in an instrument; None: no answer."""
        if self.fills_fail:
            self.fills_fail -= 1
            return None
        return [one for one in self.trades[key] if one.cause == "order"]

    def listed(self, key: Key, *, margin: bool) -> list[OrderReport] | None:
        """Open orders of an instrument; None: no answer."""
        if self.lists_fail:
            self.lists_fail -= 1
            return None
        mine = [one for one in self.resting() if one.key == key and one.request.margin == margin]
        return [one.report() for one in mine]

    def resting(self) -> list[Placed]:
        """Orders on the book."""
        return [placed for placed in self.orders.values() if placed.status in ("open", "partial")]

    def account(self, venue: str) -> tuple[tuple[PositionReport, ...], tuple[BalanceReport, ...]]:
        """Positions and balances."""
        mine = {key: quantity for key, quantity in self.held.items() if key[0] == venue}
        positions = tuple(
            PositionReport(
                instrument=key[1],
                side=PositionSide.BOTH,
                quantity=quantity,
                entry_price=None,
                mark=None,
                unrealised=None,
                liquidation_price=None,
            )
            for key, quantity in mine.items()
            if kind_of(key[1]) is not SPOT and quantity
        )
        coins = self.users_coins + sum(q for key, q in mine.items() if kind_of(key[1]) is SPOT)
        balance = BalanceReport(wallet="unified", asset="BTC", total=coins, free=coins)
        return positions, (balance,)


def described(key: Key, base_fee: Decimal) -> InstrumentInfo:
    """An instrument with a step of 0.001 and 5 USDT at least."""
    kind = kind_of(key[1])
    fee = float(base_fee)
    taker, maker = (fee, fee) if kind is SPOT else (0.0005, 0.0002)
    return InstrumentInfo(
        venue=key[0],
        instrument=key[1],
        symbol=key[1],
        base="BTC",
        quote="USDT",
        settle="USDT",
        kind=kind,
        price_tick="0.1",
        quantity_step="0.001",
        quantity_min="0.001",
        notional_min="5",
        recv_us=0,
        taker=taker,
        maker=maker,
    )
