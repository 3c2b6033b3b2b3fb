"""One venue of the simulation: the engine, an account, and the misfortunes that happen inside it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from libs.common.instant import US_PER_MS, US_PER_SEC
from libs.common.messages import InstrumentInfo, Quote
from libs.common.subjects import SPOT
from libs.exchange.engine.commands import (
    Cancel,
    Deposit,
    Event,
    OpenAccount,
    Ordered,
    PublicTrade,
    Reason,
    Refused,
    SetBook,
    SetListing,
    SetMark,
    Submit,
)
from libs.exchange.engine.engine import Engine
from libs.exchange.engine.types import (
    AccountKind,
    AccountSpec,
    Fill,
    MarketStatus,
    OrderStatus,
    PositionSide,
    Side,
    VenueRules,
)
from libs.exchange.engine.types import Order as Placed
from libs.exchange.trading_values import (
    BalanceReport,
    Done,
    FillReport,
    Found,
    NotFound,
    OrderReport,
    OrderRequest,
    Outcome,
    PositionReport,
    QueryFailed,
    QueryOutcome,
    Rejected,
    Unknown,
)
from services.executor.model import Intent
from tests.sim.lending import LENDERS
from tests.sim.plan import Misfortune
from tests.sim.terms import BOT, FEES, REASONS, ROUNDED_TO, USER_COINS, balance_of, listing_key, make_listing

if TYPE_CHECKING:
    from tests.sim.world import World

ROUND_US_MAX = 15 * US_PER_SEC


class SimVenue:
    """An engine with one account of ours. `truth` is what the oracle reads."""

    def __init__(self, slug: str, world: World) -> None:
        self.slug = slug
        self.world = world
        self.engine = Engine(VenueRules(unique_ids="open" if slug == "binance" else "ever"))
        self.instruments = {listing_key(name): name for venue, name in world.keys if venue == slug}
        self.arrivals: dict[str, int] = {}
        self.hidden_until_us: dict[str, int] = {}
        self.down_until_us = 0
        self.venue_made: list[Fill] = []
        self.records_hidden_from_us = self.records_hidden_until_us = 0
        self.user_ids: set[str] = set()
        self._version = 0
        for key, name in self.instruments.items():
            self.engine.apply(SetListing(listing=make_listing(key, name)), world.now)
        self.engine.apply(
            OpenAccount(
                spec=AccountSpec(
                    account=BOT, user="u", kind=AccountKind.UNIFIED, fees=FEES, leverage_default=10
                )
            ),
            world.now,
        )
        self.engine.apply(Deposit(account=BOT, asset="USDT", amount=world.plan.funds), world.now)
        self.has_user_coins = Misfortune.USER_COINS in world.plan.misfortunes
        if self.has_user_coins:
            world.counts[Misfortune.USER_COINS.value] += 1
            for base in ("BTC", "ETH"):
                self.engine.apply(Deposit(account=BOT, asset=base, amount=USER_COINS), world.now)

    @property
    def is_down(self) -> bool:
        """Whether it answers nothing now."""
        now_us = self.world.now.mono_us
        if now_us >= self.down_until_us and self.world.hits(Misfortune.VENUE_DOWN, 0.0008):
            self.down_until_us = now_us + self.world.rng.randrange(2, 40) * US_PER_SEC
        return now_us < self.down_until_us

    def hide_records(self, us: int) -> None:
        """What has just been booked appears in the venue's own books a little later."""
        if self.world.hits(Misfortune.RECORDS_LATE, 0.3):
            self.records_hidden_from_us = self.world.now.wall_us
            self.records_hidden_until_us = self.world.now.wall_us + us

    @property
    def hides_records(self) -> bool:
        """Whether lines are missing in its books, or were when a round began that ends now."""
        return self.world.now.wall_us < self.records_hidden_until_us + ROUND_US_MAX

    # --- market -----------------------------------------------------------------------------------

    def info(self, name: str) -> InstrumentInfo:
        """The instrument as the feed describes it."""
        listing = self.engine.listing(listing_key(name))
        rates = FEES.spot if listing.kind is SPOT else FEES.perp
        return InstrumentInfo(
            venue=self.slug,
            instrument=name,
            symbol=listing.symbol,
            base=listing.base,
            quote=listing.quote,
            settle=listing.quote,
            kind=listing.kind,
            price_tick=str(listing.price_tick),
            quantity_step=str(listing.quantity_step),
            quantity_min=str(listing.quantity_min),
            notional_min=str(listing.notional_min),
            taker=float(rates.taker),
            maker=float(rates.maker),
            shortable=self.slug in LENDERS,
            refused="delisted" if listing.status is MarketStatus.DELISTED else None,
            recv_us=self.world.now.wall_us,
        )

    def reprice(self, name: str, price: Decimal) -> Quote:
        """A new book around a price; thin now and then. Answers the quote of it."""
        key, rng = listing_key(name), self.world.rng
        listing = self.engine.listing(key)
        tick, step = listing.price_tick, listing.quantity_step
        bid, ask = price - tick * rng.randrange(1, 5), price + tick * rng.randrange(1, 5)
        thin = self.world.hits(Misfortune.PARTIAL, 0.15)
        usd = Decimal(rng.randrange(30, 600) if thin else rng.randrange(2_000, 90_000))
        size = max(step, (usd / price / step).to_integral_value() * step)
        deep = step if thin else size * 10
        self._version += 1
        bids = ((bid, size), (bid - tick * 20, deep))
        asks = ((ask, size), (ask + tick * 20, deep))
        self.apply(SetBook(instrument=key, bids=bids, asks=asks, version=self._version))
        self.apply(SetMark(instrument=key, mark=price))
        self._others_trade(key, step)
        return Quote(
            venue=self.slug,
            instrument=name,
            bid=float(bid),
            ask=float(ask),
            bid_size=float(size),
            ask_size=float(size),
            ts_ms=self.world.now.market_ms,
            recv_us=self.world.now.wall_us,
        )

    def _others_trade(self, key: str, step: Decimal) -> None:
        """Now and then others trade with what rests, seldom all of it."""
        rng = self.world.rng
        for placed in self.engine.open_orders(BOT, key):
            if placed.price is None or rng.random() >= 0.3:
                continue
            part = placed.quantity * rng.randrange(1, 12) / 10
            amount = placed.queue_ahead + max(step, part // step * step)
            taker = Side.SELL if placed.side is Side.BUY else Side.BUY
            self.world.counts["maker_fills"] += 1
            self.apply(PublicTrade(instrument=key, price=placed.price, quantity=amount, taker=taker))

    # --- orders -----------------------------------------------------------------------------------

    def apply(self, command: object) -> list[Event]:
        """Tell the engine; its fills go out on the user stream. Raises `Refused`."""
        events = self.engine.apply(command, self.world.now)  # type: ignore[arg-type]
        for event in events:
            if isinstance(event, Ordered):
                self._tell(event)
        return events

    def _tell(self, event: Ordered) -> None:
        if event.order.cause != "order" and event.fill is not None:
            self.venue_made.append(event.fill)
        self.world.stream(self.slug, self._report(event.order))
        if event.fill is not None:
            self.world.stream(self.slug, self.fill_report(event.fill))

    def arrive(self, order: Intent, request: OrderRequest) -> Outcome:
        """An order has come in. Every arrival is counted for the oracle."""
        world = self.world
        self.arrivals[order.id] = self.arrivals.get(order.id, 0) + 1
        if self.is_down:
            return Unknown(why="HTTP 503")
        if world.hits(Misfortune.REJECTED, 0.05):
            return Rejected(code="-2010", reason="funds", text="not enough funds")
        try:
            self.apply(
                Submit(
                    account=BOT,
                    instrument=listing_key(request.instrument),
                    side=request.side,
                    type=request.type,
                    quantity=request.quantity,
                    price=request.price,
                    tif=request.tif,
                    client_id=request.client_id,
                    reduce_only=request.reduce_only,
                )
            )
        except Refused as refused:
            if refused.reason is Reason.DUPLICATE_ID:
                return Unknown(why="duplicate id")
            return Rejected(
                code=refused.reason.value,
                reason=REASONS.get(refused.reason, "filter"),  # type: ignore[arg-type]
                text=refused.detail,
            )
        if world.hits(Misfortune.FALSE_NOT_FOUND, 0.15):
            self.hidden_until_us[order.id] = world.now.mono_us + world.rng.randrange(1, 3) * US_PER_SEC
        placed = self.engine.order(BOT, client_id=request.client_id)
        if placed is None:
            raise AssertionError("the engine has lost an order")
        if self.slug == "bitget":  # as the real one: an acknowledgement, the rest is asked for or streamed
            seen = self._report(placed)
            return Done(report=msgspec.structs.replace(seen, status="open", filled=Decimal(0), average=None))
        fills = [self.fill_report(f) for f in self.engine.fills(BOT) if f.order_id == placed.order_id]
        return Done(report=self._report(placed), fills=tuple(fills))

    def query(self, instrument: str, client_id: str) -> QueryOutcome:
        """What the venue knows of an id."""
        if self.world.now.mono_us < self.hidden_until_us.get(client_id, 0):
            return NotFound(code="-2013")
        placed = self.engine.order(BOT, client_id=client_id, instrument=listing_key(instrument))
        return NotFound(code="-2013") if placed is None else Found(report=self._report(placed))

    def cancel(self, instrument: str, client_id: str) -> QueryOutcome:
        """Cancel by our id; somebody may trade with it just before."""
        placed = self.engine.order(BOT, client_id=client_id)
        rests = placed is not None and placed.status in (OrderStatus.OPEN, OrderStatus.PARTIAL)
        if placed is not None and rests and placed.price and self.world.hits(Misfortune.CANCEL_RACE, 0.3):
            taker = Side.SELL if placed.side is Side.BUY else Side.BUY
            amount = placed.queue_ahead + placed.quantity
            key = listing_key(instrument)
            self.apply(PublicTrade(instrument=key, price=placed.price, quantity=amount, taker=taker))
        try:
            self.apply(Cancel(account=BOT, instrument=listing_key(instrument), client_id=client_id))
        except Refused:
            return NotFound(code="-2011")
        placed = self.engine.order(BOT, client_id=client_id)
        return QueryFailed(why="gone") if placed is None else Found(report=self._report(placed))

    def fills(self, instrument: str, since_ms: int) -> list[FillReport]:
        """Trades of an instrument."""
        found = self.engine.fills(BOT, listing_key(instrument))
        return [self.fill_report(fill) for fill in found if fill.wall_us // US_PER_MS >= since_ms]

    def open_orders(self, instrument: str) -> list[OrderReport]:
        """What rests of an instrument."""
        return [self._report(placed) for placed in self.engine.open_orders(BOT, listing_key(instrument))]

    def taken(self, instrument: str, since_ms: int) -> list[FillReport]:
        """Trades that the venue made by itself."""
        return [fill for fill in self.fills(instrument, since_ms) if fill.cause != "order"]

    def account(
        self,
    ) -> tuple[tuple[PositionReport, ...], tuple[BalanceReport, ...], tuple[OrderReport, ...]]:
        """Positions, balances, open orders."""
        positions = tuple(
            PositionReport(
                instrument=self.instruments[one.position.instrument],
                side=PositionSide.BOTH,
                quantity=one.position.quantity,
                entry_price=one.position.entry_price,
                mark=one.mark,
                unrealised=self._told(one.unrealised),
                liquidation_price=one.liquidation_price,
            )
            for one in self.engine.positions(BOT)
        )
        balances = tuple(balance_of(asset, held) for asset, held in self.engine.balances(BOT).items())
        orders = tuple(self._report(placed) for placed in self.engine.open_orders(BOT))
        return positions, balances, orders

    def _told(self, unrealised: Decimal) -> Decimal:
        """A profit that stands, as far as the venue tells its digits; what it books is exact."""
        return unrealised.quantize(ROUNDED_TO) if self.world.plan.rounded else unrealised

    # --- translation ------------------------------------------------------------------------------

    def _report(self, placed: Placed) -> OrderReport:
        return OrderReport(
            client_id=placed.client_id,
            order_id=str(placed.order_id),
            instrument=self.instruments[placed.instrument],
            side=placed.side,
            status=placed.status.value,
            quantity=placed.quantity,
            filled=placed.filled,
            average=placed.filled_quote / placed.filled if placed.filled else None,
            price=placed.price,
            ts_ms=placed.updated_us // US_PER_MS,
            reason=placed.reason,
        )

    def fill_report(self, fill: Fill) -> FillReport:
        """A trade as the venue tells it."""
        return FillReport(
            trade_id=str(fill.trade_id),
            order_id=str(fill.order_id),
            client_id=fill.client_id or None,
            instrument=self.instruments[fill.instrument],
            side=fill.side,
            price=fill.price,
            quantity=fill.quantity,
            fee=fill.fee,
            fee_asset=fill.fee_asset,
            liquidity=fill.liquidity,
            ts_ms=fill.wall_us // US_PER_MS,
            cause="liquidation" if fill.client_id in self.world.lending.bought else fill.cause,
        )
