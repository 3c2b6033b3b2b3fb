"""`Trading` over ccxt: the orders of one account at one venue. The account's own figures are in `account`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any

from libs.common.instant import Clock
from libs.common.subjects import SPOT, Kind
from libs.exchange.client import all_of
from libs.exchange.errors import one_line
from libs.exchange.fit import Unfit, check
from libs.exchange.live.account import Account
from libs.exchange.live.causes import Causes
from libs.exchange.live.held import Counted, Read, hold, noted
from libs.exchange.live.lists import open_orders_of, trades_since
from libs.exchange.live.orders import Arguments, arguments_of, assert_unchanged
from libs.exchange.live.places import Open, Place, Places
from libs.exchange.live.plans import Plans, Ready, order_by
from libs.exchange.live.record import Ids, TradingRecord
from libs.exchange.live.reports import Unreadable, fills_in, order_of
from libs.exchange.live.stream import UserStream
from libs.exchange.live.warm import Warmth
from libs.exchange.port import Instrument, VenueError
from libs.exchange.record import Quirks
from libs.exchange.trading import Prepared, send_together
from libs.exchange.trading_outcomes import judge_query
from libs.exchange.trading_values import (
    AccountSettings,
    BalanceReport,
    Done,
    FeeRates,
    FillReport,
    Found,
    KeyPermissions,
    LedgerRecord,
    MarginMode,
    NeverSent,
    NotFound,
    OrderReport,
    OrderRequest,
    Outcome,
    PositionMode,
    PositionReport,
    QueryFailed,
    QueryOutcome,
    RecordKind,
    Room,
    TradingEvent,
    Unknown,
    Urgency,
    Wallet,
)


class CcxtTrading:
    """See trading.Trading for the contract. `hedged`: the account is (to be) in hedge mode."""

    def __init__(
        self,
        venue: str,
        quirks: Quirks,
        record: TradingRecord,
        *,
        clock: Clock,
        open_exchange: Open,
        close_shared: Callable[[], Awaitable[None]],
        hedged: bool = False,
    ) -> None:
        self.venue = venue
        self.record = record
        self.ids = Ids(record)
        self.clock = clock
        self.places = Places(venue, quirks, record, open_exchange)
        self.places.clock = clock
        self.account = Account(self.venue, record, self.places)
        self.causes = Causes(self.places)
        self.plans = Plans(venue, record)
        self._hedged = hedged
        self._open_exchange = open_exchange
        self._close_shared = close_shared
        self._warmth = Warmth(self.places)
        # instruments (and whether on the margin desk) in which there were orders: what a break makes us read
        self.touched: set[tuple[str, bool]] = set()

    async def load(self) -> dict[str, Instrument]:
        """See trading.Trading."""
        await self.places.load()
        await self._warmth.measure()
        await self.account.verify_layout()
        return dict(self.places.instruments)

    # --- orders ---------------------------------------------------------------------------------------------

    async def prepare(self, request: OrderRequest) -> Prepared | NeverSent:
        """See trading.Trading."""
        try:
            item = self.places.instrument(request.instrument)
            place = self.places.of(request.instrument)
            arguments = self._arguments(request, item)
            plan = await self.plans.of(request, item, place, arguments, hedged=self._hedged)
            if plan is None or not plan.exact:
                assert_unchanged(arguments, place.trade.exchange, request, item)
        except (Unfit, VenueError) as error:
            return NeverSent(why=str(error))
        self.touched.add((request.instrument, request.margin))
        read = self._reader(item, request)
        held: Prepared | NeverSent
        if plan is not None:
            held = await self.plans.prepare(plan, request, place, arguments, read=read)
        else:
            whole = self.record.whole_contracts and item.kind is not SPOT
            marker = self.ids.to_venue(item.kind, request.client_id)
            held = await hold(self.venue, request, marker, order_by(place, arguments, whole=whole), read)
        return held if isinstance(held, NeverSent) else Counted(held, place)

    def at_once(self, request: OrderRequest) -> Ready | None:
        """`prepare` without a wait, for orders of a shape that is known and where a connection is idle; None
        where `prepare` is to be asked, be it only for its words.
        """
        plan = self.plans.known(request, hedged=self._hedged)
        if plan is None or not plan.exact:
            return None
        try:
            item, place = self.places.instrument(request.instrument), self.places.of(request.instrument)
            arguments = self._arguments(request, item)
        except (Unfit, VenueError):
            return None
        read = self._reader(item, request)
        flight = self.plans.at_once(plan, request, place, arguments, read=read)
        if flight is None:
            return None
        self.touched.add((request.instrument, request.margin))
        return Ready(flight, place)

    def _reader(self, item: Instrument, request: OrderRequest) -> Read:
        def read(raw: Any) -> Done | Unknown:
            return self._done(raw, item, request)

        return read

    def _arguments(self, request: OrderRequest, item: Instrument) -> Arguments:
        refused = self.places.refusal(item)
        if refused is not None:
            raise Unfit(f"{item.slug}: {refused}")
        check(request, item, shortable_here=self.record.margin is not None)
        venue_id = self.ids.to_venue(item.kind, request.client_id)
        return arguments_of(request, item, self.record, venue_id=venue_id, hedged=self._hedged)

    def _done(self, raw: Any, item: Instrument, request: OrderRequest) -> Done | Unknown:
        """An answer to an order; unknown when it does not say which order it made."""
        try:
            report = order_of(raw if isinstance(raw, dict) else {}, item, self.ids, asked=request)
        except Unreadable as error:
            return Unknown(why=str(error))
        if report.client_id != request.client_id:
            return Unknown(why=f"the answer is about another order: {one_line(report.client_id)}")
        self.causes.note(item.slug, report.order_id, "order")
        return Done(report=report, fills=fills_in(raw, item, self.ids, request.client_id))

    async def submit(self, request: OrderRequest) -> Outcome:
        """See trading.Trading."""
        return (await self.submit_all([request]))[0]

    async def submit_all(self, requests: Sequence[OrderRequest]) -> list[Outcome]:
        """See trading.Trading."""
        return await send_together(list(await asyncio.gather(*(self.prepare(one) for one in requests))))

    def _served(self, instrument: str) -> tuple[Instrument, Place]:
        """An instrument and who serves it; `Unfit` where this port does not trade the kind at all."""
        item = self.places.instrument(instrument)
        refused = self.record.refused.get(item.kind)
        if refused is not None:
            raise Unfit(f"{instrument}: {refused}")
        return item, self.places.of(instrument)

    # --- what became of them --------------------------------------------------------------------------------

    async def query(self, instrument: str, client_id: str, *, margin: bool = False) -> QueryOutcome:
        """See trading.Trading. Uses the trading connection: it is open, and nothing queues there."""
        try:
            item, place = self._served(instrument)
        except (VenueError, Unfit) as error:
            return QueryFailed(why=str(error))
        ask = self.record.ask_of(item.kind)
        text = self.ids.to_venue(item.kind, client_id)
        params = {**({ask.param: text} if ask.param else {}), **self._desk_params(item, margin=margin)}
        exchange = place.trade.exchange
        if ask.by == "lists":
            return await self._search(exchange, item, client_id, params)
        raw, failed, call = await noted(exchange.fetch_order(ask.id, item.symbol, params))
        if failed is not None:
            return judge_query(self.venue, call.failure(failed))
        return self._found(raw, item, client_id)

    async def _search(
        self, exchange: Any, item: Instrument, client_id: str, params: dict[str, Any]
    ) -> QueryOutcome:
        """Open orders, then closed ones: not found only when both answered and neither has it."""
        for method in (exchange.fetch_open_orders, exchange.fetch_closed_orders):
            rows, error, call = await noted(method(item.symbol, None, None, dict(params)))
            if error is not None:
                failed = judge_query(self.venue, call.failure(error))
                if isinstance(failed, QueryFailed):
                    return failed
                continue
            for raw in rows if isinstance(rows, list) else ():
                if self.ids.to_ours(item.kind, raw.get("clientOrderId")) == client_id:
                    return self._found(raw, item, client_id)
        return NotFound(code="in no list")

    def _found(self, raw: Any, item: Instrument, client_id: str) -> QueryOutcome:
        try:
            report = order_of(raw if isinstance(raw, dict) else {}, item, self.ids)
        except Unreadable as error:
            return QueryFailed(why=str(error))
        if report.client_id != client_id:
            return QueryFailed(why=f"the answer is about another order: {one_line(report.client_id)}")
        return Found(report=report)

    def _desk_params(self, item: Instrument, *, margin: bool) -> dict[str, Any]:
        return dict(self.record.margin or {}) if margin and item.kind is SPOT else {}

    async def cancel(self, instrument: str, client_id: str, *, margin: bool = False) -> QueryOutcome:
        """See trading.Trading. The order is asked for afterwards: answers to cancels say too little."""
        try:
            item, place = self._served(instrument)
        except (VenueError, Unfit) as error:
            return QueryFailed(why=str(error))
        params, order_id = self._desk_params(item, margin=margin), ""
        if self.record.cancel_by == "client":
            params[self.record.cancel_param] = self.ids.to_venue(item.kind, client_id)
        elif self.record.cancel_by == "id":
            order_id = self.ids.to_venue(item.kind, client_id)
        else:
            known = await self.query(instrument, client_id, margin=margin)
            if not isinstance(known, Found) or known.report.is_final:
                return known
            order_id = known.report.order_id
        _, failed, call = await noted(place.trade.exchange.cancel_order(order_id, item.symbol, params))
        if failed is not None:
            judged = judge_query(self.venue, call.failure(failed))
            # nothing of that id is open: it never was there, or it has ended meanwhile
            return (
                await self.query(instrument, client_id, margin=margin)
                if isinstance(judged, NotFound)
                else judged
            )
        return await self.query(instrument, client_id, margin=margin)

    async def open_orders(self, instrument: str = "", *, margin: bool = False) -> list[OrderReport]:
        """See trading.Trading."""
        params = dict(self.record.margin or {}) if margin else {}
        if instrument:
            item, place = self.places.instrument(instrument), self.places.of(instrument)
            return await open_orders_of(
                self.places, place, self.ids, kind=item.kind, symbol=item.symbol, params=params
            )
        kinds = (SPOT,) if margin else (SPOT, Kind.PERP)
        found = await all_of(
            open_orders_of(self.places, self.places.serving(kind), self.ids, kind=kind, params=params)
            for kind in kinds
        )
        return [report for reports in found for report in reports]

    async def fills(self, instrument: str, *, since_ms: int, margin: bool = False) -> list[FillReport]:
        """See trading.Trading."""
        item, place = self.places.instrument(instrument), self.places.of(instrument)
        params = self._desk_params(item, margin=margin)
        found = await trades_since(place, item, self.record, self.ids, since_ms=since_ms, params=params)
        return await self.causes.mark(item, found, margin=margin) if self.record.causes_asked else found

    # --- account --------------------------------------------------------------------------------------------

    async def positions(self) -> list[PositionReport]:
        """See trading.Trading."""
        return await self.account.positions()

    async def balances(self) -> list[BalanceReport]:
        """See trading.Trading."""
        return await self.account.balances()

    async def settings(self, instrument: str) -> AccountSettings:
        """See trading.Trading."""
        return await self.account.settings(instrument)

    async def configure(
        self, instrument: str, *, margin_mode: MarginMode, leverage: int, position_mode: PositionMode
    ) -> AccountSettings:
        """See trading.Trading. Orders follow the position mode that was read back."""
        found = await self.account.configure(
            instrument, margin_mode=margin_mode, leverage=leverage, position_mode=position_mode
        )
        self._hedged = position_mode is PositionMode.HEDGE
        return found

    async def borrow(self, asset: str, amount: Decimal) -> None:
        """See trading.Trading."""
        await self.account.borrow(asset, amount)

    async def repay(self, asset: str, amount: Decimal) -> None:
        """See trading.Trading."""
        await self.account.repay(asset, amount)

    async def transfer(self, asset: str, amount: Decimal, *, source: Wallet, target: Wallet) -> str:
        """See trading.Trading."""
        return await self.account.transfer(asset, amount, source=source, target=target)

    async def permissions(self) -> KeyPermissions:
        """See trading.Trading."""
        return await self.account.permissions()

    async def fee_rates(self, instrument: str) -> FeeRates:
        """See trading.Trading."""
        rates = await self.account.fee_rates(instrument)
        item, place = self.places.instrument(instrument), self.places.of(instrument)
        await self.plans.foresee(item, place, hedged=self._hedged)  # rates are read before orders are sent
        return rates

    async def records(self, kind: RecordKind, *, since_ms: int) -> list[LedgerRecord]:
        """See trading.Trading."""
        return await self.account.records(kind, since_ms=since_ms)

    # --- connection -----------------------------------------------------------------------------------------

    def clock_offset_ms(self) -> float | None:
        """See trading.Trading."""
        return self._warmth.offset_ms

    def room(self, instrument: str, *, urgency: Urgency, orders: int = 1) -> Room:
        """See trading.Trading."""
        return self.places.of(instrument).budget.room(urgency, orders)

    async def keep_warm(self) -> None:
        """See trading.Trading."""
        await self._warmth.run()

    async def stream(self, sink: Callable[[TradingEvent], Any]) -> None:
        """See trading.Trading."""
        await UserStream(self, sink, self._open_exchange).run()

    async def close(self) -> None:
        """See trading.Trading."""
        await self.places.close()
        await self._close_shared()
