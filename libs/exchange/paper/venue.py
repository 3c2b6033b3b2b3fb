"""A venue on paper: the executor's port over the engine, fed by the bus. Pure and synchronous.

    venue = PaperVenue("binance", costs=config.costs, balances={"spot": {"USDT": Decimal(1000)}}, now=now)
    venue.on_message(message, now)             # md.instrument, md.quote, md.book, md.funding, md.history
    outcome = venue.submit(request, now)
    for event in venue.take_events(): ...      # what a user stream would have told

It serves any venue; `layout` says what wallets an account there has, `pictures` what an order meets. The same
messages and calls at the same instants give the same answers and the same `snapshot`. `PaperTrading` puts the
port's asynchronous half around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from libs.common.config.schema import Costs
from libs.common.instant import Now
from libs.common.subjects import SPOT, Kind
from libs.exchange.engine.commands import Cancel, OpenAccount, Ordered, Reason, Refused, Submit
from libs.exchange.engine.commands import Deposit as Put
from libs.exchange.engine.engine import Engine
from libs.exchange.engine.types import AccountSpec, FeeRates, FeeSchedule, Fill, Order
from libs.exchange.fit import wrong_with
from libs.exchange.paper import reports, saved
from libs.exchange.paper.account import Account
from libs.exchange.paper.calendar import Calendar
from libs.exchange.paper.floor import Floor
from libs.exchange.paper.layout import KINDS, Layout, layout_of
from libs.exchange.paper.listings import exact_rate, hourly_interest_of, key_of
from libs.exchange.port import Instrument, VenueError
from libs.exchange.trading_values import (
    Done,
    FillReport,
    Found,
    NeverSent,
    NotFound,
    OrderReport,
    OrderRequest,
    Outcome,
    PositionMode,
    PositionSide,
    QueryFailed,
    QueryOutcome,
    Side,
    TradingEvent,
    Wallet,
)

Balances = Mapping[Wallet, Mapping[str, Decimal]]
"""What an account begins with: amounts by wallet and asset."""


class PaperVenue(Account):
    """One paper account. Calls about orders never raise; those about the account raise `VenueError`."""

    def __init__(
        self, venue: str, *, costs: Costs, balances: Balances, now: Now, layout: Layout | None = None
    ) -> None:
        """Raises ValueError for a wallet that the venue's layout has not, `Refused` for an absurd amount."""
        layout = layout or layout_of(venue)
        engine = Engine(layout.rules)
        for wallet in layout.wallets:
            spec = AccountSpec(account=wallet, user=venue, kind=KINDS[wallet], fees=_general(costs))
            engine.apply(OpenAccount(spec=spec), now)
        for wallet, assets in balances.items():
            if wallet not in layout.wallets:
                raise ValueError(f"{venue} has no wallet {wallet}, but {', '.join(layout.wallets)}")
            for asset, amount in assets.items():
                if amount:
                    engine.apply(Put(account=wallet, asset=asset, amount=amount, ref="start"), now)
        calendar = Calendar(since_ms=now.market_ms, hourly_interest=hourly_interest_of(costs, venue))
        super().__init__(Floor(venue, costs=costs, layout=layout, engine=engine, calendar=calendar))

    # --- state --------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """Everything but what the bus shows of the markets, which comes again, and events not taken yet."""
        return saved.encode(self._floor, transfers=self._transfers)

    @classmethod
    def restore(cls, data: bytes, *, costs: Costs, layout: Layout | None = None) -> PaperVenue:
        """The account that gave these bytes. Raises `BadSnapshot`. Until the market is seen again its book is
        empty and its marks are the old ones.
        """
        venue = cls.__new__(cls)
        floor, transfers = saved.decode(data, costs=costs, layout=layout)
        Account.__init__(venue, floor, transfers=transfers)
        return venue

    @property
    def changes(self) -> int:
        """Rises with whatever a snapshot must be taken for: orders, money, positions, settings."""
        return self._floor.changes

    @property
    def holds(self) -> bool:
        """Whether anything is open: the marks that its next funding is paid at are worth keeping."""
        return bool(self._floor.exposed())

    # --- what comes in and goes out by itself -------------------------------------------------------------

    def on_message(self, message: object, now: Now) -> None:
        """A message of the bus; what it makes of orders, positions and balances is in the events."""
        self._floor.on_message(message, now)

    def advance(self, now: Now) -> None:
        """Time has passed without a message: interest and deliveries up to now."""
        self._floor.advance(now)

    def take_events(self) -> list[TradingEvent]:
        """What a user stream would have told since the last call, in order."""
        events, self._floor.events = self._floor.events, []
        return events

    # --- orders -------------------------------------------------------------------------------------------

    def check(self, request: OrderRequest) -> NeverSent | None:
        """What `Trading.prepare` refuses; None when the order may go."""
        item = self.instruments.get(request.instrument)
        if item is None:
            return NeverSent(why=f"{self.venue}: no instrument {request.instrument} here")
        layout = self._floor.layout
        wrong = wrong_with(request, item, shortable_here=layout.borrows is not None)
        if wrong is None and item.kind in layout.refused:
            wrong = f"{item.slug}: {layout.refused[item.kind]}"
        return None if wrong is None else NeverSent(why=wrong)

    def submit(self, request: OrderRequest, now: Now) -> Outcome:
        """Let an order go. `Unknown` only for an id that another order has, as with every real venue."""
        never = self.check(request)
        if never is not None:
            return never
        item = self.instruments[request.instrument]
        wallet = self._wallet(item.kind, margin=request.margin)
        command = Submit(
            account=wallet,
            instrument=key_of(item.slug),
            side=request.side,
            type=request.type,
            quantity=request.quantity,
            price=request.price,
            tif=request.tif,
            client_id=request.client_id,
            reduce_only=request.reduce_only,
            position_side=self._position_side(item, wallet, request),
            margin=request.margin,
        )
        try:
            events = self._floor.apply(command, now)
        except Refused as error:
            return reports.refusal(error)
        order = next(one.order for one in events if isinstance(one, Ordered))
        fills = [one.fill for one in events if isinstance(one, Ordered) and one.fill is not None]
        return self._done(wallet, order, fills)

    def _done(self, wallet: Wallet, order: Order, fills: list[Fill]) -> Done:
        latest = self._floor.engine.order(wallet, order_id=order.order_id) or order
        own = tuple(reports.fill_report(fill) for fill in fills if fill.order_id == order.order_id)
        return Done(report=reports.order_report(latest), fills=own)

    def _position_side(self, item: Instrument, wallet: Wallet, request: OrderRequest) -> PositionSide:
        """In hedge mode: what opens goes with its direction, what reduces against it (ccxt's `hedged`)."""
        if item.kind is SPOT or self._floor.engine.position_mode(wallet) is not PositionMode.HEDGE:
            return PositionSide.BOTH
        opens_long = (request.side is Side.BUY) is not request.reduce_only
        return PositionSide.LONG if opens_long else PositionSide.SHORT

    def query(self, instrument: str, client_id: str, now: Now, *, margin: bool = False) -> QueryOutcome:
        """See trading.Trading: the newest order of that id."""
        self._floor.advance(now)
        try:
            item = self._item(instrument)
            wallet = self._wallet(item.kind, margin=margin)
        except VenueError as error:
            return QueryFailed(why=str(error))
        found = self._floor.engine.order(wallet, client_id=client_id, instrument=key_of(instrument))
        if found is None:
            return NotFound(code=str(Reason.ORDER_NOT_FOUND))
        return Found(report=reports.order_report(found))

    def cancel(self, instrument: str, client_id: str, now: Now, *, margin: bool = False) -> QueryOutcome:
        """See trading.Trading: whatever there was to cancel, the order as it is afterwards."""
        known = self.query(instrument, client_id, now, margin=margin)
        if not isinstance(known, Found) or known.report.is_final:
            return known
        wallet = self._wallet(self._item(instrument).kind, margin=margin)
        order = Cancel(account=wallet, instrument=key_of(instrument), order_id=int(known.report.order_id))
        self._floor.apply(order, now)
        return self.query(instrument, client_id, now, margin=margin)

    def open_orders(self, now: Now, instrument: str = "", *, margin: bool = False) -> list[OrderReport]:
        """See trading.Trading."""
        self._floor.advance(now)
        key, wallets = "", self._desks(margin=margin)
        if instrument:
            item = self._item(instrument)
            key, wallets = key_of(instrument), (self._wallet(item.kind, margin=margin),)
        engine = self._floor.engine
        found = [order for wallet in wallets for order in engine.open_orders(wallet, key)]
        return [reports.order_report(order) for order in sorted(found, key=lambda one: one.order_id)]

    def fills(self, instrument: str, now: Now, *, since_ms: int, margin: bool = False) -> list[FillReport]:
        """See trading.Trading."""
        self._floor.advance(now)
        wallet = self._wallet(self._item(instrument).kind, margin=margin)
        found = self._floor.engine.fills(wallet, key_of(instrument))
        told = [reports.fill_report(fill) for fill in found]
        return [one for one in told if one.ts_ms >= since_ms]

    def _desks(self, *, margin: bool) -> tuple[Wallet, ...]:
        """Which wallets' orders are meant without an instrument."""
        if margin:
            return (self._wallet(SPOT, margin=True),)
        layout = self._floor.layout
        return tuple(dict.fromkeys((layout.spot, layout.contracts)))

    def _wallet(self, kind: Kind, *, margin: bool = False) -> Wallet:
        """Where orders of a kind are funded; `VenueError` where nothing is borrowed."""
        found = self._floor.layout.wallet_of(kind, margin=margin)
        if found is None:
            raise VenueError(self.venue, "not_supported", "no borrowing of spot coins here")
        return found


def _general(costs: Costs) -> FeeSchedule:
    """Before an instrument's own are known."""
    rates = FeeRates(maker=exact_rate(costs.maker), taker=exact_rate(costs.taker))
    return FeeSchedule(spot=rates, perp=rates, future=rates)
