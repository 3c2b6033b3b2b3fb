"""`sapi/v1/margin`: the cross-margin account, its limits, and what can be traded and borrowed."""

from __future__ import annotations

import hashlib
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

from libs.common.instant import HOURS_PER_DAY, MS_PER_DAY
from libs.exchange.engine.types import Balance
from services.venue.binance_margin_values import in_btc, in_usdt, price
from services.venue.binance_spot_account import assets, balances
from services.venue.binance_spot_errors import BAD_INPUT, NO_ISOLATED, NO_SUCH_ASSET, NO_SUCH_PAIR, said
from services.venue.binance_spot_params import Form
from services.venue.binance_spot_texts import amount
from services.venue.binance_spot_trading import Wallet, listing_of
from services.venue.house import House
from services.venue.keys import Key
from services.venue.listings import QUOTE
from services.venue.wire import Answer, Call, answer

SATOSHI: Final = Decimal("1e-8")
_NO_DEBT_LEVEL: Final = Decimal(999)  # what the account shows while it owes nothing
_DAYS_A_YEAR: Final = 365
_YEARLY_STEP: Final = Decimal("1e-4")
_RATE_ROWS_DEFAULT: Final = 20
_RATE_ROWS_MAX: Final = 100
_ASSETS_MAX: Final = 20


def margin_asset(house: House, call: Call, asset: str) -> str:
    """A coin that margin accounts may hold and borrow."""
    if asset not in assets(house, call.now) or price(house, asset, call.now) is None:
        raise said(NO_SUCH_ASSET)
    return asset


def account(house: House, call: Call, key: Key) -> Answer:
    """GET /sapi/v1/margin/account."""
    wallet = Wallet.of(house, call, key, "margin")
    held = balances(house, wallet.account, call.now)
    total = {name: one.total for name, one in held.items()}
    owed = {name: one.borrowed + one.interest for name, one in held.items()}
    level = house.engine.margin_level(wallet.account)
    shown = amount((_NO_DEBT_LEVEL if level is None else level).quantize(SATOSHI, rounding=ROUND_DOWN))
    assets_btc, owed_btc = in_btc(house, total, call.now), in_btc(house, owed, call.now)
    may = "spot" in key.permissions
    return answer(
        {
            "borrowEnabled": "margin" in key.permissions,
            "marginLevel": shown,
            "collateralMarginLevel": shown,  # every coin counts in full
            "totalAssetOfBtc": amount(assets_btc),
            "totalLiabilityOfBtc": amount(owed_btc),
            "totalNetAssetOfBtc": amount(assets_btc - owed_btc),
            "totalCollateralValueInUSDT": amount(in_usdt(house, total, call.now)),
            "tradeEnabled": may,
            "transferEnabled": True,
            "accountType": "MARGIN_1",
            "userAssets": [_user_asset(name, one) for name, one in held.items()],
        }
    )


def _user_asset(name: str, held: Balance) -> dict[str, str]:
    return {
        "asset": name,
        "borrowed": amount(held.borrowed),
        "free": amount(held.free),
        "interest": amount(held.interest),
        "locked": amount(held.locked),
        "netAsset": amount(held.total - held.borrowed - held.interest),
    }


def max_borrowable(house: House, call: Call, key: Key) -> Answer:
    """GET /sapi/v1/margin/maxBorrowable."""
    wallet, asset = _wallet_and_asset(house, call, key)
    most = house.engine.max_borrow(wallet.account, asset)
    spec = house.engine.accounts[wallet.account]
    limit = spec.borrow_max_usd / (price(house, asset, call.now) or Decimal(1))
    return answer({"amount": amount(_down(most)), "borrowLimit": amount(_down(limit))})


def max_transferable(house: House, call: Call, key: Key) -> Answer:
    """GET /sapi/v1/margin/maxTransferable."""
    wallet, asset = _wallet_and_asset(house, call, key)
    return answer({"amount": amount(_down(house.engine.max_withdraw(wallet.account, asset)))})


def _down(value: Decimal) -> Decimal:
    return value.quantize(SATOSHI, rounding=ROUND_DOWN)


def _wallet_and_asset(house: House, call: Call, key: Key) -> tuple[Wallet, str]:
    form = Form(call)
    if form.has("isolatedSymbol"):
        raise said(NO_ISOLATED)
    return Wallet.of(house, call, key, "margin"), margin_asset(house, call, form.need("asset"))


def levels(_house: House, _call: Call, _key: Key) -> Answer:
    """GET /sapi/v1/margin/tradeCoeff: where one may not borrow, is warned, is liquidated."""
    return answer({"normalBar": "1.5", "marginCallBar": "1.3", "forceLiquidationBar": "1.1"})


# --- what there is --------------------------------------------------------------------------------


def all_pairs(house: House, call: Call, _key: Key) -> Answer:
    """GET /sapi/v1/margin/allPairs."""
    rows = [
        {
            "base": one.base,
            "id": _number(one.symbol),
            "isBuyAllowed": True,
            "isMarginTrade": True,
            "isSellAllowed": True,
            "quote": QUOTE,
            "symbol": one.symbol,
        }
        for one in house.desk.market.listed("binance", "spot", call.now.market_ms)
    ]
    return answer(rows)


def _number(name: str) -> int:
    """An id that a name always has."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest())


def isolated_pairs(_house: House, _call: Call, _key: Key) -> Answer:
    """GET /sapi/v1/margin/isolated/allPairs: there is no isolated margin here."""
    return answer([])


def all_assets(house: House, call: Call, _key: Key) -> Answer:
    """GET /sapi/v1/margin/allAssets."""
    zero = amount(Decimal(0))
    rows = [
        {
            "assetFullName": name,
            "assetName": name,
            "isBorrowable": True,
            "isMortgageable": True,
            "userMinBorrow": zero,
            "userMinRepay": zero,
            "delistTime": 0,
        }
        for name in _borrowable(house, call)
    ]
    return answer(rows)


def _borrowable(house: House, call: Call) -> list[str]:
    return [name for name in assets(house, call.now) if price(house, name, call.now) is not None]


def cross_data(house: House, call: Call, key: Key) -> Answer:
    """GET /sapi/v1/margin/crossMarginData: rates and limits by coin, for VIP 0."""
    wanted = Form(call).text("coin")
    if wanted:
        margin_asset(house, call, wanted)
    symbols = [one.symbol for one in house.desk.market.listed("binance", "spot", call.now.market_ms)]
    limit = house.engine.accounts[house.account(key.user, "margin")].borrow_max_usd
    rows: list[dict[str, Any]] = []
    for name in [wanted] if wanted else _borrowable(house, call):
        daily = house.borrow_rate_hourly(name) * HOURS_PER_DAY
        worth = price(house, name, call.now) or Decimal(1)
        rows.append(
            {
                "vipLevel": 0,
                "coin": name,
                "transferIn": True,
                "borrowable": True,
                "dailyInterest": amount(daily),
                "yearlyInterest": f"{(daily * _DAYS_A_YEAR).quantize(_YEARLY_STEP):f}",
                "borrowLimit": f"{_down(limit / worth).normalize():f}",
                "marginablePairs": symbols if name == QUOTE else [f"{name}{QUOTE}"],
            }
        )
    return answer(rows)


def price_index(house: House, call: Call, _key: Key) -> Answer:
    """GET /sapi/v1/margin/priceIndex: the price that values a market's base."""
    listing = listing_of(house, call, Form(call).need("symbol"))
    worth = price(house, listing.base, call.now)
    if worth is None:
        raise said(NO_SUCH_PAIR)
    return answer({"calcTime": call.now.wall_ms, "price": amount(worth), "symbol": listing.symbol})


def collateral_ratios(house: House, call: Call, _key: Key) -> Answer:
    """GET /sapi/v1/margin/crossMarginCollateralRatio: every coin counts in full, however much there is."""
    tier = {"minUsdValue": "0", "discountRate": "1"}
    return answer([{"collaterals": [tier], "assetNames": _borrowable(house, call)}])


# --- rates ----------------------------------------------------------------------------------------


def rate_history(house: House, call: Call, _key: Key) -> Answer:
    """GET /sapi/v1/margin/interestRateHistory: a row a day at the day's first instant of market time,
    newest first. Rates here do not change, so that all rows say the same.
    """
    form = Form(call)
    asset = margin_asset(house, call, form.need("asset"))
    since = form.integer("startTime")
    until = min(form.integer("endTime") or call.now.market_ms, call.now.market_ms)
    count = form.count("limit", _RATE_ROWS_DEFAULT, _RATE_ROWS_MAX)
    daily = amount(house.borrow_rate_hourly(asset) * HOURS_PER_DAY)
    newest = until // MS_PER_DAY * MS_PER_DAY
    stamps = [newest - day * MS_PER_DAY for day in range(count)]
    rows = [
        {"asset": asset, "dailyInterestRate": daily, "timestamp": stamp, "vipLevel": 0}
        for stamp in stamps
        if stamp > 0 and (since is None or stamp >= since)
    ]
    return answer(rows)


def next_rates(house: House, call: Call, _key: Key) -> Answer:
    """GET /sapi/v1/margin/next-hourly-interest-rate of up to 20 coins."""
    form = Form(call)
    names = form.need("assets").split(",")
    form.need("isIsolated")
    if form.flag("isIsolated"):
        raise said(NO_ISOLATED)
    if len(names) > _ASSETS_MAX:
        raise said(BAD_INPUT)
    rows = [
        {
            "asset": margin_asset(house, call, name),
            "nextHourlyInterestRate": amount(house.borrow_rate_hourly(name)),
        }
        for name in names
    ]
    return answer(rows)
