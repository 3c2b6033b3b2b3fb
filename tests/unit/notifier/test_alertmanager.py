"""Alertmanager's way in: what its alerts become, and an answer of 200 only for what is durable."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from libs.common.effects import Event, Received
from libs.common.memory_store import MemoryStore
from libs.common.messages import AlertLevel, AlertRaised
from libs.common.notices import ALERTS
from services.notifier.alertmanager import ALERTMANAGER, ALERTS_MAX, BadWebhook, alerts_of
from services.notifier.webhook import PATH, Webhook
from tests.unit.notifier.rig import Rig, setting

WALL_US = 1_700_000_000_000_000


def firing(severity: str = "critical", status: str = "firing", **annotations: str) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": "Naked", "severity": severity, "pair": "P"},
        "annotations": annotations,
        "fingerprint": "f00d",
        "startsAt": "2026-01-01T00:00:00Z",
    }


def body(*alerts: dict[str, Any]) -> bytes:
    return json.dumps({"version": "4", "status": "firing", "alerts": alerts}).encode()


@pytest.mark.parametrize(
    ("severity", "level"),
    [
        ("critical", AlertLevel.CRITICAL),
        ("page", AlertLevel.CRITICAL),
        ("warning", AlertLevel.WARNING),
        ("info", AlertLevel.INFO),
        ("none", AlertLevel.INFO),
        ("", AlertLevel.WARNING),
        ("disaster", AlertLevel.WARNING),
    ],
)
def test_severity_is_the_level_and_an_unknown_one_is_heard(severity: str, level: AlertLevel) -> None:
    (raised,) = alerts_of(body(firing(severity)), wall_us=WALL_US)
    assert raised.level is level


def test_what_it_says_of_one() -> None:
    said = firing(summary="no hedge", description="no hedge for 10 s", runbook_url="http://g/d/x")
    (raised,) = alerts_of(body(said), wall_us=WALL_US)
    assert raised == AlertRaised(
        level=AlertLevel.CRITICAL,
        key="Naked:f00d",
        text="no hedge",
        service=ALERTMANAGER,
        context={
            "status": "firing",
            "runbook": "http://g/d/x",
            "description": "no hedge for 10 s",
            "pair": "P",
        },
        wall_us=WALL_US,
    )


def test_over_and_little_said() -> None:
    over, bare = alerts_of(
        body(firing(status="resolved", description="no hedge"), {"status": "firing"}), wall_us=WALL_US
    )
    assert (over.text, over.context["status"], over.key) == ("no hedge (over)", "resolved", "Naked:f00d")
    assert "description" not in over.context
    assert (bare.text, bare.key, bare.level) == ("alert", "alert", AlertLevel.WARNING)


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"{",
        b"{}",
        b'{"alerts":[{"status":"pending"}]}',
        b"[" * 100_000,
        body(*[firing()] * (ALERTS_MAX + 1)),
    ],
    ids=range(6),
)
def test_anything_else_is_refused(bad: bytes) -> None:
    with pytest.raises(BadWebhook, match=r"not Alertmanager's JSON|at most 200: set max_alerts"):
        alerts_of(bad, wall_us=WALL_US)


class Served:
    """The web hook on a memory store; `given` is what went to the actor."""

    def __init__(self, store: MemoryStore, port: int) -> None:
        self.store, self.port = store, port
        self.given: list[Event] = []

    async def post(self, what: bytes, *, path: str = PATH, **headers: str) -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.port}{path}"
        async with aiohttp.ClientSession() as client, client.post(url, data=what, headers=headers) as answer:
            return answer.status, await answer.text()


@asynccontextmanager
async def served(token: str = "") -> AsyncIterator[Served]:
    hook = Webhook(MemoryStore(), host="127.0.0.1", port=0, token=token)
    given: list[Event] = []

    def offer(event: Event) -> None:
        given.append(event)

    running = asyncio.create_task(hook.run(offer))
    await hook.ready.wait()
    made = Served(hook._store, hook.port)  # type: ignore[arg-type]
    made.given = given
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_200_means_that_all_of_it_is_durable_and_the_actor_is_woken() -> None:
    async with served() as hook:
        assert await hook.post(body(firing(), firing("info"))) == (200, "kept\n")
        assert len(await hook.store.read(ALERTS)) == 2
        subjects = [event.subject for event in hook.given if isinstance(event, Received)]
        assert subjects == ["alert.critical", "alert.info"]


async def test_what_is_not_kept_is_not_confirmed_yet_told() -> None:
    async with served() as hook:
        hook.store.down = True
        status, words = await hook.post(body(firing(summary="no hedge")))
        assert status == 503
        assert words.startswith("not kept, send it again: ")
        (event,) = hook.given
        hook.store.down = False
        assert await hook.store.read(ALERTS) == []
    rig = await Rig(setting("phone")).start()
    await rig.give(event)
    await rig.run(10)
    assert rig.texts("phone") == ["no hedge"], "a critical one does not wait for the store"
    assert rig.counted("fundarb_webhook_alerts_total", level="critical") == 1


async def test_who_has_no_token_and_what_is_too_big_or_nonsense_changes_nothing() -> None:
    async with served("t0ken") as hook:
        assert (await hook.post(body(firing())))[0] == 401
        assert (await hook.post(body(firing()), Authorization="Bearer t0ke"))[0] == 401
        assert (await hook.post(body(firing()), Authorization="Bearer t0ken\u00e9"))[0] == 401
        login = {"Authorization": "Bearer t0ken"}
        status, words = await hook.post(b"{}", **login)
        assert status == 400
        assert words.startswith("not Alertmanager's JSON (version 4): ")
        assert (await hook.post(b"x" * 600_000, **login))[0] == 413
        assert (await hook.post(body(firing()), path="/", **login))[0] == 404
        assert hook.given == []
        assert await hook.store.read(ALERTS) == []
        assert (await hook.post(body(firing()), **login))[0] == 200
