"""What `fundarb check` makes of accounts: settings, funds in the wrong wallet, sizes both legs can have."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.config.legs import pair_specs
from libs.common.config.schema import Config, Exchange, Mode, PairLegs, Position
from libs.common.subjects import Kind
from libs.console import account_rows
from libs.console.account_rows import Sized, common_step, funds_rows, needs_of, pair_row, settings_row
from libs.console.verbs.check import CLOCK_SAMPLES
from libs.exchange import adapter
from libs.exchange.port import Instrument
from libs.exchange.trading_values import AccountSettings, BalanceReport, MarginMode, PositionMode

CONFIG = Config(
    symbols=("BTC/USDT",),
    exchanges={
        "spot": Exchange(id="binance", type="spot"),
        "perp": Exchange(id="binance", type="swap"),
        "other": Exchange(id="bitget", type="swap"),
    },
    pairs=(
        PairLegs(symbol="BTC/USDT", legs=("spot", "perp")),
        PairLegs(symbol="BTC/USDT", legs=("perp", "other")),
    ),
    position=Position(notional_usd=1_000, futures_margin_leverage=4),
)
LIVE = msgspec.structs.replace(CONFIG, mode=Mode.LIVE)
SPECS = pair_specs(CONFIG)
NEEDS = needs_of(SPECS, CONFIG)
D = Decimal
SET = AccountSettings(
    instrument="BTC-USDT-PERP",
    margin_mode=MarginMode.CROSS,
    leverage=4,
    position_mode=PositionMode.ONE_WAY,
)


def sized(step: str, *, price: str = "100000", kind: Kind = Kind.PERP, **fields: Any) -> Sized:
    item = Instrument(
        venue="v", slug="BTC-USDT-PERP", symbol="BTC/USDT:USDT", venue_symbol="BTCUSDT", base="BTC",
        quote="USDT", settle="USDT", kind=kind, quantity_step=D(step), **fields,
    )  # fmt: skip
    return Sized(item=item, price=D(price))


def coins(wallet: Any, amount: str) -> BalanceReport:
    return BalanceReport(wallet=wallet, asset="USDT", total=D(amount), free=D(amount))


# --- settings ---------------------------------------------------------------------------------------------


def test_settings_as_configured_are_ok() -> None:
    row = settings_row("binance", SET, CONFIG, held=True)
    assert (row.state, row.text) == ("ok", "cross margin, leverage 4, one_way")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"leverage": 20}, "leverage is 20, 4 is configured"),
        ({"margin_mode": MarginMode.ISOLATED}, "margin_mode is isolated, cross is configured"),
        ({"position_mode": PositionMode.HEDGE}, "position_mode is hedge, one_way is configured"),
        ({"margin_mode": None}, "margin_mode is not told"),
    ],
)
def test_other_settings_are_told_and_refused_beneath_a_position(fields: dict[str, Any], says: str) -> None:
    found = msgspec.structs.replace(SET, **fields)
    idle, held = (settings_row("binance", found, CONFIG, held=held) for held in (False, True))
    assert (idle.state, held.state) == ("warning", "refused")
    assert says in idle.text
    assert "close the position first" in held.remedy


# --- funds ------------------------------------------------------------------------------------------------


def test_a_pair_takes_its_notional_in_spot_and_its_margin_in_contracts() -> None:
    found = needs_of(SPECS, CONFIG)
    assert found == {
        ("binance", "spot", "USDT"): D("1020.00"),
        ("binance", "futures", "USDT"): D("255.00"),
        ("bitget", "unified", "USDT"): D("255.00"),
    }


def rows_of(config: Config, *balances: BalanceReport, venue: str = "binance") -> dict[str, Any]:
    return {row.subject: row for row in funds_rows(venue, balances, NEEDS, config)}


def test_funds_where_they_are_needed_are_ok() -> None:
    rows = rows_of(LIVE, coins("spot", "2000"), coins("futures", "300"))
    assert {row.state for row in rows.values()} == {"ok"}


def test_funds_in_the_wrong_wallet_are_told_with_amount_and_way() -> None:
    row = rows_of(LIVE, coins("spot", "5000"), coins("futures", "55"))["binance futures USDT"]
    assert row.state == "refused"
    assert "55.00 USDT free and a pair takes 255; there are 3,980 in spot" in row.text
    assert row.remedy == "move 200 USDT from spot to futures (Binance > Wallet > Transfer)"
    assert rows_of(CONFIG, coins("spot", "5000"))["binance futures USDT"].state == "warning"


def test_what_another_wallet_needs_itself_is_not_moved_away() -> None:
    row = rows_of(LIVE, coins("spot", "1100"), coins("futures", "0"))["binance futures USDT"]
    assert "move 80.00 USDT from spot to futures" in row.remedy
    assert "and deposit 175" in row.remedy


def test_nothing_anywhere_is_a_deposit() -> None:
    row = rows_of(LIVE, venue="bitget")["bitget unified USDT"]
    assert (row.state, row.remedy) == ("refused", "deposit 255 USDT, or trade less")
    moved = rows_of(LIVE, coins("funding", "900"), venue="bitget")["bitget unified USDT"]
    assert "move 255 USDT from funding to unified (Bitget > Assets > Transfer)" in moved.remedy


# --- sizes ------------------------------------------------------------------------------------------------


def test_a_size_that_both_legs_can_have() -> None:
    row = pair_row(SPECS[0], sized("0.00001"), sized("0.001"), CONFIG)
    assert (row.state, row.text) == ("ok", "0.01 BTC a leg (1,000 USD) on a common step of 0.001")


def test_a_size_below_one_common_step_is_refused_with_the_smallest_that_does() -> None:
    row = pair_row(SPECS[0], sized("0.004"), sized("0.007"), CONFIG)
    assert row.state == "refused"
    assert "take at least 0.028" in row.text
    assert row.remedy == "position.notional_usd of at least 2,828"
    enough = msgspec.structs.replace(CONFIG, position=Position(notional_usd=2_828))
    assert pair_row(SPECS[0], sized("0.004"), sized("0.007"), enough).state != "refused"


def test_minimum_quantity_and_notional_count_on_both_legs() -> None:
    assert (
        pair_row(SPECS[0], sized("0.001", quantity_min=D("0.02")), sized("0.001"), CONFIG).state == "refused"
    )
    assert (
        pair_row(SPECS[0], sized("0.001"), sized("0.001", notional_min=D(1_500)), CONFIG).state == "refused"
    )
    assert pair_row(SPECS[0], sized("0.001"), sized("0.001", notional_min=D(100)), CONFIG).state == "ok"


def test_a_coarse_step_is_told() -> None:
    row = pair_row(SPECS[0], sized("0.003"), sized("0.001"), CONFIG)
    assert row.state == "warning"
    assert "0.009 BTC a leg (900 USD)" in row.text
    assert "1,212 takes one step more" in row.remedy


def test_different_quotes_are_refused() -> None:
    other = Sized(item=msgspec.structs.replace(sized("1").item, quote="USDC"), price=D(1))
    assert "USDT and USDC" in pair_row(SPECS[0], sized("1"), other, CONFIG).text


@settings(max_examples=200, derandomize=True)
@given(*(st.decimals(D("0.00001"), D(50), places=5) for _ in range(2)))
def test_the_common_step_is_a_multiple_of_both_and_the_least(first: D, second: D) -> None:
    step = common_step(first, second)
    assert step % first == 0
    assert step % second == 0
    assert step <= first * second * 10**5, "no more than the product of their units"


def test_latency_is_judged_by_what_stops_openings() -> None:
    states = [account_rows.latency_row("v", ms).state for ms in (80, 800, 3_500)]
    assert states == ["ok", "warning", "refused"]
    assert CLOCK_SAMPLES == adapter.CLOCK_SAMPLES
