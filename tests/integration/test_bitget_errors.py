"""What unmodified ccxt makes of Bitget's refusals; the body's code can be read from each exception."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import ccxt
import pytest

from tests.helpers.venue import Venue, running_venue

SPOT, PERP = "BTC/USDT", "BTC/USDT:USDT"

Act = Callable[[Any], Awaitable[Any]]


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with running_venue(speed=1.0) as running:
        yield running


def code_of(error: Exception) -> str:
    """The body's code: ccxt's message is its own name, a blank, and the body as it came."""
    name, _, body = str(error).partition(" ")
    assert name == "bitget"
    code = json.loads(body)["code"]
    assert isinstance(code, str)
    return code


async def order(exchange: Any, **changed: Any) -> Any:
    """A small market buy of the perpetual, or what is changed of it."""
    asked = {"symbol": PERP, "type": "market", "side": "buy", "amount": 0.01, "price": None, "params": {}}
    return await exchange.create_order(**{**asked, **changed})


async def twice(exchange: Any) -> Any:
    await order(exchange, params={"clientOrderId": "same"})
    return await order(exchange, params={"clientOrderId": "same"})


async def closed(exchange: Any) -> Any:
    done = await order(exchange)
    return await exchange.cancel_order(done["id"], PERP)


async def raw(exchange: Any, **changed: Any) -> Any:
    """An order past ccxt's own checks."""
    asked = {
        "category": "USDT-FUTURES",
        "symbol": "BTCUSDT",
        "side": "buy",
        "orderType": "market",
        "qty": "0.01",
    }
    return await exchange.private_uta_post_v3_trade_place_order({**asked, **changed})


CASES: dict[str, tuple[str, type[Exception], Act]] = {
    "not found": ("25204", ccxt.ExchangeError, lambda e: e.fetch_order("999", PERP)),
    "not found by client id": (
        "25204",
        ccxt.ExchangeError,
        lambda e: e.fetch_order(None, PERP, {"clientOrderId": "nobody"}),
    ),
    "nothing to cancel": ("25204", ccxt.ExchangeError, closed),
    "no orders to cancel": ("22001", ccxt.ExchangeError, lambda e: e.cancel_all_orders(PERP)),
    "too little quote": (
        "25202",
        ccxt.ExchangeError,
        lambda e: order(e, symbol=SPOT, amount=500_000, params={"createMarketBuyOrderRequiresPrice": False}),
    ),
    "too little base": ("25202", ccxt.ExchangeError, lambda e: order(e, symbol=SPOT, side="sell")),
    "too little margin": ("25203", ccxt.ExchangeError, lambda e: order(e, amount=40)),
    "duplicate": ("40786", ccxt.ExchangeError, twice),
    "nothing to reduce": ("25227", ccxt.ExchangeError, lambda e: order(e, params={"reduceOnly": True})),
    "beyond the loan": (
        "40762",
        ccxt.InsufficientFunds,
        lambda e: order(e, symbol=SPOT, side="sell", amount=3, params={"marginMode": "cross"}),
    ),
    "hold mode": ("40774", ccxt.InvalidOrder, lambda e: order(e, params={"hedged": True})),
    "too little value": ("45110", ccxt.InvalidOrder, lambda e: raw(e, category="SPOT", qty="0.5")),
    "too fine": ("40808", ccxt.InvalidOrder, lambda e: raw(e, qty="0.00015")),
    "price off tick": ("25244", ccxt.ExchangeError, lambda e: raw(e, orderType="limit", price="120000.01")),
    "no side": ("40019", ccxt.BadRequest, lambda e: raw(e, side="")),
    "wrong side": ("40017", ccxt.BadRequest, lambda e: raw(e, side="hold")),
    "wrong order id": ("40020", ccxt.BadRequest, lambda e: e.fetch_order("abc", PERP)),
    "unknown symbol": ("40034", ccxt.ExchangeError, lambda e: raw(e, symbol="NOPEUSDT")),
    "empty wallet": ("43012", ccxt.InsufficientFunds, lambda e: e.transfer("USDT", 5, "funding", "uta")),
    "beyond what may leave": (
        "43117",
        ccxt.ExchangeError,
        lambda e: e.transfer("USDT", 1e9, "uta", "funding"),
    ),
    "leverage": ("25223", ccxt.ExchangeError, lambda e: e.set_leverage(99, PERP)),
    "classic margin mode": ("40085", ccxt.PermissionDenied, lambda e: e.set_margin_mode("cross", PERP)),
    "classic leverage": ("40085", ccxt.PermissionDenied, lambda e: e.fetch_leverage(PERP)),
    "classic borrowing": ("40085", ccxt.PermissionDenied, lambda e: e.borrow_cross_margin("BTC", 0.1)),
    "classic repaying": ("40085", ccxt.PermissionDenied, lambda e: e.repay_cross_margin("BTC", 0.1)),
    "classic interest": ("40085", ccxt.PermissionDenied, lambda e: e.fetch_borrow_interest("BTC", since=0)),
}


@pytest.mark.parametrize("name", CASES)
async def test_a_refusal_is_the_exception_that_the_real_venues_is(venue: Venue, name: str) -> None:
    code, kind, act = CASES[name]
    async with venue.trader("bitget") as exchange:
        await exchange.load_markets()
        with pytest.raises(kind) as caught:
            await act(exchange)
        assert type(caught.value) is kind
        assert code_of(caught.value) == code


@pytest.mark.parametrize(
    ("config", "code", "kind"),
    [
        ({"apiKey": "bg_nobody"}, "40006", ccxt.AuthenticationError),
        ({"secret": "wrong"}, "40009", ccxt.AuthenticationError),
        ({"password": "wrong"}, "40012", ccxt.AuthenticationError),
        ({"options": {"timeDifference": 60_000}}, "40008", ccxt.InvalidNonce),
    ],
)
async def test_a_wrong_key_is_the_exception_that_the_real_venues_is(
    venue: Venue, config: dict[str, Any], code: str, kind: type[Exception]
) -> None:
    async with venue.trader("bitget", **config) as exchange:
        with pytest.raises(kind) as caught:
            await exchange.private_uta_get_v3_account_settings()
        assert type(caught.value) is kind
        assert code_of(caught.value) == code


async def test_too_many_calls_are_refused_and_pass_again_a_second_later(venue: Venue) -> None:
    async with venue.trader("bitget") as exchange:
        caught = []
        for _ in range(30):
            try:
                await exchange.private_uta_get_v3_account_assets()
            except ccxt.DDoSProtection as error:
                caught.append(code_of(error))
        assert set(caught) == {"429"}
