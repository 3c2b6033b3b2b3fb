"""`api/v3`: balances, commission rates and order counts of the spot wallet."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from libs.common.instant import MS_PER_DAY
from libs.exchange.engine.types import Balance, FeeSchedule
from services.venue.binance_spot_params import Form
from services.venue.binance_spot_texts import amount, ms
from services.venue.binance_spot_trading import Wallet, WalletName, market_of
from services.venue.desk import Instant
from services.venue.house import House
from services.venue.keys import Key
from services.venue.listings import QUOTE
from services.venue.wire import Answer, Call, answer

FEE_COIN: Final = "BNB"
_ORDER_LIMITS: Final = (("SECOND", 10, 10_000, 100), ("DAY", 1, MS_PER_DAY, 200_000))
_NOTHING: Final = Balance()
_BPS: Final = 10_000


def fees_of(house: House, account: str) -> FeeSchedule:
    """What an account pays now."""
    return house.engine.accounts[account].fees


def assets(house: House, now: Instant) -> list[str]:
    """Every coin that the venue has: those of its listed spot markets and their quote."""
    listed = house.desk.market.listed("binance", "spot", now.market_ms)
    return sorted({QUOTE, FEE_COIN, *(one.base for one in listed)})


def balances(house: House, account: str, now: Instant) -> dict[str, Balance]:
    """Every coin's balance, zeros included, as the real account answers have them."""
    held = house.engine.balances(account)
    return {name: held.get(name, _NOTHING) for name in sorted({*assets(house, now), *held})}


def account(house: House, call: Call, key: Key) -> Answer:
    """GET /api/v3/account."""
    wallet, form = Wallet.of(house, call, key, "spot"), Form(call)
    without_zeros = form.flag("omitZeroBalances")
    form.done()
    rates = fees_of(house, wallet.account).spot
    allowed = "spot" in key.permissions
    entries = house.engine.entries(wallet.account)
    return answer(
        {
            "makerCommission": int(rates.maker * _BPS),
            "takerCommission": int(rates.taker * _BPS),
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": _rates(rates.maker, rates.taker),
            "canTrade": allowed,
            "canWithdraw": "withdraw" in key.permissions,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": ms(entries[-1].wall_us) if entries else 0,
            "accountType": "SPOT",
            "balances": [
                {"asset": name, "free": amount(held.free), "locked": amount(held.locked)}
                for name, held in balances(house, wallet.account, call.now).items()
                if held.total or not without_zeros
            ],
            "permissions": ["SPOT"],
            "uid": house.users[key.user].uid,
        }
    )


def _rates(maker: Decimal, taker: Decimal) -> dict[str, str]:
    zero = Decimal(0)
    return {
        "maker": amount(maker),
        "taker": amount(taker),
        "buyer": amount(zero),
        "seller": amount(zero),
    }


def commission(house: House, call: Call, key: Key) -> Answer:
    """GET /api/v3/account/commission."""
    wallet, form = Wallet.of(house, call, key, "spot"), Form(call)
    listing = market_of(wallet, form)
    form.done()
    fees = fees_of(house, wallet.account)
    return answer(
        {
            "symbol": listing.symbol,
            "standardCommission": _rates(fees.spot.maker, fees.spot.taker),
            "taxCommission": _rates(Decimal(0), Decimal(0)),
            "discount": {
                "enabledForAccount": fees.coin is not None,
                "enabledForSymbol": True,
                "discountAsset": fees.coin or FEE_COIN,
                "discount": amount(fees.coin_factor),
            },
        }
    )


def order_commission(house: House, account: str) -> dict[str, Any]:
    """What an order of the account pays, as `order/test` says it: less detailed than `commission`."""
    fees, zero = fees_of(house, account), amount(Decimal(0))
    return {
        "standardCommissionForOrder": {"maker": amount(fees.spot.maker), "taker": amount(fees.spot.taker)},
        "taxCommissionForOrder": {"maker": zero, "taker": zero},
        "discount": {
            "enabledForAccount": fees.coin is not None,
            "enabledForSymbol": True,
            "discountAsset": fees.coin or FEE_COIN,
            "discount": amount(fees.coin_factor),
        },
    }


def spot_order_counts(house: House, call: Call, key: Key) -> Answer:
    """GET /api/v3/rateLimit/order."""
    return _order_counts(house, call, key, "spot")


def margin_order_counts(house: House, call: Call, key: Key) -> Answer:
    """GET /sapi/v1/margin/rateLimit/order."""
    return _order_counts(house, call, key, "margin")


def _order_counts(house: House, call: Call, key: Key, name: WalletName) -> Answer:
    """How many orders were taken in the windows of now."""
    wallet = Wallet.of(house, call, key, name)
    stamps = [ms(order.created_us) for order in house.engine.orders(wallet.account)]
    rows: list[dict[str, Any]] = []
    for interval, number, length_ms, limit in _ORDER_LIMITS:
        window = call.now.wall_ms // length_ms
        rows.append(
            {
                "rateLimitType": "ORDERS",
                "interval": interval,
                "intervalNum": number,
                "limit": limit,
                "count": sum(1 for stamp in stamps if stamp // length_ms == window),
            }
        )
    return answer(rows)
