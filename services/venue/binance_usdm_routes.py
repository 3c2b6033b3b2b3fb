"""USD-M's private paths: handler, weight, permission, and how many orders a call counts for.

Weights as documented with each endpoint: https://developers.binance.com/docs/derivatives/usds-margined-futures
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from services.venue import binance_usdm_account as account
from services.venue import binance_usdm_history as history
from services.venue import binance_usdm_orders as orders
from services.venue import binance_usdm_place as place
from services.venue import binance_usdm_positions as positions
from services.venue import binance_usdm_settings as settings
from services.venue import binance_usdm_stream as stream
from services.venue.wire import Call, PrivateHandler, PrivateRoute

BATCH_ORDERS: Final = 5


def _flat(weight: int) -> Callable[[Call], int]:
    return lambda _call: weight


def _by_symbol(one: int, all_of_them: int) -> Callable[[Call], int]:
    return lambda call: one if call.query.get("symbol") else all_of_them


def _read(handler: PrivateHandler, weight: int | Callable[[Call], int] = 1) -> PrivateRoute:
    return PrivateRoute(handler, _flat(weight) if isinstance(weight, int) else weight, "read")


def _trade(handler: PrivateHandler, weight: int = 1, *, counts: int = 0) -> PrivateRoute:
    return PrivateRoute(handler, _flat(weight), "futures", counts)


_V1: Final[dict[tuple[str, str], PrivateRoute]] = {
    ("POST", "order"): _trade(place.place, 0, counts=1),
    ("GET", "order"): _read(orders.query),
    ("PUT", "order"): _trade(orders.not_offered),
    ("DELETE", "order"): _trade(orders.cancel),
    ("POST", "batchOrders"): _trade(place.place_batch, 5, counts=BATCH_ORDERS),
    ("PUT", "batchOrders"): _trade(orders.not_offered),
    ("DELETE", "batchOrders"): _trade(orders.cancel_batch),
    ("GET", "openOrder"): _read(orders.query_open),
    ("GET", "openOrders"): _read(orders.open_orders, _by_symbol(1, 40)),
    ("GET", "allOrders"): _read(orders.all_orders, 5),
    ("DELETE", "allOpenOrders"): _trade(orders.cancel_all),
    ("POST", "countdownCancelAll"): _trade(orders.countdown, 10),
    ("GET", "userTrades"): _read(history.user_trades, 5),
    ("GET", "income"): _read(history.income, 30),
    ("GET", "forceOrders"): _read(positions.force_orders, _by_symbol(20, 50)),
    ("GET", "adlQuantile"): _read(positions.adl_quantiles, 5),
    ("POST", "leverage"): _trade(settings.set_leverage),
    ("POST", "marginType"): _trade(settings.set_margin_type),
    ("GET", "positionSide/dual"): _read(settings.position_mode, 30),
    ("POST", "positionSide/dual"): _trade(settings.set_position_mode),
    ("POST", "positionMargin"): _trade(orders.not_offered),
    ("GET", "positionMargin/history"): _read(orders.not_offered),
    ("GET", "symbolConfig"): _read(settings.symbol_config, 5),
    ("GET", "accountConfig"): _read(account.account_config, 5),
    ("GET", "multiAssetsMargin"): _read(settings.multi_assets, 30),
    ("POST", "multiAssetsMargin"): _trade(settings.set_multi_assets),
    ("GET", "feeBurn"): _read(settings.fee_burn, 30),
    ("POST", "feeBurn"): _trade(settings.set_fee_burn),
    ("GET", "leverageBracket"): _read(settings.leverage_bracket),
    ("GET", "commissionRate"): _read(settings.commission_rate, 20),
    ("GET", "rateLimit/order"): _read(settings.order_rate_limit),
    ("POST", "listenKey"): _read(stream.open_key),
    ("PUT", "listenKey"): _read(stream.prolong_key),
    ("DELETE", "listenKey"): _read(stream.close_key),
}

PRIVATE: Final[dict[tuple[str, str], PrivateRoute]] = {
    **{(method, f"/fapi/v1/{name}"): route for (method, name), route in _V1.items()},
    ("GET", "/fapi/v2/account"): _read(account.account_v2, 5),
    ("GET", "/fapi/v3/account"): _read(account.account_v3, 5),
    ("GET", "/fapi/v2/balance"): _read(account.balance, 5),
    ("GET", "/fapi/v3/balance"): _read(account.balance, 5),
    ("GET", "/fapi/v2/positionRisk"): _read(positions.risk_v2, 5),
    ("GET", "/fapi/v3/positionRisk"): _read(positions.risk_v3, 5),
}
