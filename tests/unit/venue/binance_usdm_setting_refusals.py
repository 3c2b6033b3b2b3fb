"""What USD-M refuses besides new orders, with code, text and the class that ccxt makes of it."""

from __future__ import annotations

import ccxt

from tests.unit.venue.binance_usdm_bench import SYMBOL
from tests.unit.venue.binance_usdm_refusals import Case, case, holding, isolated, ordering

MODE = ("POST", "positionSide/dual")
TYPE = ("POST", "marginType")
LEVERAGE = ("POST", "leverage")

CASES: list[Case] = [
    case(
        "no order",
        ("GET", "order"),
        {"symbol": SYMBOL, "orderId": 1},
        (-2013, "Order does not exist.", ccxt.OrderNotFound),
    ),
    case(
        "no order id",
        ("GET", "order"),
        {"symbol": SYMBOL},
        (
            -1102,
            "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!",
            ccxt.BadRequest,
        ),
    ),
    case(
        "no order to cancel",
        ("DELETE", "order"),
        {"symbol": SYMBOL, "origClientOrderId": "x"},
        (-2011, "Unknown order sent.", ccxt.OrderNotFound),
    ),
    case(
        "leverage",
        LEVERAGE,
        {"symbol": SYMBOL, "leverage": 126},
        (-4028, "Leverage 126 is not valid", ccxt.BadRequest),
    ),
    case(
        "leverage of an isolated position",
        LEVERAGE,
        {"symbol": SYMBOL, "leverage": 5},
        (
            -4161,
            "Leverage reduction is not supported in Isolated Margin Mode with open positions.",
            ccxt.ExchangeError,
        ),
        after=isolated,
    ),
    case(
        "less leverage than the margin allows",
        LEVERAGE,
        {"symbol": SYMBOL, "leverage": 2},
        (-2028, "Leverage is smaller than permitted: insufficient margin balance.", ccxt.OperationRejected),
        after=holding,
    ),
    case(
        "margin type as it is",
        TYPE,
        {"symbol": SYMBOL, "marginType": "CROSSED"},
        (-4046, "No need to change margin type.", ccxt.MarginModeAlreadySet),
    ),
    case(
        "margin type with orders",
        TYPE,
        {"symbol": SYMBOL, "marginType": "ISOLATED"},
        (-4047, "Margin type cannot be changed if there exists open orders.", ccxt.OperationRejected),
        after=ordering,
    ),
    case(
        "margin type with a position",
        TYPE,
        {"symbol": SYMBOL, "marginType": "ISOLATED"},
        (-4048, "Margin type cannot be changed if there exists position.", ccxt.OperationRejected),
        after=holding,
    ),
    case(
        "position mode as it is",
        MODE,
        {"dualSidePosition": "false"},
        (-4059, "No need to change position side.", ccxt.OperationRejected),
    ),
    case(
        "position mode with orders",
        MODE,
        {"dualSidePosition": "true"},
        (-4067, "Position side cannot be changed if there exists open orders.", ccxt.OperationRejected),
        after=ordering,
    ),
    case(
        "position mode with a position",
        MODE,
        {"dualSidePosition": "true"},
        (-4068, "Position side cannot be changed if there exists position.", ccxt.OperationRejected),
        after=holding,
    ),
    case(
        "no listen key",
        ("PUT", "listenKey"),
        {},
        (-1125, "This listenKey does not exist.", ccxt.AuthenticationError),
    ),
]
