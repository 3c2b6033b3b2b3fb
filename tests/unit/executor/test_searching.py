"""An order that its venue denies: the user's coins are no proof, the venue's trades are."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from services.executor import events
from services.executor.model import Intent, IntentState, Purpose, State
from services.executor.resolve import window_us
from tests.unit.executor.rig import FLAT, SPOT_KEY, Rig
from tests.unit.executor.scripted import Act

W_SEC = window_us("binance") / 1e6


def denied_sale(act: Act) -> tuple[Rig, Intent]:
    """A close whose spot sale has no answer, no word of the stream, and of which the venue denies all."""
    rig = Rig()
    rig.venues.users_coins = Decimal(5)
    rig.opened()
    rig.stream_on = False
    rig.acts("spot", act)
    rig.wish("close")
    rig.until(lambda: len(rig.orders(Purpose.CLOSE)) == 2, 2)
    (sale,) = (one for one in rig.orders(Purpose.CLOSE) if one.leg == 0)
    rig.venues.denies.add(sale.id)
    return rig, sale


def now_of(rig: Rig, intent: Intent) -> Intent:
    return rig.lane.intents[intent.id]


@pytest.mark.parametrize("act", ["silent", "silent_half"])
def test_a_sale_that_filled_beside_the_users_coins_is_found_by_its_trades(act: Act) -> None:
    rig, sale = denied_sale(act)
    rig.until(lambda: now_of(rig, sale).state.is_final, W_SEC + 15)
    assert now_of(rig, sale).state is IntentState.DONE
    assert now_of(rig, sale).filled > 0
    rig.until(lambda: rig.state is State.IDLE, 30)
    assert rig.held == FLAT
    assert rig.shown == FLAT
    assert rig.venues.held[SPOT_KEY] == 0, "no coin of the user's was sold"


def test_a_sale_without_a_trade_was_never_accepted() -> None:
    rig, sale = denied_sale("lost")
    rig.requests.clear()
    rig.until(lambda: now_of(rig, sale).state.is_final, W_SEC + 15)
    assert now_of(rig, sale).state is IntentState.NOT_ACCEPTED
    searched = [one for one in rig.requests if isinstance(one, events.FetchFills) and one.denied == sale.id]
    assert len(searched) == 1
    assert searched[0].since_ms <= sale.created_us // 1000 - 60_000
    rig.until(lambda: rig.state is State.IDLE, 30)
    assert rig.shown == FLAT


def test_nothing_is_concluded_while_the_trades_cannot_be_read() -> None:
    rig, sale = denied_sale("lost")
    rig.venues.fills_fail = 3
    for _ in range(2 * int(W_SEC + 40)):
        if not rig.venues.fills_fail:
            break
        rig.run(0.5)
        positions, balances = rig.venues.account("binance")  # the books' look, which all pairs hear of
        seen = events.AccountSeen(
            venue="binance", positions=positions, balances=balances, asked_mono_us=rig.now.mono_us
        )
        rig.offer(events.AccountLooked(pair=rig.pair, seen=seen))
    assert rig.venues.fills_fail == 0, "the trades were asked for again and again"
    assert not now_of(rig, sale).state.is_final
    assert rig.state is State.CLOSING
    rig.until(lambda: now_of(rig, sale).state is IntentState.NOT_ACCEPTED, 15)


def test_a_trade_that_may_be_its_and_is_nobodys_halts_the_pair() -> None:
    """A trade that names neither our id nor a known order: the user's, or the denied order's."""
    rig, sale = denied_sale("silent")
    rig.venues.trades[SPOT_KEY] = [
        replace(one, client_id=None, order_id="unheard", ts_ms=sale.created_us // 1000)
        if one.client_id == sale.id
        else one
        for one in rig.venues.trades[SPOT_KEY]
    ]
    rig.until(lambda: rig.state is State.STUCK, W_SEC + 15)
    assert now_of(rig, sale).state is IntentState.FOREIGN
    assert sale.id in rig.told("foreign")[0]


@pytest.mark.parametrize(
    "other",
    [
        {"client_id": "web"},
        {"ts_ms": 1_000},
        {"price": Decimal(1)},
        {"quantity": Decimal(100)},
    ],
)
def test_trades_that_cannot_be_its_prove_nothing(other: dict[str, object]) -> None:
    rig, sale = denied_sale("lost")
    bought = rig.venues.trades[SPOT_KEY][0]
    values = {"client_id": None, "order_id": "unheard", "ts_ms": sale.created_us // 1000, "trade_id": "x"}
    rig.venues.trades[SPOT_KEY].append(
        replace(bought, side=rig.venues.orders[rig.sent[1].id].request.side, **(values | other))
    )
    rig.until(lambda: now_of(rig, sale).state.is_final, W_SEC + 15)
    assert now_of(rig, sale).state is IntentState.NOT_ACCEPTED
