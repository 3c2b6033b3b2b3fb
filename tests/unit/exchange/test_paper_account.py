"""The account side on paper: wallets, loans and short sales, settings, records, and life beyond a restart."""

from __future__ import annotations

import pytest

from libs.exchange.engine.snapshot import BadSnapshot
from libs.exchange.live.record import RECORDS
from libs.exchange.paper.layout import LAYOUTS, layout_of
from libs.exchange.paper.venue import PaperVenue
from libs.exchange.port import VenueError
from libs.exchange.trading_values import (
    BalanceReport,
    Done,
    FillReport,
    MarginMode,
    OrderReport,
    PositionMode,
    PositionReport,
    Rejected,
    Side,
    TimeInForce,
)
from tests.helpers.paper import COSTS, PERP, SPOT, D, Market

BUY, SELL = Side.BUY, Side.SELL


# --- wallets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("venue", sorted(RECORDS))
def test_wallets_and_desks_are_those_of_live_trading(venue: str) -> None:
    record, layout = RECORDS[venue], LAYOUTS[venue]
    assert set(layout.wallets) == {wallet for desk in record.desks for wallet in desk.balances}
    assert (layout.borrows is None) is (record.margin is None)
    assert set(layout.refused) == set(record.refused)


def test_every_venue_of_live_trading_is_known_and_any_other_is_unified() -> None:
    assert set(LAYOUTS) == set(RECORDS)
    assert layout_of("binance-sub1") is LAYOUTS["binance"]
    assert layout_of("elsewhere").wallets == ("unified",)


def test_an_account_begins_with_what_it_was_given_and_nothing_else() -> None:
    market = Market(slugs=())
    assert {(one.wallet, one.asset, one.total, one.free) for one in market.paper.balances(market.now)} == {
        (wallet, "USDT", D(10_000), D(10_000)) for wallet in ("spot", "margin", "futures")
    }
    with pytest.raises(ValueError, match="has no wallet unified"):
        Market(balances={"unified": {"USDT": D(1)}})


def test_a_transfer_moves_coins_and_has_an_id() -> None:
    market = Market()
    ids = [
        market.paper.transfer("USDT", D(amount), market.now, source="spot", target="futures")
        for amount in ("100", "0.5")
    ]
    assert len(set(ids)) == 2
    assert (market.balance("spot").total, market.balance("futures").total) == (D("9899.5"), D("10100.5"))
    records = market.paper.records("transfer", market.now, since_ms=0)
    assert sorted((one.amount, one.ref) for one in records) == [
        (D(-100), ids[0]),
        (D("-0.5"), ids[1]),
        (D("0.5"), ids[1]),
        (D(100), ids[0]),
    ]


@pytest.mark.parametrize(
    ("amount", "source", "target", "error_class"),
    [
        ("1", "spot", "unified", "not_supported"),
        ("1", "spot", "spot", "not_supported"),
        ("10001", "spot", "futures", "exchange"),
        ("-1", "spot", "futures", "exchange"),
    ],
)
def test_an_impossible_transfer_is_an_error_and_moves_nothing(
    amount: str, source: str, target: str, error_class: str
) -> None:
    market = Market()
    before = market.paper.snapshot()
    with pytest.raises(VenueError) as caught:
        market.paper.transfer("USDT", D(amount), market.now, source=source, target=target)  # type: ignore[arg-type]
    assert caught.value.error_class == error_class
    assert market.paper.snapshot() == before


def test_margin_in_use_is_not_free() -> None:
    market = Market()
    market.done(PERP, BUY, "2", "1000.1")
    # 2 at the mark of 1000 and 20x: 100; fee 1.0001; 0.2 lost against the mark
    wallet = D(10_000) - D("1.00010000")
    assert market.balance("futures").total == wallet
    assert market.balance("futures").free == wallet - 100 - D("0.2")
    unified = Market("bitget")
    unified.done(PERP, BUY, "2", "1000.1")
    assert unified.balance("unified").free == D(30_000) - D("1.0001") - 100 - D("0.2")


# --- loans ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("venue", "wallet"), [("binance", "margin"), ("elsewhere", "unified")])
def test_borrow_sell_short_buy_back_repay(venue: str, wallet: str) -> None:
    market = Market(venue)
    before = market.balance(wallet).total  # type: ignore[arg-type]
    market.paper.borrow("BTC", D(2), market.now)
    owed = market.balance(wallet, "BTC")  # type: ignore[arg-type]
    assert (owed.total, owed.borrowed) == (D(2), D(2))
    market.done(SPOT, SELL, "2", "999.9", margin=True)
    market.quote(SPOT, 979.9, 980.1, size=5.0)
    market.done(SPOT, BUY, "2.003", "980.1", margin=True)  # the fee is paid in base
    market.paper.repay("BTC", D(5), market.now)
    left = market.balance(wallet, "BTC")  # type: ignore[arg-type]
    assert (left.total, left.borrowed, left.interest) == (D("2.003") * D("0.999") - 2, D(0), D(0))
    sold, bought = D(2) * D("999.9"), D("2.003") * D("980.1")
    assert market.balance(wallet).total - before == sold - sold * D("0.001") - bought  # type: ignore[arg-type]
    assert [one.amount for one in market.paper.records("borrow", market.now, since_ms=0)] == [D(2)]
    assert [one.amount for one in market.paper.records("repay", market.now, since_ms=0)] == [D(-2)]


def test_a_short_sale_without_coins_is_refused_for_lack_of_funds() -> None:
    outcome = Market().send(SPOT, SELL, "1", "999.9", margin=True)
    assert isinstance(outcome, Rejected)
    assert outcome.reason == "funds"


def test_loans_end_where_the_collateral_does_and_where_there_is_no_desk() -> None:
    market = Market()
    with pytest.raises(VenueError, match="may be borrowed") as caught:
        market.paper.borrow("BTC", D(100), market.now)
    assert caught.value.error_class == "refused"
    with pytest.raises(VenueError, match="is owed"):
        market.paper.repay("BTC", D(1), market.now)
    with pytest.raises(VenueError, match="no borrowing"):
        Market("bitget").paper.borrow("BTC", D(1), market.now)
    with pytest.raises(VenueError, match="no borrowing"):
        Market("bitget").paper.open_orders(market.now, margin=True)


# --- settings and rights ----------------------------------------------------------------------------------


def test_settings_are_read_back() -> None:
    market = Market()
    wanted = {"margin_mode": MarginMode.ISOLATED, "leverage": 7, "position_mode": PositionMode.HEDGE}
    found = market.paper.configure(PERP, market.now, **wanted)  # type: ignore[arg-type]
    assert found == market.paper.settings(PERP)
    assert (found.margin_mode, found.leverage, found.position_mode) == tuple(wanted.values())
    assert market.paper.configure(PERP, market.now, **wanted) == found  # type: ignore[arg-type]


def test_what_cannot_be_set_is_an_error() -> None:
    market = Market()
    common = {"margin_mode": MarginMode.CROSS, "position_mode": PositionMode.ONE_WAY}
    with pytest.raises(VenueError, match="leverage"):
        market.paper.configure(PERP, market.now, leverage=1000, **common)  # type: ignore[arg-type]
    market.done(PERP, BUY, "1", "1000.1")
    with pytest.raises(VenueError, match="position"):
        market.paper.configure(
            PERP,
            market.now,
            leverage=5,
            margin_mode=MarginMode.CROSS,
            position_mode=PositionMode.HEDGE,
        )
    with pytest.raises(VenueError, match="spot"):
        market.paper.settings(SPOT)
    with pytest.raises(VenueError, match="no instrument"):
        market.paper.fee_rates("XX-USDT")


def test_a_paper_key_trades_and_withdraws_nothing() -> None:
    rights = Market().paper.permissions()
    assert (rights.readable, rights.may_trade, rights.may_withdraw) == (True, True, False)


# --- what is told -----------------------------------------------------------------------------------------


def test_events_tell_orders_fills_positions_and_balances_once() -> None:
    market = Market()
    market.paper.take_events()
    outcome = market.send(PERP, BUY, "2", "1000.1")
    assert isinstance(outcome, Done)
    events = market.paper.take_events()
    assert [type(one) for one in events] == [
        OrderReport,
        OrderReport,
        FillReport,
        PositionReport,
        BalanceReport,
    ]
    assert events[1] == outcome.report
    assert events[2] == outcome.fills[0]
    assert events[4] == market.balance("futures")
    assert market.paper.take_events() == []


def test_the_ledger_explains_every_change_of_a_wallet() -> None:
    market = Market()
    market.done(PERP, BUY, "2", "1000.1")
    market.quote(PERP, 1009.9, 1010.1)
    market.done(PERP, SELL, "2", "1009.9", reduce_only=True)
    moved = {
        kind: sum((one.amount for one in market.paper.records(kind, market.now, since_ms=0)), D(0))
        for kind in ("realised", "fee")
    }
    assert moved["realised"] == D(2) * D("9.8")
    assert market.balance("futures").total == 10_000 + moved["realised"] + moved["fee"]


# --- a life beyond a restart ------------------------------------------------------------------------------


def test_a_restored_account_goes_on_as_the_first_would_have() -> None:
    first = Market()
    first.done(PERP, BUY, "1", "1000.1")
    first.done(SPOT, BUY, "1", "990", tif=TimeInForce.GTC)
    data = first.paper.snapshot()
    second = Market()
    second.later(ms=first.now.market_ms - second.now.market_ms)
    second.paper = PaperVenue.restore(data, costs=COSTS)
    assert second.paper.snapshot() == data
    for market in (first, second):
        market.later(sec=3_600)
        market.quote(SPOT, 989.0, 989.9)
        market.quote(PERP)
        market.done(PERP, SELL, "1", "999.9", reduce_only=True, client_id="fa01")
        market.paper.transfer("USDT", D(1), market.now, source="spot", target="futures")
    assert first.paper.snapshot() == second.paper.snapshot()
    assert first.balance("spot", "BTC").total == D("0.999")


def test_a_restored_account_trades_with_nothing_until_it_sees_the_market() -> None:
    market = Market()
    market.paper = PaperVenue.restore(market.paper.snapshot(), costs=COSTS)
    assert market.done(PERP, BUY, "1", "1010").filled == 0
    market.quote(PERP)
    assert market.done(PERP, BUY, "1", "1010").filled == 1


def test_other_bytes_and_other_wallets_are_refused() -> None:
    data = Market().paper.snapshot()
    for wrong in (b"", b"{}", data[:-1], data.replace(b'"format":1', b'"format":2')):
        with pytest.raises(BadSnapshot):
            PaperVenue.restore(wrong, costs=COSTS)
    with pytest.raises(BadSnapshot, match="wallets"):
        PaperVenue.restore(data, costs=COSTS, layout=layout_of("bitget"))


def test_a_change_of_filters_is_followed() -> None:
    market = Market()
    assert market.done(PERP, BUY, "0.001", "5000.1").status == "filled"
    market.info(PERP, quantity_step="0.01", quantity_min="0.01")
    assert "no multiple" in str(market.send(PERP, BUY, "0.001", "5000.1"))
    assert market.paper.instruments[PERP].quantity_step == D("0.01")
