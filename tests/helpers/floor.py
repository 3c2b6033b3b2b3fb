"""A small exchange for engine tests: three markets, an account of each kind, a clock, and a hard look at
every refusal: it must have left the engine as it was.
"""

from __future__ import annotations

from decimal import Decimal

from libs.common.instant import Now
from libs.common.subjects import Kind
from libs.exchange.engine.commands import (
    Command,
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
    Balance,
    FeeRates,
    FeeSchedule,
    Fill,
    Listing,
    Order,
    OrderType,
    PositionMode,
    Side,
    Tier,
    TimeInForce,
    VenueRules,
)

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
SPOT, PERP, FUTURE = "spot:BTCUSDT", "perp:BTCUSDT", "future:BTCUSDT_241227"

FEES = FeeSchedule(
    spot=FeeRates(maker=D("0.0008"), taker=D("0.001")),
    perp=FeeRates(maker=D("0.0002"), taker=D("0.0005")),
    future=FeeRates(maker=D("0.0001"), taker=D("0.0004")),
)

TIERS = (
    Tier(notional_max=D(50_000), leverage_max=125, maintenance_ratio=D("0.004")),
    Tier(notional_max=D(5_000_000), leverage_max=20, maintenance_ratio=D("0.02"), maintenance_amount=D(800)),
)

LISTINGS = {
    SPOT: Listing(
        key=SPOT,
        symbol="BTCUSDT",
        kind=Kind.SPOT,
        base="BTC",
        quote="USDT",
        price_tick=D("0.01"),
        quantity_step=D("0.00001"),
        quantity_min=D("0.0001"),
        quantity_max=D(9000),
        market_quantity_max=D(100),
        notional_min=D(5),
        marginable=True,
    ),
    PERP: Listing(
        key=PERP,
        symbol="BTCUSDT",
        kind=Kind.PERP,
        base="BTC",
        quote="USDT",
        price_tick=D("0.1"),
        quantity_step=D("0.001"),
        quantity_min=D("0.001"),
        quantity_max=D(1000),
        market_quantity_max=D(120),
        notional_min=D(100),
        price_band=D("0.05"),
        tiers=TIERS,
        liquidation_fee=D("0.0125"),
    ),
    FUTURE: Listing(
        key=FUTURE,
        symbol="BTCUSDT_241227",
        kind=Kind.FUTURE,
        base="BTC",
        quote="USDT",
        price_tick=D("0.1"),
        quantity_step=D("0.001"),
        quantity_min=D("0.001"),
        tiers=TIERS,
        expiry_ms=1_735_286_400_000,
    ),
}


class Floor:
    """`do` applies a command a millisecond after the last one; `refused` answers why it was not done."""

    def __init__(self, rules: VenueRules | None = None, *, fees: FeeSchedule = FEES) -> None:
        self.engine = Engine(rules)
        self.wall_us = 1_700_000_000_000_000
        self.done: list[tuple[Command, Now]] = []
        self.versions = 0
        for listing in LISTINGS.values():
            self.do(SetListing(listing=listing))
        for kind in AccountKind:
            self.open(kind, fees=fees)

    def open(
        self, kind: AccountKind, *, fees: FeeSchedule = FEES, mode: PositionMode = PositionMode.ONE_WAY
    ) -> None:
        spec = AccountSpec(account=kind, user="u1", kind=kind, fees=fees, position_mode=mode)
        self.do(OpenAccount(spec=spec))

    def do(self, command: Command) -> list[Event]:
        self.wall_us += 1_000
        now = Now(wall_us=self.wall_us, market_ms=self.wall_us // 1_000, mono_us=self.wall_us)
        events = self.engine.apply(command, now)
        self.done.append((command, now))
        assert not any(self.engine.totals().values())
        return events

    def refused(self, command: Command) -> Reason:
        before = self.engine.snapshot()
        try:
            self.do(command)
        except Refused as refusal:
            assert self.engine.snapshot() == before
            return refusal.reason
        raise AssertionError(f"{command} was not refused")

    # --- the market ---

    def book(self, key: str, bids: str = "", asks: str = "") -> list[Event]:
        """Levels as `price x size` pairs: "100 2, 99 5"."""
        self.versions += 1
        return self.do(SetBook(instrument=key, bids=_levels(bids), asks=_levels(asks), version=self.versions))

    def mark(self, key: str, price: str) -> list[Event]:
        return self.do(SetMark(instrument=key, mark=D(price)))

    def trade(self, key: str, taker: Side, quantity: str, price: str) -> list[Event]:
        return self.do(PublicTrade(instrument=key, price=D(price), quantity=D(quantity), taker=taker))

    # --- the customers ---

    def deposit(self, account: str, **amounts: str) -> None:
        for asset, amount in amounts.items():
            self.do(Deposit(account=account, asset=asset, amount=D(amount)))

    def send(self, command: Submit) -> Order:
        """Submit; the order as it stands afterwards."""
        events = self.do(command)
        order_id = next(event.order.order_id for event in events if isinstance(event, Ordered))
        order = self.engine.order(command.account, order_id=order_id)
        assert order is not None
        return order

    def order(self, account: str, order_id: int) -> Order:
        found = self.engine.order(account, order_id=order_id)
        assert found is not None
        return found

    def balance(self, account: str, asset: str) -> Balance:
        return self.engine.balances(account).get(asset, Balance())

    def replayed(self) -> Engine:
        """Another engine that was told the same."""
        engine = Engine(self.engine.rules)
        for command, now in self.done:
            engine.apply(command, now)
        return engine


def limit(
    account: str,
    key: str,
    side: Side,
    quantity: str,
    price: str,
    *,
    tif: TimeInForce = TimeInForce.GTC,
    client_id: str = "",
    reduce_only: bool = False,
) -> Submit:
    return Submit(
        account=account,
        instrument=key,
        side=side,
        type=OrderType.LIMIT,
        quantity=D(quantity),
        price=D(price),
        tif=tif,
        client_id=client_id,
        reduce_only=reduce_only,
    )


def market(account: str, key: str, side: Side, quantity: str, *, reduce_only: bool = False) -> Submit:
    return Submit(
        account=account,
        instrument=key,
        side=side,
        type=OrderType.MARKET,
        quantity=D(quantity),
        reduce_only=reduce_only,
    )


def fills_of(events: list[Event]) -> list[Fill]:
    return [event.fill for event in events if isinstance(event, Ordered) and event.fill is not None]


def orders_of(events: list[Event]) -> list[Order]:
    return [event.order for event in events if isinstance(event, Ordered)]


def seen(*values: object) -> tuple[object, ...]:
    """Values to compare with numbers of another type: a Decimal equals the int of its value."""
    return values


def _levels(text: str) -> tuple[tuple[Decimal, Decimal], ...]:
    pairs = [part.split() for part in text.split(",")] if text else []
    return tuple((D(price), D(size)) for price, size in pairs)
