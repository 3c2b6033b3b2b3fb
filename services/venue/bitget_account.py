"""Bitget's v3 account desk, what it tells: settings, assets, key, fees, what may move and be repaid."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from libs.exchange.engine.types import FeeRates, MarginMode, PositionMode
from services.venue.bitget_common import PERPS, SPOT, body, kind_of
from services.venue.bitget_private_errors import UNKNOWN_COIN, said
from services.venue.bitget_private_fields import Fields, figure, plain, ratio
from services.venue.bitget_private_place import account_of, listing_of
from services.venue.bitget_private_rows import MARGIN
from services.venue.bitget_private_worth import SETTLE, Worth, price_of, worth_of
from services.venue.house import House
from services.venue.keys import Key
from services.venue.wire import Answer, Call, answer

FUNDING: Final = "funding"
HOLD_MODES: Final = {"one_way_mode": PositionMode.ONE_WAY, "hedge_mode": PositionMode.HEDGE}
_HOLD_NAMES: Final = {mode: name for name, mode in HOLD_MODES.items()}
_MARGIN_NAMES: Final = {MarginMode.CROSS: "crossed", MarginMode.ISOLATED: "isolated"}
_TRADES: Final = frozenset({"spot", "futures", "margin"})


def settings(house: House, call: Call, key: Key) -> Answer:
    """Modes, and leverage and margin mode of every contract: the only place where v3 tells them."""
    account, engine = account_of(house, key), house.engine
    listed = house.desk.market.listed("bitget", "perp", call.now.market_ms)
    keys = [house.listing_key("perp", one.symbol, call.now) for one in listed]
    symbols = [
        {
            "category": PERPS,
            "symbol": engine.listing(name).symbol,
            "marginMode": _MARGIN_NAMES[engine.margin_mode(account, name)],
            "leverage": str(engine.leverage(account, name)),
        }
        for name in keys
        if name is not None
    ]
    data = {
        "uid": str(house.users[key.user].uid),
        "accountMode": "unified",
        "assetMode": "multi_assets",
        "accountLevel": "advanced",
        "holdMode": _HOLD_NAMES[engine.position_mode(account)],
        "stpMode": "none",
        "symbolConfigList": symbols,
        "coinConfigList": [],
    }
    return answer(body(call.now.wall_ms, data))


def assets(house: House, call: Call, key: Key) -> Answer:
    """The unified account: totals in dollars, and every coin that is held or owed."""
    worth = worth_of(house, account_of(house, key), call.now)
    return answer(body(call.now.wall_ms, _assets(worth)))


def _assets(worth: Worth) -> dict[str, Any]:
    profit, equity = worth.margin.unrealised, worth.equity
    return {
        "accountEquity": figure(equity),
        "usdtEquity": figure(equity),
        "btcEquity": figure(ratio(equity, worth.btc)),
        "unrealisedPnl": figure(profit),
        "usdtUnrealisedPnl": figure(profit),
        "btcUnrealizedPnl": figure(ratio(profit, worth.btc)),
        "effEquity": figure(worth.margin.equity),
        "mmr": figure(worth.margin.maintenance),
        "imr": figure(worth.margin.initial),
        "mgnRatio": figure(worth.margin_ratio),
        "positionMgnRatio": figure(worth.margin_ratio),
        "assets": [
            {
                "coin": coin.coin,
                "equity": figure(coin.equity),
                "usdValue": figure(coin.usd),
                "balance": plain(coin.balance),
                "available": figure(coin.available),
                "debt": plain(coin.debt),
                "locked": plain(coin.locked),
            }
            for coin in worth.coins
        ],
    }


def funding_assets(house: House, call: Call, key: Key) -> Answer:
    """The other wallet, where deposits of a classic account lie (transfer type `spot`)."""
    wanted = Fields.of(call).text("coin").upper()
    balances = house.engine.balances(house.account(key.user, FUNDING))
    rows = [
        {
            "coin": coin,
            "available": plain(balance.free),
            "frozen": plain(balance.locked),
            "balance": plain(balance.total),
        }
        for coin, balance in sorted(balances.items())
        if balance.total and wanted in ("", coin)
    ]
    return answer(body(call.now.wall_ms, rows))


def info(house: House, call: Call, key: Key) -> Answer:
    """Whose key it is, and what it may do."""
    can_trade, can_manage = bool(_TRADES & key.permissions), "transfer" in key.permissions
    reads_only = not (can_trade or can_manage)
    held = {"uta_mgt": can_manage or reads_only, "uta_trade": can_trade or reads_only}
    held["withdraw"] = "withdraw" in key.permissions
    permissions = [name for name, has in held.items() if has]
    data = {
        "userId": str(house.users[key.user].uid),
        "inviterId": "",
        "parentId": "",
        "channelCode": "",
        "channel": "",
        "ips": "127.0.0.1" if key.ip_bound else "",
        "permType": "read-only" if reads_only else "read-and-write",
        "permissions": permissions,
        "regisTime": str(key.created_ms),
    }
    return answer(body(call.now.wall_ms, data))


# --- fees ----------------------------------------------------------------------------------------


def fee_rate(house: House, call: Call, key: Key) -> Answer:
    """Maker and taker of one market."""
    fields = Fields.of(call)
    category = fields.category()
    listing_of(house, fields, category)
    return answer(body(call.now.wall_ms, _rates(house, key, category)))


def all_fee_rate(house: House, call: Call, key: Key) -> Answer:
    """Maker and taker of every market of a category."""
    category = Fields.of(call).category()
    kind = kind_of(SPOT if category == MARGIN else category)
    listed = house.desk.market.listed("bitget", kind, call.now.market_ms) if kind is not None else []
    rates = _rates(house, key, category)
    return answer(body(call.now.wall_ms, [rates | {"symbol": one.symbol} for one in listed]))


def _rates(house: House, key: Key, category: str) -> dict[str, str]:
    fees = house.engine.accounts[account_of(house, key)].fees
    found: FeeRates = fees.perp if category == PERPS else fees.spot
    return {"makerFeeRate": plain(found.maker), "takerFeeRate": plain(found.taker)}


# --- what may move -------------------------------------------------------------------------------


def max_transferable(house: House, call: Call, key: Key) -> Answer:
    """What may leave the unified account: without a loan, and with one."""
    fields = Fields.of(call)
    coin, account = coin_of(house, fields, "coin"), account_of(house, key)
    most = house.engine.max_withdraw(account, coin)
    data = {"coin": coin, "maxTransfer": figure(most), "borrowMaxTransfer": figure(most)}
    return answer(body(call.now.wall_ms, data))


def transferable_coins(house: House, call: Call, key: Key) -> Answer:
    """Coins that both wallets know; a user has the same ones in each."""
    fields = Fields.of(call)
    for name in ("fromType", "toType"):
        fields.choice(name, WALLETS)
    coins = sorted({*house.engine.balances(account_of(house, key)), *bases(house, call)})
    return answer(body(call.now.wall_ms, coins))


# Transfer types of this venue: the unified account and the funding wallet, which Bitget calls `spot`.
WALLETS: Final = {"uta": "unified", "spot": FUNDING, "funding": FUNDING}


def bases(house: House, call: Call) -> set[str]:
    """Coins that the venue knows."""
    return {one.base for one in house.desk.market.listed("bitget", "spot", call.now.market_ms)} | {SETTLE}


def coin_of(house: House, fields: Fields, name: str) -> str:
    """A coin that a call names."""
    coin = fields.required(name).upper()
    if coin not in bases(house, fields.call):
        raise said(fields.call, UNKNOWN_COIN)
    return coin


def deduct_info(house: House, call: Call, key: Key) -> Answer:
    """Whether fees are paid in the venue's own coin."""
    coin = house.engine.accounts[account_of(house, key)].fees.coin
    return answer(body(call.now.wall_ms, {"deduct": "on" if coin is not None else "off"}))


def max_open_available(house: House, call: Call, key: Key) -> Answer:
    """What is there for an order: quote for a buy, base for a sell; the margin that is left for contracts."""
    fields = Fields.of(call)
    category = fields.category()
    listing = listing_of(house, fields, category)
    side = fields.choice("side", ("buy", "sell"))
    fields.choice("orderType", ("limit", "market"))
    account = account_of(house, key)
    data = dict.fromkeys(_OPEN_FIGURES, "")
    if category == PERPS:
        data["available"] = figure(house.engine.margin(account, SETTLE).available)
        return answer(body(call.now.wall_ms, data))
    coin = listing.quote if side == "buy" else listing.base
    free = house.engine.balances(account)[coin].free if coin in house.engine.balances(account) else Decimal(0)
    data["available"] = figure(free)
    if category == MARGIN:
        data["maxOpen"] = figure(free + house.engine.max_borrow(account, coin))
    return answer(body(call.now.wall_ms, data))


_OPEN_FIGURES: Final = (
    "available",
    "maxOpen",
    "buyOpenCost",
    "sellOpenCost",
    "maxBuyOpen",
    "maxSellOpen",
    "maxBuyAvailable",
    "maxSellAvailable",
)


# --- debts ---------------------------------------------------------------------------------------


def repayable_coins(house: House, call: Call, key: Key) -> Answer:
    """What is owed."""
    worth = worth_of(house, account_of(house, key), call.now)
    rows = [_pile(coin.coin, coin.owed, coin.price) for coin in worth.coins if coin.owed]
    return answer(body(call.now.wall_ms, {"repayableCoinList": rows, "maxSelection": "1"}))


def payment_coins(house: House, call: Call, key: Key) -> Answer:
    """What it may be repaid with."""
    balances = house.engine.balances(account_of(house, key))
    rows = [
        _pile(coin, balance.free, price_of(house, coin, call.now))
        for coin, balance in sorted(balances.items())
        if balance.free
    ]
    return answer(body(call.now.wall_ms, {"paymentCoinList": rows, "maxSelection": "1"}))


def _pile(coin: str, size: Decimal, price: Decimal) -> dict[str, str]:
    return {"coin": coin, "size": plain(size), "amount": figure(size * price)}
