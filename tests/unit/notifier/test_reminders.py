"""What nobody has acknowledged is said again at the end of the escalation, bounded; settings may change."""

from __future__ import annotations

import msgspec
import pytest

from libs.common.config.reload import Applied, Refused, compare
from libs.common.config.schema import Channel, Config, Notify
from libs.common.effects import Reloaded
from libs.common.instant import US_PER_SEC
from libs.common.messages import AlertLevel, Command
from services.notifier.escalation import REMINDERS_MAX
from services.notifier.settings import setting_of
from tests.unit.notifier.rig import Rig, setting

CHAIN = {"chain": ("phone", "mail")}
MIN = 60


def told(rig: Rig, channel: str, key: str) -> int:
    return rig.texts(channel).count(f"about {key}")


async def test_an_alert_that_nobody_acknowledges_is_said_again_on_the_last_channel() -> None:
    rig = await Rig(setting("phone", "mail", **CHAIN)).start()
    await rig.raise_("naked", "critical")
    await rig.run(6 * MIN)
    assert (told(rig, "phone", "naked"), told(rig, "mail", "naked")) == (1, 1)
    await rig.run(5 * MIN)
    assert told(rig, "mail", "naked") == 2
    assert f"still not acknowledged after 10 min (reminder 1 of {REMINDERS_MAX})" in " ".join(
        rig.texts("mail")
    )
    await rig.run(5 * MIN)
    assert (told(rig, "phone", "naked"), told(rig, "mail", "naked")) == (1, 3)


async def test_reminders_end() -> None:
    rig = await Rig(setting("phone", "mail", **CHAIN)).start()
    await rig.raise_("naked", "critical")
    await rig.run((REMINDERS_MAX + 10) * 5 * MIN)
    assert told(rig, "mail", "naked") == 1 + REMINDERS_MAX


async def test_an_acknowledgement_ends_them() -> None:
    rig = await Rig(setting("phone", "mail", **CHAIN)).start()
    await rig.raise_("naked", "critical")
    await rig.run(11 * MIN)
    assert told(rig, "mail", "naked") == 2
    await rig.hear(Command(key="naked", actor="ann"), "cmd.ack", "inbox")
    await rig.run(60 * MIN)
    assert told(rig, "mail", "naked") == 2


async def test_a_last_channel_that_is_down_gets_one_message_and_not_all_reminders() -> None:
    rig = await Rig(setting("phone", "mail", **CHAIN)).start()
    rig.down.add("mail")
    await rig.raise_("naked", "critical")
    await rig.run(40 * MIN)
    rig.down.clear()
    await rig.run(4 * MIN)
    assert told(rig, "mail", "naked") == 1
    await rig.run(3 * MIN)
    assert told(rig, "mail", "naked") == 2, "the time to acknowledge begins when it has arrived"


async def test_a_restart_goes_on_counting() -> None:
    rig = await Rig(setting("phone", "mail", **CHAIN)).start()
    await rig.raise_("naked", "critical")
    await rig.run(11 * MIN)
    second = await Rig(setting("phone", "mail", **CHAIN), store=rig.store).start()
    await second.run((REMINDERS_MAX + 10) * 5 * MIN)
    assert told(rig, "mail", "naked") + told(second, "mail", "naked") == 1 + REMINDERS_MAX


async def test_without_an_escalation_and_for_what_is_not_critical_there_are_none() -> None:
    plain = await Rig(setting("phone")).start()
    await plain.raise_("naked", "critical")
    chained = await Rig(setting("phone", "mail", **CHAIN)).start()
    await chained.raise_("calm", "warning")
    for rig in (plain, chained):
        await rig.run(60 * MIN)
    assert told(plain, "phone", "naked") == 1
    assert (told(chained, "phone", "calm"), told(chained, "mail", "calm")) == (1, 0)


# --- reload -------------------------------------------------------------------------------------------------

NOTIFY = Notify(
    channels={"phone": Channel(url="json://127.0.0.1:1/a"), "mail": Channel(url="json://127.0.0.1:1/b")},
    escalation=("phone", "mail"),
    daily_digest=False,
    min_level="info",
)


def changed(**fields: object) -> Config:
    return Config(notify=msgspec.structs.replace(NOTIFY, **fields))


async def test_a_reload_takes_effect_on_what_waits_already() -> None:
    rig = await Rig(setting_of(changed(acknowledge_min=60.0))).start()
    await rig.raise_("naked", "critical")
    await rig.run(10 * MIN)
    assert told(rig, "mail", "naked") == 0
    await rig.give(Reloaded(config=changed(acknowledge_min=5.0)))
    await rig.run(2)
    assert told(rig, "mail", "naked") == 1


async def test_levels_pace_and_hours_follow_a_reload() -> None:
    rig = await Rig(setting_of(changed())).start()
    await rig.raise_("one", "info")
    await rig.run(5)
    assert told(rig, "phone", "one") == 1
    await rig.give(Reloaded(config=changed(min_level="critical", messages_per_min=60.0)))
    await rig.raise_("two", "info")
    await rig.run(5)
    assert told(rig, "phone", "two") == 0
    lane = rig.actor.lanes["phone"]
    assert lane.route.min_level is AlertLevel.CRITICAL
    assert lane._per_us * 60 * US_PER_SEC == pytest.approx(60.0)
    noon_us = 1_700_000_000_000_000
    assert not lane.quiet(noon_us)
    await rig.give(Reloaded(config=changed(quiet_hours="00:00-23:59")))
    assert lane.quiet(noon_us)


@pytest.mark.parametrize(
    "fields",
    [
        {"webhook_listen": "127.0.0.1:9099"},
        {"webhook_token": "t0ken"},
        {"heartbeat_url": "https://watch.example/x"},
        {"timezone": "Asia/Shanghai"},
        {"channels": {"phone": Channel(url="json://127.0.0.1:1/other")}, "escalation": ()},
    ],
)
def test_what_is_made_at_the_start_needs_a_restart(fields: dict[str, object]) -> None:
    verdict = compare(changed(), changed(**fields))
    assert isinstance(verdict, Refused)
    assert verdict.code == "fixed"


def test_the_rest_may_change() -> None:
    new = changed(
        acknowledge_min=1.0, repeat_min=1.0, min_level="critical", opportunities=True, escalation=()
    )
    assert isinstance(compare(changed(), new), Applied)
