"""Signal, risk and an executor that is slow, loses words and fails: what must hold at every moment of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from libs.carry.holding import soft_close_waits
from libs.common import subjects
from libs.common.config.schema import Limits, Mode, Thresholds
from libs.common.effects import Received
from libs.common.messages import Intent
from libs.common.messages_exec import Breaker, Level, PairStatus
from services.signal.decide import evaluate_pair
from tests.unit.signal.trader import PAIRS, Trader, intents
from tests.unit.signal.world import BTC, CROSS, ETH

# A life that fails is told at once: shrinking one takes minutes and shows little more.
MANY = settings(derandomize=True, max_examples=60, deadline=None, phases=[Phase.explicit, Phase.generate])
BEAT_SEC = 5.0
ENDS = {"opening": ("active", "idle", "unwinding"), "closing": ("idle", "active", "unwinding")}
ENDS["unwinding"] = ("idle", "active", "stuck")

rates = st.sampled_from([-0.004, -0.0005, 0.00001, 0.0003, 0.0005, 0.004])
steps = st.tuples(
    st.sampled_from([0.5, 1.0, 2.0, 4.0, 5.0, 30.0, 3_600.0, 3.2 * 3_600.0]),  # seconds that pass
    st.one_of(st.none(), st.tuples(rates, rates, rates)),  # new rates
    st.sampled_from(["permit", "permit", "permit", "permit", "none", "breaker"]),
    st.tuples(*[st.integers(0, 5) for _ in PAIRS]),  # what each pair's executor does
    st.booleans(),  # whether the words of this moment are lost
)


class Executor:
    """Pairs by state; a wish that is in time and fits the state is followed, sooner or later."""

    def __init__(self, trader: Trader) -> None:
        self.trader = trader
        self.pairs: dict[str, PairStatus] = {pair: trader.status(pair) for pair in PAIRS}
        self.wishes: dict[str, Intent] = {}
        self.said_us = 0

    @property
    def taking(self) -> dict[str, PairStatus]:
        return {pair: status for pair, status in self.pairs.items() if status.state != "idle"}

    def move(self, pair: str, state: str, **changes: Any) -> None:
        self.pairs[pair] = self.trader.status(pair, state, **changes)

    def act(self, pair: str, choice: int) -> None:
        """Take up a wish (0-3), or end what is under way (0-2); else go on as it is."""
        wish, status = self.wishes.get(pair), self.pairs[pair]
        if wish is not None and self.trader.now.wall_us > wish.expires_us:
            wish = None
        if status.state in ENDS and choice < len(ENDS[status.state]):
            self.move(pair, ENDS[status.state][choice], direction=status.direction)
        elif wish is not None and choice < 4 and (wish.action, status.state) == ("open", "idle"):
            self.move(pair, "opening", direction=wish.direction, notional_usd=Decimal(wish.notional_usd))
        elif wish is not None and choice < 4 and (wish.action, status.state) == ("close", "active"):
            self.move(pair, "closing", direction=status.direction)
        else:
            return
        self.wishes.pop(pair, None)

    def say(self, *, lost: bool) -> None:
        """On change, unless it is lost, and all again every 5 s."""
        beat = self.trader.now.wall_us - self.said_us >= BEAT_SEC * 1_000_000
        if lost and not beat:
            return
        self.said_us = self.trader.now.wall_us
        for pair, status in self.pairs.items():
            message = msgspec.structs.replace(status, wall_us=self.trader.now.wall_us)
            self.trader.do(Received(subject=subjects.exec_pair(pair), message=message))


def sides(trader: Trader, pair: str, direction: str) -> set[tuple[str, str, str]]:
    first, second = trader.legs[pair]
    names = ("long", "short") if direction == "forward" else ("short", "long")
    legs = zip((first, second), names, strict=True)
    return {(leg.venue, leg.instrument, name) for leg, name in legs}


def check_wishes(trader: Trader, said: dict[str, PairStatus], found: dict[str, Intent], permit: str) -> None:
    """Every wish by itself: fits the state that was said, is permitted, and keeps away from settlements."""
    for pair, wish in found.items():
        view = trader.actor._view
        seen = evaluate_pair(view, pair, trader.now, direction=wish.direction)
        assert not soft_close_waits(seen, trader.now.market_ms)
        assert trader.now.wall_us < wish.expires_us <= trader.now.wall_us + 5_000_000
        if wish.action == "open":
            assert said[pair].state == "idle"
            assert permit == "permit" or (permit == "breaker" and pair != ETH)
            assert seen.passes
            assert Decimal(wish.notional_usd) == 1_000
        else:
            assert wish.action == "close"
            assert said[pair].state == "active"
            assert wish.direction == said[pair].direction


@MANY
@given(
    script=st.lists(steps, min_size=10, max_size=40),
    pairs_max=st.integers(1, 3),
    usd_max=st.sampled_from([None, 1_000.0, 2_500.0]),
    reverse=st.booleans(),
    policy=st.sampled_from(["tolerance", "cost_aware"]),
)
def test_whatever_happens_signal_asks_for_nothing_that_it_must_not(
    script: list[Any], pairs_max: int, usd_max: float | None, *, reverse: bool, policy: Any
) -> None:
    limits = Limits(max_pairs=pairs_max, max_notional_usd=usd_max)
    thresholds = Thresholds(flip_policy=policy, flip_reverse=reverse, rotation_hurdle=0.5)
    trader = Trader(limits=limits, thresholds=thresholds)
    executor = Executor(trader)
    trader.start()
    trader.everything()
    trader.permit()
    executor.say(lost=False)
    heard = dict(executor.pairs)
    now_rates = (0.0003, 0.0005, 0.0003)
    for sec, new_rates, permit, choices, lost in script:
        trader.clock.advance(sec=sec)
        now_rates = new_rates or now_rates
        for message in trader.all_messages(*now_rates):
            trader.say(message)
        before = executor.said_us
        for pair, choice in zip(PAIRS, choices, strict=True):
            executor.act(pair, choice)
        executor.say(lost=lost)
        if executor.said_us != before:
            heard = dict(executor.pairs)
        if permit == "none":
            trader.clock.advance(sec=1.5)  # the last one lapses
        elif permit == "breaker":
            trader.permit(Breaker(scope=f"pair:{ETH}", level=Level.NO_OPENS, reason="churn"))
        else:
            trader.permit()
        found = intents(trader.round())
        check_wishes(trader, heard, found, permit)
        executor.wishes |= found
        # what the executor really has, whatever was heard of it
        held = executor.taking
        assert len(held) <= pairs_max
        assert usd_max is None or sum(status.notional_usd for status in held.values()) <= usd_max
        taken: set[tuple[str, str, str]] = set()
        for pair, status in held.items():
            taken |= sides(trader, pair, status.direction)
        assert not {(v, i, "long") for v, i, side in taken if side == "short"} & taken


@MANY
@given(script=st.lists(st.tuples(rates, rates, rates), min_size=3, max_size=25))
def test_a_held_pair_is_followed_as_the_observer_follows_it(script: list[tuple[float, float, float]]) -> None:
    """The same market: what is remembered of a pair does not depend on who opened it."""
    stay = Thresholds(rotation_hurdle=1e9, flip_exit=False)
    trader = Trader(thresholds=stay, limits=Limits(max_pairs=1))
    observer = Trader(thresholds=stay, limits=Limits(max_pairs=1), mode=Mode.OBSERVER)
    for world in (trader, observer):
        world.start()
        world.everything(btc=0.0001, eth=0.0005, other=0.0001)
        world.permit()
        for pair in PAIRS:
            world.executor(pair, "active" if pair == ETH else "idle")
        world.round()
    opened_ms = trader.said[ETH].opened_ms
    for moment in script:
        for world in (trader, observer):
            world.clock.advance(sec=2 * 3_600)
            for message in world.all_messages(*moment)[:-3]:
                world.say(message)
            world.permit()
            for pair in (BTC, CROSS):
                world.executor(pair)
            world.executor(ETH, "active", opened_ms=opened_ms)
            world.round()
        followed = trader.actor._notebook.held
        would = observer.actor._notebook.held
        assert followed is not None
        assert would is not None
        assert followed[ETH] == would[ETH]
