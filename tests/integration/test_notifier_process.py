"""The notifier as a process on real servers: killed in the middle, and Alertmanager's way in."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from libs.common.child import python_env
from libs.common.clock import wall_us
from libs.common.embedded import free_port, running_servers
from libs.common.messages import AlertLevel, AlertRaised
from libs.common.notices import ALERTS, alert_entry
from libs.common.redis_store import RedisStore
from tests.helpers.servers import eventually
from tests.integration.test_notifier_channels import Peer, peer

ALERTS_RAISED = 120
WITHIN_SEC = 60.0


class Site:
    """Servers, a webhook that takes messages, and a notifier that can be killed and started again."""

    def __init__(self, folder: Path, env: dict[str, str], store: RedisStore, hook: Peer) -> None:
        self.folder, self.env, self.store, self.hook = folder, env, store, hook
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        log = os.open(self.folder / "notifier.log", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        try:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "services.notifier.main"),
                env=python_env(os.environ, **self.env),
                cwd=Path(__file__).parents[2],
                stdout=log,
                stderr=log,
            )
        finally:
            os.close(log)

    async def end(self, how: signal.Signals) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(how)
        return await self.process.wait()

    def told(self) -> Counter[str]:
        """How often each key was told."""
        text = "\n".join(body["message"] for body in self.hook.bodies)
        return Counter(word for word in text.split() if word.startswith("matter-"))


@asynccontextmanager
async def site(folder: Path, **notify: Any) -> AsyncIterator[Site]:
    async with running_servers(durable=True) as (nats_url, redis_url, _), peer() as hook:
        channel = {"url": f"json://127.0.0.1:{hook.port}/hook", "min_level": "info"}
        settings = {"channels": {"hook": channel}, "messages_per_min": 60, "daily_digest": False, **notify}
        config = folder / "config.json"
        config.write_text(json.dumps({"notify": settings}))
        config.chmod(0o600)
        store = RedisStore(redis_url, deployment="main")
        await store.connect()
        env = {
            "FUNDARB_CONFIG": str(config),
            "FUNDARB_NATS_URL": nats_url,
            "FUNDARB_REDIS_URL": redis_url,
            "FUNDARB_METRICS_PORT": "0",
        }
        made = Site(folder, env, store, hook)
        try:
            yield made
        finally:
            if made.process is not None:
                await made.end(signal.SIGKILL)
            await store.close()


async def test_killed_in_the_middle_it_tells_everything_and_at_most_one_message_twice(tmp_path: Path) -> None:
    async with site(tmp_path) as made:
        for number in range(ALERTS_RAISED):
            level = AlertLevel.CRITICAL if number % 40 == 0 else AlertLevel.WARNING
            raised = AlertRaised(
                level=level, key=f"k{number}", text=f"matter-{number} .", service="risk", wall_us=wall_us()
            )
            await made.store.append(ALERTS, alert_entry(raised))
        for life in range(2):
            await made.start()
            enough = len(made.hook.bodies) + 2

            def told_some(wanted: int = enough) -> bool:
                return len(made.hook.bodies) >= wanted

            await eventually(told_some, within_sec=WITHIN_SEC)
            assert await made.end(signal.SIGKILL) == -signal.SIGKILL, life
        assert len(made.told()) < ALERTS_RAISED
        await made.start()
        await eventually(lambda: len(made.told()) == ALERTS_RAISED, within_sec=WITHIN_SEC)
        assert await made.end(signal.SIGTERM) == 0
        bodies = [body["message"] for body in made.hook.bodies]
        assert sum(count - 1 for count in made.told().values()) <= 2 * max(
            text.count("matter-") for text in bodies
        )
        assert bodies.count(bodies[-1]) == 1


async def test_alertmanager_is_answered_when_its_alert_is_durable(tmp_path: Path) -> None:
    port = free_port()
    async with (
        site(tmp_path, webhook_listen=f"127.0.0.1:{port}", webhook_token="let-me-in") as made,
        aiohttp.ClientSession() as client,
    ):
        await made.start()
        url, login = f"http://127.0.0.1:{port}/alertmanager", {"Authorization": "Bearer let-me-in"}
        firing = {
            "version": "4",
            "status": "firing",
            "alerts": [
                {
                    "status": "firing",
                    "labels": {"alertname": "ExecutorDown", "severity": "critical"},
                    "annotations": {"summary": "matter-prometheus no executor"},
                    "fingerprint": "f00d",
                }
            ],
        }

        async def post(body: bytes, **headers: str) -> int:
            try:
                async with client.post(url, data=body, headers=headers) as answer:
                    return answer.status
            except aiohttp.ClientConnectorError:
                return 0

        async with asyncio.timeout(WITHIN_SEC):
            while (status := await post(json.dumps(firing).encode(), **login)) == 0:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert status == 200
        (entry,) = await made.store.read(ALERTS)
        assert b'"level":"critical"' in entry.fields["json"]
        await eventually(lambda: made.told()["matter-prometheus"] == 1, within_sec=WITHIN_SEC)
        assert await post(json.dumps(firing).encode()) == 401
        assert await post(b"{}", **login) == 400
        assert await post(b"x" * 600_000, **login) == 413
        assert len(await made.store.read(ALERTS)) == 1
