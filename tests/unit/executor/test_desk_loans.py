"""The desk carries a loan out once, and only when the gate lets it pass at that moment."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from libs.exchange.port import VenueError
from services.executor.events import MoveLoan
from services.executor.gate import Refusal
from services.executor.model import OrderClass, Purpose
from tests.unit.executor.desk_rig import LEGS, PAIR, Office, Port


class LendingPort(Port):
    """Notes what is borrowed and repaid."""

    fails = False

    async def borrow(self, asset: str, amount: Decimal) -> None:
        self.log.append(f"borrow {amount} {asset}")
        if self.fails:
            raise VenueError(self.venue, "network", "no answer in time")

    async def repay(self, asset: str, amount: Decimal) -> None:
        self.log.append(f"repay {amount} {asset}")


async def office() -> tuple[Office, LendingPort, int]:
    made = Office()
    port = LendingPort("a", made.log)
    made.desk.tradings["a"] = port  # type: ignore[assignment]
    return made, port, await made.hold()


def loan(made: Office, amount: int, order_class: OrderClass, fence: int) -> MoveLoan:
    why = Purpose.BORROW if amount > 0 else Purpose.REPAY
    intent = msgspec.structs.replace(made.intent(0, order_class, fence), margin=True, purpose=why)
    return MoveLoan(
        pair=PAIR, id=intent.id, venue="a", asset="BTC", amount=Decimal(amount), intent=intent, legs=LEGS
    )


def moved(made: Office) -> list[str]:
    return [line for line in made.log if line.startswith(("borrow", "repay"))]


async def test_a_loan_is_moved_once() -> None:
    made, _, fence = await office()
    assert await made.desk.loan(loan(made, 2, OrderClass.INCREASE, fence)) is None
    assert await made.desk.loan(loan(made, -1, OrderClass.REDUCE, fence)) is None
    assert moved(made) == ["borrow 2 BTC", "repay 1 BTC"]


async def test_borrowing_needs_a_fresh_permit_and_repaying_does_not() -> None:
    made, _, fence = await office()
    made.clock.advance(us=1_500_000)
    refused = await made.desk.loan(loan(made, 2, OrderClass.INCREASE, fence))
    assert isinstance(refused, Refusal)
    assert refused.code == "no_permit"
    assert await made.desk.loan(loan(made, -1, OrderClass.REDUCE, fence)) is None
    assert moved(made) == ["repay 1 BTC"]


@pytest.mark.parametrize("order_class", list(OrderClass))
async def test_nothing_is_moved_under_an_old_fence(order_class: OrderClass) -> None:
    made, _, fence = await office()
    refused = await made.desk.loan(loan(made, 2, order_class, fence - 1))
    assert isinstance(refused, Refusal)
    assert refused.code == "lease"
    assert moved(made) == []


async def test_an_error_reaches_the_pair_as_one() -> None:
    made, port, fence = await office()
    port.fails = True
    with pytest.raises(VenueError, match="no answer in time"):
        await made.desk.loan(loan(made, 2, OrderClass.INCREASE, fence))
