"""USD-M settings of an account: leverage, margin type, position mode, brackets, commissions, fee burn."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from libs.common.subjects import Kind
from libs.exchange.engine import commands
from libs.exchange.engine.commands import Reason, SetFees, SetLeverage, SetMarginMode, SetPositionMode
from libs.exchange.engine.types import Listing, MarginMode, PositionMode, Tier
from services.venue import binance_usdm_errors as errors
from services.venue.binance_common import refuse
from services.venue.binance_usdm_params import account_of, contracts, read, required_listing
from services.venue.binance_usdm_positions import max_notional
from services.venue.wire import Answer, Call, Refused, answer

if TYPE_CHECKING:
    from services.venue.house import House
    from services.venue.keys import Key

BURN_COIN: Final = "BNB"
BURN_FACTOR: Final = Decimal("0.9")  # 10 % off on USD-M, 25 % on spot
ORDERS_10_SEC_MAX: Final = 300
ORDERS_MINUTE_MAX: Final = 1_200
_DONE: Final = {"code": 200, "msg": "success"}

_MARGIN_TYPE: Final[dict[Reason, tuple[int, str]]] = {
    Reason.ALREADY_SET: (-4046, "No need to change margin type."),
    Reason.HAS_ORDERS: (-4047, "Margin type cannot be changed if there exists open orders."),
    Reason.HAS_POSITION: (-4048, "Margin type cannot be changed if there exists position."),
}
_POSITION_MODE: Final[dict[Reason, tuple[int, str]]] = {
    Reason.ALREADY_SET: (-4059, "No need to change position side."),
    Reason.HAS_ORDERS: (-4067, "Position side cannot be changed if there exists open orders."),
    Reason.HAS_POSITION: (-4068, "Position side cannot be changed if there exists position."),
}


def _refused(refused: commands.Refused, table: dict[Reason, tuple[int, str]]) -> Refused:
    said = table.get(refused.reason)
    return refuse(*said) if said is not None else errors.plain(refused)


# --- leverage, margin type, position mode -----------------------------------------------------------------


def set_leverage(house: House, call: Call, key: Key) -> Answer:
    """POST /fapi/v1/leverage; the leverage that is set already is set again, as on the real venue."""
    wanted = read(call)
    listing = required_listing(house, wanted, call.now)
    wanted.required("leverage")
    leverage = wanted.integer("leverage") or 0
    account = account_of(house, key)
    try:
        house.apply(SetLeverage(account=account, instrument=listing.key, leverage=leverage), call.now)
    except commands.Refused as refused:
        if refused.reason is not Reason.ALREADY_SET:
            raise _leverage_refused(refused, listing, leverage) from None
    most = max_notional(listing, leverage)
    return answer({"symbol": listing.symbol, "leverage": leverage, "maxNotionalValue": f"{most:f}"})


def _leverage_refused(refused: commands.Refused, listing: Listing, leverage: int) -> Refused:
    if refused.reason is Reason.LEVERAGE and 1 <= leverage <= max_leverage(listing):
        text = "Leverage reduction is not supported in Isolated Margin Mode with open positions."
        return refuse(-4161, text)
    if refused.reason is Reason.LEVERAGE:
        return refuse(-4028, f"Leverage {leverage} is not valid")
    if refused.reason is Reason.INSUFFICIENT_MARGIN:
        return refuse(-2028, "Leverage is smaller than permitted: insufficient margin balance.")
    return errors.plain(refused)


def max_leverage(listing: Listing) -> int:
    """The highest leverage of any bracket."""
    return max((tier.leverage_max for tier in listing.tiers), default=1)


def set_margin_type(house: House, call: Call, key: Key) -> Answer:
    """POST /fapi/v1/marginType: ISOLATED or CROSSED."""
    wanted = read(call)
    listing = required_listing(house, wanted, call.now)
    text = wanted.required("marginType")
    if text not in ("ISOLATED", "CROSSED"):
        raise refuse(-1130, "Data sent for parameter 'marginType' is not valid.")
    mode = MarginMode.ISOLATED if text == "ISOLATED" else MarginMode.CROSS
    command = SetMarginMode(account=account_of(house, key), instrument=listing.key, mode=mode)
    try:
        house.apply(command, call.now)
    except commands.Refused as refused:
        raise _refused(refused, _MARGIN_TYPE) from None
    return answer(_DONE)


def position_mode(house: House, _call: Call, key: Key) -> Answer:
    """GET /fapi/v1/positionSide/dual."""
    mode = house.engine.position_mode(account_of(house, key))
    return answer({"dualSidePosition": mode is PositionMode.HEDGE})


def set_position_mode(house: House, call: Call, key: Key) -> Answer:
    """POST /fapi/v1/positionSide/dual."""
    wanted = read(call)
    wanted.required("dualSidePosition")
    mode = PositionMode.HEDGE if wanted.flag("dualSidePosition") else PositionMode.ONE_WAY
    try:
        house.apply(SetPositionMode(account=account_of(house, key), mode=mode), call.now)
    except commands.Refused as refused:
        raise _refused(refused, _POSITION_MODE) from None
    return answer(_DONE)


def symbol_config(house: House, call: Call, key: Key) -> Answer:
    """GET /fapi/v1/symbolConfig: what is in force for one contract or for all."""
    account, engine = account_of(house, key), house.engine
    rows: list[dict[str, Any]] = []
    for listing in contracts(house, read(call), call.now):
        leverage = engine.leverage(account, listing.key)
        isolated = engine.margin_mode(account, listing.key) is MarginMode.ISOLATED
        rows.append(
            {
                "symbol": listing.symbol,
                "marginType": "ISOLATED" if isolated else "CROSSED",
                "isAutoAddMargin": "false",
                "leverage": leverage,
                "maxNotionalValue": f"{max_notional(listing, leverage):f}",
            }
        )
    return answer(rows)


# --- multi-assets mode, fee burn --------------------------------------------------------------------------


def multi_assets(_house: House, _call: Call, _key: Key) -> Answer:
    """GET /fapi/v1/multiAssetsMargin: the venue knows single-asset mode only."""
    return answer({"multiAssetsMargin": False})


def set_multi_assets(_house: House, call: Call, _key: Key) -> Answer:
    """POST /fapi/v1/multiAssetsMargin: single-asset mode is on already, the other one is not offered."""
    wanted = read(call)
    wanted.required("multiAssetsMargin")
    if not wanted.flag("multiAssetsMargin"):
        raise refuse(-4171, "No need to change Multi-Assets mode.")
    text = (
        "Dear user, as per our Terms of Use and compliance with local regulations,"
        " this feature is currently not available in your region."
    )
    raise refuse(-4402, text)


def fee_burn(house: House, _call: Call, key: Key) -> Answer:
    """GET /fapi/v1/feeBurn: whether fees are paid in BNB."""
    return answer({"feeBurn": house.engine.accounts[account_of(house, key)].fees.coin is not None})


def set_fee_burn(house: House, call: Call, key: Key) -> Answer:
    """POST /fapi/v1/feeBurn."""
    wanted = read(call)
    wanted.required("feeBurn")
    account = account_of(house, key)
    coin = BURN_COIN if wanted.flag("feeBurn") else None
    fees = replace(house.engine.accounts[account].fees, coin=coin, coin_factor=BURN_FACTOR)
    house.apply(SetFees(account=account, fees=fees), call.now)
    return answer(_DONE)


# --- brackets, commissions, limits ------------------------------------------------------------------------


def leverage_bracket(house: House, call: Call, _key: Key) -> Answer:
    """GET /fapi/v1/leverageBracket: an array, of one contract or of all."""
    listings = contracts(house, read(call), call.now)
    return answer([_brackets(listing) for listing in listings])


def _brackets(listing: Listing) -> dict[str, Any]:
    rows, floor = [], Decimal(0)
    for place, tier in enumerate(listing.tiers, start=1):
        rows.append(_bracket(place, tier, floor))
        floor = tier.notional_max
    return {"symbol": listing.symbol, "notionalCoef": 1.0, "brackets": rows}


def _bracket(place: int, tier: Tier, floor: Decimal) -> dict[str, Any]:
    return {
        "bracket": place,
        "initialLeverage": tier.leverage_max,
        "notionalCap": int(tier.notional_max),
        "notionalFloor": int(floor),
        "maintMarginRatio": float(tier.maintenance_ratio),
        "cum": float(tier.maintenance_amount),
    }


def commission_rate(house: House, call: Call, key: Key) -> Answer:
    """GET /fapi/v1/commissionRate of one symbol."""
    listing = required_listing(house, read(call), call.now)
    schedule = house.engine.accounts[account_of(house, key)].fees
    rates = schedule.future if listing.kind is Kind.FUTURE else schedule.perp
    return answer(
        {
            "symbol": listing.symbol,
            "makerCommissionRate": f"{rates.maker:f}",
            "takerCommissionRate": f"{rates.taker:f}",
        }
    )


def order_rate_limit(_house: House, _call: Call, _key: Key) -> Answer:
    """GET /fapi/v1/rateLimit/order."""
    return answer(
        [
            _limit("SECOND", 10, ORDERS_10_SEC_MAX),
            _limit("MINUTE", 1, ORDERS_MINUTE_MAX),
        ]
    )


def _limit(interval: str, number: int, most: int) -> dict[str, Any]:
    return {"rateLimitType": "ORDERS", "interval": interval, "intervalNum": number, "limit": most}
