"""Bitget's v3 private routes. Weights are shares of 20 requests a second: 2 for a limit of 10, 20 for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from services.venue import bitget_account as account
from services.venue import bitget_orders as orders
from services.venue import bitget_positions as positions
from services.venue import bitget_private_records as records
from services.venue import bitget_private_settings as settings
from services.venue.keys import Permission
from services.venue.wire import Call, PrivateHandler, PrivateRoute


def _weight(share: int) -> Callable[[Call], int]:
    return lambda _: share


def _route(handler: PrivateHandler, share: int, permission: Permission = "read") -> PrivateRoute:
    return PrivateRoute(handler, _weight(share), permission)


def _order_route(handler: PrivateHandler, share: int) -> PrivateRoute:
    """What trades: whether the key may trade the product is looked at where the product is known."""
    return PrivateRoute(handler, _weight(share), "read", orders=1)


_TRADE: Final = "/api/v3/trade/"
_ACCOUNT: Final = "/api/v3/account/"
_POSITION: Final = "/api/v3/position/"

PRIVATE: Final[dict[tuple[str, str], PrivateRoute]] = {
    ("POST", f"{_TRADE}place-order"): _order_route(orders.place_order, 2),
    ("POST", f"{_TRADE}place-batch"): _order_route(orders.place_batch, 4),
    ("POST", f"{_TRADE}cancel-order"): _order_route(orders.cancel_order, 2),
    ("POST", f"{_TRADE}cancel-batch"): _order_route(orders.cancel_batch, 4),
    ("POST", f"{_TRADE}cancel-symbol-order"): _order_route(orders.cancel_symbol_order, 4),
    ("POST", f"{_TRADE}close-positions"): _order_route(orders.close_positions, 4),
    ("POST", f"{_TRADE}countdown-cancel-all"): _route(orders.countdown_cancel_all, 20),
    ("GET", f"{_TRADE}order-info"): _route(orders.order_info, 1),
    ("GET", f"{_TRADE}unfilled-orders"): _route(orders.unfilled_orders, 1),
    ("GET", f"{_TRADE}history-orders"): _route(orders.history_orders, 1),
    ("GET", f"{_TRADE}fills"): _route(orders.fills, 1),
    ("GET", f"{_POSITION}current-position"): _route(positions.current_position, 1),
    ("GET", f"{_POSITION}history-position"): _route(positions.history_position, 1),
    ("GET", f"{_POSITION}adlRank"): _route(positions.adl_rank, 20),
    ("GET", f"{_ACCOUNT}settings"): _route(account.settings, 1),
    ("GET", f"{_ACCOUNT}assets"): _route(account.assets, 1),
    ("GET", f"{_ACCOUNT}funding-assets"): _route(account.funding_assets, 1),
    ("GET", f"{_ACCOUNT}info"): _route(account.info, 4),
    ("GET", f"{_ACCOUNT}fee-rate"): _route(account.fee_rate, 6),
    ("GET", f"{_ACCOUNT}all-fee-rate"): _route(account.all_fee_rate, 6),
    ("GET", f"{_ACCOUNT}max-transferable"): _route(account.max_transferable, 6),
    ("GET", f"{_ACCOUNT}transferable-coins"): _route(account.transferable_coins, 2),
    ("GET", f"{_ACCOUNT}deduct-info"): _route(account.deduct_info, 20),
    ("GET", f"{_ACCOUNT}repayable-coins"): _route(account.repayable_coins, 2),
    ("GET", f"{_ACCOUNT}payment-coins"): _route(account.payment_coins, 2),
    ("GET", f"{_ACCOUNT}financial-records"): _route(records.financial_records, 1),
    ("GET", f"{_ACCOUNT}funding-financial-records"): _route(records.funding_financial_records, 2),
    ("POST", f"{_ACCOUNT}max-open-available"): _route(account.max_open_available, 4),
    ("POST", f"{_ACCOUNT}set-leverage"): _route(settings.set_leverage, 2, "futures"),
    ("POST", f"{_ACCOUNT}set-hold-mode"): _route(settings.set_hold_mode, 2, "futures"),
    ("POST", f"{_ACCOUNT}transfer"): _route(settings.transfer, 4, "transfer"),
    ("POST", f"{_ACCOUNT}repay"): _route(settings.repay, 4, "margin"),
}
