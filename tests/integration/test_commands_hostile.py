"""Three hundred hostile commands against running risk and executor: answered, audited, and without effect."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from libs.common.bus import Frame
from libs.common.clock import mono_us, wall_us
from libs.common.messages import Command, CommandReply, decode, encode
from libs.common.messages_exec import Permit
from libs.common.nats_bus import NatsBus
from libs.common.redis_store import RedisStore
from libs.common.store import Entry, StoreUnavailable
from services.risk.latches import BREAKERS
from tests.helpers.executor import BINANCE, Lab, lab
from tests.helpers.servers import real_nats
from tests.integration.hostile import hostile

PAIRS = {"BTC/USDT": BINANCE}
PAIR = "BTC-USDT_binance-spot_binance-perp"
BATCH = 40
WAIT_SEC = 30.0


class Office:
    """Asks on the bus and collects who answers what, reads audit and latches, hears permits."""

    def __init__(self, made: Lab, store: RedisStore) -> None:
        self.made, self.bus = made, made.bus
        self.store = store
        self.replies: dict[str, list[CommandReply]] = {}
        self.permits: list[Permit] = []
        self._count = 0

    def hear(self, frame: Frame) -> None:
        if frame.subject == "risk.permit":
            self.permits.append(decode(frame.payload, Permit))
        else:
            self.replies.setdefault(frame.subject, []).append(decode(frame.payload, CommandReply))

    def ask(self, verb: str, payload: bytes) -> str:
        self._count += 1
        inbox = f"_INBOX.office.{self._count}"
        assert self.bus.publish(f"cmd.{verb}", payload, reply=inbox)
        return inbox

    async def answers(self, verb: str, *services: str, **fields: Any) -> dict[str, CommandReply]:
        """The answers of these services to a well-formed command."""
        inbox = self.ask(verb, encode(Command(**fields)))
        await self.until(lambda: self._answered(inbox) >= {*services})
        return {one.service: one for one in self.replies[inbox]}

    def _answered(self, inbox: str) -> set[str]:
        return {one.service for one in self.replies.get(inbox, [])}

    async def until(self, condition: Callable[[], bool]) -> None:
        until_us = mono_us() + int(WAIT_SEC * 1e6)
        while not condition():
            assert mono_us() < until_us, f"it did not come\n{self.made.logs()}"
            await asyncio.sleep(0.02)

    async def audit(self) -> list[Entry]:
        """The whole stream; the store may have been started again since it was asked last."""
        with contextlib.suppress(StoreUnavailable):
            await self.store.durability()
        found: list[Entry] = []
        while page := await self.store.read("audit", after=found[-1].id if found else "0", count=500):
            found += page
        return found

    async def refused(self, lines: int) -> Counter[str]:
        """Service -> refusals in the audit, when there are so many: lines follow answers."""
        until_us = mono_us() + int(WAIT_SEC * 1e6)
        while True:
            found = [one.fields for one in await self.audit() if one.fields["decision"] == b"refused"]
            if len(found) >= lines or mono_us() > until_us:
                return Counter(one["service"].decode() for one in found)
            await asyncio.sleep(0.1)

    def controls(self, scope: str = "global") -> tuple[str, ...]:
        """What the newest permit says holds a scope."""
        return next((one.controls for one in self.permits[-1].breakers if one.scope == scope), ())


@asynccontextmanager
async def office(made: Lab) -> AsyncIterator[Office]:
    store = RedisStore(made.env["FUNDARB_REDIS_URL"], deployment="lab")
    await store.connect()
    opened = Office(made, store)
    for pattern in ("_INBOX.office.*", "risk.permit"):
        await made.bus.subscribe(pattern, opened.hear)
    try:
        await opened.until(lambda: bool(opened.permits))
        yield opened
    finally:
        await store.close()


async def test_three_hundred_hostile_commands_are_answered_audited_and_without_effect(tmp_path: Path) -> None:
    async with lab(tmp_path, PAIRS) as made:
        executor = await made.start("executor", PAIRS)
        async with office(made) as desk:
            await desk.answers("status", "risk", "executor")
            await made.until(lambda: made.state(PAIR) == "idle")
            latches = await desk.store.hash_all(BREAKERS)
            said = hostile(wall_us() // 1_000)
            assert len(said) >= 300
            inboxes: dict[str, tuple[str, bytes]] = {}
            for start in range(0, len(said), BATCH):
                batch = {desk.ask(*one): one for one in said[start : start + BATCH]}
                await desk.until(lambda batch=batch: desk.replies.keys() >= batch.keys())  # type: ignore[misc]
                inboxes |= batch

            # each is refused by everyone who answers, with words
            for inbox, (verb, payload) in inboxes.items():
                for reply in desk.replies[inbox]:
                    assert not reply.ok, (verb, payload[:200])
                    assert reply.error is not None
                    assert reply.error.message.isprintable(), reply.error.message
            # and each refusal is in the audit, by the one who said it
            told = Counter(reply.service for inbox in inboxes for reply in desk.replies[inbox])
            assert told["risk"] >= 200
            assert told["executor"] >= 100
            assert await desk.refused(told.total()) == told

            # no effect: no latch, no order, no other state; nobody has crashed or lost an event
            assert await desk.store.hash_all(BREAKERS) == latches
            assert made.orders == []
            assert made.state(PAIR) == "idle"
            assert not [one for one in made.alerts if one.level.value == "critical"], made.alerts
            assert executor.process.returncode is None

            # and what is meant is still obeyed
            halted = (await desk.answers("halt", "risk", reason="enough"))["risk"]
            assert halted.ok, halted
            await desk.until(lambda: "operator_halt" in desk.controls())
        assert await executor.stop() == 0


async def test_more_than_64_kb_and_strangers_are_refused_by_the_broker() -> None:
    """Nothing of it reaches a service."""
    with real_nats() as nats:
        await nats.ready()
        bus = NatsBus(nats.url, name="test", connect_timeout_sec=10.0)
        await bus.connect()
        heard: list[Frame] = []
        await bus.subscribe("cmd.*", heard.append)
        try:
            said = await asyncio.to_thread(shout, nats.url, b"x" * (64 * 1024 + 1))
            assert "Maximum Payload Violation" in said
            stranger = await asyncio.to_thread(shout, nats.urls["feed"], b"{}")
            assert "Permissions Violation" in stranger
            nobody = await asyncio.to_thread(shout, nats.url.replace("@", "x@"), b"{}")
            assert "Authorization Violation" in nobody
            assert bus.publish("cmd.pause", b"{}")
            await asyncio.sleep(0.5)
        finally:
            await bus.close()
    assert [(one.subject, one.payload) for one in heard] == [("cmd.pause", b"{}")]


def shout(url: str, payload: bytes) -> str:
    """Publish `cmd.halt` in NATS's own words, and what the broker says to it."""
    where = urlsplit(url)
    login = f'"user":"{where.username}","pass":"{where.password}"'
    hello = f'CONNECT {{{login},"verbose":false,"pedantic":false}}\r\n'
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=10) as wire:
        wire.sendall(hello.encode() + b"PUB cmd.halt %d\r\n%b\r\nPING\r\n" % (len(payload), payload))
        said = b""
        while b"-ERR" not in said and (got := wire.recv(65_536)):
            said += got
    return said.decode(errors="replace")
