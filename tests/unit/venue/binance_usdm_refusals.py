"""What USD-M refuses of new orders: the real venue's code and text, and the class that ccxt makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import ccxt
from msgspec.structs import replace

from libs.exchange.engine.commands import SetListing
from libs.exchange.engine.types import MarketStatus
from tests.unit.venue.binance_usdm_bench import PERP, SYMBOL, UsdmBench

Params = dict[str, Any]
Place = tuple[str, str]
Said = tuple[int, str, type[Exception]]
Prepare = Callable[[UsdmBench], Any]


def buy(quantity: str = "0.1", price: str = "39000.0", tif: str = "GTC", **more: Any) -> Params:
    return UsdmBench.limit("BUY", quantity, price, tif, **more)


def market(**more: Any) -> Params:
    return {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "0.1", **more}


def without(params: Params, name: str) -> Params:
    return {key: value for key, value in params.items() if key != name}


def nothing(bench: UsdmBench) -> None:
    assert bench.send("GET", "openOrders") == []


def holding(bench: UsdmBench) -> None:
    assert bench.buy("1", "40000.0")["status"] == "FILLED"


def ordering(bench: UsdmBench) -> None:
    bench.buy("0.1", "39000.0", "GTC", newClientOrderId="mine")


def hedged(bench: UsdmBench) -> None:
    bench.send("POST", "positionSide/dual", dualSidePosition="true")


def isolated(bench: UsdmBench) -> None:
    bench.send("POST", "marginType", symbol=SYMBOL, marginType="ISOLATED")
    holding(bench)


def with_status(status: MarketStatus) -> Prepare:
    def prepare(bench: UsdmBench) -> None:
        listing = replace(bench.house.engine.listing(PERP), status=status)
        bench.house.tell(SetListing(listing=listing), bench.now)

    return prepare


def missing(name: str) -> Said:
    text = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    return -1102, text, ccxt.BadRequest


POST = ("POST", "order")
HISTORY = " The order will not be recorded in the order history"
QTY_LEGAL = r"legal range is '^([0-9]{1,20})(\.[0-9]{1,20})?$'"
ID_LEGAL = r"legal range is '^[\.A-Z\:/a-z0-9_-]{1,36}$'"
ALL_AT_ONCE = f"Due to the order could not be filled immediately, the FOK order has been rejected.{HISTORY}"
MAKER_ONLY = (
    f"Due to the order could not be executed as maker, the Post Only order will be rejected.{HISTORY}"
)


class Case(NamedTuple):
    """A call that is refused after `after` has happened."""

    name: str
    place: Place
    params: Params
    code: int
    text: str
    kind: type[Exception]
    after: Prepare


def case(name: str, place: Place, params: Params, said: Said, *, after: Prepare = nothing) -> Case:
    return Case(name, place, params, *said, after)


CASES: list[Case] = [
    case("margin", POST, buy("10"), (-2019, "Margin is insufficient.", ccxt.InsufficientFunds)),
    case(
        "reduce only",
        POST,
        buy(reduceOnly="true"),
        (-2022, "ReduceOnly Order is rejected.", ccxt.InvalidOrder),
    ),
    case("post only", POST, buy(price="40000.0", tif="GTX"), (-5022, MAKER_ONLY, ccxt.OrderNotFillable)),
    case("fill or kill", POST, buy("2", "40000.0", "FOK"), (-5021, ALL_AT_ONCE, ccxt.OrderNotFillable)),
    case(
        "same id",
        POST,
        buy(newClientOrderId="mine"),
        (-4116, "ClientOrderId is duplicated.", ccxt.InvalidOrder),
        after=ordering,
    ),
    case(
        "quantity precision",
        POST,
        buy("0.1001"),
        (-1111, "Precision is over the maximum defined for this asset.", ccxt.BadRequest),
    ),
    case(
        "price precision",
        POST,
        buy(price="39000.01"),
        (-1111, "Precision is over the maximum defined for this asset.", ccxt.BadRequest),
    ),
    case(
        "notional",
        POST,
        buy("0.001", "4000.0"),  # however far below the mark: the band bounds a buy from above only
        (
            -4164,
            "Order's notional must be no smaller than 5 (unless you choose reduce only)",
            ccxt.InvalidOrder,
        ),
    ),
    case("quantity zero", POST, buy("0"), (-4003, "Quantity less than or equal to zero.", ccxt.BadRequest)),
    case("quantity above", POST, buy("101"), (-4005, "Quantity greater than max quantity.", ccxt.BadRequest)),
    case(
        "market quantity above",
        POST,
        market(quantity="51"),
        (-4005, "Quantity greater than max quantity.", ccxt.BadRequest),
    ),
    case(
        "price above the band",
        POST,
        buy(price="46000.1"),
        (-4016, "Limit price can't be higher than 46000.0.", ccxt.BadRequest),
    ),
    case(
        "price below the band",
        POST,
        {**buy(price="33999.9"), "side": "SELL"},
        (-4024, "Limit price can't be lower than 34000.0.", ccxt.BadRequest),
    ),
    case("price zero", POST, buy(price="0"), (-4001, "Price less than 0.", ccxt.BadRequest)),
    case(
        "not a number",
        POST,
        buy("1e3"),
        (-1100, f"Illegal characters found in parameter 'quantity'; {QTY_LEGAL}.", ccxt.BadRequest),
    ),
    case(
        "id too long",
        POST,
        buy(newClientOrderId="x" * 37),
        (-4015, "Client order id length should not be more than 36 chars", ccxt.BadRequest),
    ),
    case(
        "id with a blank",
        POST,
        buy(newClientOrderId="a b"),
        (-1100, f"Illegal characters found in parameter 'newClientOrderId'; {ID_LEGAL}.", ccxt.BadRequest),
    ),
    case("side", POST, buy() | {"side": "LONG"}, (-1117, "Invalid side.", ccxt.BadRequest)),
    case("type", POST, buy() | {"type": "ICEBERG"}, (-1116, "Invalid orderType.", ccxt.BadRequest)),
    case(
        "conditional",
        POST,
        market() | {"type": "STOP_MARKET", "stopPrice": "1"},
        (
            -4120,
            "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
            ccxt.InvalidOrder,
        ),
    ),
    case("time in force", POST, buy(tif="DAY"), (-1115, "Invalid timeInForce.", ccxt.BadRequest)),
    case(
        "market with a price",
        POST,
        market(price="1"),
        (-1106, "Parameter 'price' sent when not required.", ccxt.BadRequest),
    ),
    case("no symbol", POST, without(buy(), "symbol"), missing("symbol")),
    case("no side", POST, without(buy(), "side"), missing("side")),
    case("no quantity", POST, without(buy(), "quantity"), missing("quantity")),
    case("no price", POST, without(buy(), "price"), missing("price")),
    case("no time in force", POST, without(buy(), "timeInForce"), missing("timeInForce")),
    case("symbol", POST, buy() | {"symbol": "NONE"}, (-1121, "Invalid symbol.", ccxt.BadSymbol)),
    case(
        "position side in one-way mode",
        POST,
        buy(positionSide="LONG"),
        (-4061, "Order's position side does not match user's setting.", ccxt.OperationRejected),
    ),
    case(
        "no position side in hedge mode",
        POST,
        buy(),
        (-4061, "Order's position side does not match user's setting.", ccxt.OperationRejected),
        after=hedged,
    ),
    case(
        "reduce only in hedge mode",
        POST,
        buy(positionSide="SHORT", reduceOnly="true"),
        (-1106, "Parameter 'reduceonly' sent when not required.", ccxt.BadRequest),
        after=hedged,
    ),
    case(
        "position side unknown",
        POST,
        buy(positionSide="UP"),
        (-4060, "Invalid position side.", ccxt.BadRequest),
    ),
    case(
        "beyond the bracket",
        POST,
        buy("1.3"),
        (-2027, "Exceeded the maximum allowable position at current leverage.", ccxt.OperationRejected),
        after=lambda bench: bench.send("POST", "leverage", symbol=SYMBOL, leverage=125),
    ),
    case(
        "halted",
        POST,
        buy(),
        (-4140, "Invalid symbol status for opening position.", ccxt.BadRequest),
        after=with_status(MarketStatus.HALTED),
    ),
    case(
        "delisted",
        POST,
        buy(),
        (
            -4108,
            "Symbol is on delivering or delivered or settling or closed or pre-trading.",
            ccxt.ExchangeError,
        ),
        after=with_status(MarketStatus.DELISTED),
    ),
]
