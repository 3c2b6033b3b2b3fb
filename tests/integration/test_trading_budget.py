"""Our own request limiter beside the reads that an order's fate hangs on, with real ports on the venue."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from libs.common.subjects import Kind
from libs.exchange.errors import is_local
from libs.exchange.live.adapter import CcxtTrading
from libs.exchange.port import VenueError
from libs.exchange.trading import Found, NotFound, Side
from libs.exchange.urgency import reading
from services.venue import customers
from tests.helpers.trading import PERP, an_order, config_of, price_of, trading_on
from tests.helpers.venue import running_venue

WEIGHT = "x-mbx-used-weight-1m"

READS: dict[str, Callable[[CcxtTrading], Awaitable[Any]]] = {
    "open orders": lambda port: port.open_orders(PERP),
    "trades": lambda port: port.fills(PERP, since_ms=0),
    "positions": lambda port: port.positions(),
    "the account's layout": lambda port: port.account.verify_layout(),
}
"""What recovery, the search for a denied order, a close by force and an opening of the account read."""


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[CcxtTrading]:
    async with running_venue() as venue:
        config = config_of(customers.told(venue.server.keys["u1"]))
        async with trading_on(venue.redirect, config, "binance") as trading:
            yield trading


def use(trading: CcxtTrading, percent: int) -> None:
    """Somebody has used so much of the venue's minute; each answer tells the limiter what is true again."""
    place = trading.places.serving(Kind.PERP)
    place.budget.read(f"https://{place.desk.host}/", 200, {WEIGHT: str(2_400 * percent // 100)})


async def refusal(trading: CcxtTrading, name: str, *, percent: int, urgent: bool) -> VenueError | None:
    use(trading, percent)
    try:
        with reading(urgent=urgent):
            await READS[name](trading)
    except VenueError as error:
        return error
    return None


@pytest.mark.parametrize("name", READS)
async def test_a_read_that_a_reduction_waits_for_goes_on_while_the_others_are_held_back(name: str) -> None:
    async with opened() as trading:
        held = await refusal(trading, name, percent=80, urgent=False)
        assert held is not None
        assert is_local(held)
        assert "our own limiter holds it back, not the venue: 80% of 2400" in str(held)
        assert held.retry_after_sec is not None
        assert 0 < held.retry_after_sec <= 60
        for percent in (80, 94):
            assert await refusal(trading, name, percent=percent, urgent=True) is None
        last = await refusal(trading, name, percent=96, urgent=True)
        assert last is not None, "the last twentieth is the orders'"
        assert trading.room(PERP, urgency="increase").allowed is False


async def test_orders_and_queries_pass_where_even_urgent_reads_are_held_back() -> None:
    async with opened() as trading:
        use(trading, 97)
        assert trading.room(PERP, urgency="reduce").allowed
        assert isinstance(await trading.query(PERP, "fatestnever"), NotFound)
        order = an_order(PERP, Side.BUY, await price_of(trading, PERP, "0.98"))
        use(trading, 97)
        await trading.submit(order)
        assert isinstance(await trading.query(PERP, order.client_id), Found)


async def test_an_account_opens_while_the_minute_is_nearly_used_and_asks_nothing_during_a_ban() -> None:
    async with opened() as trading:
        place = trading.places.serving(Kind.PERP)
        use(trading, 97)
        with reading(urgent=True):
            await trading.load()  # its own answers tell that there is room
        place.budget.read(f"https://{place.desk.host}/", 418, {"Retry-After": "120"})
        asked: list[str] = []
        fetch = place.poll.exchange.fetch

        async def counted(url: str, *rest: Any, **more: Any) -> Any:
            asked.append(url)
            return await fetch(url, *rest, **more)

        place.poll.exchange.fetch = counted
        with reading(urgent=True), pytest.raises(VenueError, match="asked to wait 120 s") as banned:
            await trading.load()
        assert banned.value.retry_after_sec is not None
        assert banned.value.retry_after_sec > 100
        assert asked == []
