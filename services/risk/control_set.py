"""The first set of controls (risk.md), in one place: what each message is shown to, and what each look asks.

    row of risk.md                         control
    permit heartbeat                       controls/heartbeat.py
    data age (and blind risk)              controls/data_age.py
    clock offset                           controls/clock.py
    naked exposure (and stuck pairs)       controls/naked.py
    executor silent (and its build)        controls/silence.py
    keys and access: found later           controls/keys.py
    unknown orders, failures, attempts,
    churn                                  controls/orders.py
    slippage                               controls/slippage.py
    price jump                             controls/jump.py
    venue errors                           controls/venue_errors.py
    limits                                 controls/limits.py
    liquidation distance, margin ratio     controls/collateral.py
    loss of the day, equity unknown        controls/loss.py
    reconcile                              controls/reconcile.py

Pure.
"""

from __future__ import annotations

from libs.common.instant import Now
from libs.common.message import Message
from services.risk.controls.clock import ProcessClock, VenueClock
from services.risk.controls.collateral import Collaterals
from services.risk.controls.data_age import DataAge
from services.risk.controls.heartbeat import Heartbeat
from services.risk.controls.jump import PriceJump
from services.risk.controls.keys import ApiKeys
from services.risk.controls.limits import Limits
from services.risk.controls.loss import DailyLoss
from services.risk.controls.naked import Naked, Stuck
from services.risk.controls.orders import Churn, OpenAttempts, OrderFailures, UnknownOrders
from services.risk.controls.reconcile import Reconcile
from services.risk.controls.silence import Build, ExecutorSilent
from services.risk.controls.slippage import Slippage
from services.risk.controls.venue_errors import VenueErrors
from services.risk.facts import Facts
from services.risk.finding import Control, Finding


class ControlSet:
    """All controls of one deployment."""

    def __init__(self, facts: Facts, *, build: str) -> None:
        self._facts = facts
        self.heartbeat = Heartbeat()
        self.collateral = Collaterals(facts)
        self.loss = DailyLoss(facts)
        self.controls: tuple[Control, ...] = (
            self.heartbeat,
            DataAge(facts),
            VenueClock(facts),
            ProcessClock(),
            Naked(facts),
            Stuck(facts),
            ExecutorSilent(facts),
            Build(facts, build=build),
            ApiKeys(),
            UnknownOrders(facts),
            OrderFailures(),
            OpenAttempts(),
            Churn(),
            Slippage(facts),
            PriceJump(facts),
            VenueErrors(facts),
            Limits(facts),
            self.collateral,
            self.loss,
            Reconcile(facts),
        )

    def observe(self, message: Message, now: Now) -> None:
        """The facts first: controls read them, and hear of a pair only what its leader says."""
        if not self._facts.observe(message, now):
            return
        for control in self.controls:
            control.observe(message, now)

    def judge(self, now: Now) -> tuple[Finding, ...]:
        """Everything that is found now, of scopes that this config has: executors may say more than that."""
        scopes = self._facts.scopes
        return tuple(
            found for control in self.controls for found in control.judge(now) if found.scope in scopes
        )

    def holding(self) -> dict[tuple[str, str], str]:
        """Latches whose condition held at the last look."""
        return {key: text for control in self.controls for key, text in control.holding().items()}

    def reset(self, scope: str) -> None:
        """A person has reset a scope."""
        for control in self.controls:
            control.reset(scope)
