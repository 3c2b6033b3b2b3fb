"""Bounds and oddities of what is kept: no room, channels that go, entries that cannot be read, old ones."""

from __future__ import annotations

import msgspec
import pytest

from libs.common.effects import Answered, TimerFired
from libs.common.messages import AlertLevel, AlertRaised, Command
from libs.common.notices import ALERTS, alert_entry
from libs.common.store import Transition
from libs.common.subjects import alert
from services.notifier import desk as desks
from services.notifier.model import ITEMS_KEY
from services.notifier.work import ReadAlerts, Send
from tests.unit.notifier.rig import Rig, setting

ROOM = 20
MIN = 60


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A desk for twenty items in place of 5,000."""
    monkeypatch.setattr(desks, "ITEMS_MAX", ROOM)


async def silent(*names: str, **more: object) -> Rig:
    rig = await Rig(setting(*names, **more)).start()
    rig.down |= set(names)
    await rig.run(2)
    return rig


@pytest.mark.usefixtures("little_room")
async def test_without_room_the_oldest_of_the_least_loud_give_way_and_their_number_is_told() -> None:
    rig = await silent("phone")
    for number in range(10):
        await rig.raise_(f"i{number}", "info")
        await rig.raise_(f"w{number}", "warning")
    for number in range(12):
        await rig.raise_(f"c{number}", "critical")
    await rig.run(2)
    kept = {item.key for item in rig.actor.desk.items.values()}
    assert kept == {f"c{number}" for number in range(12)} | {f"w{number}" for number in range(2, 10)}
    await rig.run(5)
    assert rig.actor.desk.position is not None
    assert rig.actor.desk.position.left_out == {"phone": 12}, "it was said in messages that did not arrive"
    rig.down.clear()
    await rig.run(5 * MIN)
    told = [line for line in rig.texts("phone") if "found no room" in line]
    assert told == ["12 older ones found no room here: the recorder's log has them"]
    assert rig.actor.desk.position is not None
    assert rig.actor.desk.position.left_out == {}
    await rig.run(15 * MIN)
    assert len([line for line in rig.texts("phone") if "found no room" in line]) == 1


@pytest.mark.usefixtures("little_room")
async def test_critical_ones_that_nobody_was_told_of_never_give_way_the_rest_waits_in_the_stream() -> None:
    rig = await silent("phone")
    for number in range(3 * ROOM):
        await rig.raise_(f"c{number}", "critical")
    await rig.run(5)
    assert len(rig.actor.desk.items) == ROOM
    assert rig.actor.desk.full
    rig.down.clear()
    await rig.run(20 * MIN)
    told = " ".join(rig.texts("phone"))
    assert all(f"about c{number}" in told.replace("]", " ") for number in range(3 * ROOM))
    assert len(rig.ids("phone")) == len(set(rig.ids("phone"))) == 3 * ROOM


@pytest.mark.usefixtures("little_room")
async def test_a_new_critical_one_does_not_wait_until_old_ones_are_acknowledged() -> None:
    rig = await Rig(setting("phone")).start()
    for number in range(ROOM):
        await rig.raise_(f"c{number}", "critical")
    await rig.run(30)
    assert len(rig.actor.desk.unacknowledged()) == ROOM
    await rig.raise_("new", "critical")
    await rig.run(3)
    assert rig.texts("phone")[-1] == "about new"
    assert "c0" not in rig.actor.desk.unacknowledged()


@pytest.mark.usefixtures("little_room")
async def test_what_was_heard_while_the_store_is_away_is_kept_beyond_it() -> None:
    rig = await silent("phone")
    rig.store.down = True
    for number in range(ROOM + 5):
        lost = AlertRaised(
            level=AlertLevel.CRITICAL, key=f"c{number}", text="t", service="risk", wall_us=number
        )
        await rig.hear(lost, alert("critical"))
    await rig.run(10)
    assert len(rig.actor.desk.items) == ROOM + 5


async def test_direct_and_under_way_when_the_stream_brings_it_is_told_once() -> None:
    """A channel takes seconds; meanwhile the store is back and the item gets the id of its entry."""
    rig = await Rig(setting("phone")).start()
    await rig.run(2)
    rig.store.down = True
    lost = AlertRaised(level=AlertLevel.CRITICAL, key="store", text="store away", service="risk", wall_us=5)
    await rig.hear(lost, alert("critical"))
    rig.time.advance(sec=6)
    effects = list(rig.actor.handle(TimerFired(name="tick"), rig.time.now()))
    (send,) = [one for one in effects if isinstance(one, Send)]
    (read,) = [one for one in effects if isinstance(one, ReadAlerts)]
    rig.store.down = False
    await rig.store.append(ALERTS, alert_entry(lost))
    await rig.give(Answered(request=read, result=await rig.keeping.read(read)))
    rig.sent.append(send)
    await rig.give(Answered(request=send))
    await rig.run(60)
    assert rig.texts("phone") == ["store away"]
    (item,) = rig.actor.desk.items.values()
    assert (item.direct, item.waiting, item.reached) == (False, (), ("phone",))


# --- channels that go ---------------------------------------------------------------------------------------


async def test_what_waits_for_a_channel_that_is_gone_goes_the_way_of_a_new_one() -> None:
    first = await silent("phone", "mail", chain=("phone", "mail"))
    await first.raise_("a", "critical")
    await first.raise_("b", "warning")
    await first.run(5)
    second = await Rig(setting("hook"), store=first.store).start()
    await second.run(5)
    told = second.texts("hook")
    assert sorted(line for line in told if line.startswith("about")) == ["about a", "about b"]


async def test_what_a_channel_was_told_is_not_told_again_because_another_has_gone() -> None:
    first = await Rig(setting("phone", "mail")).start()
    first.down.add("mail")
    await first.raise_("a", "warning")
    await first.run(5)
    assert first.texts("phone") == ["about a"]
    second = await Rig(setting("phone", "hook"), store=first.store).start()
    await second.run(20 * MIN)
    assert second.sent == []
    assert second.actor.desk.items == {}


async def test_an_escalation_that_got_shorter_goes_on_at_its_end() -> None:
    first = await Rig(setting("a", "b", "c", chain=("a", "b", "c"))).start()
    await first.raise_("naked", "critical")
    await first.run(11 * MIN)
    assert first.texts("c").count("about naked") == 1
    second = await Rig(setting("a", "b", chain=("a", "b")), store=first.store).start()
    await second.run(6 * MIN)
    assert second.texts("b").count("about naked") == 1
    assert second.texts("a") == []


# --- what is in the store -----------------------------------------------------------------------------------


async def test_an_entry_that_cannot_be_read_is_said_and_stands_in_nobodys_way() -> None:
    rig = await Rig(setting("phone")).start()
    await rig.run(2)
    await rig.store.append(ALERTS, {"json": b"{"})
    await rig.store.append(ALERTS, {"other": b"x"})
    await rig.raise_("a")
    await rig.run(3)
    assert rig.texts("phone") == ["about a"]
    notes = [note for note in rig.notes if note.text == "an alert that cannot be read"]
    assert [(note.level, "id" in note.fields) for note in notes] == [(AlertLevel.WARNING, True)] * 2


async def test_an_item_that_cannot_be_read_is_left_out() -> None:
    first = await silent("phone")
    await first.raise_("a")
    await first.run(3)
    await first.store.transition(Transition(hash_writes={ITEMS_KEY: {"0-1": b'{"id":'}}))
    second = await Rig(setting("phone"), store=first.store).start()
    await second.run(5)
    assert second.texts("phone") == ["about a"]


async def test_a_first_start_begins_with_the_last_hour() -> None:
    rig = Rig(setting("phone"))
    await rig.raise_("old")
    rig.time.advance(sec=4_000)
    await rig.raise_("new")
    await rig.start()
    await rig.run(5)
    assert rig.texts("phone") == ["about new"]


async def test_the_stream_is_trimmed_behind_what_was_taken_in_and_older_than_a_week() -> None:
    rig = await Rig(setting("phone")).start()
    await rig.raise_("a")
    await rig.run(3_601)
    now_ms, day_ms = rig.time.now().wall_us // 1_000, 24 * 3_600_000
    (before,) = rig.trimmed
    assert abs(now_ms - 7 * day_ms - int(before.removesuffix("-0"))) < 5_000
    rig.store.down = True
    assert rig.actor.desk.position is not None
    behind = f"{now_ms - 30 * day_ms}-7"
    rig.actor.desk.position = msgspec.structs.replace(rig.actor.desk.position, cursor=behind)
    await rig.run(3_600)
    assert rig.trimmed[1:] == [f"{now_ms - 30 * day_ms}-0"], "not past what is still to be read"
    assert [note.text for note in rig.notes] == ["the alerts stream was not trimmed"]


# --- people -------------------------------------------------------------------------------------------------


async def test_ack_of_all_is_durable_before_it_is_answered_and_ends_every_escalation() -> None:
    rig = await Rig(setting("phone", "mail", chain=("phone", "mail"))).start()
    for key in ("a", "b"):
        await rig.raise_(key, "critical")
    await rig.run(2)
    await rig.hear(Command(key="*", actor="ann"), "cmd.ack", "inbox")
    (answer,) = rig.replies
    assert answer.reply.ok
    assert answer.reply.result["acknowledged"] == 2
    second = await Rig(setting("phone", "mail", chain=("phone", "mail")), store=rig.store).start()
    await second.run(30 * MIN)
    assert rig.texts("mail") + second.sent == []


async def test_an_ack_that_could_not_be_kept_is_not_answered_as_done() -> None:
    rig = await Rig(setting("phone")).start()
    await rig.raise_("a", "critical")
    await rig.run(2)
    rig.store.full = True
    await rig.hear(Command(key="a"), "cmd.ack", "inbox")
    assert rig.replies == []
    rig.store.full = False
    await rig.run(40)
    assert rig.actor.desk.unacknowledged() == ["a"]


async def test_an_ack_before_the_store_was_read_is_refused_with_the_reason() -> None:
    rig = Rig(setting("phone"))
    rig.store.down = True
    await rig.start()
    await rig.hear(Command(key="a"), "cmd.ack", "inbox")
    (answer,) = rig.replies
    assert answer.reply.error is not None
    assert answer.reply.error.code == "unavailable"
    assert "the store cannot be read (" in answer.reply.error.message
    assert answer.reply.error.message.endswith("try again")


@pytest.mark.parametrize("key", [None, "", "*x", "calm", "known"])
async def test_an_ack_of_nothing_that_waits_is_refused(key: str | None) -> None:
    rig = await Rig(setting("phone")).start()
    await rig.raise_("calm", "warning")
    await rig.raise_("known", "critical")
    await rig.run(2)
    await rig.hear(Command(key="known"), "cmd.ack", "inbox")
    await rig.hear(Command(key=key), "cmd.ack", "inbox")
    error = rig.replies[-1].reply.error
    assert error is not None
    assert error.code == "unknown"
    assert error.message.endswith("waits to be acknowledged; there is none")


async def test_status_tells_what_waits_and_which_channel_fails_and_stays_small_in_a_storm() -> None:
    rig = await silent("phone", "mail")
    rig.down.remove("mail")
    for number in range(300):
        await rig.raise_(f"{number:03}" + "k" * 190, "critical")
    await rig.run(10)
    await rig.hear(Command(), "cmd.status", "inbox")
    (answer,) = rig.replies
    result = answer.reply.result
    assert result["channels"] == {"phone": "fails: no way out", "mail": "ok"}
    assert result["unacknowledged_count"] == 300
    assert [key[:3] for key in result["unacknowledged"]] == [f"{number:03}" for number in range(50)]
    assert len(msgspec.json.encode(answer.reply)) < 64 * 1024


async def test_what_is_resolved_needs_nobody_to_acknowledge_it_and_may_come_again() -> None:
    rig = await Rig(setting("phone", "mail", chain=("phone", "mail"))).start()
    await rig.raise_("a", "critical")
    await rig.run(2)
    await rig.raise_("a", "critical", "about a (over)", status="resolved")
    await rig.run(2)
    assert rig.actor.desk.unacknowledged() == []
    assert rig.texts("phone") == ["about a", "about a (over)"]
    await rig.raise_("a", "critical", "again")
    await rig.run(2)
    assert rig.texts("phone")[-1] == "again", "no repeat: it was over"
    assert rig.texts("mail") == []


async def test_what_nobody_ever_acknowledged_is_let_go_after_a_day() -> None:
    rig = await Rig(setting("phone")).start()
    await rig.raise_("a", "critical")
    await rig.run(23 * 3_600)
    assert rig.actor.desk.unacknowledged() == ["a"]
    await rig.run(3_700)
    assert rig.actor.desk.unacknowledged() == []
    assert await rig.store.hash_all(ITEMS_KEY) == {}


async def test_a_channel_that_fails_five_times_raises_one_alert_that_reaches_the_others() -> None:
    rig = await silent("phone", "mail")
    rig.down.remove("mail")
    await rig.raise_("a")
    await rig.run(10 * MIN)
    (raised,) = rig.alerts
    assert (raised.level, raised.key) == (AlertLevel.WARNING, "notifier:channel:phone")
    assert "messages do not reach channel phone: no way out" in raised.text
