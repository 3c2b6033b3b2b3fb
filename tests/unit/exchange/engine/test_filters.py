"""Every reason for which an order is refused before money is looked at, at its exact boundary."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from libs.exchange.engine.commands import OpenAccount, Reason, SetFees, SetListing, SetMark, Submit
from libs.exchange.engine.types import (
    AccountKind,
    AccountSpec,
    FeeRates,
    PositionMode,
    PositionSide,
    Tier,
    TimeInForce,
    VenueRules,
)
from tests.helpers.floor import (
    BUY,
    FEES,
    FUTURE,
    LISTINGS,
    PERP,
    SELL,
    SPOT,
    D,
    Floor,
    limit,
    market,
)


@pytest.fixture
def floor() -> Floor:
    floor = Floor()
    floor.deposit("spot", USDT="100000000", BTC="20000")
    floor.deposit("futures", USDT="100000000")
    floor.mark(PERP, "50000")
    floor.book(SPOT, "49999 1", "50001 1")
    floor.book(PERP, "49999 1", "50001 1")
    return floor


REFUSED = [
    (limit("spot", "spot:NOUSDT", BUY, "1", "100"), Reason.UNKNOWN_INSTRUMENT),
    (limit("nobody", SPOT, BUY, "1", "100"), Reason.UNKNOWN_ACCOUNT),
    (limit("spot", PERP, BUY, "1", "50000"), Reason.NOT_ALLOWED),
    (limit("margin", PERP, BUY, "1", "50000"), Reason.NOT_ALLOWED),
    (limit("futures", SPOT, BUY, "1", "50000"), Reason.NOT_ALLOWED),
    (replace(limit("spot", SPOT, BUY, "1", "50000"), margin=True), Reason.NOT_ALLOWED),
    (replace(limit("margin", SPOT, BUY, "1", "50000"), borrow="auto"), Reason.NOT_ALLOWED),
    (replace(limit("unified", PERP, BUY, "1", "50000"), margin=True), Reason.NOT_ALLOWED),
    (replace(limit("spot", SPOT, BUY, "1", "50000"), price=None), Reason.BAD_VALUE),
    (replace(market("spot", SPOT, BUY, "1"), price=D(50000)), Reason.BAD_VALUE),
    (replace(market("spot", SPOT, BUY, "1"), tif=TimeInForce.POST_ONLY), Reason.BAD_VALUE),
    (limit("spot", SPOT, BUY, "0", "50000"), Reason.BAD_VALUE),
    (limit("spot", SPOT, BUY, "-1", "50000"), Reason.BAD_VALUE),
    (limit("spot", SPOT, BUY, "NaN", "50000"), Reason.BAD_VALUE),
    (limit("spot", SPOT, BUY, "Infinity", "50000"), Reason.BAD_VALUE),
    (limit("spot", SPOT, BUY, "1e15", "50000"), Reason.BAD_VALUE),
    (limit("spot", SPOT, BUY, "1", "0"), Reason.BAD_VALUE),
    (limit("spot", SPOT, BUY, "1", "-5"), Reason.BAD_VALUE),
    (limit("spot", SPOT, BUY, "1", "sNaN"), Reason.BAD_VALUE),
    (limit("spot", SPOT, SELL, "1", "50000", reduce_only=True), Reason.BAD_VALUE),
    (replace(market("futures", PERP, BUY, "0"), quote_quantity=D(500)), Reason.BAD_VALUE),
    (limit("spot", SPOT, BUY, "1", "50000.001"), Reason.PRICE_TICK),
    (limit("futures", PERP, BUY, "1", "50000.05"), Reason.PRICE_TICK),
    (limit("futures", PERP, BUY, "1", "52500.1"), Reason.PRICE_BAND),
    (limit("futures", PERP, SELL, "1", "47499.9"), Reason.PRICE_BAND),
    (limit("spot", SPOT, BUY, "1.000001", "50000"), Reason.QUANTITY_STEP),
    (limit("futures", PERP, BUY, "0.0015", "50000"), Reason.QUANTITY_STEP),
    (limit("spot", SPOT, BUY, "0.00009", "60000"), Reason.QUANTITY_MIN),
    (limit("spot", SPOT, BUY, "9000.00001", "100"), Reason.QUANTITY_MAX),
    (market("spot", SPOT, SELL, "100.00001"), Reason.QUANTITY_MAX),
    (market("futures", PERP, SELL, "120.001"), Reason.QUANTITY_MAX),
    (limit("spot", SPOT, BUY, "0.0001", "49999.99"), Reason.NOTIONAL_MIN),
    (limit("futures", PERP, BUY, "0.002", "49999.9"), Reason.NOTIONAL_MIN),
    (market("futures", PERP, BUY, "0.001"), Reason.NOTIONAL_MIN),
    (
        replace(limit("futures", PERP, BUY, "1", "50000"), position_side=PositionSide.LONG),
        Reason.POSITION_SIDE,
    ),
    (replace(limit("spot", SPOT, BUY, "1", "50000"), position_side=PositionSide.LONG), Reason.POSITION_SIDE),
    (limit("futures", PERP, SELL, "1", "50000", reduce_only=True), Reason.REDUCE_ONLY),
]


@pytest.mark.parametrize(("command", "reason"), REFUSED)
def test_an_order_is_refused_with_its_reason_and_changes_nothing(
    floor: Floor, command: Submit, reason: Reason
) -> None:
    assert floor.refused(command) is reason


@pytest.mark.parametrize(
    "command",
    [
        limit("spot", SPOT, BUY, "0.0001", "50000"),  # notional exactly 5
        limit("spot", SPOT, BUY, "9000", "100"),
        market("spot", SPOT, SELL, "100"),
        limit("futures", PERP, BUY, "0.002", "50000"),  # notional exactly 100
        limit("futures", PERP, BUY, "0.01", "52500"),  # band exactly 5 %
        limit("futures", PERP, SELL, "0.01", "47500"),
        limit("spot", SPOT, BUY, "1.000000000", "50000.0000"),  # zeros are no digits
    ],
)
def test_the_boundary_itself_is_allowed(floor: Floor, command: Submit) -> None:
    assert floor.send(command).quantity == command.quantity


def test_a_band_bounds_buys_from_above_and_sales_from_below_or_both_ways(floor: Floor) -> None:
    floor.mark(PERP, "50000")
    far = (limit("futures", PERP, BUY, "0.1", "40000"), limit("futures", PERP, SELL, "0.1", "60000"))
    for command in far:
        floor.send(command)
    strict = replace(floor.engine.listing(PERP), price_band_both_ways=True)
    floor.do(SetListing(listing=strict))
    for command in far:
        assert floor.refused(command) is Reason.PRICE_BAND


def test_a_market_order_is_valued_at_the_mark_else_the_middle_else_not_at_all() -> None:
    floor = Floor()
    floor.deposit("futures", USDT="1000000")
    order = floor.send(market("futures", PERP, BUY, "0.001"))  # no price at all: it gets nothing
    assert order.filled == 0
    floor.book(PERP, "99999 1", "100001 1")
    assert floor.send(market("futures", PERP, BUY, "0.001")).filled == D("0.001")  # middle 100000
    floor.mark(PERP, "99999.9")
    assert floor.refused(market("futures", PERP, BUY, "0.001")) is Reason.NOTIONAL_MIN


def test_reduce_only_orders_of_contracts_need_no_minimum_notional(floor: Floor) -> None:
    floor.send(market("futures", PERP, BUY, "0.002"))
    order = floor.send(market("futures", PERP, SELL, "0.001", reduce_only=True))
    assert order.filled == D("0.001")


def test_a_client_id_is_unique_among_open_orders_or_for_ever() -> None:
    for rules, again in ((VenueRules(unique_ids="open"), True), (VenueRules(unique_ids="ever"), False)):
        floor = Floor(rules)
        floor.deposit("spot", USDT="100000", BTC="1")
        first = floor.send(limit("spot", SPOT, BUY, "0.1", "100", client_id="x"))
        assert floor.refused(limit("spot", SPOT, BUY, "0.1", "100", client_id="x")) is Reason.DUPLICATE_ID
        floor.trade(SPOT, SELL, "1", "99")
        assert not floor.order("spot", first.order_id).is_open
        repeated = limit("spot", SPOT, BUY, "0.1", "100", client_id="x")
        if again:
            second = floor.send(repeated)
            assert floor.engine.order("spot", client_id="x") == second
        else:
            assert floor.refused(repeated) is Reason.DUPLICATE_ID


def test_another_account_may_use_the_same_client_id(floor: Floor) -> None:
    floor.send(limit("spot", SPOT, BUY, "0.1", "100", client_id="x"))
    assert floor.send(limit("futures", PERP, BUY, "0.1", "50000", client_id="x")).client_id == "x"


def test_hedge_orders_name_their_side() -> None:
    floor = Floor()
    spec = AccountSpec(
        account="h", user="u1", kind=AccountKind.FUTURES, fees=FEES, position_mode=PositionMode.HEDGE
    )
    floor.do(OpenAccount(spec=spec))
    floor.deposit("h", USDT="1000")
    floor.mark(PERP, "50000")
    command = limit("h", PERP, BUY, "0.01", "50000")
    assert floor.refused(command) is Reason.POSITION_SIDE
    opens_short = replace(command, position_side=PositionSide.SHORT)
    assert floor.refused(opens_short) is Reason.REDUCE_ONLY  # a buy only closes a short
    flagged = replace(command, position_side=PositionSide.LONG, reduce_only=True)
    assert floor.refused(flagged) is Reason.REDUCE_ONLY
    assert floor.send(replace(command, position_side=PositionSide.LONG)).is_open


# --- listings, accounts, marks ----------------------------------------------------------------------------

_LISTING = LISTINGS[PERP]


@pytest.mark.parametrize(
    "listing",
    [
        replace(_LISTING, key="perp:ETHUSDT"),
        replace(_LISTING, key="BTCUSDT"),
        replace(_LISTING, price_tick=D(0)),
        replace(_LISTING, quantity_step=D("NaN")),
        replace(_LISTING, quantity_min=D(-1)),
        replace(_LISTING, quantity_step=D("1e-13")),
        replace(_LISTING, quantity_max=D(0)),
        replace(_LISTING, notional_min=D("Infinity")),
        replace(_LISTING, base="ETH"),
        replace(_LISTING, quote="USDC"),
        replace(
            _LISTING,
            tiers=(
                Tier(notional_max=D(5), leverage_max=5, maintenance_ratio=D("0.1")),
                Tier(notional_max=D(4), leverage_max=5, maintenance_ratio=D("0.1")),
            ),
        ),
    ],
)
def test_a_listing_that_cannot_be_is_refused(floor: Floor, listing: object) -> None:
    assert isinstance(listing, type(_LISTING))
    assert floor.refused(SetListing(listing=listing)) is Reason.BAD_VALUE


@pytest.mark.parametrize("rate", ["1", "-1", "NaN", "0.0000000000001"])
def test_fees_that_cannot_be_are_refused(floor: Floor, rate: str) -> None:
    fees = replace(FEES, perp=FeeRates(maker=D(rate), taker=D("0.001")))
    assert floor.refused(SetFees(account="futures", fees=fees)) is Reason.BAD_VALUE


def test_accounts_have_names_of_their_own(floor: Floor) -> None:
    spec = floor.engine.accounts["spot"]
    assert floor.refused(OpenAccount(spec=spec)) is Reason.ALREADY_SET
    for name in ("", "@market"):
        assert floor.refused(OpenAccount(spec=replace(spec, account=name))) is Reason.BAD_VALUE
    no_leverage = replace(spec, account="new", leverage_default=0)
    assert floor.refused(OpenAccount(spec=no_leverage)) is Reason.LEVERAGE


@pytest.mark.parametrize("mark", ["0", "-1", "NaN", "Infinity", "1.0000000000000000001"])
def test_marks_are_positive_numbers(floor: Floor, mark: str) -> None:
    assert floor.refused(SetMark(instrument=PERP, mark=Decimal(mark))) is Reason.BAD_VALUE


def test_a_filter_change_holds_for_the_next_order(floor: Floor) -> None:
    resting = floor.send(limit("futures", PERP, BUY, "0.005", "49000"))
    floor.do(SetListing(listing=replace(_LISTING, quantity_step=D("0.01"), quantity_min=D("0.01"))))
    assert floor.refused(limit("futures", PERP, BUY, "0.005", "49000")) is Reason.QUANTITY_STEP
    assert floor.order("futures", resting.order_id).is_open
    assert floor.engine.listing(FUTURE).quantity_step == D("0.001")
