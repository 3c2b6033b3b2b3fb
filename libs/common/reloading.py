"""`cmd.reload` in every service: read the config again, take it over or refuse it by name, and say so.

The files are the ones the service was started with. A broken file, or a change that may not happen while it
runs, leaves the running config as it is. The actor hears of a new one as the event `Reloaded`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final

from libs.common.answering import Answers
from libs.common.assembly import Assembly, Offer, ServiceContext
from libs.common.bus import Bus, BusUnavailable, Frame, Subscription
from libs.common.command_body import BadBody, check_body
from libs.common.commands import EVERY, Asked, CommandDesk
from libs.common.config.load import secrets_of
from libs.common.config.problems import ConfigError
from libs.common.config.reload import Refused, compare
from libs.common.config.schema import Config
from libs.common.effects import Audit, Effect, Event, Received, Reloaded, Reply
from libs.common.instant import Clock
from libs.common.intake import COMMAND_BYTES_MAX, Intake
from libs.common.messages import BadMessage, Command, CommandReply, decode, encode
from libs.common.redact import REDACTOR
from libs.common.store_log import StoreLog
from libs.common.subjects import ALL_CMD, command

log = logging.getLogger(__name__)

VERB: Final = "reload"
SUBSCRIBE_AGAIN_SEC: Final = 1.0


class Reloader:
    """`read` gives the config of the files as they are now, or raises `ConfigError`.

    `takes`: whether the service's actor knows `Reloaded`; who does not says that it needs a restart.
    `subscriptions` of the service: who hears every command refuses what cannot be read by itself.
    """

    def __init__(
        self,
        *,
        service: str,
        config: Config,
        read: Callable[[], Config],
        clock: Clock,
        bus: Bus,
        takes: bool,
        subscriptions: Iterable[str] = (),
    ) -> None:
        self._service = service
        self._config = config
        self._read = read
        self._clock = clock
        self._bus = bus
        self._takes = takes
        self._refuses_unread = not {ALL_CMD, EVERY} & {*subscriptions}
        self._desk = CommandDesk(service, verbs=(VERB,), pairs={})
        self.entries: StoreLog | None = None

    @classmethod
    def of(cls, context: ServiceContext, assembly: Assembly, read: Callable[[], Config]) -> Reloader:
        """For a service as it was put together."""
        return cls(
            service=context.service,
            config=context.config,
            read=read,
            clock=context.clock,
            bus=context.bus,
            takes=assembly.reloads,
            subscriptions=assembly.subscriptions,
        )

    @property
    def config(self) -> Config:
        """What is in force."""
        return self._config

    async def run(self, offer: Offer) -> None:
        """Until cancelled."""
        if self.entries is None:
            raise RuntimeError("the audit stream is set before this runs")
        entries = self.entries

        def take(event: Event) -> None:
            if isinstance(event, Received):
                self._carry_out(self._answer(event, offer), entries)

        intake = Intake(service=self._service, bus=self._bus, offer=take, entries=entries)

        def hear(frame: Frame) -> None:
            if self._refuses_unread or _is_readable(frame):
                intake.take(frame)

        subscription = await self._subscribed(hear)
        try:
            await asyncio.Event().wait()
        finally:
            await subscription.close()

    async def _subscribed(self, hear: Callable[[Frame], None]) -> Subscription:
        """As soon as the bus takes it: a service that is busy with its start does not end for want of it."""
        while True:
            try:
                return await self._bus.subscribe(command(VERB), hear)
            except BusUnavailable as error:
                log.warning("`%s` is not heard yet: %s", VERB, error)
                await asyncio.sleep(SUBSCRIBE_AGAIN_SEC)

    def _answer(self, event: Received, offer: Offer) -> Iterable[Effect]:
        asked = self._desk.take(event, self._clock.now())
        return self._reloaded(asked, offer) if isinstance(asked, Asked) else asked

    def _reloaded(self, asked: Asked, offer: Offer) -> list[Effect]:
        try:
            new = self._read()
        except ConfigError as error:
            return asked.refuse("bad_config", f"the running config stays as it is: {error}")
        REDACTOR.add(*secrets_of(new))
        verdict = compare(self._config, new, confirm=asked.command.confirm)
        if isinstance(verdict, Refused):
            return asked.refuse(verdict.code, verdict.text)
        told = [str(one) for one in verdict.changes]
        if told and not self._takes:
            return asked.refuse("restart", f"{self._service} takes a new config at its start: restart it")
        if told:
            self._config = new
            log.info("the config was read again: %s", "; ".join(told))
            offer(Reloaded(config=new))
        return asked.done({"changed": told}, because="; ".join(told) or "nothing has changed")

    def _carry_out(self, effects: Iterable[Effect], entries: StoreLog) -> None:
        answers = Answers(self._service, lambda: entries, self._send)
        for effect in effects:
            if isinstance(effect, Audit):
                answers.record(effect, wall_us=self._clock.now().wall_us)
            elif isinstance(effect, Reply):
                answers.give(effect.to, effect.reply)

    def _send(self, to: str, reply: CommandReply) -> None:
        self._bus.publish(to, REDACTOR.known(encode(reply).decode()).encode())


def _is_readable(frame: Frame) -> bool:
    """Whether the service's own intake lets it through, and tells nobody."""
    payload = frame.payload.strip() or b"{}"
    if len(frame.payload) > COMMAND_BYTES_MAX:
        return False
    try:
        decode(payload, Command)
        check_body(payload, VERB)
    except (BadMessage, BadBody, RecursionError):
        return False
    return True
