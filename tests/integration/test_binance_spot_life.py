"""A life on Binance's spot wallet through unmodified ccxt: bought, rested, canceled, transferred, looked up.

Every balance is worked out in the test from what the trades say, to the last digit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import ROUND_DOWN, Decimal
from typing import Any

import ccxt.async_support as ccxt
import pytest

from tests.helpers.venue import running_venue

SYMBOL = "BTC/USDT"
FEE = Decimal("0.001")
ZERO, START, COINS = Decimal(0), Decimal(50_000), Decimal(50)


@pytest.fixture
async def exchange() -> AsyncIterator[Any]:
    deposits = f"binance.spot.USDT={START},binance.spot.BTC={COINS}"
    async with running_venue(deposits=deposits) as venue, venue.trader("binance") as one:
        yield one


def cut(value: Decimal) -> Decimal:
    """Fees are booked with 8 digits, the rest cut off."""
    return value.quantize(Decimal("1e-8"), rounding=ROUND_DOWN)


def of_trades(trades: list[dict[str, Any]]) -> tuple[Decimal, Decimal, Decimal]:
    """(base, quote, fees): sums over raw trades or fills, each fee worked out from its own price and size."""
    base = quote = fees = Decimal(0)
    for trade in trades:
        price, size = Decimal(trade["price"]), Decimal(trade["qty"])
        fee = cut(size * FEE) if trade["commissionAsset"] == "BTC" else cut(price * size * FEE)
        assert Decimal(trade["commission"]) == fee
        base, quote, fees = base + size, quote + price * size, fees + fee
    return base, quote, fees


async def held(exchange: Any, asset: str) -> tuple[Decimal, Decimal]:
    """(free, locked) as the venue says them."""
    info = (await exchange.fetch_balance())["info"]
    row = next(one for one in info["balances"] if one["asset"] == asset)
    return Decimal(row["free"]), Decimal(row["locked"])


async def test_a_spot_life(exchange: Any) -> None:
    await exchange.load_markets()
    assert await held(exchange, "USDT") == (START, ZERO)

    # A market buy pays its fee in what it buys.
    bought = await exchange.create_order(SYMBOL, "market", "buy", 0.1, None, {"clientOrderId": "fa-buy"})
    base, quote, fees = of_trades(bought["info"]["fills"])
    assert (bought["status"], bought["filled"], bought["clientOrderId"]) == ("closed", 0.1, "fa-buy")
    assert base == Decimal("0.1")
    assert bought["fees"][0]["currency"] == "BTC"
    btc, usdt = COINS + base - fees, START - quote
    assert await held(exchange, "BTC") == (btc, ZERO)
    assert await held(exchange, "USDT") == (usdt, ZERO)

    # Far below the market an order waits, its cost locked.
    ask, wanted = Decimal(str((await exchange.fetch_order_book(SYMBOL, 5))["asks"][0][0])), Decimal("0.2")
    rests = await exchange.create_order(SYMBOL, "limit", "buy", float(wanted), float(ask * Decimal("0.9")))
    assert (rests["status"], rests["filled"], rests["trades"]) == ("open", 0.0, [])
    locked = Decimal(rests["info"]["price"]) * wanted
    assert await held(exchange, "USDT") == (usdt - locked, locked)
    assert [one["id"] for one in await exchange.fetch_open_orders(SYMBOL)] == [rests["id"]]
    exchange.options["fetchOpenOrders"]["warnWithoutSymbol"] = False
    assert [one["id"] for one in await exchange.fetch_open_orders()] == [rests["id"]]
    gone = await exchange.cancel_order(rests["id"], SYMBOL)
    assert (gone["status"], gone["id"]) == ("canceled", rests["id"])
    assert await held(exchange, "USDT") == (usdt, ZERO)

    # An IOC with a collar: whatever the book gives up to there.
    collar = float((ask * Decimal("1.001")).quantize(Decimal("0.01")))
    ioc = await exchange.create_order(
        SYMBOL, "limit", "buy", 0.05, collar, {"timeInForce": "IOC", "clientOrderId": "fa-ioc"}
    )
    assert ioc["status"] == "closed"
    base, quote, fees = of_trades(ioc["info"]["fills"])
    btc, usdt = btc + base - fees, usdt - quote

    # A sell pays its fee in quote.
    sold = await exchange.create_order(SYMBOL, "market", "sell", 0.12)
    base, quote, fees = of_trades(sold["info"]["fills"])
    btc, usdt = btc - base, usdt + quote - fees
    assert await held(exchange, "BTC") == (btc, ZERO)
    assert await held(exchange, "USDT") == (usdt, ZERO)

    # The same again out of the record: all trades together make exactly the balances.
    trades = await exchange.fetch_my_trades(SYMBOL)
    raw = [one["info"] for one in trades]
    buys = of_trades([one for one in raw if one["isBuyer"]])
    sells = of_trades([one for one in raw if not one["isBuyer"]])
    assert btc == COINS + buys[0] - buys[2] - sells[0]
    assert usdt == START - buys[1] + sells[1] - sells[2]
    assert {one["takerOrMaker"] for one in trades} == {"taker"}
    found = await exchange.fetch_order("", SYMBOL, {"clientOrderId": "fa-ioc"})
    assert (found["id"], found["timeInForce"], found["status"]) == (ioc["id"], "IOC", "closed")
    statuses = [one["status"] for one in await exchange.fetch_orders(SYMBOL)]
    assert statuses == ["closed", "canceled", "closed", "closed"]


async def test_a_large_order_fills_in_part_and_its_rest_is_canceled(exchange: Any) -> None:
    """More than the book holds down to its price: a part at once, a part while it rests."""
    await exchange.load_markets()
    bid = Decimal(str((await exchange.fetch_order_book(SYMBOL, 5))["bids"][0][0]))
    price = (bid * Decimal("0.9999")).quantize(Decimal("0.01"))
    made = await exchange.create_order(SYMBOL, "limit", "sell", 40, float(price), {"clientOrderId": "fa-big"})
    assert made["status"] == "open"
    assert 0 < made["filled"] < 40
    gone = await exchange.cancel_order("", SYMBOL, {"clientOrderId": "fa-big"})
    assert (gone["status"], gone["info"]["origQty"]) == ("canceled", "40.00000000")
    trades = [one["info"] for one in await exchange.fetch_my_trades(SYMBOL, None, 1_000)]
    base, quote, fees = of_trades(trades)
    assert base == Decimal(gone["info"]["executedQty"]) < 40
    assert quote == Decimal(gone["info"]["cummulativeQuoteQty"])
    assert all(Decimal(one["price"]) >= price for one in trades)
    assert all(Decimal(one["price"]) == price for one in trades if one["isMaker"])
    assert await held(exchange, "BTC") == (COINS - base, ZERO)
    assert await held(exchange, "USDT") == (START + quote - fees, ZERO)


async def test_money_to_the_futures_and_back(exchange: Any) -> None:
    moved = await exchange.transfer("USDT", 1234.5678, "spot", "swap")
    assert await held(exchange, "USDT") == (START - Decimal("1234.5678"), ZERO)
    await exchange.transfer("USDT", 234.5678, "swap", "spot")
    assert await held(exchange, "USDT") == (START - 1_000, ZERO)
    rows = await exchange.fetch_transfers("USDT")
    wanted = {"id": moved["id"], "amount": 1234.5678, "status": "ok"}
    assert [{name: row[name] for name in wanted} for row in rows] == [wanted]
    assert (rows[0]["fromAccount"], rows[0]["toAccount"]) == ("spot", "linear")
    back = await exchange.fetch_transfers("USDT", None, None, {"fromAccount": "swap", "toAccount": "spot"})
    assert [row["amount"] for row in back] == [234.5678]


async def test_what_ccxt_asks_of_an_account(exchange: Any) -> None:
    await exchange.load_markets()
    assert exchange.currencies["BTC"]["precision"] == 1e-8
    fees = await exchange.fetch_trading_fees({"type": "spot"})
    assert (fees[SYMBOL]["maker"], fees[SYMBOL]["taker"]) == (0.001, 0.001)
    one = await exchange.fetch_trading_fee(SYMBOL)
    assert (one["symbol"], one["taker"]) == (SYMBOL, 0.001)
    restrictions = await exchange.sapi_get_account_apirestrictions()
    assert restrictions["enableSpotAndMarginTrading"]
    assert not restrictions["enableWithdrawals"]
    assert (await exchange.sapi_get_account_status())["data"] == "Normal"
    assert (await exchange.private_get_account_commission({"symbol": "BTCUSDT"}))["symbol"] == "BTCUSDT"
    assert len(await exchange.private_get_ratelimit_order()) == 2
    assets = await exchange.sapiv3_post_asset_getuserasset()
    assert [row["asset"] for row in assets] == ["BTC", "USDT"]
    assert (await exchange.fetch_balance({"type": "funding"}))["total"] == {}
    cost = await exchange.create_market_buy_order_with_cost(SYMBOL, 500)
    assert 490 < cost["cost"] <= 500
    proceeds = await exchange.create_market_sell_order_with_cost(SYMBOL, 250)
    assert 240 < proceeds["cost"] <= 250
    canceled = await exchange.create_order(SYMBOL, "limit", "buy", 0.001, 60_000)
    assert [row["id"] for row in await exchange.cancel_all_orders(SYMBOL)] == [canceled["id"]]


async def test_refusals_over_the_wire_are_ccxt_s_exceptions(exchange: Any) -> None:
    await exchange.load_markets()
    bid = (await exchange.fetch_order_book(SYMBOL, 5))["bids"][0][0]
    cases: list[tuple[type[Exception], tuple[Any, ...]]] = [
        (ccxt.InsufficientFunds, ("market", "buy", 1)),
        (ccxt.InsufficientFunds, ("market", "sell", 51)),
        (ccxt.OrderImmediatelyFillable, ("limit", "buy", 0.001, bid * 1.01, {"postOnly": True})),
        (ccxt.BadRequest, ("limit", "buy", 0.00001, bid * 0.9)),
        (ccxt.InvalidOrder, ("limit", "buy", 500, bid * 0.9)),
        (ccxt.BadRequest, ("limit", "buy", 0.001, bid * 0.9, {"reduceOnly": True})),
    ]
    for error, order in cases:
        with pytest.raises(error):
            await exchange.create_order(SYMBOL, *order)
    await exchange.create_order(SYMBOL, "limit", "buy", 0.001, bid * 0.9, {"clientOrderId": "twice"})
    with pytest.raises(ccxt.InvalidOrder, match="Duplicate order sent"):
        await exchange.create_order(SYMBOL, "limit", "buy", 0.001, bid * 0.9, {"clientOrderId": "twice"})
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.fetch_order("", SYMBOL, {"clientOrderId": "nobody"})
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.cancel_order("987654", SYMBOL)
    with pytest.raises(ccxt.InsufficientFunds):
        await exchange.transfer("USDT", 1_000_000, "spot", "swap")
    exchange.options["timeDifference"] = 20_000  # the clock as ccxt believes it, 20 s behind
    with pytest.raises(ccxt.InvalidNonce):
        await exchange.fetch_balance()
    exchange.options["timeDifference"] = 0
    exchange.secret = "forged"
    with pytest.raises(ccxt.AuthenticationError, match="Signature for this request is not valid"):
        await exchange.fetch_balance()
