"""A risk service under virtual time: the real actor, core and store code, and a world that speaks.

rig = await Rig.started()            # healthy: nothing is shut
rig.world.accounts["binance"]...     # change what is said from now on
await rig.run(30.0)                  # seconds; everything is said each second
rig.level("pair:..."), rig.permit, rig.alerts
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from libs.common import subjects
from libs.common.config.schema import Config
from libs.common.core import Core, Turn
from libs.common.effects import (
    Alert,
    Answered,
    Audit,
    Effect,
    Health,
    Persist,
    Publish,
    Received,
    Reply,
    Started,
)
from libs.common.instant import US_PER_SEC, ManualClock
from libs.common.memory_store import MemoryStore
from libs.common.message import Message
from libs.common.messages import Command, CommandReply
from libs.common.messages_exec import Breaker, FillEvent, Level, OrderEvent, Permit
from libs.common.metrics import check_effects
from libs.common.persisting import write
from services.risk.actor import Recall, RiskActor
from services.risk.main import RiskStore, lane_of
from tests.unit.risk.world import BTC, BUILD, CONFIG, World


class Rig:
    """One life of risk at a time, on one store; `restart` begins the next."""

    def __init__(self, config: Config = CONFIG, store: MemoryStore | None = None) -> None:
        self.config = config
        self.clock = ManualClock()
        self.store = store or MemoryStore()
        self.world = World(config)
        self.down = False  # the store refuses
        self.hangs = False  # the store does not answer
        self.effects: list[Effect] = []
        self._held: list[tuple[str, Persist]] = []
        self.begin()

    def begin(self) -> None:
        self.actor = RiskActor(self.config, build=BUILD)
        self.core = Core(self.actor, lane_of=lane_of)
        self._held.clear()
        self.core.offer(Started(), self.clock.now())

    @classmethod
    async def started(cls, config: Config = CONFIG, store: MemoryStore | None = None) -> Rig:
        """Everything is seen, and the first ten beats have gone by."""
        rig = cls(config, store)
        await rig.run(4.0)
        return rig

    async def restart(self) -> None:
        self.begin()
        await self.run(0.0)

    # --- driving ----------------------------------------------------------------------------------

    async def run(self, seconds: float, *, step_sec: float = 0.25) -> None:
        """Time goes by in steps; the world speaks at each full second."""
        await self.say_all()
        for _ in range(round(seconds / step_sec)):
            now = self.clock.advance(sec=step_sec)
            if now.mono_us % US_PER_SEC < step_sec * US_PER_SEC:
                await self.say_all()
            await self.pump()
        await self.pump()

    async def say_all(self) -> None:
        for subject, message in self.world.said(self.clock.now()):
            self.offer(subject, message)
        await self.pump()

    def offer(self, subject: str, message: Message, reply: str = "") -> None:
        self.core.offer(Received(subject=subject, message=message, reply=reply), self.clock.now())

    async def hear(self, subject: str, message: Message) -> None:
        self.offer(subject, message)
        await self.pump()

    async def command(self, verb: str, **fields: Any) -> CommandReply | None:
        """Say it and answer what it was answered, None while nothing was."""
        told = len(self.effects)
        self.offer(subjects.command(verb), Command(**fields), reply="inbox")
        await self.pump()
        replies = [one.reply for one in self.effects[told:] if isinstance(one, Reply)]
        return replies[0] if replies else None

    async def pump(self) -> None:
        while (turn := self.core.step(self.clock.now())) is not None:
            await self._carry_out(turn)

    async def release(self) -> None:
        """The store answers again."""
        self.hangs = False
        held, self._held = self._held, []
        for lane, persist in held:
            await self._settle(lane, persist)
        await self.pump()

    async def _carry_out(self, turn: Turn) -> None:
        check_effects(turn.effects)
        self.effects += turn.effects
        for effect in turn.effects:
            match effect:
                case Recall():
                    await self._recall(effect)
                case Persist() if self.hangs:
                    self._held.append((turn.lane, effect))
                case Persist():
                    await self._settle(turn.lane, effect)
                case _:
                    pass

    async def _recall(self, request: Recall) -> None:
        if self.down:
            answer = Answered(request=request, error="down", error_class="StoreUnavailable")
        else:
            answer = Answered(request=request, result=await RiskStore(self.store, self.clock).recall(request))
        self.core.offer(answer, self.clock.now())

    async def _settle(self, lane: str, persist: Persist) -> None:
        now = self.clock.now()
        if self.down:
            turn = self.core.settle(lane, ok=False, error="down", now=now)
        else:
            turn = self.core.settle(lane, now=now, **(await write(self.store, persist))._asdict())
        await self._carry_out(turn)

    # --- what was said ----------------------------------------------------------------------------

    def published(self, kind: type[Message]) -> list[Any]:
        return [
            one.message for one in self.effects if isinstance(one, Publish) and isinstance(one.message, kind)
        ]

    @property
    def permit(self) -> Permit:
        found = self.published(Permit)[-1]
        assert isinstance(found, Permit)
        return found

    def breaker(self, scope: str) -> Breaker | None:
        return next((one for one in self.permit.breakers if one.scope == scope), None)

    def level(self, scope: str) -> Level:
        found = self.breaker(scope)
        return Level.NORMAL if found is None else found.level

    def shut(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Everything that is not normal: scope -> (level, controls)."""
        return {one.scope: (one.level.value, one.controls) for one in self.permit.breakers}

    def alerts(self, control: str) -> list[tuple[str, str]]:
        """(level, key) of all alerts of a control so far."""
        return [
            (one.level.value, one.key)
            for one in self.effects
            if isinstance(one, Alert) and one.key.startswith(f"risk:{control}:")
        ]

    def audits(self) -> list[Audit]:
        return [one for one in self.effects if isinstance(one, Audit)]

    def problems(self) -> dict[str, str]:
        found = {one.key: one.problem for one in self.effects if isinstance(one, Health)}
        return {key: text for key, text in found.items() if text}


def order(
    name: str,
    state: str,
    *,
    venue: str = "binance",
    reason: str = "",
    failure: str = "",
    pair: str = BTC,
) -> OrderEvent:
    """Something about an order."""
    return OrderEvent(
        pair=pair,
        id=name,
        venue=venue,
        instrument="BTC-USDT-PERP",
        purpose="open",
        order_class="increase",
        side="sell",
        quantity=Decimal(1),
        price=Decimal(1),
        reduce_only=False,
        state=state,
        filled=Decimal(0),
        reason=reason,
        failure=failure,
        wall_us=0,
    )


def fill(trade: str, bps: float, *, side: Any = "buy") -> FillEvent:
    """A trade so many bps beyond the mid."""
    sign = 1 if side == "buy" else -1
    return FillEvent(
        pair=BTC,
        order=f"o{trade}",
        trade=trade,
        venue="binance",
        instrument="BTC-USDT-PERP",
        purpose="open",
        side=side,
        price=Decimal(str(1_000 * (1 + sign * bps / 10_000))),
        quantity=Decimal(1),
        fee=Decimal(0),
        fee_asset="USDT",
        liquidity="taker",
        mid=Decimal(1_000),
        wall_us=0,
    )
