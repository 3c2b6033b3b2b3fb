"""What keeps a pair from opening because of others, of the clock, or of what earlier ones have left."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec
import pytest

from libs.common.instant import MS_PER_HOUR
from libs.common.messages import Funding
from libs.common.subjects import PERP, SPOT
from services.executor import dust
from services.executor.lane import Lane
from services.executor.model import IntentState, Plan, Purpose, State
from services.executor.unwinding import QUARANTINE_MS
from services.executor.world import Key
from tests.unit.executor.rig import PERP_KEY, SPOT_KEY, Rig

replace = msgspec.structs.replace
FAR: Key = ("bitget", "BTC-USDT-PERP")


def beside(rig: Rig, keys: tuple[Key, Key], name: str = "other") -> Lane:
    """Another pair of the same executor."""
    lane = Lane(name, keys, (SPOT if keys[0] == SPOT_KEY else PERP, PERP), rig.world)
    lane.loaded = lane.ready = True
    rig.actor.lanes[name] = lane
    return lane


def refusal(rig: Rig) -> str:
    """What the pair answers to a wish to open it."""
    rig.wish("open")
    rig.run(0.2)
    return rig.notes[-1] if rig.notes and rig.sent == [] else ""


# --- doubt ------------------------------------------------------------------------------------------------


def doubted(rig: Rig, venue: str) -> Lane:
    """Another pair of this executor with an order of unknown fate at a venue."""
    other = beside(rig, ((venue, "ETH-USDT-PERP"), ("okx", "ETH-USDT-PERP")))
    other.lease = rig.lane.lease
    order = replace(rig.sent[-1], id="fa-other", pair="other", leg=0, state=IntentState.UNKNOWN)
    other.intents = {order.id: order}
    return other


@pytest.mark.parametrize("style", ["concurrent", "sequential", "maker_first"])
@pytest.mark.parametrize("venue", ["binance", "bitget"])
def test_an_opening_under_way_goes_on_when_its_venue_is_out_of_doubt(style: str, venue: str) -> None:
    rig = Rig(slices=2, slice_interval_sec=1.0, style=style)
    rig.wish("open")
    half = (Decimal("0.5"), Decimal("-0.5"))
    rig.until(lambda: rig.held == half, 15)
    other = doubted(rig, venue)
    sent = len(rig.sent)
    if venue == "binance":
        rig.run(8)
        assert len(rig.sent) == sent
        assert (rig.state, rig.held) == (State.OPENING, half)
        other.intents = {}
    rig.until(lambda: rig.state is State.ACTIVE, 15)
    assert rig.held == (Decimal(1), Decimal(-1)) == rig.shown


def test_nothing_is_opened_beside_what_is_nobodys_yet() -> None:
    """A position that the venue shows and no fills explain, while its trades are looked for."""
    rig = Rig()
    rig.run(8)
    rig.venues.held[PERP_KEY] += Decimal(-1)
    rig.until(lambda: bool(rig.lane.doubted_us), 20)
    assert "binance BTC-USDT-PERP is not what our fills add up to" in refusal(rig)
    assert rig.sent == []


# --- sides ------------------------------------------------------------------------------------------------


CANCELS = "other holds BTC-USDT-PERP on binance long: forward would cancel it out"


@pytest.mark.parametrize("quantity", [1, -1])
@pytest.mark.parametrize("state", [State.ACTIVE, State.CLOSING, State.UNWINDING, State.STUCK])
def test_a_pair_is_not_opened_against_one_that_holds_its_instrument(state: State, quantity: int) -> None:
    """In one-way mode they would net out at the venue: neither could be reduced by itself."""
    rig = Rig()
    other = beside(rig, (PERP_KEY, FAR))
    legs = other.state.legs
    held = (replace(legs[0], quantity=Decimal(quantity)), replace(legs[1], quantity=Decimal(-quantity)))
    other.state = replace(
        other.state, state=state, legs=held, direction="forward" if quantity > 0 else "reverse"
    )
    if quantity > 0:
        assert CANCELS in refusal(rig)
        assert (rig.sent, rig.moves) == ([], [])
    else:
        rig.opened()  # short as the forward pair's own perp is


@pytest.mark.parametrize("quantity", [1, -1])
def test_a_pair_is_not_opened_against_one_that_is_opening(quantity: int) -> None:
    """Nothing is held yet: its goals count."""
    rig = Rig()
    other = beside(rig, (PERP_KEY, FAR))
    goals = (Decimal(quantity), Decimal(-quantity))
    plan = Plan(goals=goals, purpose=Purpose.OPEN, reason="carry")
    other.state = replace(
        other.state,
        state=State.OPENING,
        plan=plan,
        direction="forward" if quantity > 0 else "reverse",
    )
    if quantity > 0:
        assert CANCELS in refusal(rig)
        assert (rig.sent, rig.moves) == ([], [])
    else:
        rig.opened()


def test_what_was_bought_beyond_a_short_position_does_not_let_an_opposite_pair_in() -> None:
    """It is sold again, and the pair may come back to the side that it was opened for."""
    rig = Rig()
    other = beside(rig, (PERP_KEY, FAR))
    excess = replace(other.state.legs[0], quantity=Decimal(-1))
    state, plan = State.CLOSING, Plan(goals=(Decimal(0), Decimal(0)), purpose=Purpose.CLOSE, reason="carry")
    other.state = replace(
        other.state, state=state, plan=plan, direction="forward", legs=(excess, other.state.legs[1])
    )
    assert CANCELS in refusal(rig)


@pytest.mark.parametrize("dust_of", ["0.0004", "-0.0004"])
def test_dust_of_contracts_keeps_opposite_pairs_out(dust_of: str) -> None:
    """It lies at the venue until the next opening of its pair nets it."""
    rig = Rig()
    other = beside(rig, (PERP_KEY, FAR))
    other.dust = (Decimal(dust_of), Decimal(0))
    if Decimal(dust_of) > 0:
        assert CANCELS in refusal(rig)
    else:
        rig.opened()


def test_a_pair_that_is_not_reconciled_keeps_out_who_shares_its_instrument() -> None:
    rig = Rig()
    beside(rig, (PERP_KEY, FAR)).ready = False
    assert "other shares BTC-USDT-PERP on binance and is not reconciled yet" in refusal(rig)


def test_an_opposite_pair_on_another_venue_is_nobodys_business() -> None:
    rig = Rig()
    other = beside(rig, (FAR, ("okx", PERP_KEY[1])))
    legs = other.state.legs
    held = (replace(legs[0], quantity=Decimal(1)), replace(legs[1], quantity=Decimal(-1)))
    other.state = replace(other.state, state=State.ACTIVE, legs=held)
    rig.opened()


@pytest.mark.parametrize("state", [State.CLOSING, State.ACTIVE])
def test_a_leg_that_may_come_back_keeps_opposite_pairs_out(state: State) -> None:
    """The other leg cannot be closed: the hedge is restored on an instrument that another pair holds long."""
    rig = Rig()
    other = beside(rig, (FAR, PERP_KEY))
    legs = other.state.legs
    other.state = replace(
        other.state, state=state, direction="reverse", legs=(replace(legs[0], quantity=Decimal(-1)), legs[1])
    )
    assert "other holds BTC-USDT-PERP on binance long: forward would cancel it out" in refusal(rig)
    other.state = replace(other.state, direction="forward")
    assert refusal(rig) == ""
    rig.until(lambda: rig.state is State.ACTIVE, 5)


# --- quarantine -------------------------------------------------------------------------------------------


def unwound(rig: Rig) -> None:
    """An attempt whose second leg was rejected."""
    rig.acts("perp", "reject")
    rig.wish("open")
    rig.until(lambda: "unwinding>idle" in rig.moves, 10)
    rig.run(10)


def test_a_quarantined_instrument_is_closed_for_every_pair_on_it() -> None:
    rig = Rig()
    other = beside(rig, (PERP_KEY, FAR))
    until_ms = rig.now.market_ms + QUARANTINE_MS
    other.state = replace(other.state, quarantined_until_ms=until_ms, quarantined_legs=(0,))
    assert "binance BTC-USDT-PERP is quarantined" in refusal(rig)
    other.state = replace(other.state, quarantined_legs=(1,))
    rig.opened()


def test_unwinds_of_all_pairs_on_an_instrument_count_together() -> None:
    rig = Rig()
    other = beside(rig, (PERP_KEY, FAR))
    other.state = replace(other.state, unwinds_ms=(rig.now.market_ms - MS_PER_HOUR + 60_000,) * 2)
    unwound(rig)
    state = rig.lane.state
    assert state.quarantined_until_ms is not None
    assert state.quarantined_legs == (1,)  # the contract is shared, the coins are not
    assert "binance BTC-USDT-PERP" in rig.told("quarantine")[0]
    rig.sent.clear()
    assert "is quarantined" in refusal(rig)


def test_two_unwinds_of_it_and_one_elsewhere_quarantine_nothing() -> None:
    rig = Rig()
    other = beside(rig, (FAR, ("bitget", "BTC-USDT-PERP-X")))
    other.state = replace(other.state, unwinds_ms=(rig.now.market_ms,) * 2)
    unwound(rig)
    assert rig.lane.state.quarantined_until_ms is None


# --- settlements ------------------------------------------------------------------------------------------


def settles(
    rig: Rig, in_ms: int, *, kind: Literal["current", "settled"] = "current", hours: float = 8
) -> None:
    said = Funding(
        venue=PERP_KEY[0],
        instrument=PERP_KEY[1],
        kind=kind,
        rate=0.0001,
        interval_hours=8.0,
        interval_source="rate",
        next_ms=rig.now.market_ms + in_ms,
        ts_ms=rig.now.market_ms,
        recv_us=rig.now.wall_us,
    )
    rig.hear(said, "md.funding")
    rig.run(0.01)


@pytest.mark.parametrize("in_ms", [1, 59_000, -59_000, 8 * MS_PER_HOUR - 59_000])
def test_nothing_is_opened_within_a_minute_of_a_settlement(in_ms: int) -> None:
    rig = Rig()
    settles(rig, in_ms)
    assert "binance BTC-USDT-PERP settles" in refusal(rig)
    rig.run(125)
    rig.opened()


@pytest.mark.parametrize("in_ms", [62_000, -61_000, 8 * MS_PER_HOUR - 61_500])
def test_a_minute_away_it_is_opened(in_ms: int) -> None:
    rig = Rig()
    settles(rig, in_ms)
    rig.opened()


def test_what_has_settled_long_ago_is_no_settlement_to_come() -> None:
    rig = Rig()
    settles(rig, 1, kind="settled")
    rig.opened()


def test_a_close_does_not_wait_for_a_settlement() -> None:
    rig = Rig().opened()
    settles(rig, 1_000)
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 5)


# --- dust -------------------------------------------------------------------------------------------------


def test_dust_is_capped_in_total_and_a_pair_that_would_add_to_it_is_not_opened() -> None:
    rig = Rig()
    each = dust.USD_MAX / 100 / 2
    first = beside(rig, (SPOT_KEY, FAR), "first")
    second = beside(rig, (SPOT_KEY, FAR), "second")
    first.dust = second.dust = (each, Decimal(0))  # at 100 USD a coin: the cap together
    assert dust.too_much(rig.lane) == ""
    second.dust = (each + Decimal("0.001"), Decimal(0))
    assert "50.10 USD of BTC at binance are dust of other pairs" in refusal(rig)
    rig.lane.dust = (Decimal("0.001"), Decimal(0))
    assert dust.too_much(rig.lane) == ""  # it nets its own, and leaves no more than there was


def test_contracts_and_coins_of_one_venue_add_up_and_signs_do_not_cancel() -> None:
    rig = Rig()
    other = beside(rig, (SPOT_KEY, PERP_KEY))
    other.dust = (Decimal("0.3"), Decimal("-0.3"))
    assert dust.in_usd(rig.lane, 0) == 60
    assert dust.in_usd(rig.lane, 1) == 60


def test_a_person_is_told_when_it_is_too_much() -> None:
    rig = Rig(base_fee="0.001").opened("1000")
    beside(rig, (SPOT_KEY, FAR)).dust = (Decimal("0.49"), Decimal(0))
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 10)
    left = rig.lane.dust[0]
    assert left > 0
    text = rig.told("dust:binance:BTC")
    assert bool(text) == (dust.in_usd(rig.lane, 0) > dust.USD_MAX)
    rig.actor.lanes["other"].dust = (Decimal("0.5"), Decimal(0))
    rig.opened("1000")
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert "no other pair opens on it" in rig.told("dust:binance:BTC")[-1]


# --- permits ----------------------------------------------------------------------------------------------


def test_a_held_pair_without_permits_for_half_a_minute_pages_once() -> None:
    rig = Rig().opened()
    rig.risk_on = False
    rig.run(28)
    assert rig.told("permit") == []
    rig.run(3)
    assert len(rig.told("permit")) == 1
    assert "no steady permit from risk for 30 s" in rig.told("permit")[0]
    rig.run(60)
    assert len(rig.told("permit")) == 1
    rig.risk_on = True
    rig.run(2)
    rig.risk_on = False
    rig.run(32)
    assert len(rig.told("permit")) == 2


def test_without_a_position_only_who_wants_to_open_pages() -> None:
    rig = Rig()
    rig.risk_on = False
    rig.run(60)
    assert rig.told("permit") == []
    rig.wish("open")
    rig.run(1)
    assert "is to be opened" in rig.told("permit")[0]


def test_risk_that_never_came_pages_too() -> None:
    rig = Rig()
    rig.risk_on = False
    rig.restart()
    rig.run(20)
    rig.wish("open")
    rig.run(12)
    assert "is the risk service running?" in rig.told("permit")[0]
