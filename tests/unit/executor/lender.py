"""A rig whose spot venue lends: what becomes of each loan is scripted, as for orders."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Any, Literal

import msgspec

from libs.common.effects import Answered, Request
from libs.exchange.trading_values import BalanceReport, FillReport, PositionReport, Side
from services.executor import events
from services.executor.gate import LeaseView, Refusal, verdict
from services.executor.model import LOANS, Intent, State
from tests.unit.executor.rig import BOUNDS, SPOT_KEY, Rig
from tests.unit.executor.scripted import Venues

replace = msgspec.structs.replace

Lent = Literal[
    "moved",
    "refused",  # an error, and nothing has moved
    "denied",  # the same, and the error proves it
    "silent",  # it has moved, and the answer was lost
]
ZERO = Decimal(0)


class Lender(Venues):
    """Venues that owe: `borrowed` and `interest` of the account, the user's own part of it included."""

    borrowed = ZERO
    interest = ZERO

    def account(self, venue: str) -> tuple[tuple[PositionReport, ...], tuple[BalanceReport, ...]]:
        positions, (coins,) = super().account(venue)
        total = coins.total + self.borrowed
        owing = replace(coins, total=total, free=total, borrowed=self.borrowed, interest=self.interest)
        return positions, (owing,)

    @property
    def coins(self) -> Decimal:
        """All coins in the wallet."""
        return self.account("binance")[1][0].total

    def move(self, amount: Decimal) -> None:
        """A loan; repaid coins are gone, and interest is paid first."""
        if amount > 0:
            self.borrowed += amount
            return
        interest = min(-amount, self.interest)
        if -amount > self.borrowed + self.interest:
            raise AssertionError("more is repaid than is owed")
        self.interest -= interest
        self.borrowed -= -amount - interest
        self.held[SPOT_KEY] -= interest  # coins that were not borrowed

    def buy_back(self, quantity: Decimal, ts_ms: int = 0) -> None:
        """The venue recalls a loan: it buys coins for the account and keeps them, interest first."""
        self.held[SPOT_KEY] += quantity
        self.move(-quantity)
        self.trades[SPOT_KEY].append(
            FillReport(
                trade_id=f"recall{len(self.trades[SPOT_KEY])}",
                order_id="",
                client_id=None,
                instrument=SPOT_KEY[1],
                side=Side.BUY,
                price=self.books[SPOT_KEY].ask,
                quantity=quantity,
                fee=ZERO,
                fee_asset="USDT",
                liquidity=None,
                ts_ms=ts_ms,
                cause="liquidation",
            )
        )


class LoanRig(Rig):
    """A pair that is long the contract and short borrowed coins."""

    def __init__(self, **fields: Any) -> None:
        self.lent: deque[Lent] = deque()
        self.moved: list[events.MoveLoan] = []
        super().__init__(**fields)

    def start(self) -> None:
        if not isinstance(self.venues, Lender):
            self.venues = Lender(self.venues.books, base_fee=self.venues.base_fee)
        super().start()

    @property
    def lender(self) -> Lender:
        if not isinstance(self.venues, Lender):
            raise TypeError("`start` has put it there")
        return self.venues

    @property
    def loans(self) -> list[Intent]:
        """All loans that were asked for, as they are now."""
        return [one for one in self.lane.intents.values() if one.purpose in LOANS]

    def reversed(self, usd: str = "100") -> LoanRig:
        """With a hedged position to begin with."""
        self.wish("open", usd, direction="reverse")
        self.until(lambda: self.state is State.ACTIVE, 5)
        return self

    def _serve(self, request: Request) -> None:
        if not isinstance(request, events.MoveLoan):
            super()._serve(request)
            return
        if (refusal := self._refusal(request)) is not None:
            self.offer(Answered(request=request, result=refusal))
            return
        self.moved.append(request)
        act = self.lent.popleft() if self.lent else "moved"
        if act in ("moved", "silent"):
            self.lender.move(request.amount)
        kind = "refused" if act == "denied" else "network"
        error = None if act == "moved" else f"no answer: {act}"
        self.offer(Answered(request=request, error=error, error_class=error and kind))

    def _refusal(self, request: events.MoveLoan) -> Refusal | None:
        lease = self.lane.lease
        view = LeaseView() if lease is None else LeaseView(fence=lease.fence, until_mono_us=10**18)
        return verdict(
            (request.intent,),
            legs=request.legs,
            permits=self.permits,
            lease=view,
            bounds=BOUNDS,
            rate="",
            now=self.now,
        )
