"""From base units to the venue's figures, exactly or not at all; ids; the request budget."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import ccxt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.subjects import Kind
from libs.exchange.fit import Unfit, check
from libs.exchange.live.budget import Budget, Limit
from libs.exchange.live.orders import arguments_of, assert_unchanged, base_units, contracts_of
from libs.exchange.live.record import RECORDS, Ids, venue_id
from libs.exchange.live.reports import Unreadable, fill_of, order_of, position_of, state_of
from libs.exchange.port import Instrument
from libs.exchange.quirks import QUIRKS
from libs.exchange.trading import CLIENT_ID, OrderRequest, OrderType, Side, TimeInForce


def perp(size: str = "1", **fields: Any) -> Instrument:
    base: dict[str, Any] = {
        "venue": "okx",
        "slug": "DOGE-USDT-PERP",
        "symbol": "DOGE/USDT:USDT",
        "venue_symbol": "DOGE-USDT-SWAP",
        "base": "DOGE",
        "quote": "USDT",
        "settle": "USDT",
        "kind": Kind.PERP,
        "contract_size": Decimal(size),
        "quantity_step": Decimal(size) / 100,
        "quantity_min": Decimal(size) / 100,
        "price_tick": Decimal("0.00001"),
        "notional_min": Decimal(5),
    }
    return Instrument(**{**base, **fields})


def spot() -> Instrument:
    return perp(kind=Kind.SPOT, slug="DOGE-USDT", symbol="DOGE/USDT")


def request(**fields: Any) -> OrderRequest:
    base: dict[str, Any] = {
        "client_id": "fa01abcd",
        "instrument": "DOGE-USDT-PERP",
        "side": Side.SELL,
        "quantity": Decimal(2500),
        "price": Decimal("0.12345"),
    }
    return OrderRequest(**{**base, **fields})


@pytest.mark.parametrize(
    "fields",
    [
        {"client_id": "x" * 27},
        {"client_id": "Upper"},
        {"client_id": ""},
        {"quantity": Decimal(0)},
        {"quantity": Decimal("NaN")},
        {"price": None},
        {"price": Decimal(-1)},
        {"type": OrderType.MARKET},
        {"type": OrderType.MARKET, "price": None, "tif": TimeInForce.GTC},
    ],
)
def test_an_order_that_means_nothing_is_none(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="order"):
        request(**fields)


@settings(derandomize=True, max_examples=200)
@given(
    contracts=st.integers(1, 10**9).map(lambda n: Decimal(n) / 100),
    size=st.sampled_from([Decimal(1), Decimal("0.01"), Decimal("0.0001"), Decimal(10), Decimal(1000)]),
)
def test_contracts_and_base_units_are_the_same_amount(contracts: Decimal, size: Decimal) -> None:
    item = perp(str(size))
    assert contracts_of(base_units(contracts, item), item) == contracts


def test_what_is_no_number_of_contracts_is_refused() -> None:
    with pytest.raises(Unfit, match="contracts"):
        contracts_of(Decimal(1), perp("3"))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"quantity": Decimal("2500.5")}, "multiple of 10"),
        ({"price": Decimal("0.123456")}, "multiple of 0.00001"),
        ({"quantity": Decimal(10), "price": Decimal("0.1")}, "below the minimum of 5"),
        ({"margin": True}, "spot coins"),
    ],
)
def test_filters_are_met_before_anything_is_signed(fields: dict[str, Any], words: str) -> None:
    item = perp("1000")
    check(request(), item, shortable_here=True)
    with pytest.raises(Unfit, match=words):
        check(request(**fields), item, shortable_here=True)


def test_a_reducing_order_may_be_small() -> None:
    small = request(quantity=Decimal(10), price=Decimal("0.1"), reduce_only=True)
    check(small, perp("1000"), shortable_here=False)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"reduce_only": True}, "contracts"),
        ({"margin": True}, "no borrowing"),
        ({"type": OrderType.MARKET, "price": None, "side": Side.BUY}, "counts in quote"),
    ],
)
def test_spot_has_rules_of_its_own(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(Unfit, match=words):
        check(request(**fields), spot(), shortable_here=False)


def test_arguments_are_text_in_contracts() -> None:
    found = arguments_of(
        request(reduce_only=True), perp("1000"), RECORDS["okx"], venue_id="fa01abcd", hedged=True
    )
    assert (found.amount, found.price, found.type, found.side) == ("2.5", "0.12345", "limit", "sell")
    assert found.params == {
        "clientOrderId": "fa01abcd",
        "timeInForce": "IOC",
        "reduceOnly": True,
        "hedged": True,
    }
    resting = request(tif=TimeInForce.POST_ONLY)
    assert arguments_of(resting, perp(), RECORDS["okx"], venue_id="x", hedged=False).params == {
        "clientOrderId": "x",
        "postOnly": True,
    }
    sold = arguments_of(request(margin=True), spot(), RECORDS["binance"], venue_id="x", hedged=False)
    assert sold.params["marginMode"] == "cross"


def test_what_ccxt_would_round_is_refused() -> None:
    """`amount_to_precision` truncates silently: 2.55 contracts would be sent as 2.5."""
    exchange = ccxt.okx()
    exchange.set_markets(
        [
            exchange.safe_market_structure(
                {
                    "id": "DOGE-USDT-SWAP",
                    "symbol": "DOGE/USDT:USDT",
                    "base": "DOGE",
                    "quote": "USDT",
                    "precision": {"amount": 0.1, "price": 0.00001},
                }
            )
        ]
    )
    item = perp("1000")
    for quantity, price, fits in (
        ("2500", "0.12345", True),
        ("2550", "0.12345", False),
        ("2500", "0.123456", False),
    ):
        asked = request(quantity=Decimal(quantity), price=Decimal(price))
        found = arguments_of(asked, item, RECORDS["okx"], venue_id="x", hedged=False)
        if fits:
            assert_unchanged(found, exchange, asked, item)
        else:
            with pytest.raises(Unfit, match="ccxt would send"):
                assert_unchanged(found, exchange, asked, item)


# --- ids
# ------------------------------------------------------------------------------------------------------


def test_every_venue_has_a_record_with_its_classes() -> None:
    assert RECORDS.keys() == QUIRKS.keys()
    for venue, record in RECORDS.items():
        assert [desk.ccxt_id for desk in record.desks] == [spec.ccxt_id for spec in QUIRKS[venue].clients]


@settings(derandomize=True, max_examples=100)
@given(client_id=st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=26))
def test_ids_go_there_and_back(client_id: str) -> None:
    assert CLIENT_ID.match(client_id)
    for record in RECORDS.values():
        ids = Ids(record)
        for kind in Kind:
            assert ids.to_ours(kind, ids.to_venue(kind, client_id)) == client_id


def test_forms_of_ids() -> None:
    long = "fa01" + "z" * 22
    found = venue_id("hex", long)
    assert len(found) == 34
    assert int(found, 16) > 0
    number = venue_id("number", long)
    assert number.isdigit()
    assert 0 < int(number) < 2**63
    assert len(venue_id("t-", long)) == 28  # Gate's most
    assert Ids(RECORDS["htx"]).to_ours(Kind.PERP, "123") == "123"


# --- reports
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "filled", "expected"),
    [
        ("open", 0, "open"),
        ("open", 1, "partial"),
        ("closed", 2, "filled"),
        ("closed", 1, "expired"),
        ("canceled", 1, "canceled"),
        ("canceled", 2, "filled"),
        ("expired", 0, "expired"),
        ("rejected", 0, "rejected"),
        ("canceling", 1, "partial"),
        (None, 0, "open"),
    ],
)
def test_states(status: str | None, filled: int, expected: str) -> None:
    assert state_of(status, Decimal(filled), Decimal(2)) == expected


def test_reports_are_in_base_units_to_the_last_digit() -> None:
    item, ids = perp("1000"), Ids(RECORDS["okx"])
    raw = {
        "id": "7",
        "clientOrderId": "fa1",
        "side": "buy",
        "status": "open",
        "amount": "12345678901.12345678",
    }
    report = order_of({**raw, "filled": "0.5", "average": "0.1", "price": "0.2"}, item, ids)
    assert report.quantity == Decimal("12345678901123.45678")
    assert (report.filled, report.status) == (Decimal(500), "partial")
    fill = {"id": "1", "order": "7", "side": "buy", "price": "0.1", "amount": "2", "takerOrMaker": "maker"}
    found = fill_of({**fill, "fee": {"cost": "-0.01", "currency": "USDT"}}, item, ids)
    assert (found.quantity, found.fee, found.fee_asset) == (Decimal(2000), Decimal("-0.01"), "USDT")
    position = position_of({"contracts": "3", "side": "short", "leverage": "5", "marginMode": "cross"}, item)
    assert position is not None
    assert (position.quantity, position.leverage) == (Decimal(-3000), 5)
    assert position_of({"contracts": "0"}, item) is None
    for broken in ({**raw, "id": None}, {**raw, "amount": None}, {**raw, "side": None}):
        with pytest.raises(Unreadable):
            order_of(broken, item, ids)
    with pytest.raises(Unreadable):
        fill_of({**fill, "id": None}, item, ids)


# --- budget
# ---------------------------------------------------------------------------------------------------


class Ticking:
    now_us = 0

    def __call__(self) -> int:
        return self.now_us


def test_polls_stop_first_and_reducing_orders_last() -> None:
    clock = Ticking()
    budget = Budget("fapi.x", (Limit(most=100, window_sec=60, header="x-used"),), mono_us=clock)
    for used, allowed in ((40, "poll increase reduce"), (60, "increase reduce"), (80, "reduce"), (100, "")):
        budget.read("https://fapi.x/a", 200, {"X-Used": str(used)})
        rooms = [urgency for urgency in ("poll", "increase", "reduce") if budget.room(urgency).allowed]
        assert rooms == allowed.split()
    budget.read("https://other.x/a", 200, {"X-Used": "1"})
    assert not budget.room("reduce").allowed, "another host's figure is not ours"
    clock.now_us = 60_000_000
    assert budget.room("poll").allowed, "the window is over"


def test_orders_are_counted_by_ourselves_where_no_header_tells() -> None:
    clock = Ticking()
    budget = Budget("", (Limit(most=10, window_sec=1, orders=True),), mono_us=clock)
    budget.sent(6)
    assert budget.room("increase", 1).allowed
    assert not budget.room("increase", 2).allowed
    assert budget.room("reduce", 4).allowed
    assert not budget.room("reduce", 5).allowed
    assert budget.room("poll", 0).allowed, "a poll is no order"
    clock.now_us = 1_000_001
    assert budget.room("increase", 7).allowed


def test_who_is_told_to_wait_waits_and_bans_hold_everybody() -> None:
    clock = Ticking()
    budget = Budget("", (Limit(most=100, window_sec=60, header="used"),), mono_us=clock)
    budget.read("https://x/a", 429, {"Retry-After": "7"})
    assert budget.room("increase").wait_sec == 7.0
    assert budget.room("reduce").allowed
    budget.read("https://x/a", 418, {"retry-after": "120"})
    assert budget.room("reduce").wait_sec == 120.0
    clock.now_us = 120_000_000
    assert budget.room("poll").allowed
