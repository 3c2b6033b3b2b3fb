"""Leaving STUCK: only after both venues have shown what our books say, or that nothing is left."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from libs.common.effects import Answered, Request
from services.executor import events
from services.executor.lane import Lane
from services.executor.model import Intent, IntentState, OrderClass, Purpose, State
from services.executor.steps import TRIES_MAX
from tests.unit.executor.asking import audits, done, refused, say
from tests.unit.executor.rig import FLAT, PERP_KEY, SPOT_KEY, Rig
from tests.unit.executor.scripted import times

ONE = (Decimal(1), Decimal(-1))


def meddled(rig: Rig | None = None) -> Rig:
    """Stuck: somebody else has closed half of the perp."""
    rig = (rig or Rig()).opened()
    rig.venues.held[PERP_KEY] += Decimal("0.5")
    rig.until(lambda: rig.state is State.STUCK, 30)
    return rig


def given_up() -> Rig:
    """Stuck with an orphan: the spot leg stands alone, and nobody buys it."""
    rig = Rig()
    rig.acts("perp", "reject")
    rig.acts("spot", "fill", *times(TRIES_MAX, "none"))
    rig.wish("open")
    rig.until(lambda: rig.state is State.STUCK, 300)
    rig.venues.acts.clear()
    assert rig.held == (Decimal(1), Decimal(0))
    return rig


def reset(rig: Rig) -> dict[str, object]:
    return done(rig, "reset", pair=rig.pair, confirm=True, actor="ann")


def test_what_is_as_it_was_goes_on() -> None:
    rig = meddled()
    rig.venues.held[PERP_KEY] -= Decimal("0.5")
    told = reset(rig)
    assert (told["state"], told["held"]) == ("active", ["1", "-1"])
    assert rig.state is State.ACTIVE
    assert "reset by hand (ann)" in rig.durable.reason
    assert rig.moves[-2:] == ["active>stuck", "stuck>active"]
    rig.run(30)
    assert rig.shown == rig.held == ONE
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 5)


@pytest.mark.parametrize("missing", ["0.5", "1", "-0.5"])
def test_a_position_that_differs_is_refused_by_name(missing: str) -> None:
    rig = Rig().opened()
    rig.venues.held[PERP_KEY] += Decimal(missing)
    rig.until(lambda: rig.state is State.STUCK, 30)
    code, text = refused(rig, "reset", pair=rig.pair, confirm=True)
    assert code == "differs"
    assert "binance BTC-USDT-PERP shows" in text
    rig.run(20)
    assert rig.state is State.STUCK
    assert rig.held == ONE, "a coin that stands alone is forgotten by nobody"
    assert audits(rig)[-1][0] == "refused"


def test_what_a_person_has_closed_on_both_sides_is_taken_over() -> None:
    rig = meddled()
    rig.venues.held[PERP_KEY] = rig.venues.held[SPOT_KEY] = Decimal(0)
    assert reset(rig)["state"] == "idle"
    assert rig.held == FLAT
    (text,) = rig.told("taken_over")
    assert "shows 0" in text
    rig.run(10)
    assert len(rig.sent) == 2, "nothing is sold that is not there"
    rig.opened()


def test_coins_of_the_user_are_not_taken_for_ours() -> None:
    rig = meddled()
    rig.venues.users_coins = Decimal(3)
    rig.venues.held[PERP_KEY] = Decimal(0)
    rig.venues.held[SPOT_KEY] = Decimal(0)  # ours are sold, his are there
    assert refused(rig, "reset", pair=rig.pair, confirm=True)[0] == "differs"
    rig.run(10)
    assert len(rig.sent) == 2


def test_an_orphan_that_was_given_up_is_unwound_after_a_reset() -> None:
    rig = given_up()
    assert reset(rig)["state"] == "active"
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert rig.moves[-3:] == ["stuck>active", "active>unwinding", "unwinding>idle"]
    assert rig.shown == FLAT


def test_a_reset_lets_other_pairs_open_again() -> None:
    rig = given_up()
    assert "is stuck" in rig.world.forbidden("another", rig.lane.keys, rig.now)
    reset(rig)
    assert rig.world.forbidden("another", rig.lane.keys, rig.now) == ""
    assert not rig.durable.halts


def test_an_orphan_that_a_person_has_sold_is_over() -> None:
    rig = given_up()
    rig.venues.held[SPOT_KEY] = Decimal(0)
    assert reset(rig)["state"] == "idle"
    assert rig.held == FLAT


def unknown(rig: Rig) -> Intent:
    """An order of unknown fate, as a crash amid it leaves one behind."""
    made = Intent(
        id="fa0",
        pair=rig.pair,
        leg=1,
        purpose=Purpose.CLOSE,
        order_class=OrderClass.REDUCE,
        side="buy",
        quantity=Decimal("0.5"),
        price=None,
        tif="ioc",
        reduce_only=True,
        margin=False,
        fence=rig.lane.fence,
        attempt=1,
        state=IntentState.UNKNOWN,
        created_us=rig.now.wall_us,
        reason="no answer",
    )
    rig.lane.intents[made.id] = made
    return made


def test_an_order_of_unknown_fate_keeps_it_stuck() -> None:
    rig = meddled()
    rig.venues.held[PERP_KEY] -= Decimal("0.5")
    unknown(rig)
    code, text = refused(rig, "reset", pair=rig.pair, confirm=True)
    assert code == "unknown_order"
    assert "no answer" in text
    assert rig.state is State.STUCK


def cut_off(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Accounts cannot be read."""
    serve = rig._serve

    def no_service(request: Request) -> None:
        if isinstance(request, events.ReadAccount):
            rig.offer(Answered(request=request, result=None, error="down"))
        else:
            serve(request)

    monkeypatch.setattr(rig, "_serve", no_service)


def test_a_venue_that_does_not_answer_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = meddled()
    rig.venues.held[PERP_KEY] -= Decimal("0.5")
    with monkeypatch.context() as outage:
        cut_off(rig, outage)
        code, text = refused(rig, "reset", pair=rig.pair, confirm=True)
        assert code == "no_look"
        assert "binance" in text
    rig.run(20)
    assert rig.state is State.STUCK, "what was refused is not done later"
    assert reset(rig)["state"] == "active"


def test_a_look_that_comes_late_serves_the_next_request() -> None:
    rig = meddled()
    rig.venues.held[PERP_KEY] -= Decimal("0.5")
    serve = rig._serve
    rig._serve = lambda request: rig.later(1_500_000, lambda: serve(request))  # type: ignore[method-assign]
    assert refused(rig, "reset", pair=rig.pair, confirm=True)[0] == "no_look"
    rig.run(1)
    assert reset(rig)["state"] == "active"


def test_a_look_from_before_the_request_proves_nothing() -> None:
    rig = meddled()
    assert refused(rig, "reset", pair=rig.pair, confirm=True)[0] == "differs"
    rig.venues.held[PERP_KEY] -= Decimal("0.5")
    assert reset(rig)["state"] == "active"
    rig = meddled()
    rig.venues.held[PERP_KEY] -= Decimal("0.5")
    say(rig, "reset", pair=rig.pair)  # not confirmed
    rig.run(1)
    rig.venues.held[PERP_KEY] += Decimal("0.5")
    assert refused(rig, "reset", pair=rig.pair, confirm=True)[0] == "differs"


def test_a_look_that_was_begun_before_the_request_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = meddled()
    before = rig.now.mono_us
    rig.venues.held[PERP_KEY] -= Decimal("0.5")
    positions, balances = rig.venues.account("binance")
    rig.venues.held[PERP_KEY] += Decimal("0.5")
    rig.run(1)
    cut_off(rig, monkeypatch)
    say(rig, "reset", pair=rig.pair, confirm=True)
    rig.run(0.1)
    late = events.AccountSeen(
        venue="binance", positions=positions, balances=balances, asked_mono_us=before + 1
    )
    rig.offer(Answered(request=events.ReadAccount(venue="binance", pair=rig.pair), result=late))
    rig.run(1)
    assert rig.state is State.STUCK
    assert audits(rig)[-1][1].startswith("no_look")


def test_a_reset_needs_to_be_confirmed() -> None:
    rig = meddled()
    assert refused(rig, "reset", pair=rig.pair)[0] == "confirm"


def test_a_pair_that_is_not_stuck_is_left_as_it_is() -> None:
    rig = Rig().opened()
    told = done(rig, "reset", confirm=True)
    assert told["pairs"][rig.pair] == {"state": "active", "why": "it is not stuck"}
    assert len(rig.sent) == 2


def test_it_is_stuck_after_a_restart_and_can_be_reset_then() -> None:
    rig = meddled()
    rig.restart()
    rig.run(2)
    assert rig.state is State.STUCK
    rig.venues.held[PERP_KEY] -= Decimal("0.5")
    assert reset(rig)["state"] == "active"
    rig.restart()
    rig.run(10)
    assert rig.lane.ready
    assert rig.held == ONE


def borrowing(rig: Rig, owed: str) -> None:
    """The pair is reverse: its spot leg is short on borrowed coins."""
    legs = rig.lane.state.legs
    short = replace(legs[0], quantity=-Decimal(1), borrowed=Decimal(owed))
    long = replace(legs[1], quantity=Decimal(1))
    rig.lane.state = replace(rig.lane.state, legs=(short, long), direction="reverse")


def test_a_debt_that_differs_is_refused_by_name() -> None:
    rig = meddled()
    borrowing(rig, "1")
    rig.venues.held[PERP_KEY], rig.venues.held[SPOT_KEY] = Decimal(1), Decimal(0)
    code, text = refused(rig, "reset", pair=rig.pair, confirm=True)
    assert code == "differs"
    assert "binance lends 0 BTC, pairs have borrowed 1" in text


def test_coins_of_a_pair_with_another_quote_are_not_named_as_the_users() -> None:
    rig = meddled()
    borrowing(rig, "1")
    other = Lane("other", (("binance", "BTC-USDC"), PERP_KEY), rig.lane.kinds, rig.world)
    first, second = other.state.legs
    other.state = replace(other.state, legs=(replace(first, quantity=Decimal(1)), second))
    rig.actor.lanes["other"] = rig.world.lanes["other"] = other  # type: ignore[index]
    legs = rig.lane.state.legs
    rig.lane.state = replace(rig.lane.state, legs=(replace(legs[0], others=Decimal(3)), legs[1]))
    rig.venues.users_coins = Decimal(4)
    rig.venues.held[PERP_KEY] = rig.venues.held[SPOT_KEY] = Decimal(0)
    assert reset(rig)["state"] == "idle"
    assert "beside" not in rig.told("taken_over")[0]


@pytest.mark.parametrize(("users", "lacks"), [("2.6", "0.4"), ("3", ""), ("3.5", "")])
def test_what_a_loan_took_of_the_users_coins_is_named(users: str, lacks: str) -> None:
    """A recall during a close, while he closes the contract: it looks as if he had repaid it himself."""
    rig = meddled()
    borrowing(rig, "1")
    legs = rig.lane.state.legs
    rig.lane.state = replace(rig.lane.state, legs=(replace(legs[0], others=Decimal(3)), legs[1]))
    rig.venues.users_coins = Decimal(users)
    rig.venues.held[PERP_KEY] = rig.venues.held[SPOT_KEY] = Decimal(0)
    assert reset(rig)["state"] == "idle"
    (text,) = rig.told("taken_over")
    named = f"{lacks} BTC of the 3 beside the pair at binance went into the loan"
    assert (named in text, "buy them back" in text) == (bool(lacks), bool(lacks))
    assert ("0.5 BTC more than the 3 beside" in text) == (users == "3.5")
