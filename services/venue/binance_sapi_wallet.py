"""`sapi`: what a key may do, fees, coins and balances of the whole account."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from libs.exchange.engine.commands import SetFees
from services.venue.binance_margin_values import in_btc
from services.venue.binance_spot_account import FEE_COIN, assets, fees_of
from services.venue.binance_spot_params import Form
from services.venue.binance_spot_texts import amount
from services.venue.binance_spot_trading import Wallet, listing_of
from services.venue.house import House
from services.venue.keys import Key
from services.venue.wire import Answer, Call, answer

_ZERO: Final = "0"


def restrictions(_house: House, _call: Call, key: Key) -> Answer:
    """GET /sapi/v1/account/apiRestrictions: what the calling key may do."""
    may = key.permissions
    return answer(
        {
            "ipRestrict": key.ip_bound,
            "createTime": key.created_ms,
            "enableInternalTransfer": False,
            "enableFutures": "futures" in may,
            "enablePortfolioMarginTrading": False,
            "enableVanillaOptions": False,
            "permitsUniversalTransfer": "transfer" in may,
            "enableReading": "read" in may,
            "enableSpotAndMarginTrading": "spot" in may,
            "enableWithdrawals": "withdraw" in may,
            "enableMargin": "margin" in may,
        }
    )


def status(_house: House, _call: Call, _key: Key) -> Answer:
    """GET /sapi/v1/account/status."""
    return answer({"data": "Normal"})


def trading_status(_house: House, call: Call, _key: Key) -> Answer:
    """GET /sapi/v1/account/apiTradingStatus: never locked."""
    conditions = {"GCR": 150, "IFER": 150, "UFR": 300}
    data = {
        "isLocked": False,
        "plannedRecoverTime": 0,
        "triggerCondition": conditions,
        "updateTime": call.now.wall_ms,
    }
    return answer({"data": data})


def trade_fee(house: House, call: Call, key: Key) -> Answer:
    """GET /sapi/v1/asset/tradeFee, of one symbol or all; an array either way."""
    symbol = Form(call).text("symbol")
    if symbol:
        symbols = [listing_of(house, call, symbol).symbol]
    else:
        listed = house.desk.market.listed("binance", "spot", call.now.market_ms)
        symbols = [one.symbol for one in listed]
    rates = fees_of(house, house.account(key.user, "spot")).spot
    maker, taker = f"{rates.maker.normalize():f}", f"{rates.taker.normalize():f}"
    rows = [{"symbol": name, "makerCommission": maker, "takerCommission": taker} for name in symbols]
    return answer(rows)


def user_assets(house: House, call: Call, key: Key) -> Answer:
    """POST /sapi/v3/asset/getUserAsset: coins of the spot wallet that are not zero."""
    wallet, form = Wallet.of(house, call, key, "spot"), Form(call)
    wanted, valued = form.text("asset"), form.flag("needBtcValuation")
    rows: list[dict[str, Any]] = []
    for name, held in sorted(house.engine.balances(wallet.account).items()):
        if not held.total or wanted not in ("", name):
            continue
        value = in_btc(house, {name: held.total}, call.now) if valued else None
        rows.append(
            {
                "asset": name,
                "free": amount(held.free),
                "locked": amount(held.locked),
                "freeze": _ZERO,
                "withdrawing": _ZERO,
                "ipoable": _ZERO,
                "btcValuation": _ZERO if value is None else amount(value),
            }
        )
    return answer(rows)


def funding_assets(_house: House, _call: Call, _key: Key) -> Answer:
    """POST /sapi/v1/asset/get-funding-asset: users here have no funding wallet, so there is nothing in it."""
    return answer([])


def coins(house: House, call: Call, key: Key) -> Answer:
    """GET /sapi/v1/capital/config/getall: every coin; nothing can be deposited or withdrawn by call."""
    wallet = Wallet.of(house, call, key, "spot")
    held = house.engine.balances(wallet.account)
    rows = []
    for name in sorted({*assets(house, call.now), *held}):
        balance = held.get(name)
        rows.append(
            {
                "coin": name,
                "depositAllEnable": False,
                "free": amount(balance.free) if balance else _ZERO,
                "freeze": _ZERO,
                "ipoable": _ZERO,
                "ipoing": _ZERO,
                "isLegalMoney": False,
                "locked": amount(balance.locked) if balance else _ZERO,
                "name": name,
                "networkList": [_network(name)],
                "storage": _ZERO,
                "trading": True,
                "withdrawAllEnable": False,
                "withdrawing": _ZERO,
            }
        )
    return answer(rows)


def _network(coin: str) -> dict[str, Any]:
    return {
        "addressRegex": "",
        "coin": coin,
        "depositDesc": "",
        "depositEnable": False,
        "isDefault": True,
        "memoRegex": "",
        "minConfirm": 1,
        "name": coin,
        "network": coin,
        "specialTips": "",
        "unLockConfirm": 0,
        "withdrawDesc": "",
        "withdrawEnable": False,
        "withdrawFee": _ZERO,
        "withdrawIntegerMultiple": "0.00000001",
        "withdrawMax": _ZERO,
        "withdrawMin": _ZERO,
        "sameAddress": False,
        "estimatedArrivalTime": 1,
        "busy": False,
    }


def bnb_burn(house: House, _call: Call, key: Key) -> Answer:
    """GET /sapi/v1/bnbBurn."""
    return _burns(house, key)


def set_bnb_burn(house: House, call: Call, key: Key) -> Answer:
    """POST /sapi/v1/bnbBurn: pay spot fees in BNB or not, on both spot wallets. Interest is always paid in
    the coin that was borrowed: the answer says so, whatever was asked.
    """
    form = Form(call)
    if form.has("spotBNBBurn"):
        coin = FEE_COIN if form.flag("spotBNBBurn") else None
        for wallet in ("spot", "margin"):
            account = house.account(key.user, wallet)
            fees = msgspec.structs.replace(fees_of(house, account), coin=coin)
            house.apply(SetFees(account=account, fees=fees), call.now)
    return _burns(house, key)


def _burns(house: House, key: Key) -> Answer:
    coin = fees_of(house, house.account(key.user, "spot")).coin
    return answer({"spotBNBBurn": coin is not None, "interestBNBBurn": False})
