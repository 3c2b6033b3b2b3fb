"""Binance's private routes of `api/v3` and `sapi`: which path is answered by what, at which weight.

Weights as documented: https://developers.binance.com/docs/binance-spot-api-docs/rest-api,
https://developers.binance.com/docs/margin_trading and https://developers.binance.com/docs/wallet. Those of
`sapi` are counted apart from `api/v3`, each path for itself, by IP or by account (`door`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from services.venue import binance_margin_account as margin_account
from services.venue import binance_margin_loans as margin_loans
from services.venue import binance_margin_orders as margin_orders
from services.venue import binance_sapi_transfer as transfer
from services.venue import binance_sapi_wallet as wallet
from services.venue import binance_spot_account as account
from services.venue import binance_spot_orders as orders
from services.venue import binance_spot_stream as stream
from services.venue.keys import Permission
from services.venue.wire import Call, PrivateHandler, PrivateRoute

_Table = dict[tuple[str, str], PrivateRoute]


def _read(handler: PrivateHandler, weight: int) -> PrivateRoute:
    return PrivateRoute(handler, lambda _call: weight, "read")


def _read_by(handler: PrivateHandler, name: str, given: int, absent: int) -> PrivateRoute:
    return PrivateRoute(handler, _weight_by(name, given, absent), "read")


def _weight_by(name: str, given: int, absent: int) -> Callable[[Call], int]:
    return lambda call: given if call.query.get(name) else absent


def _trade(handler: PrivateHandler, weight: int, *, counts: int = 0) -> PrivateRoute:
    return PrivateRoute(handler, lambda _call: weight, "spot", counts)


def _sapi(
    handler: PrivateHandler,
    weight: int,
    permission: Permission = "read",
    *,
    by_account: bool = False,
    counts: int = 0,
) -> PrivateRoute:
    return PrivateRoute(handler, lambda _call: weight, permission, counts, by_account)


_API: Final[_Table] = {
    ("POST", "/api/v3/order"): _trade(orders.new_order, 1, counts=1),
    ("POST", "/api/v3/order/test"): _trade(orders.test_order, 1),
    ("GET", "/api/v3/order"): _read(orders.order, 4),
    ("DELETE", "/api/v3/order"): _trade(orders.cancel_order, 1),
    ("GET", "/api/v3/openOrders"): _read_by(orders.open_orders, "symbol", 6, 80),
    ("DELETE", "/api/v3/openOrders"): _trade(orders.cancel_orders, 1),
    ("GET", "/api/v3/allOrders"): _read(orders.all_orders, 20),
    ("GET", "/api/v3/myTrades"): _read_by(orders.my_trades, "orderId", 5, 20),
    ("GET", "/api/v3/account"): _read(account.account, 20),
    ("GET", "/api/v3/account/commission"): _read(account.commission, 20),
    ("GET", "/api/v3/rateLimit/order"): _read(account.spot_order_counts, 40),
}
_WALLET: Final[_Table] = {
    ("GET", "/sapi/v1/account/apiRestrictions"): _sapi(wallet.restrictions, 1),
    ("GET", "/sapi/v1/account/status"): _sapi(wallet.status, 1),
    ("GET", "/sapi/v1/account/apiTradingStatus"): _sapi(wallet.trading_status, 1),
    ("GET", "/sapi/v1/asset/tradeFee"): _sapi(wallet.trade_fee, 1),
    ("POST", "/sapi/v3/asset/getUserAsset"): _sapi(wallet.user_assets, 5),
    ("POST", "/sapi/v1/asset/get-funding-asset"): _sapi(wallet.funding_assets, 1),
    ("GET", "/sapi/v1/capital/config/getall"): _sapi(wallet.coins, 10),
    ("GET", "/sapi/v1/bnbBurn"): _sapi(wallet.bnb_burn, 1),
    ("POST", "/sapi/v1/bnbBurn"): _sapi(wallet.set_bnb_burn, 1, "spot"),
    ("POST", "/sapi/v1/asset/transfer"): _sapi(transfer.transfer, 900, "transfer", by_account=True),
    ("GET", "/sapi/v1/asset/transfer"): _sapi(transfer.transfers, 1),
    ("POST", "/sapi/v1/userListenToken"): _sapi(stream.listen_token, 1, by_account=True),
}
_MARGIN: Final[_Table] = {
    ("POST", "/sapi/v1/margin/order"): _sapi(margin_orders.new_order, 6, "spot", by_account=True, counts=1),
    ("GET", "/sapi/v1/margin/order"): _sapi(margin_orders.order, 10),
    ("DELETE", "/sapi/v1/margin/order"): _sapi(margin_orders.cancel_order, 10, "spot"),
    ("GET", "/sapi/v1/margin/openOrders"): _sapi(margin_orders.open_orders, 10),
    ("DELETE", "/sapi/v1/margin/openOrders"): _sapi(margin_orders.cancel_orders, 1, "spot"),
    ("GET", "/sapi/v1/margin/allOrders"): _sapi(margin_orders.all_orders, 200),
    ("GET", "/sapi/v1/margin/myTrades"): _sapi(margin_orders.my_trades, 10),
    ("GET", "/sapi/v1/margin/rateLimit/order"): _sapi(account.margin_order_counts, 20),
    ("GET", "/sapi/v1/margin/account"): _sapi(margin_account.account, 10),
    ("GET", "/sapi/v1/margin/maxBorrowable"): _sapi(margin_account.max_borrowable, 50),
    ("GET", "/sapi/v1/margin/maxTransferable"): _sapi(margin_account.max_transferable, 50),
    ("GET", "/sapi/v1/margin/tradeCoeff"): _sapi(margin_account.levels, 10),
    ("GET", "/sapi/v1/margin/allPairs"): _sapi(margin_account.all_pairs, 1),
    ("GET", "/sapi/v1/margin/isolated/allPairs"): _sapi(margin_account.isolated_pairs, 10),
    ("GET", "/sapi/v1/margin/priceIndex"): _sapi(margin_account.price_index, 10),
    ("GET", "/sapi/v1/margin/crossMarginCollateralRatio"): _sapi(margin_account.collateral_ratios, 100),
    ("GET", "/sapi/v1/margin/allAssets"): _sapi(margin_account.all_assets, 1),
    ("GET", "/sapi/v1/margin/crossMarginData"): _sapi(margin_account.cross_data, 5),
    ("GET", "/sapi/v1/margin/interestRateHistory"): _sapi(margin_account.rate_history, 1),
    ("GET", "/sapi/v1/margin/next-hourly-interest-rate"): _sapi(margin_account.next_rates, 100),
    ("POST", "/sapi/v1/margin/borrow-repay"): _sapi(
        margin_loans.borrow_repay, 1_500, "margin", by_account=True
    ),
    ("GET", "/sapi/v1/margin/borrow-repay"): _sapi(margin_loans.loans, 10),
    ("GET", "/sapi/v1/margin/interestHistory"): _sapi(margin_loans.interest_history, 1),
    ("GET", "/sapi/v1/margin/forceLiquidationRec"): _sapi(margin_loans.forced, 1),
}

PRIVATE: Final[_Table] = {**_API, **_WALLET, **_MARGIN}
