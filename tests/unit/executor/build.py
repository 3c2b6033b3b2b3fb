"""Values for the executor's tests: intents, rules, permits, with defaults that fit together."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from libs.common.instant import US_PER_SEC, Now
from libs.common.messages_exec import Breaker, Permit
from libs.common.subjects import Kind
from libs.exchange.trading_values import FillReport, OrderReport, OrderState, Side
from services.executor.model import Intent, IntentState, OrderClass, Purpose
from services.executor.sizing import Rules

BUILD = "b1"
PAIR = "binance-BTC-USDT--binance-BTC-USDT-PERP"
LEGS = (("binance", "BTC-USDT"), ("binance", "BTC-USDT-PERP"))
WALL_US = 1_760_000_000_000_000


def at(sec: float = 0.0, *, wall_off_us: int = 0) -> Now:
    """An instant `sec` after the start."""
    us = int(sec * US_PER_SEC)
    wall_us = WALL_US + us + wall_off_us
    return Now(wall_us=wall_us, market_ms=wall_us // 1000, mono_us=us)


def permit(
    revision: int, *breakers: Breaker, sec: float = 0.0, epoch: int = 1, build: str = BUILD, **more: Any
) -> Permit:
    """A permit stamped `sec` after the start."""
    return Permit(
        risk_epoch=epoch,
        revision=revision,
        build=build,
        wall_us=at(sec).wall_us,
        breakers=breakers,
        **more,
    )


def intent(**fields: Any) -> Intent:
    """A spot buy of 2 at 101, decided at the start; its mid is 100."""
    values: dict[str, Any] = {
        "id": "fa0",
        "pair": PAIR,
        "leg": 0,
        "purpose": Purpose.OPEN,
        "order_class": OrderClass.INCREASE,
        "side": "buy",
        "quantity": Decimal(2),
        "price": Decimal(101),
        "tif": "ioc",
        "reduce_only": False,
        "margin": False,
        "fence": 7,
        "attempt": 1,
        "state": IntentState.SENT,
        "created_us": WALL_US,
        "mid": Decimal(100),
    }
    return Intent(**values | fields)


def report(
    filled: str, average: str | None, status: OrderState, *, quantity: str = "2", reason: str = ""
) -> OrderReport:
    """What a venue says of that order."""
    return OrderReport(
        client_id="fa0",
        order_id="v1",
        instrument="BTC-USDT",
        side=Side.BUY,
        status=status,
        quantity=Decimal(quantity),
        filled=Decimal(filled),
        average=None if average is None else Decimal(average),
        price=Decimal(101),
        ts_ms=0,
        reason=reason,
    )


def trade(
    trade_id: str, quantity: str, price: str, fee: str | None = "0", fee_asset: str = "USDT"
) -> FillReport:
    """One trade of that order."""
    return FillReport(
        trade_id=trade_id,
        order_id="v1",
        client_id="fa0",
        instrument="BTC-USDT",
        side=Side.BUY,
        price=Decimal(price),
        quantity=Decimal(quantity),
        fee=None if fee is None else Decimal(fee),
        fee_asset=fee_asset,
        liquidity=None,
        ts_ms=0,
    )


def rules(kind: Kind = Kind.PERP, **fields: Any) -> Rules:
    """BTC in USDT with a step of 0.001."""
    values: dict[str, Any] = {
        "kind": kind,
        "base": "BTC",
        "quote": "USDT",
        "settle": "USDT",
        "step": Decimal("0.001"),
        "tick": Decimal("0.1"),
    }
    return Rules(**values | fields)
