"""Strategies for everything that can happen to an engine: mostly sensible, sometimes absurd."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import strategies as st
from msgspec.structs import replace

from libs.exchange.engine.commands import (
    AccrueInterest,
    Borrow,
    Cancel,
    CancelAll,
    Command,
    Deleverage,
    Deliver,
    Deposit,
    Liquidate,
    PublicTrade,
    Repay,
    SetBook,
    SetFees,
    SetLeverage,
    SetListing,
    SetMarginMode,
    SetMark,
    SetPositionMode,
    SettleFunding,
    Submit,
    Transfer,
    Withdraw,
)
from libs.exchange.engine.types import (
    AccountKind,
    FeeRates,
    FeeSchedule,
    MarginMode,
    MarketStatus,
    OrderType,
    PositionMode,
    PositionSide,
    Side,
    TimeInForce,
)
from tests.helpers.floor import FEES, FUTURE, LISTINGS, PERP, SPOT, D, Floor

STALE, FRESH = -1, 0  # versions of books before `numbered`
ABSURD = [D(0), D(-1), D("NaN"), D("Infinity"), D("1e15"), D("1e-19"), D("0.00000000000001")]
accounts = st.sampled_from([*AccountKind, *AccountKind, *AccountKind, "nobody"]).map(str)
keys = st.sampled_from([SPOT, PERP, PERP, FUTURE])
contracts = st.sampled_from([PERP, PERP, FUTURE, SPOT])
assets = st.sampled_from(["USDT", "BTC"])
sides = st.sampled_from(list(Side))
seldomly = st.sampled_from([False, False, False, True])
position_sides = st.sampled_from([PositionSide.BOTH, *PositionSide])


def _mostly(sensible: st.SearchStrategy[Decimal]) -> st.SearchStrategy[Decimal]:
    return st.integers(0, 39).flatmap(lambda n: st.sampled_from(ABSURD) if n == 0 else sensible)


prices = _mostly(st.integers(-300, 300).map(lambda ticks: 50_000 + D(ticks) / 10))
quantities = _mostly(st.integers(1, 3_000).map(lambda steps: D(steps) / 1_000))
amounts = _mostly(st.integers(1, 10_000_000).map(lambda cents: D(cents) / 100))
marks = _mostly(
    st.sampled_from([0, 0, 0, -20_000, 25_000]).flatmap(
        lambda jump: st.integers(-400, 400).map(lambda ticks: 50_000 + jump + D(ticks) / 10)
    )
)
rates = st.sampled_from([D("0.001"), D("-0.0002"), D(0), D("0.0173"), D("1.5")])


@st.composite
def books(draw: st.DrawFn) -> SetBook:
    middle = 50_000 + D(draw(st.integers(-300, 300))) / 10
    sizes = st.integers(1, 2_000).map(lambda steps: D(steps) / 1_000)
    bids, asks = draw(st.lists(sizes, max_size=4)), draw(st.lists(sizes, max_size=4))
    return SetBook(
        instrument=draw(keys),
        bids=tuple((middle - D(n + 1) / 10, size) for n, size in enumerate(bids)),
        asks=tuple((middle + D(n + 1) / 10, size) for n, size in enumerate(asks)),
        version=draw(st.sampled_from([STALE, FRESH, FRESH, FRESH])),
    )


@st.composite
def submits(draw: st.DrawFn) -> Submit:
    key, limited = draw(keys), draw(st.booleans())
    fitting = [AccountKind.UNIFIED, AccountKind.MARGIN if key == SPOT else AccountKind.FUTURES]
    command = Submit(
        account=draw(st.sampled_from(fitting).map(str) if not draw(seldomly) else accounts),
        instrument=key,
        side=draw(sides),
        type=OrderType.LIMIT if limited else OrderType.MARKET,
        quantity=draw(quantities),
        price=draw(prices) if limited else None,
        tif=draw(st.sampled_from([TimeInForce.GTC, *TimeInForce])) if limited else TimeInForce.GTC,
        client_id=draw(st.sampled_from(["", "", "a", "b", "c"])),
        reduce_only=key != SPOT and draw(st.booleans()) and draw(st.booleans()),
        position_side=draw(position_sides) if draw(seldomly) else PositionSide.BOTH,
    )
    if key == SPOT and draw(st.booleans()):
        borrow = draw(st.sampled_from(["none", "auto", "auto_repay"]))
        command = replace(command, margin=True, borrow=borrow)
    if not limited and key == SPOT and draw(st.booleans()):
        command = replace(command, quantity=D(0), quote_quantity=draw(amounts))
    return command


def _listings() -> st.SearchStrategy[SetListing]:
    statuses = st.sampled_from([MarketStatus.TRADING] * 6 + [MarketStatus.HALTED, MarketStatus.DELISTED])
    return st.builds(
        lambda key, status: SetListing(listing=replace(LISTINGS[key], status=status)), keys, statuses
    )


_fees = st.builds(
    lambda maker, taker, pays: FeeSchedule(
        spot=FeeRates(maker=maker, taker=taker),
        perp=FeeRates(maker=maker, taker=taker),
        future=FEES.future,
        spot_buy_fee=pays,
        coin="BTC",
    ),
    rates,
    rates,
    st.sampled_from(["base", "quote"]),
)

often: list[st.SearchStrategy[Command]] = [
    books(),
    submits(),
    submits(),
    submits(),
    st.builds(PublicTrade, instrument=keys, price=prices, quantity=quantities, taker=sides),
    st.builds(SetMark, instrument=keys, mark=marks),
    st.builds(Deposit, account=accounts, asset=assets, amount=amounts),
    st.builds(Cancel, account=accounts, instrument=keys, order_id=st.integers(0, 9)),
]
seldom: list[st.SearchStrategy[Command]] = [
    st.builds(Cancel, account=accounts, instrument=keys, client_id=st.sampled_from(["a", "b", "c"])),
    st.builds(CancelAll, account=accounts, instrument=st.sampled_from(["", SPOT, PERP])),
    st.builds(Withdraw, account=accounts, asset=assets, amount=amounts),
    st.builds(Transfer, source=accounts, target=accounts, asset=assets, amount=amounts),
    st.builds(Borrow, account=accounts, asset=assets, amount=amounts),
    st.builds(Repay, account=accounts, asset=assets, amount=amounts),
    st.builds(AccrueInterest, asset=assets, hourly_rate=rates, hour_ms=st.integers(0, 50)),
    st.builds(SettleFunding, instrument=contracts, rate=rates, mark=marks, settled_ms=st.integers(0, 50)),
    st.builds(SetLeverage, account=accounts, instrument=contracts, leverage=st.integers(0, 130)),
    st.builds(SetMarginMode, account=accounts, instrument=contracts, mode=st.sampled_from(list(MarginMode))),
    st.builds(SetPositionMode, account=accounts, mode=st.sampled_from(list(PositionMode))),
    st.builds(SetFees, account=accounts, fees=_fees),
    st.builds(
        Deleverage,
        account=accounts,
        instrument=contracts,
        position_side=position_sides,
        quantity=quantities,
        price=prices,
    ),
    st.builds(Liquidate, account=accounts, instrument=contracts, position_side=position_sides),
]
rarely: list[st.SearchStrategy[Command]] = [
    st.builds(Deliver, instrument=st.just(FUTURE), price=marks),
    _listings(),
]


def commands() -> st.SearchStrategy[Command]:
    """Anything that can happen, the usual more often than the rest."""
    return st.integers(0, 99).flatmap(
        lambda n: st.one_of(often) if n < 80 else st.one_of(seldom) if n < 97 else st.one_of(rarely)
    )


def aimed(command: Command, floor: Floor) -> Command:
    """A fresh book gets the next version (a stale one keeps its own); a cancellation by order id, which is
    only a number until then, names an order that is open, if any is.
    """
    if isinstance(command, SetBook) and command.version == FRESH:
        floor.versions += 1
        return replace(command, version=floor.versions)
    if isinstance(command, Cancel) and command.order_id is not None:
        engine = floor.engine
        resting = [order for account in engine.accounts for order in engine.open_orders(account)]
        if resting:
            order = resting[command.order_id % len(resting)]
            return Cancel(account=order.account, instrument=order.instrument, order_id=order.order_id)
    return command
