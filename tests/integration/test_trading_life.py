"""An account's life through the trading port: set up, both legs, read back, move, borrow, close, listen."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from decimal import Decimal

import pytest

from libs.common.clock import mono_us, wall_us
from libs.exchange.live.adapter import CcxtTrading
from libs.exchange.port import GapSeen, VenueError
from libs.exchange.trading import (
    Done,
    FillReport,
    Found,
    MarginMode,
    NotFound,
    OrderReport,
    PositionMode,
    Rejected,
    Side,
    TimeInForce,
    TradingEvent,
)
from libs.exchange.wire_times import measured
from services.venue import customers
from tests.helpers.trading import PERP, SPOT, an_order, config_of, price_of, trading_on
from tests.helpers.venue import Venue, running_venue

VENUES = ("binance", "bitget")


@contextlib.asynccontextmanager
async def opened(name: str) -> AsyncIterator[tuple[Venue, CcxtTrading]]:
    async with running_venue() as venue:
        config = config_of(customers.told(venue.server.keys["u1"]))
        async with trading_on(venue.redirect, config, name) as trading:
            yield venue, trading


async def filled(trading: CcxtTrading, slug: str, side: Side, quantity: str, **fields: bool) -> Decimal:
    """A marketable IOC; what it filled, asked for when the answer was only an acknowledgement."""
    price = await price_of(trading, slug, "1.01" if side is Side.BUY else "0.99")
    order = an_order(slug, side, price, quantity=quantity, **fields)
    outcome = await trading.submit(order)
    assert isinstance(outcome, Done), outcome
    found = await trading.query(slug, order.client_id, margin=order.margin)
    assert isinstance(found, Found)
    assert found.report.is_final
    assert found.report.average is not None
    return found.report.filled


def wallet(trading: CcxtTrading, name: str) -> str:
    return "unified" if trading.venue == "bitget" else name


async def total(trading: CcxtTrading, name: str, asset: str) -> Decimal:
    return sum(
        (
            one.total
            for one in await trading.balances()
            if (one.wallet, one.asset) == (wallet(trading, name), asset)
        ),
        Decimal(0),
    )


@pytest.mark.parametrize("name", VENUES)
async def test_both_legs_and_the_way_back(name: str) -> None:
    since_ms = wall_us() // 1_000 - 60_000
    async with opened(name) as (_, trading):
        settings = await trading.configure(
            PERP, margin_mode=MarginMode.CROSS, leverage=3, position_mode=PositionMode.ONE_WAY
        )
        assert settings == await trading.settings(PERP)
        assert settings.leverage == 3
        usdt = await total(trading, "spot", "USDT")
        buy = an_order(SPOT, Side.BUY, await price_of(trading, SPOT, "1.01"))
        sell = an_order(PERP, Side.SELL, await price_of(trading, PERP, "0.99"))
        assert all(isinstance(outcome, Done) for outcome in await trading.submit_all([buy, sell]))

        [position] = await trading.positions()
        assert (position.instrument, position.quantity, position.leverage) == (PERP, Decimal("-0.01"), 3)
        fills = await trading.fills(SPOT, since_ms=since_ms)
        assert sum(one.quantity for one in fills) == Decimal("0.01")
        assert {one.fee_asset for one in fills} == {"BTC"}
        fees = sum((one.fee for one in fills if one.fee is not None), Decimal(0))
        assert abs(fees - Decimal("0.00001")) < len(fills) * Decimal("1E-8"), "each is rounded by the venue"
        assert await total(trading, "spot", "BTC") == Decimal("0.01") - fees
        if name == "binance":  # one wallet of its own: the coins paid for are all that has changed there
            cost = sum(one.price * one.quantity for one in fills)
            assert await total(trading, "spot", "USDT") == usdt - cost
        [fill] = await trading.fills(PERP, since_ms=since_ms)
        rates = await trading.fee_rates(PERP)
        assert fill.fee == fill.price * fill.quantity * rates.taker
        [fee] = [one for one in await trading.records("fee", since_ms=since_ms) if one.instrument == PERP]
        assert fee.amount == -fill.fee

        assert await filled(trading, PERP, Side.BUY, "0.02", reduce_only=True) == Decimal("0.01")
        assert await filled(trading, SPOT, Side.SELL, "0.0099") == Decimal("0.0099")
        assert await trading.positions() == []
        again = an_order(PERP, Side.BUY, await price_of(trading, PERP, "1.01"), reduce_only=True)
        outcome = await trading.submit(again)
        assert isinstance(outcome, Rejected)
        assert outcome.reason == "reduce_only"


@pytest.mark.parametrize("name", VENUES)
async def test_a_resting_order_is_seen_and_canceled(name: str) -> None:
    async with opened(name) as (_, trading):
        for slug in (SPOT, PERP):
            order = an_order(slug, Side.BUY, await price_of(trading, slug, "0.98"), tif=TimeInForce.GTC)
            assert isinstance(await trading.submit(order), Done)
            [seen] = await trading.open_orders()
            assert (seen.instrument, seen.client_id, seen.status) == (slug, order.client_id, "open")
            assert [one.order_id for one in await trading.open_orders(slug)] == [seen.order_id]
            canceled = await trading.cancel(slug, order.client_id)
            assert isinstance(canceled, Found)
            assert canceled.report.status == "canceled"
            assert await trading.open_orders() == []
            assert isinstance(await trading.cancel(slug, "fatestnone"), NotFound)


@pytest.mark.parametrize(
    ("name", "way"), [("binance", ("spot", "futures")), ("bitget", ("unified", "funding"))]
)
async def test_money_moves_to_the_last_digit(name: str, way: tuple[str, str]) -> None:
    amount = Decimal("10.12345678")
    async with opened(name) as (_, trading):
        before = {one.wallet: one.total for one in await trading.balances() if one.asset == "USDT"}
        assert await trading.transfer("USDT", amount, source=way[0], target=way[1])  # type: ignore[arg-type]
        after = {one.wallet: one.total for one in await trading.balances() if one.asset == "USDT"}
        assert after[way[0]] == before[way[0]] - amount  # type: ignore[index]
        assert after[way[1]] == before.get(way[1], Decimal(0)) + amount  # type: ignore[index, call-overload]
        with pytest.raises(VenueError, match="transfer"):
            await trading.transfer("USDT", Decimal(10**9), source=way[0], target=way[1])  # type: ignore[arg-type]


async def test_borrowed_coins_are_sold_bought_back_and_repaid() -> None:
    borrowed = Decimal("0.00512345")
    since_ms = wall_us() // 1_000 - 60_000
    async with opened("binance") as (_, trading):
        await trading.transfer("USDT", Decimal(2_000), source="spot", target="margin")
        await trading.borrow("BTC", borrowed)
        assert await filled(trading, SPOT, Side.SELL, "0.005", margin=True) == Decimal("0.005")
        [debt] = [one for one in await trading.balances() if one.borrowed]
        assert (debt.wallet, debt.asset, debt.borrowed) == ("margin", "BTC", borrowed)
        assert await filled(trading, SPOT, Side.BUY, "0.0053", margin=True) == Decimal("0.0053")
        assert len(await trading.fills(SPOT, since_ms=since_ms, margin=True)) >= 2
        assert await trading.fills(SPOT, since_ms=since_ms) == [], "the spot desk is another one"
        await trading.repay("BTC", borrowed + debt.interest)
        assert not [one for one in await trading.balances() if one.borrowed]
        loans = await trading.records("borrow", since_ms=since_ms)
        assert [one.amount for one in loans] == [borrowed]


async def test_a_loan_that_is_refused_says_that_nothing_was_lent() -> None:
    async with opened("binance") as (_, trading):
        await trading.transfer("USDT", Decimal(100), source="spot", target="margin")
        for call in (trading.borrow("BTC", Decimal(1_000)), trading.repay("BTC", Decimal(1))):
            with pytest.raises(VenueError) as caught:
                await call
            assert caught.value.error_class == "refused"
        assert not [one for one in await trading.balances() if one.borrowed]


async def test_what_bitget_cannot_is_refused_by_name() -> None:
    async with opened("bitget") as (_, trading):
        with pytest.raises(VenueError, match="not possible on Bitget"):
            await trading.borrow("BTC", Decimal(1))
        with pytest.raises(VenueError, match="set it on the site"):
            await trading.configure(
                PERP, margin_mode=MarginMode.ISOLATED, leverage=3, position_mode=PositionMode.ONE_WAY
            )


@pytest.mark.parametrize("name", VENUES)
async def test_keys_tell_what_they_may(name: str) -> None:
    async with opened(name) as (_, trading):
        found = await trading.permissions()
        assert (found.readable, found.may_trade, found.may_withdraw, found.ip_bound) == (
            True,
            True,
            False,
            True,
        )
        offset_ms = trading.clock_offset_ms()
        assert offset_ms is not None
        assert abs(offset_ms) < 1_000
        assert trading.room(PERP, urgency="increase").allowed


@pytest.mark.parametrize("name", VENUES)
async def test_a_clock_that_is_off_is_told_for_as_long_as_it_can_be_measured(name: str) -> None:
    async with opened(name) as (venue, trading):

        async def warmed(reached: Callable[[], bool]) -> None:
            warm = asyncio.create_task(trading.keep_warm())
            await until(reached)
            warm.cancel()

        venue.fault(kind="clock_skew", venue=name, offset_ms=-5_000)
        await warmed(lambda: (trading.clock_offset_ms() or 0.0) < -4_000)
        venue.fault(kind="http_5xx", venue=name, endpoint="*time")
        await warmed(lambda: trading.clock_offset_ms() is None)


@pytest.mark.parametrize("name", VENUES)
async def test_a_server_error_is_seen_though_its_body_reads_like_a_refusal(name: str) -> None:
    async with opened(name) as (venue, trading):
        venue.fault(kind="http_5xx", venue=name, method="GET")
        with measured() as requests, pytest.raises(VenueError, match=r"-1001|40725"):
            await trading.balances()
        assert requests.broke


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not reached():  # noqa: ASYNC110 - the stream has no event
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("name", VENUES)
async def test_the_private_stream_tells_and_mends_itself(name: str) -> None:
    async with opened(name) as (venue, trading):
        heard: list[TradingEvent] = []
        task = asyncio.ensure_future(trading.stream(heard.append))
        try:
            await asyncio.sleep(2)  # subscribed; nothing says when
            assert await filled(trading, SPOT, Side.BUY, "0.01") == Decimal("0.01")
            assert await filled(trading, PERP, Side.SELL, "0.01") == Decimal("0.01")

            def bought(slug: str) -> bool:
                final = [one for one in heard if isinstance(one, OrderReport) and one.is_final]
                fills = [one for one in heard if isinstance(one, FillReport) and one.instrument == slug]
                return any(one.instrument == slug for one in final) and bool(fills)

            await until(lambda: bought(SPOT) and bought(PERP))
            assert not [one for one in heard if isinstance(one, GapSeen)]
            heard.clear()
            venue.fault(kind="ws_disconnect", venue=name, endpoint="ws:*", duration_sec=1.0)
            assert await filled(trading, PERP, Side.BUY, "0.01", reduce_only=True) == Decimal("0.01")

            def mended() -> bool:
                gap = next((i for i, one in enumerate(heard) if isinstance(one, GapSeen)), None)
                return gap is not None and any(
                    isinstance(one, FillReport) and one.side is Side.BUY and one.instrument == PERP
                    for one in heard[gap:]
                )

            await until(mended)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_looks_go_on_where_other_polls_must_wait_and_end_where_opens_do() -> None:
    async with opened("binance") as (_, trading):
        for weight, looks in (("1300", True), ("1900", False)):
            for place in trading.places.all:
                used = {"x-mbx-used-weight-1m": str(int(weight) * place.desk.limits[0].most // 2_400)}
                place.budget.read(f"https://{place.desk.host}/x", 200, used)
            with pytest.raises(VenueError, match="request weight"):
                await trading.fee_rates(PERP)
            if looks:
                assert await trading.positions() == []
                assert await trading.balances()
            else:
                with pytest.raises(VenueError, match="request weight"):
                    await trading.positions()


async def test_a_wait_for_our_own_limiter_is_not_on_the_wire() -> None:
    async with opened("binance") as (_, trading):
        await trading.balances()
        for place in trading.places.all:
            place.poll.exchange.throttler.config["tokens"] = -20  # a burst has gone before
        began_us = mono_us()
        with measured() as requests:
            await trading.balances()
        waited_us = mono_us() - began_us
        assert len(requests.times_us) == 3
        assert max(requests.times_us) < waited_us / 2
        assert not requests.broke
