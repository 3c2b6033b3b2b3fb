"""The USD-M wallet: balances and account.

Figures are the engine's (single-asset mode): `crossWalletBalance` is the wallet without the margins of
isolated positions, `marginBalance` the wallet with all unrealised PnL.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from libs.exchange.engine.types import ZERO, MarginFigures, MarginMode, PositionMode
from services.venue.binance_usdm_params import account_of, contracts, read
from services.venue.binance_usdm_positions import Slot, slots
from services.venue.binance_usdm_rows import brief, entry_text, money, quantity_text
from services.venue.wire import Answer, Call, answer

if TYPE_CHECKING:
    from services.venue.house import House
    from services.venue.keys import Key

SETTLEMENT: Final = "USDT"


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """One asset of the wallet with its margin figures."""

    figures: MarginFigures
    cross_wallet: Decimal
    cross_unrealised: Decimal
    maintenance: Decimal
    withdrawable: Decimal
    updated_ms: int


def asset_of(house: House, account: str, asset: str, held: list[Slot]) -> Asset:
    """The figures of an asset; `held` are the account's positions."""
    engine = house.engine
    figures = engine.margin(account, asset)
    own = [one for one in held if one.listing.quote == asset]
    isolated = [one for one in own if one.mode is MarginMode.ISOLATED]
    return Asset(
        figures=figures,
        cross_wallet=figures.wallet - sum((one.isolated_wallet for one in isolated), ZERO),
        cross_unrealised=figures.unrealised - sum((one.unrealised for one in isolated), ZERO),
        maintenance=sum((one.maintenance for one in own), ZERO),
        withdrawable=engine.max_withdraw(account, asset),
        updated_ms=_updated_ms(house, account, asset),
    )


def _updated_ms(house: House, account: str, asset: str) -> int:
    last = next((one for one in reversed(house.engine.entries(account)) if one.asset == asset), None)
    return last.wall_us // 1_000 if last is not None else 0


def _assets(house: House, account: str, held: list[Slot]) -> list[Asset]:
    """The settlement asset, and every other one that there is something of."""
    found = house.engine.balances(account)
    others = sorted(name for name, one in found.items() if one.total and name != SETTLEMENT)
    return [asset_of(house, account, name, held) for name in (SETTLEMENT, *others)]


# --- balance and account ----------------------------------------------------------------------------------


def balance(house: House, call: Call, key: Key) -> Answer:
    """GET /fapi/v2/balance and /fapi/v3/balance."""
    account = account_of(house, key)
    held = slots(house, account, contracts(house, read(call), call.now))
    alias = f"{house.users[key.user].uid:x}"[-4:]
    return answer([_balance_row(one, alias) for one in _assets(house, account, held)])


def _balance_row(one: Asset, alias: str) -> dict[str, Any]:
    return {
        "accountAlias": alias,
        "asset": one.figures.asset,
        "balance": money(one.figures.wallet),
        "crossWalletBalance": money(one.cross_wallet),
        "crossUnPnl": money(one.cross_unrealised),
        "availableBalance": money(one.figures.available),
        "maxWithdrawAmount": money(one.withdrawable),
        "marginAvailable": True,
        "updateTime": one.updated_ms,
    }


def _asset_row(one: Asset) -> dict[str, Any]:
    figures = one.figures
    return {
        "asset": figures.asset,
        "walletBalance": money(figures.wallet),
        "unrealizedProfit": money(figures.unrealised),
        "marginBalance": money(figures.wallet + figures.unrealised),
        "maintMargin": money(one.maintenance),
        "initialMargin": money(figures.initial),
        "positionInitialMargin": money(figures.initial_positions),
        "openOrderInitialMargin": money(figures.initial_orders),
        "crossWalletBalance": money(one.cross_wallet),
        "crossUnPnl": money(one.cross_unrealised),
        "availableBalance": money(figures.available),
        "maxWithdrawAmount": money(one.withdrawable),
        "updateTime": one.updated_ms,
    }


def _totals(one: Asset) -> dict[str, Any]:
    """The account's totals: in single-asset mode those of the settlement asset."""
    row = _asset_row(one)
    return {
        "totalInitialMargin": row["initialMargin"],
        "totalMaintMargin": row["maintMargin"],
        "totalWalletBalance": row["walletBalance"],
        "totalUnrealizedProfit": row["unrealizedProfit"],
        "totalMarginBalance": row["marginBalance"],
        "totalPositionInitialMargin": row["positionInitialMargin"],
        "totalOpenOrderInitialMargin": row["openOrderInitialMargin"],
        "totalCrossWalletBalance": row["crossWalletBalance"],
        "totalCrossUnPnl": row["crossUnPnl"],
        "availableBalance": row["availableBalance"],
        "maxWithdrawAmount": row["maxWithdrawAmount"],
    }


def account_v3(house: House, call: Call, key: Key) -> Answer:
    """GET /fapi/v3/account: positions that are open or have orders."""
    account = account_of(house, key)
    all_slots = slots(house, account, contracts(house, read(call), call.now))
    assets = _assets(house, account, all_slots)
    return answer(
        {
            **_totals(assets[0]),
            "assets": [_asset_row(one) for one in assets],
            "positions": [_position_v3(one) for one in all_slots if one.is_used],
        }
    )


def account_v2(house: House, call: Call, key: Key) -> Answer:
    """GET /fapi/v2/account: all contracts."""
    account = account_of(house, key)
    all_slots = slots(house, account, contracts(house, read(call), call.now))
    assets = _assets(house, account, all_slots)
    return answer(
        {
            **flags(),
            "updateTime": 0,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
            **_totals(assets[0]),
            "assets": [{**_asset_row(one), "marginAvailable": True} for one in assets],
            "positions": [_position_v2(one) for one in all_slots],
        }
    )


def flags() -> dict[str, Any]:
    """What an account may do."""
    return {"feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": True}


def account_config(house: House, _call: Call, key: Key) -> Answer:
    """GET /fapi/v1/accountConfig."""
    mode = house.engine.position_mode(account_of(house, key))
    return answer(
        {
            **flags(),
            "dualSidePosition": mode is PositionMode.HEDGE,
            "updateTime": 0,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
        }
    )


def _position_v3(slot: Slot) -> dict[str, Any]:
    position = slot.position
    return {
        "symbol": slot.listing.symbol,
        "positionSide": slot.side.upper(),
        "positionAmt": quantity_text(slot.listing, position.quantity if position is not None else ZERO),
        "unrealizedProfit": money(slot.unrealised),
        "isolatedMargin": brief(slot.isolated_margin),
        "notional": brief(slot.notional),
        "isolatedWallet": brief(slot.isolated_wallet),
        "initialMargin": brief(slot.initial + slot.orders_initial),
        "maintMargin": brief(slot.maintenance),
        "updateTime": position.updated_us // 1_000 if position is not None else 0,
    }


def _position_v2(slot: Slot) -> dict[str, Any]:
    position = slot.position
    return {
        "symbol": slot.listing.symbol,
        "initialMargin": brief(slot.initial + slot.orders_initial),
        "maintMargin": brief(slot.maintenance),
        "unrealizedProfit": money(slot.unrealised),
        "positionInitialMargin": brief(slot.initial),
        "openOrderInitialMargin": brief(slot.orders_initial),
        "leverage": str(slot.leverage),
        "isolated": slot.mode is MarginMode.ISOLATED,
        "entryPrice": entry_text(position.entry_price if position is not None else ZERO),
        "maxNotional": f"{slot.max_notional:f}",
        "bidNotional": brief(slot.bids),
        "askNotional": brief(slot.asks),
        "positionSide": slot.side.upper(),
        "positionAmt": quantity_text(slot.listing, position.quantity if position is not None else ZERO),
        "updateTime": position.updated_us // 1_000 if position is not None else 0,
    }
