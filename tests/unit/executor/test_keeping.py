"""Orders that are over: which stay in the pair's hash, for how long, and what is said when one must go."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.codec import encode
from libs.common.instant import US_PER_SEC
from libs.common.messages import AlertLevel
from services.executor import keeping
from services.executor.events import QueryOrder
from services.executor.keeping import AGES_US, KEPT_MAX, KEPT_US, RECENT, RECHECK_US_MAX, parting
from services.executor.lane import Draft
from services.executor.model import Intent, IntentState, OrderClass, Purpose, State
from services.executor.translate import request_of
from services.executor.writing import change_of, intents_key
from tests.sim.timeline import run
from tests.unit.executor.rig import FLAT, SPOT_KEY, Rig

replace = msgspec.structs.replace

ONE = Decimal(1)


def order(n: int, state: IntentState = IntentState.VOID, **fields: object) -> Intent:
    """The n-th order of a pair, decided at second n."""
    made = Intent(
        id=f"fa0000{n:06}",
        n=n,
        pair="p",
        leg=0,
        purpose=Purpose.OPEN,
        order_class=OrderClass.INCREASE,
        side="buy",
        quantity=ONE,
        price=None,
        tif="ioc",
        reduce_only=False,
        margin=False,
        fence=1,
        attempt=1,
        state=state,
        created_us=n * US_PER_SEC,
    )
    return replace(made, **fields)


def void(first: int, count: int) -> list[Intent]:
    return [order(n) for n in range(first, first + count)]


def test_a_given_up_order_stays_until_its_last_recheck_however_many_follow() -> None:
    orders = [order(0, IntentState.NOT_ACCEPTED), *void(1, 200)]
    kept = parting(orders, wall_us=KEPT_US - 1)
    assert kept.done == tuple(one.id for one in orders[1:-RECENT])
    assert kept.early == ()
    gone = parting(orders, wall_us=KEPT_US)
    assert gone.done == tuple(one.id for one in orders[:-RECENT])
    assert AGES_US[-1] + RECHECK_US_MAX + 60 * US_PER_SEC < KEPT_US, "the last recheck takes its time"


def test_a_given_up_loan_is_read_off_the_debt_and_goes_with_the_others() -> None:
    loan = order(0, IntentState.NOT_ACCEPTED, purpose=Purpose.BORROW)
    assert loan.id in parting([loan, *void(1, RECENT)], wall_us=0).done


def test_what_lacks_a_trade_or_a_fee_stays_until_it_is_told() -> None:
    untraded = order(0, IntentState.DONE, filled=ONE)
    feeless = order(1, IntentState.DONE, filled=ONE, fills={"t": ONE}, feeless=("t",))
    whole = order(2, IntentState.DONE, filled=ONE, fills={"u": ONE})
    late_us = 10**6 * KEPT_US
    assert parting([untraded, feeless, whole, *void(3, RECENT)], wall_us=late_us).done == (whole.id,)
    told = replace(feeless, feeless=())
    assert parting([untraded, told, whole, *void(3, RECENT)], wall_us=late_us).done == (told.id, whole.id)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    states=st.lists(st.sampled_from(IntentState), max_size=90),
    repeats=st.integers(1, 12),
    wall_sec=st.integers(0, 3 * KEPT_US // US_PER_SEC),
)
def test_what_is_open_never_goes_and_what_is_over_is_bounded(
    states: list[IntentState], repeats: int, wall_sec: int
) -> None:
    orders = [order(n, state) for n, state in enumerate(states * repeats)]
    gone = parting(orders, wall_us=wall_sec * US_PER_SEC)
    out = {*gone.done, *gone.early}
    assert all(one.state.is_final for one in orders if one.id in out)
    finals = [one for one in orders if one.state.is_final]
    assert len(finals) - len(out) <= KEPT_MAX
    assert not out & {one.id for one in finals[-RECENT:]}
    assert not gone.early or len(finals) - len(out) == KEPT_MAX, "nothing needed goes before it must"


def test_the_hard_maximum_pages_with_the_ids_and_never_grows() -> None:
    rig = Rig()
    denied = [order(n, IntentState.NOT_ACCEPTED, created_us=rig.now.wall_us) for n in range(KEPT_MAX + 2)]
    rig.lane.intents = {one.id: one for one in denied}
    draft = Draft(rig.lane, rig.now)
    change = change_of(rig.lane, draft)
    assert change.hash_writes[intents_key(rig.pair)] == {denied[0].id: None, denied[1].id: None}
    assert len(draft.intents) == KEPT_MAX
    (said,) = [one for one in draft.effects if getattr(one, "level", None) is AlertLevel.CRITICAL]
    assert denied[0].id in str(said)
    assert denied[1].id in str(said)


def test_an_order_is_as_large_as_the_docstring_says() -> None:
    filled = order(1, IntentState.DONE, filled=ONE, order_id="1234567890123", reason="filled", mid=ONE)
    bare = len(encode(filled))
    trades = {f"12345678{n:05}": Decimal("0.12345678") for n in range(100)}
    assert bare < 700
    assert (len(encode(replace(filled, fills=trades))) - bare) / 100 < 45
    assert "0.7 kB" in (keeping.__doc__ or "")


def lost_attempt(rig: Rig) -> Intent:
    """An attempt of which neither order arrived, as far as anybody could tell; its spot buy."""
    rig.acts("spot", "lost")
    rig.acts("perp", "lost")
    rig.wish("open")
    rig.until(lambda: any(one.state is IntentState.NOT_ACCEPTED for one in rig.lane.intents.values()), 120)
    rig.until(lambda: rig.state is State.IDLE, 60)
    return next(one for one in rig.sent if one.leg == 0)


def rounds(rig: Rig, count: int) -> None:
    """So many times opened and closed."""
    for _ in range(count):
        rig.opened()
        rig.run(15)
        rig.wish("close")
        rig.until(lambda: rig.state is State.IDLE, 5)
        rig.run(15)


def lands(rig: Rig, intent: Intent) -> None:
    """It has arrived after all, and filled; the stream says nothing of it."""
    rig.stream_on = False
    rig.venues.acts[SPOT_KEY].appendleft("fill")
    rig.venues.arrive(SPOT_KEY, request_of(intent, SPOT_KEY[1]))


def asked(rig: Rig, intent: Intent, since: int) -> int:
    return sum(isinstance(one, QueryOrder) and one.id == intent.id for one in rig.requests[since:])


def until_age(rig: Rig, intent: Intent, sec: float) -> None:
    """Time passes until the order is so old."""
    rig.run(sec - (rig.now.wall_us - intent.created_us) / US_PER_SEC)


def test_a_late_spot_fill_after_twelve_rounds_is_ours_at_the_ten_minutes() -> None:
    rig = Rig()
    denied = lost_attempt(rig)
    rounds(rig, 12)
    assert rig.now.wall_us - denied.created_us < AGES_US[1], "all within ten minutes"
    assert len(rig.sent) > RECENT + 2
    lands(rig, denied)
    assert rig.shown == (ONE, Decimal(0))
    until_age(rig, denied, AGES_US[1] / US_PER_SEC + 30)
    assert rig.told("late_fill")
    assert rig.shown == FLAT == rig.held, "what was bought late is ours, and was sold"


def test_each_recheck_happens_after_twelve_rounds_and_the_last_finds_a_late_fill() -> None:
    rig = Rig()
    denied = lost_attempt(rig)
    rounds(rig, 12)
    for age_us in AGES_US[1:]:
        until_age(rig, denied, age_us / US_PER_SEC - 2)
        before = len(rig.requests)
        if age_us == AGES_US[-1]:
            lands(rig, denied)
        rig.run(30)
        assert asked(rig, denied, before) == 1
    assert rig.told("late_fill")
    assert rig.shown == FLAT == rig.held
    rounds(rig, 9)
    until_age(rig, denied, KEPT_US / US_PER_SEC + 10)
    rounds(rig, 1)
    stored = run(rig.store.hash_all(intents_key(rig.pair)))
    assert denied.id not in stored
    assert set(stored) == set(rig.lane.intents)
    assert len(stored) == RECENT


def test_orders_whose_trades_are_not_told_stay_until_they_are() -> None:
    rig = Rig()
    rig.stream_on = False
    rig.venues.fills_fail = 10**6
    rig.opened()
    (perp,) = [one for one in rig.lane.intents.values() if one.leg == 1]
    bare = replace(perp, fills={}, fills_quote=Decimal(0))
    rig.lane.intents[perp.id] = bare
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 5)
    rounds(rig, 9)
    assert perp.id in rig.lane.intents
    booked = len(run(rig.store.read("ledger", count=10**4)))
    rig.venues.fills_fail = 0
    rig.run(20)
    assert len(run(rig.store.read("ledger", count=10**4))) > booked
    assert perp.id not in rig.lane.intents, "with the very write that books its trade"
