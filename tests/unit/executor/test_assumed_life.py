"""However trades are told (late, in part, twice, without their fee first), and whenever the process dies:
in the end what the venue shows is ours to the last digit, and each trade and each fee has one line.
"""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace

from libs.common.codec import decode
from libs.common.messages_exec import LedgerKind, LedgerLine
from libs.exchange.trading_values import FillReport
from services.executor.ledger import STREAM
from services.executor.order import fills_complete
from services.executor.world import Key
from tests.sim.timeline import run
from tests.unit.executor.rig import Rig
from tests.unit.executor.scripted import Act
from tests.unit.executor.test_assumed import FLATTEN, Untold, UntoldLoan

PERP_ACTS: tuple[Act, ...] = ("fill", "reject", "half", "silent", "silent_half")
SPOT_ACTS: tuple[Act, ...] = ("fill", "half", "silent", "silent_half")


class Telling:
    """The venue's list of trades: away, then in part, then whole."""

    def __init__(self, rig: Rig, luck: random.Random) -> None:
        self.says, self._luck, self._whole = "nothing", luck, rig.venues.told_trades
        rig.venues.fills_fail = 0
        rig.venues.told_trades = self.told  # type: ignore[method-assign]

    def told(self, key: Key) -> list[FillReport] | None:
        rows = self._whole(key)
        if self.says == "nothing" or rows is None:
            return None
        if self.says == "part":
            rows = [
                replace(one, fee=self._luck.choice((None, one.fee)))
                for one in rows
                if self._luck.random() < 0.7
            ]
            return rows * self._luck.choice((1, 2))
        return rows


def lived(rig: Rig, luck: random.Random) -> None:
    """A life with restarts, at the end of which all is told."""
    telling = Telling(rig, luck)
    rig.acts("perp", luck.choice(PERP_ACTS))
    rig.acts("spot", luck.choice(SPOT_ACTS))
    rig.wish("open", "1000", direction="reverse" if isinstance(rig, UntoldLoan) else "forward")
    for _ in range(8):
        rig.run(luck.random() * 8)
        match luck.choice(("restart", "restart", "part", "flatten", "close", "half", "")):
            case "restart":
                rig.restart()
                rig.venues.fills_fail = 0
            case "part":
                telling.says = "part"
            case "flatten":
                rig.breakers = (FLATTEN,)
            case "close":
                rig.wish("close")
            case "half":
                rig.acts("spot", "half")
            case _:
                pass
    rig.run(80)
    telling.says = "all"
    rig.run(120)


@pytest.mark.parametrize("seed", range(24))
def test_what_is_told_late_is_counted_and_booked_once(seed: int) -> None:
    luck = random.Random(seed)  # noqa: S311 - no secret
    rig = luck.choice((Untold, UntoldLoan))(base_fee=luck.choice(("0", "0.001", "0.004")))
    rig.venues.users_coins += 7
    lived(rig, luck)
    assert all(fills_complete(one) for one in rig.lane.intents.values())
    borrowed = rig.lender.borrowed if isinstance(rig, UntoldLoan) else 0
    ours = [leg.coins + dust for leg, dust in zip(rig.lane.state.legs, rig.lane.dust, strict=True)]
    assert ours == [rig.shown[0] + borrowed, rig.shown[1]]
    lines = [decode(one.fields["json"], LedgerLine) for one in run(rig.store.read(STREAM, count=10**6))]
    assert len({one.key for one in lines}) == len(lines)
    made = {one.trade_id: one for trades in rig.venues.trades.values() for one in trades}
    booked = {one.key.rpartition("/")[2]: one.quantity for one in lines if one.kind is LedgerKind.FILL}
    assert {name: abs(quantity or 0) for name, quantity in booked.items()} == {
        name: one.quantity for name, one in made.items()
    }
    fees = {one.key.rpartition("/")[2]: -one.amount for one in lines if one.kind is LedgerKind.FEE}
    assert fees == {name: one.fee for name, one in made.items() if one.fee}
