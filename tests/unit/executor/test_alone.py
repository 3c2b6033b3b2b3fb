"""A page about a leg that stands alone says which, where, how much in USD, why, and what to do."""

from __future__ import annotations

from decimal import Decimal

import pytest

from libs.common.messages import AlertLevel
from services.executor.alone import in_words
from services.executor.lane import Draft
from services.executor.model import State
from services.executor.steps import UNWIND_US_MAX
from services.executor.world import Key
from tests.unit.executor.asking import done
from tests.unit.executor.lender import LoanRig
from tests.unit.executor.rig import FLAT, PERP_KEY, SPOT_KEY, Rig

STUCK_SEC = UNWIND_US_MAX / 1e6 + 30


def forced(shut: Key) -> Rig:
    """A hard close of 10 coins a side, at 100 USD; one market takes no order while its venue is read."""
    rig = Rig().opened("1000")
    rig.venues.shut.add(shut)
    done(rig, "close", pair=rig.pair, hard=True, actor="ann", confirm=True)
    rig.until(lambda: rig.state is State.STUCK, STUCK_SEC)
    return rig


@pytest.mark.parametrize(
    ("shut", "naked", "way"),
    [
        (SPOT_KEY, "long 10 (about 1000 USD) of binance BTC-USDT.", "hand: sell it there, then"),
        (
            PERP_KEY,
            "short 10 (about 1000 USD) of binance BTC-USDT-PERP.",
            "buy it there (reduce-only), then",
        ),
    ],
)
def test_a_hard_close_that_one_market_refuses_pages_with_all_that_a_person_needs(
    shut: Key, naked: str, way: str
) -> None:
    rig = forced(shut)
    (page,) = [one for one in rig.alerts if one.key.endswith(":stuck")]
    assert page.level is AlertLevel.CRITICAL
    assert naked in page.text
    assert way in page.text
    assert "margin is insufficient (-2019)" in page.text, "the venue's own word"
    assert f"`fundarb reset --pair {rig.pair} --yes`" in page.text
    assert "closed by force by hand (ann)" in page.text


def test_it_is_said_again_by_the_next_process() -> None:
    rig = forced(SPOT_KEY)
    rig.restart()
    rig.run(5)
    first, again = rig.told("stuck")
    assert "long 10 (about 1000 USD)" in again
    assert first.startswith(again)


def test_the_way_out_that_the_page_names_ends_it() -> None:
    rig = forced(SPOT_KEY)
    rig.venues.held[SPOT_KEY] = Decimal(0)  # sold by hand
    assert done(rig, "reset", pair=rig.pair, confirm=True)["state"] == "idle"
    assert rig.held == FLAT


def test_what_stands_hedged_is_said_too() -> None:
    rig = Rig().opened("1000")
    text = in_words(rig.lane, Draft(rig.lane, rig.now))
    assert text.startswith("Its legs hedge each other: 10 binance BTC-USDT and -10 binance BTC-USDT-PERP")


def test_borrowed_coins_are_to_be_repaid_too() -> None:
    rig = LoanRig().reversed()
    rig.venues.shut.add(SPOT_KEY)
    done(rig, "close", pair=rig.pair, hard=True, confirm=True)
    rig.until(lambda: rig.state is State.STUCK, STUCK_SEC)
    (text,) = rig.told("stuck")
    assert "short 1 (about 100 USD) of binance BTC-USDT. By hand: buy it there and repay it, then" in text


def test_an_unwinding_that_gives_up_says_the_same() -> None:
    rig = Rig()
    rig.acts("perp", "reject")
    rig.acts("spot", "fill")
    rig.venues.acts[SPOT_KEY].extend(["reject"] * 60)
    rig.wish("open", "1000")
    rig.until(lambda: rig.state is State.STUCK, STUCK_SEC)
    (text,) = rig.told("stuck")
    assert "long 10 (about 1000 USD) of binance BTC-USDT." in text
