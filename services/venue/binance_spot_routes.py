"""Binance's private routes of `api/v3` and `sapi`: which path is answered by what, at which weight.

Weights as documented: https://developers.binance.com/docs/binance-spot-api-docs/rest-api,
https://developers.binance.com/docs/margin_trading and https://developers.binance.com/docs/wallet. Those of
`sapi` are counted by IP (12,000 a minute) or by account (180,000 a minute), apart from `api/v3`.
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
    ("GET", "/sapi/v1/account/apiRestrictions"): _read(wallet.restrictions, 1),
    ("GET", "/sapi/v1/account/status"): _read(wallet.status, 1),
    ("GET", "/sapi/v1/account/apiTradingStatus"): _read(wallet.trading_status, 1),
    ("GET", "/sapi/v1/asset/tradeFee"): _read(wallet.trade_fee, 1),
    ("POST", "/sapi/v3/asset/getUserAsset"): _read(wallet.user_assets, 5),
    ("POST", "/sapi/v1/asset/get-funding-asset"): _read(wallet.funding_assets, 1),
    ("GET", "/sapi/v1/capital/config/getall"): _read(wallet.coins, 10),
    ("GET", "/sapi/v1/bnbBurn"): _read(wallet.bnb_burn, 1),
    ("POST", "/sapi/v1/bnbBurn"): _trade(wallet.set_bnb_burn, 1),
    ("POST", "/sapi/v1/asset/transfer"): PrivateRoute(transfer.transfer, lambda _call: 900, "transfer"),
    ("GET", "/sapi/v1/asset/transfer"): _read(transfer.transfers, 1),
    ("POST", "/sapi/v1/userListenToken"): _read(stream.listen_token, 1),
}
_MARGIN: Final[_Table] = {
    ("POST", "/sapi/v1/margin/order"): _trade(margin_orders.new_order, 6, counts=1),
    ("GET", "/sapi/v1/margin/order"): _read(margin_orders.order, 10),
    ("DELETE", "/sapi/v1/margin/order"): _trade(margin_orders.cancel_order, 10),
    ("GET", "/sapi/v1/margin/openOrders"): _read(margin_orders.open_orders, 10),
    ("DELETE", "/sapi/v1/margin/openOrders"): _trade(margin_orders.cancel_orders, 1),
    ("GET", "/sapi/v1/margin/allOrders"): _read(margin_orders.all_orders, 200),
    ("GET", "/sapi/v1/margin/myTrades"): _read(margin_orders.my_trades, 10),
    ("GET", "/sapi/v1/margin/rateLimit/order"): _read(account.margin_order_counts, 20),
    ("GET", "/sapi/v1/margin/account"): _read(margin_account.account, 10),
    ("GET", "/sapi/v1/margin/maxBorrowable"): _read(margin_account.max_borrowable, 50),
    ("GET", "/sapi/v1/margin/maxTransferable"): _read(margin_account.max_transferable, 50),
    ("GET", "/sapi/v1/margin/tradeCoeff"): _read(margin_account.levels, 10),
    ("GET", "/sapi/v1/margin/allPairs"): _read(margin_account.all_pairs, 1),
    ("GET", "/sapi/v1/margin/isolated/allPairs"): _read(margin_account.isolated_pairs, 10),
    ("GET", "/sapi/v1/margin/allAssets"): _read(margin_account.all_assets, 1),
    ("GET", "/sapi/v1/margin/crossMarginData"): _read_by(margin_account.cross_data, "coin", 1, 5),
    ("GET", "/sapi/v1/margin/interestRateHistory"): _read(margin_account.rate_history, 1),
    ("GET", "/sapi/v1/margin/next-hourly-interest-rate"): _read(margin_account.next_rates, 100),
    ("POST", "/sapi/v1/margin/borrow-repay"): PrivateRoute(
        margin_loans.borrow_repay, lambda _call: 1_500, "margin"
    ),
    ("GET", "/sapi/v1/margin/borrow-repay"): _read(margin_loans.loans, 10),
    ("GET", "/sapi/v1/margin/interestHistory"): _read(margin_loans.interest_history, 1),
    ("GET", "/sapi/v1/margin/forceLiquidationRec"): _read(margin_loans.forced, 1),
}

PRIVATE: Final[_Table] = {**_API, **_WALLET, **_MARGIN}
