"""Orders on paper: what they find, what they cost, and in which words they are refused."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from libs.common.config.schema import Costs, VenueCosts
from libs.common.messages import Quote
from libs.exchange.fit import wrong_with
from libs.exchange.live.record import RECORDS
from libs.exchange.trading_values import (
    Done,
    FeeRates,
    Found,
    Liquidity,
    NeverSent,
    NotFound,
    OrderReport,
    OrderType,
    PositionMode,
    PositionSide,
    QueryFailed,
    Rejected,
    Side,
    TimeInForce,
    Unknown,
)
from tests.helpers.paper import PERP, SPOT, START_MS, D, Market, info_of, request

BUY, SELL = Side.BUY, Side.SELL


# --- what an order finds ----------------------------------------------------------------------------------


def test_an_order_pays_what_is_displayed_then_what_is_assumed_behind_it() -> None:
    market = Market()
    outcome = market.send(PERP, BUY, "5", "1001.2")
    assert isinstance(outcome, Done)
    # 2 at 1000.1, 2 at 1000.1 + 0.6 (5 bps, moved away to a tick), 1 at 1001.3 lies beyond the limit
    assert [(one.price, one.quantity) for one in outcome.fills] == [(D("1000.1"), D(2)), (D("1000.7"), D(2))]
    assert outcome.report.status == "expired"
    assert outcome.report.filled == D(4)
    assert outcome.report.average == D("1000.4")
    assert [one.fee for one in outcome.fills] == [D("1.00010000"), D("1.00070000")]
    assert market.held() == D(4)


def test_what_was_taken_is_gone_until_the_market_shows_something_new() -> None:
    market = Market()
    assert market.done(PERP, BUY, "2", "1000.1").status == "filled"
    assert market.done(PERP, BUY, "2", "1000.1").filled == 0
    market.quote(PERP)
    assert market.done(PERP, BUY, "2", "1000.1").status == "filled"


def test_a_market_that_is_not_seen_any_more_has_nothing_to_trade_with() -> None:
    market = Market()
    market.later(sec=61)
    report = market.done(PERP, BUY, "1", "1010")
    assert (report.status, report.filled) == ("expired", D(0))
    market.quote(PERP)
    assert market.done(PERP, BUY, "1", "1010").status == "filled"


def test_a_state_that_is_confirmed_after_a_silence_is_there_again() -> None:
    market = Market()
    market.later(sec=61)
    assert market.done(PERP, BUY, "1", "1010").filled == 0
    stamp = START_MS + 2
    for recv_us in (market.now.wall_us, market.now.wall_us + 1):
        market.say(
            Quote(
                venue="binance",
                instrument=PERP,
                bid=999.9,
                ask=1000.1,
                bid_size=2.0,
                ask_size=2.0,
                ts_ms=stamp,
                recv_us=recv_us,
            )
        )
        assert market.done(PERP, BUY, "2", "1000.1").filled == (2 if recv_us == market.now.wall_us else 0)


def test_a_market_never_seen_has_nothing_either() -> None:
    market = Market(quoted=False)
    assert market.done(PERP, BUY, "1", "1000").filled == 0
    assert market.done(PERP, SELL, "1", None, type=OrderType.MARKET).status == "expired"


def test_a_resting_order_fills_when_the_market_comes_to_it() -> None:
    market = Market()
    report = market.done(PERP, BUY, "3", "999", tif=TimeInForce.GTC)
    assert report.status == "open"
    market.paper.take_events()
    market.quote(PERP, 998.0, 999.0, size=1.0)
    market.quote(PERP, 998.0, 999.0, size=9.0)
    told = [one for one in market.paper.take_events() if isinstance(one, OrderReport)]
    assert [(one.status, one.filled) for one in told] == [("partial", D(1)), ("filled", D(3))]
    fills = market.paper.fills(PERP, market.now, since_ms=0)
    assert [(one.price, one.fee, one.liquidity) for one in fills] == [
        (D(999), D("0.19980000"), Liquidity.MAKER),
        (D(999), D("0.39960000"), Liquidity.MAKER),
    ]


def test_a_spot_buy_pays_its_fee_in_base_and_a_sale_in_quote() -> None:
    market = Market()
    market.done(SPOT, BUY, "1", "1000.1")
    assert market.balance("spot", "BTC").total == D("0.999")
    assert market.balance("spot").total == D("10000") - D("1000.1")
    market.done(SPOT, SELL, "0.999", "999.9")
    assert market.balance("spot", "BTC").total == 0
    proceeds = D("0.999") * D("999.9")
    assert market.balance("spot").total == D("8999.9") + proceeds - D("0.99890010")


def test_hedge_mode_finds_the_side_by_what_an_order_does() -> None:
    market = Market()
    market.paper.configure(
        PERP,
        market.now,
        margin_mode=market.paper.settings(PERP).margin_mode or pytest.fail("no margin mode"),
        leverage=5,
        position_mode=PositionMode.HEDGE,
    )
    market.done(PERP, BUY, "1", "1000.1")
    market.done(PERP, SELL, "0.5", "999.9")
    sides = {one.side: one.quantity for one in market.paper.positions(market.now)}
    assert sides == {PositionSide.LONG: D(1), PositionSide.SHORT: D("-0.5")}
    market.quote(PERP)
    market.done(PERP, SELL, "1", "999.9", reduce_only=True)
    market.done(PERP, BUY, "0.5", "1000.1", reduce_only=True)
    assert market.paper.positions(market.now) == []


# --- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "reason", "code"),
    [
        ({"quantity": "50"}, "funds", "insufficient_margin"),
        ({"side": SELL, "reduce_only": True}, "reduce_only", "reduce_only"),
        ({"tif": TimeInForce.POST_ONLY}, "post_only", "post_only"),
        ({"slug": SPOT, "quantity": "30"}, "funds", "insufficient_balance"),
        ({"slug": SPOT, "side": SELL}, "funds", "insufficient_balance"),
        ({"quantity": "2000000"}, "filter", "position_limit"),
    ],
)
def test_a_refusal_has_a_reason_and_leaves_no_order(fields: dict[str, Any], reason: str, code: str) -> None:
    market = Market(balances={"spot": {"USDT": D(10_000)}, "futures": {"USDT": D(1_000)}})
    slug = fields.pop("slug", PERP)
    side, quantity = fields.pop("side", BUY), fields.pop("quantity", "1")
    outcome = market.send(slug, side, quantity, "1005", client_id="fa01", **fields)
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, outcome.code) == (reason, code)
    assert outcome.text
    assert isinstance(market.paper.query(slug, "fa01", market.now), NotFound)


def test_elsewhere_a_post_only_order_that_would_take_is_taken_and_canceled() -> None:
    report = Market("bitget").done(PERP, BUY, "1", "1005", tif=TimeInForce.POST_ONLY)
    assert (report.status, report.filled) == ("canceled", D(0))


def test_a_taken_id_is_unknown_until_it_is_asked_for() -> None:
    """The order that has it did arrive: to call the second one rejected would deny the first."""
    market = Market()
    first = market.done(PERP, BUY, "1", "990", tif=TimeInForce.GTC, client_id="fa01")
    assert isinstance(market.send(PERP, BUY, "1", "1000.1", client_id="fa01"), Unknown)
    found = market.paper.query(PERP, "fa01", market.now)
    assert isinstance(found, Found)
    assert found.report.order_id == first.order_id


def test_an_id_may_come_again_on_binance_once_its_order_is_done_and_nowhere_else() -> None:
    for venue, again in (("binance", Done), ("bitget", Unknown), ("elsewhere", Unknown)):
        market = Market(venue)
        market.done(PERP, BUY, "1", "1000.1", client_id="fa01")
        assert isinstance(market.send(PERP, BUY, "1", "1000.1", client_id="fa01"), again)


def test_a_market_that_does_not_trade_gets_nothing_sent() -> None:
    market = Market()
    market.done(PERP, BUY, "1", "990", tif=TimeInForce.GTC, client_id="fa01")
    market.info(PERP, refused="not trading")
    outcome = market.send(PERP, BUY, "1", "1000.1")
    assert isinstance(outcome, NeverSent)
    assert "not trading" in outcome.why
    assert len(market.paper.open_orders(market.now, PERP)) == 1
    market.info(PERP)
    market.quote(PERP)
    assert market.done(PERP, BUY, "1", "1000.1").status == "filled"


def test_what_cannot_be_a_leg_is_known_and_never_sent() -> None:
    market = Market(slugs=())
    market.info("ETH-USD-PERP", refused="inverse: margined and settled in its base coin")
    market.quote("ETH-USD-PERP")
    outcome = market.send("ETH-USD-PERP", BUY, "1", "1000.1")
    assert isinstance(outcome, NeverSent)
    assert "inverse" in outcome.why
    assert isinstance(market.send("XX-USDT", BUY, "1", "1"), NeverSent)
    assert isinstance(market.paper.query("XX-USDT", "fa01", market.now), QueryFailed)


def test_mexc_contracts_are_refused_as_live_trading_refuses_them() -> None:
    outcome = Market("mexc", balances={"futures": {"USDT": D(1000)}}).send(PERP, BUY, "1", "1000.1")
    assert isinstance(outcome, NeverSent)
    assert "MEXC" in outcome.why


@pytest.mark.parametrize("venue", sorted(RECORDS))
@pytest.mark.parametrize(
    ("slug", "fields"),
    [
        (SPOT, {}),
        (PERP, {"contract_size": "10", "notional_min": None}),
        (PERP, {"refused": "not trading"}),
        (SPOT, {"price_tick": None, "quantity_step": None, "quantity_min": None}),
    ],
)
def test_what_is_never_sent_is_what_live_trading_never_sends(
    venue: str, slug: str, fields: dict[str, Any]
) -> None:
    record, market = RECORDS[venue], Market(venue, balances={}, slugs=())
    market.info(slug, **fields)
    item = market.paper.instruments[slug]
    cases = itertools.product(
        (BUY, SELL),
        ("1", "0.0005", "0.0015", "0.001"),
        ("1000.1", "1000.15", "0.1", None),
        (False, True),
        (False, True),
    )
    differences = []
    for side, quantity, price, margin, reduce_only in cases:
        kind = OrderType.MARKET if price is None else OrderType.LIMIT
        order = request(item.slug, side, quantity, price, type=kind, margin=margin, reduce_only=reduce_only)
        if item.kind in record.refused:
            live: str | None = "refused"
        else:
            live = wrong_with(order, item, shortable_here=record.margin is not None)
        paper = market.paper.check(order)
        if (live is None) is not (paper is None) or (paper and live not in ("refused", paper.why)):
            differences.append((order, live, paper))
    assert differences == []


# --- what it costs ----------------------------------------------------------------------------------------


def test_the_config_goes_before_the_instruments_own_rates_and_these_before_the_general() -> None:
    costs = Costs(
        taker=0.004, maker=0.003, venues={"binance-perp": VenueCosts(taker=0.0001, rebate_share=0.5)}
    )
    market = Market(costs=costs)
    assert market.paper.fee_rates(PERP) == FeeRates(maker=D("0.0002"), taker=D("0.0001"))
    assert market.paper.fee_rates(SPOT) == FeeRates(maker=D("0.001"), taker=D("0.001"))
    market.info(SPOT, taker=None, maker=None)
    assert market.paper.fee_rates(SPOT) == FeeRates(maker=D("0.003"), taker=D("0.004"))


def test_each_instrument_is_charged_its_own_rate_also_when_it_rests() -> None:
    market = Market(slugs=(PERP, "ETH-USDT-PERP"))
    market.info("ETH-USDT-PERP", taker=0.001, maker=-0.0001)
    market.done("ETH-USDT-PERP", BUY, "1", "999", tif=TimeInForce.GTC)
    market.done(PERP, BUY, "1", "1000.1")
    market.quote("ETH-USDT-PERP", 998.0, 998.9)
    market.done("ETH-USDT-PERP", BUY, "1", "998.9")
    fees = [one.fee for one in market.paper.fills("ETH-USDT-PERP", market.now, since_ms=0)]
    assert fees == [D("-0.09990000"), D("0.99890000")]
    assert [one.fee for one in market.paper.fills(PERP, market.now, since_ms=0)] == [D("0.50005000")]


# --- found and canceled -----------------------------------------------------------------------------------


def test_a_cancel_answers_with_the_order_as_it_is_afterwards() -> None:
    market = Market()
    assert isinstance(market.paper.cancel(PERP, "fa01", market.now), NotFound)
    market.done(PERP, BUY, "1", "990", tif=TimeInForce.GTC, client_id="fa01")
    found = market.paper.cancel(PERP, "fa01", market.now)
    assert isinstance(found, Found)
    assert found.report.status == "canceled"
    assert market.paper.open_orders(market.now) == []
    market.done(PERP, BUY, "1", "1000.1", client_id="fa02")
    again = market.paper.cancel(PERP, "fa02", market.now)
    assert isinstance(again, Found)
    assert again.report.status == "filled"


def test_open_orders_are_those_of_the_desk_that_is_asked() -> None:
    market = Market()
    for slug, margin in ((SPOT, False), (SPOT, True), (PERP, False)):
        market.done(slug, BUY, "1", "990", tif=TimeInForce.GTC, margin=margin)
    assert [one.instrument for one in market.paper.open_orders(market.now)] == [SPOT, PERP]
    assert [one.instrument for one in market.paper.open_orders(market.now, margin=True)] == [SPOT]
    assert len(market.paper.open_orders(market.now, SPOT)) == 1
    assert len(market.paper.open_orders(market.now, PERP, margin=True)) == 1


def test_fills_are_told_from_an_instant_on() -> None:
    market = Market()
    market.done(PERP, BUY, "1", "1000.1")
    late = market.later(sec=5)
    market.done(PERP, BUY, "1", "1000.1")
    assert len(market.paper.fills(PERP, late, since_ms=0)) == 2
    assert len(market.paper.fills(PERP, late, since_ms=late.wall_us // 1_000)) == 1
    assert market.paper.fills(SPOT, late, since_ms=0) == []


def test_messages_of_others_change_nothing() -> None:
    market = Market()
    before = market.paper.snapshot()
    market.say(info_of("bitget", "ETH-USDT"))
    market.say({"venue": "binance"})
    assert market.paper.snapshot() == before
