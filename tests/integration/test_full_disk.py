"""The disk beneath a deployment is full: what is not durable is not sent, a person is told, it comes back.

`fundarb up --live` on an island, its data folder (store, logs) on a small disk of its own.
"""

from __future__ import annotations

from pathlib import Path

from libs.common.messages import AlertLevel
from tests.helpers.disk import SmallDisk
from tests.helpers.island import islander, simulated_exchange
from tests.helpers.live_deployment import CROSS, NAME, PAIR, Live, write_config

KEY = "executor:store"


def alerted(live: Live, level: AlertLevel) -> bool:
    return any((one.key, one.level) == (KEY, level) for one in live.alerts)


async def sent(live: Live) -> dict[str, int]:
    """Client id -> how often it has reached an exchange."""
    told = await live.venue("GET", "/oracle")
    return {key: count for house in told.values() for key, count in house["sent"].items()}


@islander
async def test_a_full_disk_stops_every_order_is_told_and_is_recovered_from(tmp_path: Path) -> None:
    async with simulated_exchange(tmp_path) as told:
        disk = SmallDisk(tmp_path / "data")
        live = Live(tmp_path, write_config(tmp_path, told), told)
        try:
            await live.start()
            async with live.heard():
                await live.brought("open", PAIR, "active")

                disk.fill(leave=0.08)
                await live.until(lambda: alerted(live, AlertLevel.WARNING), what="somebody is warned")
                refused = await live.say("open", CROSS, "--json")
                assert refused.code == 1
                assert "nothing is opened on it" in refused.out

                before = await sent(live)
                disk.fill()
                for verb, pair in (("open", CROSS), ("close", PAIR)):
                    refused = await live.say(verb, pair, "--json")
                    assert refused.code == 1, f"{refused}\n{live.logs()}"
                await live.until(lambda: alerted(live, AlertLevel.CRITICAL), what="somebody is woken")
                page = next(one for one in live.alerts if one.level is AlertLevel.CRITICAL and one.key == KEY)
                assert "nothing is sent, to open or to close" in page.text
                assert f"its disk is full ({disk.folder / NAME / 'valkey'}): make room" in page.text
                refused = await live.say("close", PAIR, "--json")
                assert refused.code == 1
                assert "make room" in refused.out
                assert "make room" in (await live.say("status")).out.replace("\n", " ")
                assert await sent(live) == before, "what is not durable is not sent"

                disk.empty()
                await live.brought("close", PAIR, "idle")
                found = await sent(live)
                assert len(found) == len(before) + 2
                assert set(found.values()) == {1}
        finally:
            await live.end()
