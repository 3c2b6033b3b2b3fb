"""Real messages to servers on this machine: a Feishu bot that checks signatures, a mailbox, a webhook."""

from __future__ import annotations

import base64
import email.policy
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.parser import BytesParser
from typing import Any

import pytest
from aiohttp import web
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from libs.common.config.schema import Channel
from libs.common.embedded import free_port
from libs.common.messages import AlertLevel
from services.notifier.channels import BadChannel, Channels
from services.notifier.model import Notice
from services.notifier.work import NotDelivered, PingHeartbeat, Send
from tests.unit.notifier.rig import Rig, setting

SECRET = "bot-secret"


class Peer:
    """An HTTP server that keeps what is posted, and answers as a test says."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.answer: dict[str, Any] = {"code": 0, "msg": "success"}
        self.status = 200
        self.pings = 0
        self.port = 0

    async def take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        return web.json_response(self.answer, status=self.status)

    async def watch(self, _request: web.Request) -> web.Response:
        self.pings += 1
        return web.Response(status=self.status)

    async def bot(self, request: web.Request) -> web.Response:
        """As Feishu: HTTP 200 whatever is wrong; 19021 for a signature that does not fit."""
        body = await request.json()
        self.bodies.append(body)
        key = f"{body.get('timestamp')}\n{SECRET}".encode()
        wanted = base64.b64encode(hmac.new(key, b"", digestmod=hashlib.sha256).digest()).decode()
        if body.get("sign") != wanted:
            return web.json_response(
                {"code": 19021, "msg": "sign match fail or timestamp is not within one hour"}
            )
        return web.json_response(self.answer)


@asynccontextmanager
async def peer() -> AsyncIterator[Peer]:
    one = Peer()
    app = web.Application()
    app.router.add_post("/open-apis/bot/v2/hook/x", one.bot)
    app.router.add_post("/hook", one.take)
    app.router.add_get("/watchdog", one.watch)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.port = runner.addresses[0][1]
    try:
        yield one
    finally:
        await runner.cleanup()


@asynccontextmanager
async def opened(**channels: Channel) -> AsyncIterator[Channels]:
    made = Channels(channels)
    try:
        yield made
    finally:
        await made.close()


def bot_of(one: Peer, *, secret: str = SECRET) -> Channel:
    url = f"http://127.0.0.1:{one.port}/open-apis/bot/v2/hook/x"
    return Channel(type="feishu", url=url, secret=secret)


def hook_of(one: Peer) -> Channel:
    return Channel(url=f"json://127.0.0.1:{one.port}/hook")


def message(channel: str) -> Send:
    notice = Notice(
        level=AlertLevel.CRITICAL,
        title="CRITICAL: naked leg  [main]",
        lines=("BTC-USDT: 120 USD *naked* <5 s>",),
        facts=(("when", "2026-01-02 03:04:05 UTC"),),
        footer="Say that you know: fundarb ack naked",
    )
    return Send(channel=channel, notice=notice, ids=("1-0",), token=1)


async def test_a_signed_card_reaches_the_bot() -> None:
    async with peer() as feishu, opened(team=bot_of(feishu)) as channels:
        await channels.send(message("team"))
    (body,) = feishu.bodies
    assert body["msg_type"] == "interactive"
    assert body["card"]["header"]["template"] == "red"
    assert "*naked* <5 s>" in json.dumps(body["card"]["elements"])
    assert "fundarb ack naked" in json.dumps(body["card"]["elements"][-1])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"code": 19024, "msg": "Key Words Not Found"}, "keyword"),
        ({"StatusCode": 1, "StatusMessage": "no"}, "code 1"),
        ({"code": 0, "StatusCode": 11232}, "11232"),
        ({"msg": "success"}, "code None"),
        ({"code": False}, "code"),
    ],
)
async def test_an_answer_of_200_that_does_not_say_0_is_a_failure(answer: dict[str, Any], words: str) -> None:
    async with peer() as feishu, opened(team=bot_of(feishu)) as channels:
        feishu.answer = answer
        with pytest.raises(NotDelivered, match=words):
            await channels.send(message("team"))


@pytest.mark.parametrize(
    "answer", [{"StatusCode": 0, "StatusMessage": "success"}, {"StatusCode": 0, "code": 0}]
)
async def test_both_generations_of_bots_are_understood(answer: dict[str, Any]) -> None:
    async with peer() as feishu, opened(team=bot_of(feishu)) as channels:
        feishu.answer = answer
        await channels.send(message("team"))


async def test_a_refused_signature_is_a_failure_is_retried_and_escalates_to_the_second_channel() -> None:
    async with peer() as feishu, peer() as second:
        team, hook = bot_of(feishu, secret="another"), hook_of(second)
        async with opened(team=team, hook=hook) as channels:
            rig = Rig(setting("team", "hook", chain=("team", "hook")), sender=channels.send)
            await rig.start()
            await rig.raise_("naked", "critical", "120 USD naked")
            await rig.run(30)
            assert len(feishu.bodies) >= 3
            tried = len(feishu.bodies)
            assert rig.counted("fundarb_notifications_total", channel="team", outcome="failed") == tried
            assert rig.counted("fundarb_notifications_total", channel="team", outcome="sent") == 0
            assert rig.counted("fundarb_notifications_total", channel="hook", outcome="sent") == 1
            assert [send.channel for send in rig.sent] == ["hook"]
            assert "19021" in rig.health["channel:team"]
            assert "team does not deliver" in second.bodies[0]["message"]
            assert "120 USD naked" in second.bodies[0]["message"]
            assert second.bodies[0]["type"] == "failure"


async def test_a_webhook_that_answers_an_error_is_a_failure_with_its_reason() -> None:
    async with peer() as other, opened(hook=hook_of(other)) as channels:
        other.status = 500
        with pytest.raises(NotDelivered, match="500"):
            await channels.send(message("hook"))


async def test_nobody_at_the_other_end_is_a_failure() -> None:
    async with peer() as gone:
        pass
    async with opened(team=bot_of(gone), hook=hook_of(gone)) as channels:
        for name in ("team", "hook"):
            with pytest.raises(NotDelivered):
                await channels.send(message(name))


class Mailbox:
    """What aiosmtpd calls for each mail."""

    def __init__(self) -> None:
        self.mails: list[Envelope] = []
        self.answer = "250 kept"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.mails.append(envelope)
        return self.answer


async def test_a_mail_arrives_and_one_that_is_not_taken_is_a_failure() -> None:
    box = Mailbox()
    port = free_port()
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    try:
        url = f"mailto://127.0.0.1:{port}/?from=fundarb@example.org&to=trader@example.org"
        async with opened(mail=Channel(url=url)) as channels:
            await channels.send(message("mail"))
            (mail,) = box.mails
            assert mail.rcpt_tos == ["trader@example.org"]
            content = mail.content
            assert isinstance(content, bytes)
            parsed = BytesParser(policy=email.policy.default).parsebytes(content)
            assert parsed["subject"] == "CRITICAL: naked leg [main]"
            text = parsed.get_body(("plain",))
            assert text is not None
            assert "120 USD" in text.get_content()
            box.answer = "552 the mailbox is full"
            with pytest.raises(NotDelivered):
                await channels.send(message("mail"))
    finally:
        server.stop()


async def test_the_watchdog_is_pinged_and_one_that_refuses_is_a_failure() -> None:
    async with peer() as watchdog:
        channels = Channels({}, heartbeat_url=f"http://127.0.0.1:{watchdog.port}/watchdog")
        try:
            await channels.ping(PingHeartbeat())
            assert watchdog.pings == 1
            watchdog.status = 404
            with pytest.raises(NotDelivered, match="404"):
                await channels.ping(PingHeartbeat())
        finally:
            await channels.close()


def test_a_url_that_apprise_does_not_know_is_told_with_its_place() -> None:
    with pytest.raises(BadChannel, match=r"^notify\.channels\.phone\.url: apprise does not understand it"):
        Channels({"phone": Channel(url="telegraph://x")})
