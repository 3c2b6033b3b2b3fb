from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from libs.common.effects import Answered, Request
from libs.common.messages import AlertLevel
from libs.exchange.trading_values import Done, OrderRequest, Outcome
from services.executor import events
from services.executor.model import State
from services.executor.say import pair_status
from tests.unit.executor.rig import PERP_KEY, SPOT_KEY, Rig


def untold(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers to spot buys come without their trades, which cannot be read either."""
    arrive = rig.venues.arrive

    def quiet(key: tuple[str, str], request: OrderRequest) -> Outcome:
        out = arrive(key, request)
        return Done(report=out.report, fills=()) if key == SPOT_KEY and isinstance(out, Done) else out

    monkeypatch.setattr(rig.venues, "arrive", quiet)
    rig.venues.fills_fail = 10**9


def test_a_buy_whose_trades_are_not_told_is_named_and_paged(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(base_fee="0.001")
    untold(rig, monkeypatch)
    rig.wish("open", "1000")
    rig.run(60)
    assert "has not told the trades of a buy" in pair_status(rig.lane, rig.now).reason
    (text,) = rig.told("stalled")
    assert "has not told the trades of a buy" in text


def test_an_order_that_was_only_acknowledged_is_named_and_paged(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    rig.acts("perp", "rest")
    rig.wish("open", "1000")
    rig.run(0.02)
    rig.venues.queries_fail = True
    monkeypatch.setattr(rig.venues, "cancel", lambda _: None)
    rig.run(120)
    assert "ought to be over" in pair_status(rig.lane, rig.now).reason
    (alert,) = (one for one in rig.alerts if "stalled" in one.key)
    assert alert.level is AlertLevel.CRITICAL


@pytest.mark.parametrize("rare", [False, True])
def test_a_difference_that_cannot_be_explained_is_named_and_paged(
    monkeypatch: pytest.MonkeyPatch, *, rare: bool
) -> None:
    rig = Rig().opened("1000")
    serve, looked = rig._serve, [0]

    def unread(request: Request) -> None:
        refused: Any = isinstance(request, events.FindTaken)
        if rare and isinstance(request, events.ReadAccount):
            refused = rig.now.mono_us - looked[0] < 17_000_000
            looked[0] = looked[0] if refused else rig.now.mono_us
        if refused:
            rig.offer(Answered(request=request, result=None, error="its books are away"))
        else:
            serve(request)

    monkeypatch.setattr(rig, "_serve", unread)
    rig.venues.take(PERP_KEY, Decimal(5))
    rig.run(120)
    said = pair_status(rig.lane, rig.now).reason
    assert "differs by 5 from our fills" in said
    assert "its books are away" in said
    (alert,) = (one for one in rig.alerts if "stalled" in one.key)
    assert alert.level is AlertLevel.CRITICAL
    assert "it is hedged by our own fills" in alert.text


def test_a_difference_that_somebody_made_ripens_although_looks_are_rare(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig().opened("1000")
    serve, looked = rig._serve, [0]

    def seldom(request: Request) -> None:
        if isinstance(request, events.ReadAccount):
            if rig.now.mono_us - looked[0] < 17_000_000:
                rig.offer(Answered(request=request, result=None, error="rate limit"))
                return
            looked[0] = rig.now.mono_us
        serve(request)

    monkeypatch.setattr(rig, "_serve", seldom)
    rig.venues.held[PERP_KEY] += Decimal(5)
    rig.until(lambda: rig.state is State.STUCK, 60)
    assert rig.told("foreign")


def test_what_a_venue_took_is_seen_while_trades_of_the_other_leg_are_not_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig(base_fee="0.001")
    untold(rig, monkeypatch)
    rig.wish("open", "1000")
    rig.run(30)
    rig.venues.take(PERP_KEY, Decimal(9))
    rig.until(lambda: rig.held[1] == rig.shown[1], 15)
    assert rig.durable.delta > Decimal(8), "what stands alone is known"
    rig.venues.fills_fail = 0
    rig.until(lambda: rig.shown[0] < 2, 20)
