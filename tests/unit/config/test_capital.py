"""`limits.max_notional_usd` is USD a leg over all pairs: all who count it agree, and the words say so."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from libs.common.config import live
from libs.common.config.schema import Config, Limits, Mode
from libs.common.reservation import over
from libs.common.subjects import PERP, SPOT
from libs.console.template import Answers, render
from services.executor import reserve
from services.executor.model import Leg, PairState, State
from services.risk.controls.limits import LIVE_CAP_USD, notional_limit_usd
from tests.unit.carry.test_allocation import pair, run
from tests.unit.risk.rig import Rig as RiskRig
from tests.unit.risk.world import BTC, CONFIG, ETH

ROOT = Path(__file__).parents[3]
LIMIT_USD = 2_000.0
"""Two pairs of 1,000 USD a leg fill it: four legs of 4,000 USD together."""

WORDS = "// USD a leg that all pairs together may hold"


def opening(name: str, usd: int = 1_000) -> PairState:
    instruments = (f"{name}-USDT", SPOT), (f"{name}-USDT-PERP", PERP)
    first, second = (Leg(venue="binance", instrument=one, kind=kind) for one, kind in instruments)
    return PairState(pair=name, legs=(first, second), state=State.OPENING, notional_usd=Decimal(usd))


def reserved(*names: str) -> dict[str, bytes]:
    return {name: value for name in names if (value := reserve.held_of(opening(name))) is not None}


def test_the_selection_fills_it_with_two_pairs_and_not_with_one() -> None:
    chosen = run([pair("A", 0.0005), pair("B", 0.0004), pair("C", 0.0003)], max_notional_usd=LIMIT_USD)
    assert chosen.opened == ("A", "B")
    assert "max_notional_usd 2,000 would be exceeded (3,000)" in chosen.skipped["C"]


def test_so_does_the_executors_reservation() -> None:
    config = msgspec.structs.replace(CONFIG, limits=Limits(max_notional_usd=LIMIT_USD))
    assert over(reserve.wish_of(opening("B"), config), reserved("A")) == ""
    assert "usd_cents would be 200001 of 200000" in over(
        reserve.wish_of(msgspec.structs.replace(opening("B"), notional_usd=Decimal("1000.01")), config),
        reserved("A"),
    )
    assert over(reserve.wish_of(opening("C"), config), reserved("A", "B")) != ""


@pytest.mark.parametrize(("usd", "broken"), [(1_000, False), (1_001, True)])
async def test_so_does_risk_of_what_is_held(usd: int, broken: bool) -> None:  # noqa: FBT001
    rig = await RiskRig.started(msgspec.structs.replace(CONFIG, limits=Limits(max_notional_usd=LIMIT_USD)))
    rig.world.hold(BTC, "0.02")
    rig.world.hold(ETH, "0.5")
    rig.world.pair(BTC, notional_usd=Decimal(1_000))
    rig.world.pair(ETH, notional_usd=Decimal(usd))
    await rig.run(1.0)
    assert (rig.shut().get("global") == ("no_opens", ("limits",))) is broken


@pytest.mark.parametrize("told", [None, 999.0, 1_000.0, 5_000.0])
@pytest.mark.parametrize("acknowledged", [True, False])
def test_the_first_limit_of_live_mode_is_the_same_wherever_it_stands(
    told: float | None,
    acknowledged: bool,  # noqa: FBT001
) -> None:
    assert live.CAP_USD == LIVE_CAP_USD == float(reserve.LIVE_USD_MAX)
    config = Config(mode=Mode.LIVE, limits=Limits(max_notional_usd=told, acknowledged=acknowledged))
    ours, _ = reserve.cap_usd(config)
    risks, _ = notional_limit_usd(config)
    assert (None if ours is None else float(ours)) == risks


def test_the_config_that_is_written_says_what_is_counted() -> None:
    assert WORDS in render(Answers())
    assert WORDS in (ROOT / "config" / "example.json").read_text()
