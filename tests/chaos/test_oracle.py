"""The oracle finds each kind of lie: what it does not notice no chaos run would."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.chaos import oracle
from tests.chaos.trader import Answered

PAIR = "SOL-USDT_binance-spot_binance-perp"


def fill(
    number: int, instrument: str, side: str, quantity: str, at_sec: float, **more: Any
) -> dict[str, Any]:
    base = {"trade_id": number, "instrument": instrument, "side": side, "quantity": quantity, "price": "100"}
    fee = {"fee": "0", "fee_asset": "USDT", "client_id": f"fa{number}", "wall_us": int(at_sec * 1e6)}
    return {**base, **fee, **more}


def house(*fills: dict[str, Any], position: str = "-2", coins: str = "2", funding: str = "0.5") -> Any:
    account = {
        "fills": list(fills),
        "positions": [{"position": {"instrument": "perp:SOLUSDT", "quantity": position}}],
        "balances": {"SOL": {"total": coins}, "USDT": {"total": "5"}},
        "entries": [{"kind": "funding", "amount": funding}, {"kind": "fee", "amount": "-1"}],
    }
    return {"binance": {"sent": {one["client_id"]: 1 for one in fills}, "accounts": {"u1": account}}}


OPENED = (fill(1, "spot:SOLUSDT", "buy", "2", 10), fill(2, "perp:SOLUSDT", "sell", "2", 11))
CLASSES = {"fa1": "increase", "fa2": "increase"}


def state(first: str = "2", second: str = "-2", name: str = "active") -> dict[str, Any]:
    legs = [
        {"venue": "binance", "instrument": "SOL-USDT", "quantity": first},
        {"venue": "binance", "instrument": "SOL-USDT-PERP", "quantity": second},
    ]
    return {PAIR: {"state": name, "reason": "", "legs": legs}}


PRICES = {"SOL": Decimal(100)}


def test_ids_that_came_twice_or_unannounced_are_found() -> None:
    told = house(*OPENED)
    assert oracle.sent_problems(told, CLASSES) == []
    told["binance"]["sent"]["fa1"] = 2
    assert oracle.sent_problems(told, CLASSES) == ["fa1 was sent 2 times"]
    assert "not in the journal" in oracle.sent_problems(house(*OPENED), {"fa1": "increase"})[0]


def test_classes_are_those_of_the_journal() -> None:
    entries = [
        {"intents": msgspec.json.encode({"fa1": {"order_class": "increase"}, "fa0": None})},
        {"intents": msgspec.json.encode({"fa2": {"order_class": "reduce"}})},
    ]
    assert oracle.classes_of(entries) == {"fa1": "increase", "fa2": "reduce"}


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        (house(), 0),
        (house(coins="2.01"), 0),  # a dollar of dust
        (house(coins="2.5"), 1),
        (house(coins="1.9"), 1),
        (house(position="-1.99"), 1),
    ],
)
def test_positions_are_compared_with_the_venue(told: Any, wrong: int) -> None:
    assert len(oracle.position_problems(told, state(), PRICES)) == wrong


def test_every_pair_rests_hedged_or_is_named() -> None:
    assert oracle.state_problems(state(), PRICES, []) == []
    assert "naked by 100.00" in oracle.state_problems(state(second="-1"), PRICES, [])[0]
    assert "is opening" in oracle.state_problems(state(name="opening"), PRICES, [])[0]
    stuck = state(second="-1", name="stuck")
    assert "nobody was paged" in oracle.state_problems(stuck, PRICES, ["another matter"])[0]
    assert oracle.state_problems(stuck, PRICES, [f"halted {PAIR}"]) == []


def test_naked_value_is_integrated_over_the_venues_trades() -> None:
    trades = oracle.trades_of(house(*OPENED))
    assert oracle.naked_usd_seconds(trades, since_us=0, until_us=20_000_000) == pytest.approx(200.0)
    assert oracle.naked_usd_seconds(trades, since_us=10_500_000, until_us=20_000_000) == pytest.approx(100.0)
    alone = oracle.trades_of(house(OPENED[0]))
    assert oracle.naked_usd_seconds(alone, since_us=0, until_us=20_000_000) == pytest.approx(2_000.0)
    fee = oracle.trades_of(house(fill(1, "spot:SOLUSDT", "buy", "2", 10, fee="0.01", fee_asset="SOL")))
    assert fee[0].quantity == Decimal("1.99")
    assert fee[0].gross == Decimal(2)


def line(number: int, quantity: str, instrument: str, more: str = "") -> dict[str, Any]:
    return {"key": f"binance:fill:{instrument}/{number}{more}", "kind": "fill", "quantity": quantity}


def test_trades_are_booked_once_with_their_quantity() -> None:
    trades = oracle.trades_of(house(*OPENED))
    booked = [line(1, "2", "SOL-USDT"), line(2, "-2", "SOL-USDT-PERP")]
    assert oracle.ledger_problems(booked, trades) == []
    assert "not booked" in oracle.ledger_problems(booked[:1], trades)[0]
    assert "booked twice" in oracle.ledger_problems([*booked, booked[0]], trades)[0]
    shared = [
        line(1, "2", "SOL-USDT"),
        line(2, "-1", "SOL-USDT-PERP", "@a"),
        line(2, "-1", "SOL-USDT-PERP", "@b"),
    ]
    assert oracle.ledger_problems(shared, trades) == []
    assert "was traded" in oracle.ledger_problems([booked[0], line(2, "-1", "SOL-USDT-PERP")], trades)[0]
    assert "never traded" in oracle.ledger_problems([*booked, line(3, "1", "SOL-USDT")], trades)[0]


def test_funding_adds_up() -> None:
    paid = {"key": "k", "kind": "funding", "venue": "binance", "amount": "0.5"}
    assert oracle.funding_problems([paid], house()) == []
    assert oracle.funding_problems([], house()) == ["binance: funding of 0 is booked, 0.5 was paid"]


def test_commands_that_were_answered_are_in_the_audit() -> None:
    entry = {"body": b'{"id":"c1"}', "service": b"executor"}
    asked = [Answered("c1", "open", ("executor",))]
    assert oracle.audit_problems([entry], asked) == []
    assert "by risk and is not" in oracle.audit_problems([entry], [Answered("c1", "reset", ("risk",))])[0]
