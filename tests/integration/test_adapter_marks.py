"""A mark is as old as the answer that had it: Bitget's rates have none and carry the last ticker's."""

from __future__ import annotations

import pytest

from libs.common.clock import SystemClock
from libs.common.config.schema import Config
from libs.exchange.factory import open_market_data
from tests.helpers.venue import running_venue

PERP = "INJ-USDT-PERP"


@pytest.mark.parametrize("venue", ["binance", "bitget"])
async def test_a_mark_that_comes_with_a_rate_knows_when_it_was_seen(venue: str) -> None:
    async with running_venue() as world:
        clock = SystemClock(world.server.clock)
        data = await open_market_data(venue, config=Config(), clock=clock, redirect=world.redirect)
        try:
            await data.load()
            (quote,) = await data.fetch_quotes([PERP])
            (funding,) = await data.fetch_funding([PERP])
        finally:
            await data.close()
    assert funding.mark is not None
    assert funding.recv_us > quote.recv_us
    if venue == "bitget":
        assert quote.mark == funding.mark
        assert funding.mark_us == quote.recv_us
    else:
        assert (quote.mark, funding.mark_us) == (None, None)
