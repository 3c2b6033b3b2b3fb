"""The contract of `Trading`: the same assertions on paper and over unmodified ccxt on the simulated venue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from libs.exchange.port import VenueError
from libs.exchange.trading import (
    Done,
    FillReport,
    Found,
    MarginMode,
    NeverSent,
    NotFound,
    OrderReport,
    PositionMode,
    Rejected,
    Side,
    TimeInForce,
    TradingEvent,
    Unknown,
    send_together,
)
from tests.helpers.ports import MONEY, PORTS, QUANTITY, Port, opened, until
from tests.helpers.trading import PERP, SPOT

BUY, SELL = Side.BUY, Side.SELL
D = Decimal
BOTH = pytest.mark.parametrize("slug", [SPOT, PERP])


@pytest.fixture(params=PORTS)
async def port(request: pytest.FixtureRequest) -> AsyncIterator[Port]:
    async with opened(request.param) as found:
        yield found


# --- orders -----------------------------------------------------------------------------------------------


@BOTH
async def test_an_order_that_crosses_is_filled_and_its_fills_are_told_the_same_each_time(
    port: Port, slug: str
) -> None:
    request, outcome = await port.send(slug, BUY, "1.01")
    assert isinstance(outcome, Done)
    assert outcome.report.client_id == request.client_id
    assert outcome.report.order_id
    report = await port.report(request)
    assert (report.order_id, report.status) == (outcome.report.order_id, "filled")
    assert (report.filled, report.quantity, report.side) == (QUANTITY, QUANTITY, BUY)
    assert report.average is not None
    assert report.average <= await port.near(slug, "1.01")
    fills = await port.trading.fills(slug, since_ms=port.since_ms)
    assert await port.trading.fills(slug, since_ms=port.since_ms) == fills
    assert sum(one.quantity for one in fills) == QUANTITY
    assert len({one.trade_id for one in fills}) == len(fills)
    assert {one.order_id for one in fills} == {report.order_id}
    assert {one.trade_id for one in outcome.fills} <= {one.trade_id for one in fills}
    assert sum((one.quantity * one.price for one in fills), D(0)) / QUANTITY == pytest.approx(report.average)


async def test_fees_are_what_the_rates_say(port: Port) -> None:
    rates = await port.trading.fee_rates(PERP)
    assert 0 < rates.taker < D("0.01")
    await port.take(PERP, BUY)
    for fill in await port.trading.fills(PERP, since_ms=port.since_ms):
        assert fill.fee_asset == "USDT"
        assert fill.fee == pytest.approx(fill.price * fill.quantity * rates.taker, abs=D("1e-8"))


@BOTH
async def test_an_order_away_from_the_market_ends_empty(port: Port, slug: str) -> None:
    request, outcome = await port.send(slug, BUY, "0.98")
    assert isinstance(outcome, Done)
    report = await port.report(request)
    assert report.is_final
    assert (report.filled, report.average) == (D(0), None)
    assert await port.trading.open_orders(slug) == []
    assert await port.trading.fills(slug, since_ms=port.since_ms) == []


async def test_a_thin_book_gives_a_part_and_the_rest_ends(port: Port) -> None:
    request = await port.order(PERP, BUY, "1.01")
    port.thin()
    assert isinstance(await port.trading.submit(request), Done)
    report = await port.report(request)
    assert report.is_final
    assert 0 < report.filled < QUANTITY
    fills = await port.trading.fills(PERP, since_ms=port.since_ms)
    assert sum(one.quantity for one in fills) == report.filled
    assert [one.quantity for one in await port.trading.positions()] == [report.filled]


@BOTH
async def test_a_resting_order_is_open_until_it_is_canceled(port: Port, slug: str) -> None:
    request, outcome = await port.send(slug, BUY, "0.98", tif=TimeInForce.GTC)
    assert isinstance(outcome, Done)
    for listed in (await port.trading.open_orders(slug), await port.trading.open_orders()):
        assert [(one.client_id, one.status, one.filled) for one in listed] == [
            (request.client_id, "open", D(0))
        ]
    found = await port.trading.cancel(slug, request.client_id)
    assert isinstance(found, Found)
    assert (found.report.status, found.report.filled) == ("canceled", D(0))
    assert await port.trading.open_orders(slug) == []
    again = await port.trading.cancel(slug, request.client_id)
    assert isinstance(again, NotFound) or (isinstance(again, Found) and again.report.is_final)


@BOTH
async def test_what_never_was_is_not_found(port: Port, slug: str) -> None:
    assert isinstance(await port.trading.query(slug, "fanone01"), NotFound)
    assert isinstance(await port.trading.cancel(slug, "fanone01"), NotFound)


async def test_post_only_never_takes(port: Port) -> None:
    request, outcome = await port.send(PERP, BUY, "1.01", tif=TimeInForce.POST_ONLY)
    if port.post_only == "refused":
        assert isinstance(outcome, Rejected)
        assert outcome.reason == "post_only"
        assert isinstance(await port.trading.query(PERP, request.client_id), NotFound)
    else:
        assert isinstance(outcome, Done)
        report = await port.report(request)
        assert (report.status, report.filled) == ("canceled", D(0))
    assert await port.trading.positions() == []


@pytest.mark.parametrize(
    ("slug", "fields", "reason"),
    [
        (SPOT, {"side": BUY, "quantity": D(5)}, "funds"),
        (SPOT, {"side": SELL}, "funds"),
        (PERP, {"side": SELL, "reduce_only": True}, "reduce_only"),
    ],
)
async def test_a_rejected_order_does_not_exist(
    port: Port, slug: str, fields: dict[str, Any], reason: str
) -> None:
    fields = dict(fields)
    side = fields.pop("side")
    request, outcome = await port.send(slug, side, "1", **fields)
    assert isinstance(outcome, Rejected), outcome
    assert outcome.reason == reason
    assert outcome.code
    assert isinstance(await port.trading.query(slug, request.client_id), NotFound)


async def test_what_does_not_fit_is_never_sent(port: Port) -> None:
    off_step = await port.order(PERP, BUY, "1", quantity=D("0.0100001"))
    too_small = await port.order(PERP, BUY, "1", quantity=D("0.00000001"))
    reducing_coins = await port.order(SPOT, SELL, "1", reduce_only=True)
    for request in (off_step, too_small, reducing_coins):
        assert isinstance(await port.trading.prepare(request), NeverSent)
        outcome = await port.trading.submit(request)
        assert isinstance(outcome, NeverSent)
        assert outcome.why
        assert isinstance(await port.trading.query(request.instrument, request.client_id), NotFound)


async def test_a_taken_id_proves_nothing_and_the_first_order_is_found(port: Port) -> None:
    first, outcome = await port.send(PERP, BUY, "0.98", tif=TimeInForce.GTC)
    assert isinstance(outcome, Done)
    _, again = await port.send(PERP, BUY, "1.01", client_id=first.client_id)
    assert isinstance(again, Unknown)
    assert (await port.report(first)).order_id == outcome.report.order_id
    assert await port.trading.positions() == []


# --- prepared ---------------------------------------------------------------------------------------------


async def test_a_prepared_order_is_sent_by_its_release_and_not_before(port: Port) -> None:
    request = await port.order(PERP, BUY, "1.01")
    prepared = await port.trading.prepare(request)
    assert not isinstance(prepared, NeverSent)
    assert isinstance(await port.trading.query(PERP, request.client_id), NotFound)
    prepared.release()
    assert isinstance(await prepared.outcome(), Done)
    assert (await port.report(request)).status == "filled"


async def test_an_abandoned_order_never_was(port: Port) -> None:
    request = await port.order(PERP, BUY, "1.01")
    prepared = await port.trading.prepare(request)
    assert not isinstance(prepared, NeverSent)
    assert await prepared.abandon("the gate said no") == NeverSent(why="the gate said no")
    with pytest.raises(RuntimeError):
        prepared.release()
    assert isinstance(await port.trading.query(PERP, request.client_id), NotFound)


async def test_two_legs_go_together_or_not_at_all(port: Port) -> None:
    requests = [await port.order(SPOT, BUY, "1.01"), await port.order(PERP, SELL, "0.99", quantity=D("1e-9"))]
    outcomes = await send_together([await port.trading.prepare(one) for one in requests])
    assert all(isinstance(one, NeverSent) for one in outcomes)
    assert isinstance(await port.trading.query(SPOT, requests[0].client_id), NotFound)
    requests = [await port.order(SPOT, BUY, "1.01"), await port.order(PERP, SELL, "0.99")]
    outcomes = await send_together([await port.trading.prepare(one) for one in requests])
    assert all(isinstance(one, Done) for one in outcomes)
    assert [one.quantity for one in await port.trading.positions()] == [-QUANTITY]
    assert 0 < await port.total(port.spot, "BTC") <= QUANTITY


# --- account ----------------------------------------------------------------------------------------------


async def test_a_position_is_what_was_traded_and_gone_when_it_is_closed(port: Port) -> None:
    report = await port.take(PERP, SELL)
    (held,) = await port.trading.positions()
    assert (held.instrument, held.quantity) == (PERP, -QUANTITY)
    assert held.entry_price == pytest.approx(report.average)
    assert held.mark is not None
    assert held.unrealised is not None
    await port.take(PERP, BUY, quantity=QUANTITY, reduce_only=True)
    assert await port.trading.positions() == []


async def test_balances_move_by_fills_and_fees_to_the_last_digit(port: Port) -> None:
    assert await port.total(port.spot) == MONEY
    await port.take(SPOT, BUY)
    fills = await port.trading.fills(SPOT, since_ms=port.since_ms)
    assert {one.fee_asset for one in fills} == {"BTC"}
    fees = sum((one.fee for one in fills if one.fee is not None), D(0))
    cost = sum((one.price * one.quantity for one in fills), D(0))
    assert await port.total(port.spot, "BTC") == QUANTITY - fees
    assert await port.total(port.spot) == MONEY - cost


async def test_the_books_tell_what_moved(port: Port) -> None:
    await port.take(PERP, BUY)
    await port.take(PERP, SELL, reduce_only=True)
    moved = D(0)
    for kind in ("realised", "fee"):
        lines = await port.trading.records(kind, since_ms=port.since_ms)
        assert lines
        assert len({one.record_id for one in lines}) == len(lines)
        moved += sum((one.amount for one in lines if one.asset == "USDT"), D(0))
    assert await port.total(port.contracts) == MONEY + moved
    assert await port.trading.records("funding", since_ms=port.since_ms) == []


async def test_settings_are_read_back_as_they_were_asked_for(port: Port) -> None:
    for leverage in (7, 3):
        found = await port.trading.configure(
            PERP, margin_mode=MarginMode.CROSS, leverage=leverage, position_mode=PositionMode.ONE_WAY
        )
        assert found == await port.trading.settings(PERP)
        assert (found.margin_mode, found.leverage) == (MarginMode.CROSS, leverage)
        assert found.position_mode is PositionMode.ONE_WAY
    with pytest.raises(VenueError):
        await port.trading.settings(SPOT)
    with pytest.raises(VenueError):
        await port.trading.configure(
            PERP, margin_mode=MarginMode.CROSS, leverage=1_000, position_mode=PositionMode.ONE_WAY
        )


async def test_hedge_mode_opens_and_closes_both_sides(port: Port) -> None:
    await port.trading.configure(
        PERP, margin_mode=MarginMode.CROSS, leverage=5, position_mode=PositionMode.HEDGE
    )
    await port.take(PERP, BUY)
    await port.take(PERP, SELL)
    assert sorted(one.quantity for one in await port.trading.positions()) == [-QUANTITY, QUANTITY]
    await port.take(PERP, SELL, reduce_only=True)
    assert [one.quantity for one in await port.trading.positions()] == [-QUANTITY]


async def test_a_transfer_moves_exactly_what_was_asked_for(port: Port) -> None:
    told = await port.trading.transfer("USDT", D("100.5"), source=port.other, target=port.contracts)
    assert told
    assert await port.total(port.other) == MONEY - D("100.5")
    assert await port.total(port.contracts) == MONEY + D("100.5")
    with pytest.raises(VenueError):
        await port.trading.transfer("USDT", MONEY, source=port.other, target=port.contracts)
    with pytest.raises(VenueError):
        await port.trading.transfer("USDT", D(1), source=port.other, target=port.other)
    assert await port.total(port.other) == MONEY - D("100.5")


async def test_borrowed_coins_are_sold_bought_back_and_repaid_where_that_is_done(port: Port) -> None:
    if port.lender is None:
        with pytest.raises(VenueError) as caught:
            await port.trading.borrow("BTC", QUANTITY)
        assert caught.value.error_class == "not_supported"
        assert isinstance((await port.send(SPOT, SELL, "0.99", margin=True))[1], NeverSent)
        return
    await port.trading.borrow("BTC", QUANTITY)
    (owed,) = [one for one in await port.trading.balances() if one.borrowed]
    assert (owed.wallet, owed.asset, owed.borrowed) == (port.lender, "BTC", QUANTITY)
    report = await port.take(SPOT, SELL, margin=True)
    assert report.status == "filled"
    assert isinstance(await port.trading.query(SPOT, report.client_id), NotFound)  # another desk
    sold = await port.trading.fills(SPOT, since_ms=port.since_ms, margin=True)
    assert sum(one.quantity for one in sold) == QUANTITY
    await port.take(SPOT, BUY, quantity=D("0.011"), margin=True)
    await port.trading.repay("BTC", QUANTITY)
    assert [one for one in await port.trading.balances() if one.borrowed] == []


async def test_the_key_trades_and_cannot_withdraw(port: Port) -> None:
    rights = await port.trading.permissions()
    assert rights.readable
    assert (rights.may_trade, rights.may_withdraw) == (True, False)


# --- the private stream -----------------------------------------------------------------------------------


async def test_the_stream_tells_of_orders_and_their_fills(port: Port) -> None:
    heard: list[TradingEvent] = []
    listening = asyncio.create_task(port.trading.stream(heard.append))
    try:
        request = await _heard_first(port, heard)
        fills = await port.trading.fills(PERP, since_ms=port.since_ms)
        order_id = (await port.report(request)).order_id
        own = {one.trade_id for one in fills if one.order_id == order_id}
        await until(lambda: own <= {one.trade_id for one in heard if isinstance(one, FillReport)})
        told = [one for one in heard if isinstance(one, OrderReport) and one.client_id == request.client_id]
        assert told[-1].status == "filled"
        assert told[-1].filled == QUANTITY
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def _heard_first(port: Port, heard: list[TradingEvent]) -> Any:
    """An order whose end the stream has told: a stream that is only being opened has not heard the first."""
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        while True:
            request, outcome = await port.send(PERP, BUY, "1.01")
            assert isinstance(outcome, Done)
            for _ in range(100):
                ended = [
                    one
                    for one in heard
                    if isinstance(one, OrderReport) and one.client_id == request.client_id and one.is_final
                ]
                if ended:
                    return request
                await asyncio.sleep(0.01)
