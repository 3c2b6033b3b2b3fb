"""Leverage, margin mode and position mode: what an account chooses for its contracts.

Venues differ in wording only. Leverage may change with a position as long as its bracket allows it and the
margin suffices (Binance -2027, -2019); the modes only while there is neither a position nor an open order
(Binance -4047, -4048, -4067, -4068); asking for what is already so is refused where the venue does
(Binance -4046, -4059), and for leverage it simply stands.
"""

from __future__ import annotations

from msgspec.structs import replace

from libs.common.instant import Now
from libs.common.subjects import Kind
from libs.exchange.engine.commands import (
    Configured,
    Event,
    Positioned,
    Reason,
    Refused,
    SetLeverage,
    SetMarginMode,
    SetPositionMode,
)
from libs.exchange.engine.demand import interests
from libs.exchange.engine.pools import asset_of, available, leverage_of
from libs.exchange.engine.positions import margin_for
from libs.exchange.engine.state import Account, Market, Settings, State
from libs.exchange.engine.tiers import leverage_max, notional_max
from libs.exchange.engine.types import ZERO, AccountKind, MarginMode

CONTRACTS = (AccountKind.FUTURES, AccountKind.UNIFIED)


def set_leverage(state: State, command: SetLeverage, now: Now) -> list[Event]:
    """Of one contract, its positions included; refused (LEVERAGE, POSITION_LIMIT, INSUFFICIENT_MARGIN).

    An isolated position keeps its margin when the leverage rises (Binance refuses to lower it: -4161); it
    may not fall, since margin would have to be found for it.
    """
    account, market = _trading(state, command.account), state.contract(command.instrument)
    most = leverage_max(market.listing)
    if not 1 <= command.leverage <= most:
        raise Refused(Reason.LEVERAGE, f"leverage of {command.instrument} is 1 to {most}")
    _check_bracket(state, account, market, command.leverage)
    held = list(account.positions.get(command.instrument, {}).values())
    old = account.settings_of(command.instrument)
    if command.leverage < leverage_of(account, market.listing):
        if any(position.margin_mode is MarginMode.ISOLATED for position in held):
            raise Refused(Reason.LEVERAGE, "leverage of an isolated position cannot be lowered")
        _check_margin(state, account, market, command.leverage)
    account.settings[command.instrument] = Settings(command.leverage, old.margin_mode)
    events: list[Event] = [
        Configured(account=command.account, instrument=command.instrument, leverage=command.leverage)
    ]
    for position in held:
        changed = replace(position, leverage=command.leverage, updated_us=now.wall_us)
        state.put_position(changed)
        events.append(Positioned(position=changed, cause="settings"))
    return events


def set_margin_mode(state: State, command: SetMarginMode, now: Now) -> list[Event]:
    """Of one contract; refused with a position or open orders of it, ALREADY_SET when it is so."""
    del now
    account, market = _trading(state, command.account), state.contract(command.instrument)
    old = account.settings_of(command.instrument)
    if old.margin_mode is command.mode:
        raise Refused(Reason.ALREADY_SET, f"{command.instrument} is {command.mode} already")
    if state.open_orders(account, command.instrument):
        raise Refused(Reason.HAS_ORDERS, f"{command.instrument} has open orders")
    if account.positions.get(command.instrument):
        raise Refused(Reason.HAS_POSITION, f"{command.instrument} has a position")
    account.settings[market.listing.key] = Settings(old.leverage, command.mode)
    return [Configured(account=command.account, instrument=command.instrument, margin_mode=command.mode)]


def set_position_mode(state: State, command: SetPositionMode, now: Now) -> list[Event]:
    """Of all contracts of the account; refused with a position, an open contract order, or when it is so."""
    del now
    account = _trading(state, command.account)
    if account.position_mode is command.mode:
        raise Refused(Reason.ALREADY_SET, f"the position mode is {command.mode} already")
    if any(state.markets[key].listing.kind is not Kind.SPOT for key in account.open.values()):
        raise Refused(Reason.HAS_ORDERS, "there are open orders")
    if account.positions:
        raise Refused(Reason.HAS_POSITION, "there are positions")
    account.position_mode = command.mode
    return [Configured(account=command.account, instrument="", position_mode=command.mode)]


def _trading(state: State, account_id: str) -> Account:
    account = state.account(account_id)
    if account.spec.kind not in CONTRACTS:
        raise Refused(Reason.NOT_ALLOWED, f"a {account.spec.kind} account trades no contracts")
    return account


def _check_bracket(state: State, account: Account, market: Market, leverage: int) -> None:
    most = notional_max(market.listing, leverage)
    for side, interest in interests(state, account, market).items():
        reached = interest.reached(side)
        if reached > most:
            detail = f"{reached:f} {market.listing.quote} of position and orders; {leverage}x allows {most:f}"
            raise Refused(Reason.POSITION_LIMIT, detail)


def _check_margin(state: State, account: Account, market: Market, leverage: int) -> None:
    """Less leverage needs more margin for what is held and for what rests."""
    old = leverage_of(account, market.listing)
    notional = sum(
        (abs(i.held) + i.beyond(side) for side, i in interests(state, account, market).items()), ZERO
    )
    more = margin_for(notional, leverage) - margin_for(notional, old)
    left = available(state, account, asset_of(account, market.listing))
    if more > max(left, ZERO):
        raise Refused(Reason.INSUFFICIENT_MARGIN, f"{leverage}x needs {more:f} more, {left:f} is available")
