"""Account set-up: what is asked for, what proves it, and that nothing opens before."""

from __future__ import annotations

from decimal import Decimal

import pytest

from libs.common.config.schema import Config, Position
from libs.common.messages import InstrumentInfo
from libs.common.subjects import Kind
from libs.exchange.trading_values import AccountSettings, FeeRates, MarginMode, PositionMode
from services.executor.events import SetUpDone
from services.executor.permit import PermitView
from services.executor.setup import AT_ONCE, RETRY_US, UNHURRIED_US, SetUps, Terms, differences, terms_of
from services.executor.world import World

SPOT, PERP = ("binance", "BTC-USDT"), ("binance", "BTC-USDT-PERP")
TERMS = Terms(margin_mode=MarginMode.CROSS, leverage=3, position_mode=PositionMode.ONE_WAY)
FEES = FeeRates(maker=Decimal("0.0002"), taker=Decimal("0.0004"))
GOOD = AccountSettings(
    instrument=PERP[1], margin_mode=MarginMode.CROSS, leverage=3, position_mode=PositionMode.ONE_WAY
)


def settings(**changes: object) -> AccountSettings:
    fields = {name: getattr(GOOD, name) for name in GOOD.__struct_fields__}
    return AccountSettings(**(fields | changes))


def test_terms_follow_the_config_and_a_leverage_is_cut_to_a_whole_one() -> None:
    position = Position(futures_margin_leverage=2.9, margin_mode="isolated", position_mode="hedge")
    wanted = Terms(margin_mode=MarginMode.ISOLATED, leverage=2, position_mode=PositionMode.HEDGE)
    assert terms_of(Config(position=position)) == wanted
    assert terms_of(Config(position=Position(futures_margin_leverage=0.5))).leverage == 1


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"margin_mode": MarginMode.ISOLATED}, "margin_mode"),
        ({"leverage": 20}, "leverage"),
        ({"position_mode": PositionMode.HEDGE}, "position_mode"),
        ({"margin_mode": None}, "margin_mode"),
        ({"leverage": None}, "leverage"),
        ({"position_mode": None}, "position_mode"),
    ],
)
def test_what_differs_or_is_not_told_is_named_and_keeps_the_pair_shut(
    changes: dict[str, object], named: str
) -> None:
    found = settings(**changes)
    assert differences(TERMS, found).startswith(named)
    setups = SetUps(TERMS, [PERP])
    setups.done(PERP, SetUpDone(settings=found, fees=FEES))
    assert named in setups.why_not([PERP])


def test_what_is_as_asked_opens_the_pair() -> None:
    setups = SetUps(TERMS, [SPOT, PERP])
    assert "not been verified" in setups.why_not([SPOT, PERP])
    setups.done(PERP, SetUpDone(settings=GOOD, fees=FEES))
    assert setups.why_not([SPOT, PERP]).startswith("binance BTC-USDT: ")
    setups.done(SPOT, SetUpDone(settings=None, fees=FEES))
    assert setups.why_not([SPOT, PERP]) == ""


def test_a_contract_without_settings_or_a_leg_without_fees_is_not_proven() -> None:
    setups = SetUps(TERMS, [SPOT, PERP])
    setups.done(PERP, SetUpDone(settings=None, fees=FEES))
    assert "settings could not be read" in setups.why_not([PERP])
    setups.done(SPOT, SetUpDone(settings=None, fees=None))
    assert "fees" in setups.why_not([SPOT])
    setups.done(PERP, SetUpDone(settings=GOOD, fees=None))
    assert "fees" in setups.why_not([PERP])


def test_a_failure_says_why_and_is_tried_again_later() -> None:
    setups = SetUps(TERMS, [PERP])
    setups.want([PERP])
    assert setups.due([PERP], 0) == [PERP]
    assert setups.due([PERP], RETRY_US) == [], "it is under way"
    setups.failed(PERP, "a position is open")
    assert "a position is open" in setups.why_not([PERP])
    assert setups.due([PERP], RETRY_US - 1) == []
    assert setups.due([PERP], RETRY_US) == [PERP]
    setups.done(PERP, SetUpDone(settings=GOOD, fees=FEES))
    assert setups.due([PERP], 10 * RETRY_US) == []
    setups.failed(PERP, "a late answer")
    assert setups.why_not([PERP]) == "", "what was verified stays so"


def test_few_legs_of_one_venue_are_set_up_at_once_and_venues_do_not_wait_for_each_other() -> None:
    keys = [(venue, f"{base}-USDT-PERP") for venue in ("binance", "bitget") for base in "ABCDE"]
    setups = SetUps(TERMS, keys)
    setups.want(keys)
    asked = setups.due(keys, 0)
    assert [sum(venue == one for venue, _ in asked) for one in ("binance", "bitget")] == [AT_ONCE, AT_ONCE]
    setups.failed(asked[0], "no")
    assert len(setups.due(keys, 1)) == 1


def test_legs_of_a_pair_that_is_to_be_opened_go_first_and_the_others_take_their_time() -> None:
    keys = [("binance", f"{base}-USDT-PERP") for base in "ABC"]
    setups = SetUps(TERMS, keys)
    setups.want(keys[2:])
    assert setups.due(keys, 0) == keys[2:]
    assert setups.due(keys, 1) == [], "the wanted leg is under way"
    setups.failed(keys[2], "busy")
    assert setups.due(keys, 2) == keys[:1], "while it waits for its next try others may go"
    setups.failed(keys[0], "busy")
    assert setups.due(keys[:2], 2 + RETRY_US) == [], "the wanted leg may be asked for again, and goes first"
    assert setups.due(keys, 2 + RETRY_US) == keys[2:]
    setups.done(keys[2], SetUpDone(settings=GOOD, fees=FEES))
    assert setups.due(keys, 1 + UNHURRIED_US) == [], "nobody waits for the others"
    assert len(setups.due(keys, 2 + UNHURRIED_US)) == 1


def info(**changes: object) -> InstrumentInfo:
    fields: dict[str, object] = {
        "venue": "binance",
        "instrument": "BTC-USDT",
        "symbol": "BTC/USDT",
        "base": "BTC",
        "quote": "USDT",
        "settle": "USDT",
        "kind": Kind.SPOT,
        "taker": 0.001,
        "recv_us": 0,
    }
    return InstrumentInfo(**(fields | changes))  # type: ignore[arg-type]


def test_the_accounts_own_fee_takes_the_place_of_the_listed_one_whichever_comes_first() -> None:
    world = World(Config(), PermitView(build="b"), deployment="d", setups=SetUps(TERMS, [SPOT]))
    world.on_info(info())
    assert world.rules[SPOT].base_fee == Decimal("0.001")
    world.on_set_up(SPOT, SetUpDone(settings=None, fees=FEES), "")
    assert world.rules[SPOT].base_fee == Decimal("0.0004")
    world.on_info(info(quantity_step="0.01"))
    assert world.rules[SPOT].base_fee == Decimal("0.0004"), "an instrument that is described anew keeps it"
    assert world.why_not_set_up([SPOT]) == ""


def test_a_rebate_takes_nothing_from_a_buy() -> None:
    world = World(Config(), PermitView(build="b"), deployment="d", setups=SetUps(TERMS, [SPOT]))
    rebate = FeeRates(maker=Decimal("-0.0001"), taker=Decimal("-0.0001"))
    world.on_set_up(SPOT, SetUpDone(settings=None, fees=rebate), "")
    world.on_info(info())
    assert world.rules[SPOT].base_fee == 0
