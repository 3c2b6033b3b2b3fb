"""What an order's failure proves, with unmodified ccxt against the simulated venue committing each fault."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from libs.exchange.live import wire
from libs.exchange.live.adapter import CcxtTrading
from libs.exchange.redirect import Redirect
from libs.exchange.trading import (
    Done,
    Found,
    NeverSent,
    NotFound,
    OrderRequest,
    QueryFailed,
    Rejected,
    Side,
    Unknown,
    send_together,
)
from services.venue import customers
from tests.helpers.trading import PERP, SPOT, an_order, config_of, price_of, trading_on
from tests.helpers.venue import Venue, running_venue

ORDER = {"binance": "/fapi/v1/order", "bitget": "/api/v3/trade/place-order"}
VENUES = tuple(ORDER)


@contextlib.asynccontextmanager
async def opened(
    name: str, *, timeout_sec: float = 1.5
) -> AsyncIterator[tuple[Venue, CcxtTrading, OrderRequest]]:
    """A venue, its port, and an order that would rest."""
    async with running_venue() as venue:
        config = config_of(customers.told(venue.server.keys["u1"]), timeout_sec=timeout_sec)
        async with trading_on(venue.redirect, config, name) as trading:
            yield venue, trading, an_order(PERP, Side.BUY, await price_of(trading, PERP, "0.98"))


def orders_at(venue: Venue) -> int:
    return sum(
        row.client_id.startswith("fatest") for row in venue.server.arrivals.since() if row.method == "POST"
    )


UNKNOWN: tuple[tuple[str, dict[str, Any]], ...] = (
    ("time-out", {"kind": "delay", "delay_ms": 4_000}),
    ("connection reset after send", {"kind": "request_lost"}),
    ("reply lost", {"kind": "reply_lost"}),
    ("late landing", {"kind": "late_landing", "delay_ms": 200}),
    ("5xx", {"kind": "http_5xx", "status": 503}),
    ("502", {"kind": "http_5xx", "status": 502}),
    ("HTML 200", {"kind": "html_200"}),
    ("truncated JSON", {"kind": "truncated"}),
    ("order without id", {"kind": "order_without_id"}),
)


@pytest.mark.parametrize("name", VENUES)
@pytest.mark.parametrize(("what", "fault"), UNKNOWN, ids=[what for what, _ in UNKNOWN])
async def test_a_fate_that_is_not_proven_is_unknown(name: str, what: str, fault: dict[str, Any]) -> None:
    async with opened(name) as (venue, trading, order):
        venue.fault(venue=name, endpoint=ORDER[name], count=1, **fault)
        outcome = await trading.submit(order)
        assert isinstance(outcome, Unknown), (what, outcome)
        assert outcome.why
        calls = sum(count for path, count in venue.server.calls.items() if path.endswith(ORDER[name]))
        assert calls == 1, "an id is sent once"


async def test_an_overloaded_venue_proves_nothing() -> None:
    async with opened("binance") as (venue, trading, order):
        venue.fault(kind="operation_failed", venue="binance", endpoint=ORDER["binance"], count=1)
        outcome = await trading.submit(order)
        assert isinstance(outcome, Unknown)
        assert "-1008" in outcome.why


@pytest.mark.parametrize("name", VENUES)
@pytest.mark.parametrize("kind", ["http_429", "http_418"])
async def test_a_limited_client_was_refused(name: str, kind: str) -> None:
    async with opened(name) as (venue, trading, order):
        venue.fault(kind=kind, venue=name, endpoint=ORDER[name], count=1, retry_after_sec=30)
        outcome = await trading.submit(order)
        if (name, kind) == ("bitget", "http_418"):  # a status and a body that are none of Bitget's own
            assert isinstance(outcome, Unknown)
        else:
            assert isinstance(outcome, Rejected)
            assert outcome.reason == "rate_limit"
        opens = trading.room(PERP, urgency="increase")
        assert not opens.allowed
        assert 25 < opens.wait_sec <= 30
        assert trading.room(PERP, urgency="reduce").allowed == (kind == "http_429")


@pytest.mark.parametrize("name", VENUES)
async def test_a_lost_reply_is_resolved_by_asking(name: str) -> None:
    async with opened(name) as (venue, trading, order):
        venue.fault(kind="reply_lost", venue=name, endpoint=ORDER[name], count=1)
        assert isinstance(await trading.submit(order), Unknown)
        found = await trading.query(PERP, order.client_id)
        assert isinstance(found, Found)
        assert found.report.client_id == order.client_id
        assert (await trading.query(PERP, "fanever")) == NotFound(
            code={"binance": "-2013", "bitget": "25204"}[name]
        )
        venue.fault(kind="http_5xx", venue=name, count=2)
        assert isinstance(await trading.query(PERP, order.client_id), QueryFailed)


async def test_a_refused_connection_is_never_sent() -> None:
    async with opened("binance") as (venue, trading, order):
        await venue.server.stop()
        outcome = await trading.submit(order)
        assert isinstance(outcome, NeverSent)
        assert "connect" in outcome.why


async def test_a_leg_that_is_not_ready_holds_back_the_other() -> None:
    async with opened("binance") as (venue, trading, order):
        bad = an_order(SPOT, Side.BUY, Decimal("50000.001"), client_id="fatestbad")
        outcomes = await trading.submit_all([order, bad])
        assert all(isinstance(outcome, NeverSent) for outcome in outcomes)
        assert "multiple of" in outcomes[1].why  # type: ignore[union-attr]
        assert orders_at(venue) == 0


async def test_what_is_held_is_not_written() -> None:
    async with opened("binance") as (venue, trading, order):
        held = await trading.prepare(order)
        assert not isinstance(held, NeverSent)
        await asyncio.sleep(0.3)
        assert orders_at(venue) == 0
        assert await held.abandon("the gate said no") == NeverSent(why="the gate said no")
        with pytest.raises(RuntimeError):
            held.release()
        assert await trading.query(PERP, order.client_id) == NotFound(code="-2013")
        assert orders_at(venue) == 0


async def test_what_is_held_too_long_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "HOLD_SEC_MAX", 0.2)
    async with opened("binance") as (venue, trading, order):
        held = await trading.prepare(order)
        assert not isinstance(held, NeverSent)
        await asyncio.sleep(0.6)
        assert isinstance((await send_together([held]))[0], NeverSent)
        assert orders_at(venue) == 0


async def test_a_cancelled_wait_leaves_the_order_at_the_venue() -> None:
    async with opened("binance") as (venue, trading, order):
        venue.fault(kind="delay", venue="binance", endpoint=ORDER["binance"], delay_ms=800, processed=True)
        task = asyncio.ensure_future(trading.submit(order))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert isinstance(await trading.query(PERP, order.client_id), Found)


async def test_no_secret_in_what_is_said() -> None:
    async with opened("bitget") as (venue, trading, order):
        secrets = [text for key in venue.server.keys["u1"].values() for text in (key.secret, key.api_key)]
        said = []
        for fault in ("delay", "reply_lost", "html_200", "http_5xx"):
            venue.fault(kind=fault, delay_ms=4_000, venue="bitget", endpoint="*", count=2)
            said.append(repr(await trading.submit(an_order(PERP, Side.BUY, order.price or Decimal(1)))))
            said.append(repr(await trading.query(PERP, order.client_id)))
            venue.clear_faults()
        wrong = Redirect(port=venue.redirect.port, ca_path=venue.redirect.ca_path)
        said.append(repr(wrong))
        assert not [text for text in said for secret in secrets if secret in text or "sign" in text.lower()]


async def test_a_done_order_says_what_it_is() -> None:
    async with opened("binance") as (_, trading, order):
        outcome = await trading.submit(order)
        assert isinstance(outcome, Done)
        assert outcome.report.client_id == order.client_id
        assert outcome.report.status == "expired"
        assert outcome.report.is_final
