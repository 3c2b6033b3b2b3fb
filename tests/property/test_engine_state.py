"""The engine under anything that can happen: a refusal changes nothing, replaying gives the same bytes, and
every place that knows of an order, a lock or a position agrees with the others.
"""

from __future__ import annotations

from decimal import Decimal

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from libs.common.subjects import Kind
from libs.exchange.engine.commands import Command, Refused
from libs.exchange.engine.engine import Engine
from libs.exchange.engine.state import State
from libs.exchange.engine.types import AccountKind, Side, VenueRules
from tests.helpers.floor import Floor
from tests.helpers.turmoil import aimed, commands

# Without shrinking: a life of a hundred commands shrinks for minutes, and the runs are derandomized anyway.
THOROUGH = settings(
    phases=[Phase.explicit, Phase.generate],
    max_examples=40,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
rules = st.builds(
    VenueRules,
    post_only=st.sampled_from(["refuse", "cancel"]),
    unique_ids=st.sampled_from(["open", "ever"]),
    history_max=st.sampled_from([3, 100_000]),
)
lives = st.lists(commands(), min_size=30, max_size=100)


def opened(venue: VenueRules) -> Floor:
    floor = Floor(venue)
    for kind in AccountKind:
        floor.deposit(kind, USDT="50000", BTC="1")
    return floor


@THOROUGH
@given(rules, lives)
def test_a_refusal_changes_nothing_and_all_places_agree(venue: VenueRules, life: list[Command]) -> None:
    floor = opened(venue)
    for command in life:
        before = floor.engine.snapshot()
        try:
            floor.do(aimed(command, floor))  # which also looks that all money is still there
        except Refused:
            assert floor.engine.snapshot() == before
        agree(floor.engine._state)


@THOROUGH
@given(rules, lives)
def test_replaying_and_restoring_give_the_same_bytes(venue: VenueRules, life: list[Command]) -> None:
    floor = opened(venue)
    for command in life[: len(life) // 2]:
        attempt(floor, command)
    other = Engine.restore(floor.engine.snapshot())
    assert other.snapshot() == floor.engine.snapshot()
    start = len(floor.done)
    for command in life[len(life) // 2 :]:
        attempt(floor, command)
    for command, now in floor.done[start:]:
        other.apply(command, now)
    assert other.snapshot() == floor.engine.snapshot()
    assert floor.replayed().snapshot() == floor.engine.snapshot()


@given(lives)
@settings(parent=THOROUGH, max_examples=10)
def test_questions_change_nothing(life: list[Command]) -> None:
    floor = opened(VenueRules())
    for command in life:
        attempt(floor, command)
    engine = floor.engine
    before = engine.snapshot()
    for name, spec in engine.accounts.items():
        assert all(balance.free >= 0 for balance in engine.balances(name).values())
        assert len(engine.orders(name)) >= len(engine.open_orders(name))
        engine.positions(name)
        engine.fills(name)
        engine.entries(name)
        engine.margin_level(name)
        for asset in ("USDT", "BTC"):
            assert engine.max_withdraw(name, asset) >= 0
            if spec.kind in (AccountKind.MARGIN, AccountKind.UNIFIED):
                assert engine.max_borrow(name, asset) >= 0
            if spec.kind in (AccountKind.FUTURES, AccountKind.UNIFIED):
                engine.margin(name, asset)
    engine.watched()
    engine.exposed()
    engine.totals()
    assert engine.snapshot() == before


def attempt(floor: Floor, command: Command) -> None:
    try:
        floor.do(aimed(command, floor))
    except Refused:
        return


def agree(state: State) -> None:
    """Queues, open orders, locks, balances and holders all tell the same."""
    resting: dict[int, str] = {}
    for key, market in state.markets.items():
        for queue, side in ((market.buys, Side.BUY), (market.sells, Side.SELL)):
            assert queue == sorted(queue)
            for rank, order_id in queue:
                order = state.orders[order_id]
                assert order.is_open
                assert order.price == abs(rank)
                assert (order.side, order.instrument) == (side, key)
                resting[order_id] = key
    owned: dict[int, str] = {}
    for name, account in state.accounts.items():
        owned |= account.open
        locks: dict[str, Decimal] = {}
        for order_id, key in account.open.items():
            order, listing = state.orders[order_id], state.markets[key].listing
            if listing.kind is Kind.SPOT:
                asset = listing.quote if order.side is Side.BUY else listing.base
                locks[asset] = locks.get(asset, Decimal(0)) + order.remaining * state.units[order_id]
        for asset, balance in account.balances.items():
            assert balance.locked == locks.get(asset, 0)
            assert balance.total >= balance.locked
            assert min(balance.borrowed, balance.interest) >= 0
        for key, sides in account.positions.items():
            assert state.markets[key].holders[name] == len(sides)
            assert all(position.quantity for position in sides.values())
    assert owned == resting
    holders = sum(len(market.holders) for market in state.markets.values())
    assert holders == sum(len(account.positions) for account in state.accounts.values())
