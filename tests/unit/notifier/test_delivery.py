"""What reaches people: all of it, once, critical first, over outages of channels, store and process."""

from __future__ import annotations

from collections import Counter

from libs.common.effects import Reply
from libs.common.instant import ManualClock
from libs.common.memory_store import MemoryStore
from libs.common.messages import AlertLevel, Command
from libs.common.notices import ALERTS
from libs.common.subjects import alert
from services.notifier.model import ITEMS_KEY, POSITION_KEY, Route
from tests.unit.notifier.rig import Rig, setting

LEVELS = ("info", "warning", "warning", "critical", "warning")


async def test_a_channel_down_for_ten_minutes_under_500_alerts_gets_all_once_and_critical_first() -> None:
    rig = await Rig(setting("phone", repeat_us=1_000_000)).start()
    rig.down.add("phone")
    for number in range(500):
        await rig.raise_(f"k{number}", LEVELS[number % 5])
        if number % 5 == 4:
            await rig.run(6)
    assert rig.sent == []
    rig.down.clear()
    await rig.run(900)
    told = [line for line in rig.texts("phone") if "about k" in line]
    keys = Counter(line.split("about ")[1].split()[0] for line in told)
    assert keys == Counter(f"k{number}" for number in range(500))
    urgent = ["CRITICAL" in send.notice.title for send in rig.sent]
    assert urgent == sorted(urgent, reverse=True)
    assert sum(urgent) >= 5
    assert len(rig.sent) < 60
    await rig.run(600)
    left = await rig.store.hash_all(ITEMS_KEY)
    assert all(b'"level":"critical"' in raw for raw in left.values())
    assert rig.actor.desk.position is not None


async def test_critical_ones_wait_for_no_rate_and_the_rest_comes_by_its_loudness() -> None:
    rig = await Rig(setting("phone", messages_per_min=1.0)).start()
    for number in range(8):
        await rig.raise_(f"w{number}", "warning")
        await rig.run(2)
    assert rig.texts("phone") == [f"about w{number}" for number in range(5)], "the rate is used up"
    for number in range(3):
        await rig.raise_(f"c{number}", "critical")
        await rig.run(1)
        assert rig.texts("phone")[-1] == f"about c{number}"
    rig.down.add("phone")
    for number in range(3):
        await rig.raise_(f"i{number}", "info")
        await rig.raise_(f"v{number}", "warning")
    await rig.run(20)
    rig.down.clear()
    await rig.run(300)
    told = " ".join(rig.texts("phone"))
    places = [told.index(f"about {key}") for key in ("w7", "v0", "v1", "v2", "i0", "i1", "i2")]
    assert places == sorted(places)


async def test_a_process_that_dies_anywhere_loses_nothing() -> None:
    """Every life sends a little and is gone; only what was under way may be told twice."""
    rig = await Rig(setting("phone")).start()
    for number in range(60):
        await rig.raise_(f"k{number}", "warning")
    confirmed: list[str] = []
    for _life in range(12):
        rig = await Rig(setting("phone"), store=rig.store).start()
        await rig.run(1)
        confirmed += rig.ids("phone")
    assert len(confirmed) == len(set(confirmed)) == 60


async def test_what_is_raised_in_a_long_outage_after_a_first_life_without_any_alert_is_told() -> None:
    first = await Rig(setting("phone")).start()
    await first.run(5)
    await first.raise_("soon", "critical")
    first.time.advance(sec=5 * 3_600)
    second = await Rig(setting("phone"), store=first.store).start()
    await second.run(5)
    assert second.texts("phone") == ["about soon"]


async def test_a_store_that_forgets_the_answer_makes_nothing_double() -> None:
    rig = await Rig(setting("phone")).start()
    await rig.run(2)
    await rig.raise_("a")
    await rig.run(2)
    rig.store.down = True
    await rig.run(30)
    rig.store.down = False
    await rig.raise_("b")
    await rig.run(30)
    assert Counter(rig.texts("phone")) == Counter(["about a", "about b"])


async def test_delivered_while_the_store_is_away_is_not_told_again() -> None:
    rig = await Rig(setting("phone")).start()
    await rig.run(2)
    rig.down.add("phone")
    await rig.raise_("a")
    await rig.run(3)
    rig.store.down = True
    rig.down.clear()
    await rig.run(20)
    assert rig.texts("phone") == ["about a"]
    rig.store.down = False
    await rig.run(20)
    assert rig.texts("phone") == ["about a"]
    assert rig.health["alerts"] == ""


async def test_a_critical_alert_that_the_store_does_not_take_is_told_at_once_and_known_again() -> None:
    rig = await Rig(setting("phone")).start()
    await rig.run(2)
    raised = await rig.raise_("first", "critical")
    await rig.run(2)
    rig.store.down = True
    lost = type(raised)(
        level=AlertLevel.CRITICAL, key="store", text="store away", service="risk", wall_us=raised.wall_us + 5
    )
    await rig.hear(lost, alert("critical"))
    await rig.run(8)
    assert rig.texts("phone")[-1] == "store away"
    rig.store.down = False
    await rig.store.append(ALERTS, {"json": _json(lost)})
    await rig.run(30)
    assert rig.texts("phone").count("store away") == 1


def _json(message: object) -> bytes:
    import msgspec  # noqa: PLC0415

    return msgspec.json.encode(message)


async def test_repeats_are_counted_and_told_once_a_window() -> None:
    rig = await Rig(setting("phone")).start()
    await rig.raise_("storm")
    await rig.run(2)
    for number in range(20):
        await rig.raise_("storm", text=f"wave {number}")
        await rig.run(10)
    assert len(rig.sent) == 1
    await rig.run(600)
    assert [send.notice.lines[0] for send in rig.sent] == ["about storm", "wave 19"]
    assert ("raised again", "20 times in 10 min") in rig.sent[1].notice.facts


async def test_a_louder_one_is_no_repeat() -> None:
    rig = await Rig(setting("phone")).start()
    await rig.raise_("margin", "warning")
    await rig.run(2)
    await rig.raise_("margin", "critical", "worse")
    await rig.run(2)
    assert rig.texts("phone") == ["about margin", "worse"]


async def test_not_acknowledged_goes_on_and_acknowledged_does_not() -> None:
    rig = await Rig(setting("phone", "mail", chain=("phone", "mail"))).start()
    await rig.raise_("known", "critical")
    await rig.raise_("unknown", "critical")
    await rig.run(2)
    assert rig.texts("mail") == []
    await rig.hear(Command(key="known", actor="ann"), "cmd.ack", "inbox")
    await rig.run(400)
    assert [line for line in rig.texts("mail") if "about" in line] == ["about unknown"]
    assert "not acknowledged within 5 min on phone" in rig.texts("mail")[1]
    (reply,) = rig.replies
    assert reply.reply.ok
    assert reply.reply.result["acknowledged"] == 1


async def test_acknowledging_what_is_not_there_is_refused_with_what_is() -> None:
    rig = await Rig(setting("phone")).start()
    await rig.raise_("naked", "critical")
    await rig.run(2)
    await rig.hear(Command(key="nakd"), "cmd.ack", "inbox")
    (reply,) = rig.replies
    assert isinstance(reply, Reply)
    assert reply.reply.error is not None
    assert "there are naked" in reply.reply.error.message


async def test_a_channel_that_fails_hands_critical_ones_to_the_next() -> None:
    rig = await Rig(setting("phone", "mail", chain=("phone", "mail"))).start()
    rig.down.add("phone")
    await rig.raise_("naked", "critical")
    await rig.raise_("calm", "warning")
    await rig.run(30)
    assert [line for line in rig.texts("mail") if "about" in line] == ["about naked"]
    assert "phone does not deliver (no way out)" in " ".join(rig.texts("mail"))
    assert "no way out" in rig.health["channel:phone"]
    rig.down.clear()
    await rig.run(60)
    assert rig.health["channel:phone"] == ""
    assert set(rig.texts("phone")) >= {"about naked", "about calm"}


async def test_a_message_that_is_always_refused_stands_in_nobodys_way() -> None:
    rig = await Rig(setting("phone")).start()
    rig.refuses = lambda send: any("poison" in line for line in send.notice.lines)
    for key in ("poison", *(f"k{number}" for number in range(30))):
        await rig.raise_(key)
    await rig.run(900)
    told = " ".join(rig.texts("phone"))
    assert all(f"about k{number}" in told for number in range(30))
    assert "poison" not in told
    assert "not this one" in rig.health["channel:phone"]


async def test_quiet_hours_hold_back_information_alone() -> None:
    night = Route(name="phone", min_level=AlertLevel.INFO, quiet=(0, 24 * 60 - 1))
    rig = await Rig(setting("phone", routes={"phone": night})).start()
    await rig.raise_("i", "info")
    await rig.raise_("w", "warning")
    await rig.run(30)
    assert rig.texts("phone") == ["about w"]
    minute = rig.time.now().wall_us // 60_000_000 % 1_440
    await rig.run((1_439 - minute) * 60 + 30)
    assert rig.texts("phone") == ["about w", "about i"]


async def test_a_second_notifier_is_noticed() -> None:
    one = await Rig(setting("phone")).start()
    await one.run(2)
    other = await Rig(setting("phone"), store=one.store).start()
    await one.raise_("a")
    await other.run(2)
    await one.run(2)
    assert "another notifier" in one.health["alone"]


async def test_the_watchdog_is_not_pinged_when_nobody_can_be_reached() -> None:
    rig = await Rig(setting("phone", heartbeat=True)).start()
    await rig.run(190)
    pings = rig.pings
    assert pings >= 3
    rig.down.add("phone")
    await rig.raise_("a")
    await rig.run(60)
    pings = rig.pings
    await rig.run(300)
    assert rig.pings == pings


async def test_an_entry_that_was_appended_twice_is_no_repeat() -> None:
    rig = await Rig(setting("phone")).start()
    raised = await rig.raise_("a")
    await rig.store.append(ALERTS, {"json": _json(raised)})
    await rig.run(900)
    assert rig.texts("phone") == ["about a"]


async def test_a_send_behind_a_write_that_failed_is_made_up_for() -> None:
    rig = await Rig(setting("phone")).start()
    await rig.run(2)
    await rig.raise_("a")
    rig.store.full = True
    await rig.run(5)
    assert rig.tried == []
    rig.store.full = False
    await rig.run(5)
    assert rig.texts("phone") == ["about a"]


async def test_who_knows_a_lost_store_writes_nothing_to_the_one_that_replaces_it() -> None:
    """The version that it knows fits there by chance: an acknowledgement would be of another life's alert."""
    clock = ManualClock()
    lost = await Rig(setting("phone"), store=MemoryStore(clock=clock, store_id="0" * 16)).start()
    theirs = await Rig(setting("phone"), store=MemoryStore(clock=clock, store_id="1" * 16)).start()
    for one in (lost, theirs):
        await one.raise_("a", "critical")
        await one.run(2)
    versions = [
        found and found.version for found in [await one.store.get(POSITION_KEY) for one in (lost, theirs)]
    ]
    before = await theirs.store.hash_all(ITEMS_KEY)
    assert versions[0] == versions[1]
    assert before
    lost.store = theirs.store
    await lost.hear(Command(key="a", actor="ann"), "cmd.ack", "inbox")
    assert await theirs.store.hash_all(ITEMS_KEY) == before
    assert lost.health["alone"]
