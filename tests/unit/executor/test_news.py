"""In which coin a fee makes a leg smaller."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from libs.common.subjects import SPOT, kind_of
from libs.exchange.trading_values import FillReport
from tests.unit.executor.rig import Rig
from tests.unit.executor.scripted import Placed, Venues


class OwnCoin(Venues):
    """Venues whose contracts take their fees in the contract's own coin, beside the position."""

    def fill(self, placed: Placed, quantity: Decimal) -> tuple[FillReport, ...]:
        trades = super().fill(placed, quantity)
        if kind_of(placed.key[1]) is SPOT:
            return trades
        return tuple(
            msgspec.structs.replace(one, fee=one.quantity / 1_000, fee_asset="BTC") for one in trades
        )


def test_a_contracts_fee_in_its_own_coin_leaves_the_leg_as_it_is() -> None:
    rig = Rig()
    rig.venues = OwnCoin(rig.venues.books)
    rig.opened()
    assert rig.held == (Decimal(1), Decimal(-1)) == rig.shown


def test_a_spot_buys_fee_in_its_own_coin_is_missing_from_the_leg() -> None:
    rig = Rig(base_fee="0.001")
    rig.opened()
    assert rig.held == rig.shown
    bought = sum(
        (one.filled for one in rig.lane.intents.values() if one.leg == 0 and one.side == "buy"), Decimal(0)
    )
    assert rig.held[0] == bought * Decimal("0.999")
