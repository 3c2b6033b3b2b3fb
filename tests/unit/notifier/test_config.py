"""What `notify.*` refuses: one clear line with path and remedy, and never a secret in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libs.common.assembly import CannotStart, ServiceContext
from libs.common.clock import SystemClock
from libs.common.config.channels import (
    is_local,
    listen_address,
    quiet_minutes,
    usable_channels,
    wants_notifier,
)
from libs.common.config.load import ConfigError, load_config, load_with_report
from libs.common.config.schema import Channel, Config, Mode, Notify
from libs.common.memory_bus import MemoryBroker, MemoryBus
from libs.common.memory_store import MemoryStore
from libs.console.main import main
from services.notifier.main import USAGE, assemble
from services.notifier.settings import setting_of

BOT = "https://open.feishu.cn/open-apis/bot/v2/hook/c4n4ry"
HOOK = "jsons://hooks.example.org/c4n4ry"
TEAM: dict[str, Any] = {"type": "feishu", "url": BOT, "secret": "s3cr3t-c4n4ry"}
GOOD: dict[str, Any] = {
    "channels": {"team": TEAM, "hook": {"url": HOOK, "min_level": "critical", "quiet_hours": ""}},
    "escalation": ["team", "hook"],
    "quiet_hours": "22:00-07:00",
    "timezone": "Asia/Shanghai",
    "webhook_listen": "127.0.0.1:9095",
}

BROKEN: dict[str, tuple[dict[str, Any], str, str]] = {
    "no url": (
        {"channels": {"team": {"type": "feishu"}}, "escalation": []},
        "notify.channels.team.url: is missing",
        "give url or url_file",
    ),
    "a bot without its address": (
        {"channels": {"team": {"type": "feishu", "url": "c4n4ry"}}, "escalation": []},
        "notify.channels.team.url: is no web address",
        "starts with https://",
    ),
    "a bot through apprise": (
        {"channels": {"team": {"url": BOT}}, "escalation": []},
        "notify.channels.team.type: its url is that of a Feishu or Lark bot",
        'use type "feishu"',
    ),
    "apprise's own Feishu": (
        {"channels": {"team": {"url": "feishu://c4n4ry"}}, "escalation": []},
        "notify.channels.team.url: is not sent through apprise",
        'use type "feishu" with the webhook address',
    ),
    "no scheme": (
        {"channels": {"team": {"url": "c4n4ry@example.org"}}, "escalation": []},
        "notify.channels.team.url: is no apprise URL",
        "it looks like mailtos://",
    ),
    "a secret for apprise": (
        {"channels": {"hook": {"url": HOOK, "secret": "c4n4ry"}}, "escalation": []},
        "notify.channels.hook.secret: signs messages of type feishu only",
        "take it out",
    ),
    "no hours": ({"quiet_hours": "22-7"}, 'notify.quiet_hours: "22-7" are no hours', '"22:00-07:00"'),
    "hours without length": (
        {"quiet_hours": "07:00-07:00"},
        'notify.quiet_hours: "07:00-07:00" has no length',
        '"" for none',
    ),
    "no hours of a channel": (
        {"channels": {"team": TEAM, "hook": {"url": HOOK, "quiet_hours": "24:00-07:00"}}},
        "notify.channels.hook.quiet_hours: ",
        '"22:00-07:00"',
    ),
    "a zone that there is not": (
        {"timezone": "Asia/Shangai"},
        'notify.timezone: "Asia/Shangai" is no time zone; did you mean Asia/Shanghai?',
        "Europe/Berlin or UTC",
    ),
    "an unknown step": (
        {"escalation": ["team", "hok"]},
        'notify.escalation[1]: "hok" is no channel; did you mean hook?',
        "channels are hook, team",
    ),
    "steps without channels": (
        {"channels": {}, "escalation": ["team", "hook"]},
        'notify.escalation[0]: "team" is no channel',
        "name it in notify.channels first",
    ),
    "a step twice": (
        {"escalation": ["team", "hook", "team"]},
        "notify.escalation: names a channel twice",
        "each one once",
    ),
    "one step": ({"escalation": ["team"]}, "notify.escalation: leads nowhere", "name two channels or more"),
    "no port": ({"webhook_listen": "127.0.0.1"}, "notify.webhook_listen: ", '"127.0.0.1:9095"'),
    "a port too high": ({"webhook_listen": "127.0.0.1:70000"}, "notify.webhook_listen: ", "write host:port"),
    "a type that there is not": (
        {"channels": {"team": {"type": "lark", "url": BOT}}, "escalation": []},
        "notify.channels.team.type: ",
        "feishu",
    ),
    "a level that there is not": ({"min_level": "warn"}, "notify.min_level: ", "warning"),
    "a key that there is not": (
        {"channels": {"team": {**TEAM, "quiet_hour": ""}, "hook": {"url": HOOK}}},
        "notify.channels.team.quiet_hour: unknown key; did you mean",
        "quiet_hours",
    ),
    "no pace": ({"messages_per_min": 0}, "notify.messages_per_min: ", "0"),
}


def written(folder: Path, notify: dict[str, Any]) -> Path:
    path = folder / "config.json"
    leg = {"id": "binance"}
    exchanges = {"spot": {**leg, "type": "spot"}, "perp": {**leg, "type": "swap"}}
    path.write_text(json.dumps({"symbols": ["BTC/USDT"], "exchanges": exchanges, "notify": notify}))
    path.chmod(0o600)
    return path


def test_what_they_are_made_from_is_accepted_without_a_word(tmp_path: Path) -> None:
    loaded = load_with_report([written(tmp_path, GOOD)], {})
    assert loaded.warnings == ()
    assert setting_of(loaded.config).chain == ("team", "hook")


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_refused_in_one_line_with_its_remedy(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, problem, remedy = BROKEN[name]
    path = written(tmp_path, {**GOOD, **change})
    with pytest.raises(ConfigError) as caught:
        load_config([path], {})
    said = str(caught.value).splitlines()
    assert [line for line in said if f": {problem}" in line and remedy in line], said
    assert all(line.startswith(f"{path}") for line in said)
    assert len(said) == (2 if name == "steps without channels" else 1), said
    assert "c4n4ry" not in str(caught.value)
    assert main(["config", "show", "--config", str(path)]) == 2
    shown = capsys.readouterr()
    assert problem in shown.err
    assert "c4n4ry" not in shown.err + shown.out
    assert "Traceback" not in shown.err


async def test_a_url_that_apprise_does_not_know_ends_the_service_as_wrong_usage() -> None:
    config = Config(notify=Notify(channels={"phone": Channel(url="telegraph://c4n4ry")}))
    with pytest.raises(CannotStart, match=r"^notify\.channels\.phone\.url: apprise does not") as caught:
        await assemble(context(config))
    assert caught.value.code == USAGE == 2
    assert "c4n4ry" not in str(caught.value)


def context(config: Config) -> ServiceContext:
    return ServiceContext(
        service="notifier",
        config=config,
        clock=SystemClock(),
        bus=MemoryBus(MemoryBroker()),
        store=MemoryStore(),
        env={},
    )


@pytest.mark.parametrize(("listen", "servers"), [("", 0), ("127.0.0.1:0", 1)])
async def test_the_web_hook_is_served_when_it_has_an_address(listen: str, servers: int) -> None:
    assembly = await assemble(context(Config(notify=Notify(webhook_listen=listen))))
    assert len(assembly.background) == servers
    assert assembly.close is not None
    await assembly.close()


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("", None), ("22:00-07:00", (1320, 420)), (" 1:05 - 23:59 ", (65, 1439)), ("00:00-00:01", (0, 1))],
)
def test_hours_as_minutes_of_the_day(text: str, minutes: tuple[int, int] | None) -> None:
    assert quiet_minutes(text) == minutes


def test_addresses() -> None:
    assert listen_address("127.0.0.1:9095") == ("127.0.0.1", 9095)
    assert listen_address("[::1]:0") == ("::1", 0)
    for bad in (":9095", "host:", "host:-1", "host:٣"):
        with pytest.raises(ValueError, match="is no address"):
            listen_address(bad)


# --- a demo tells nobody outside ----------------------------------------------------------------------------

OUTSIDE = {
    "bot": Channel(type="feishu", url=BOT),
    "hook": Channel(url=HOOK),
    "token": Channel(url="tgram://127.0.0.1/12"),  # that is a token there, not a host
    "odd": Channel(url="json://[::1"),
}
INSIDE = {"hook6": Channel(url="json://[::1]:1/x"), "hook4": Channel(url="http://127.0.0.1:1/x")}


@pytest.mark.parametrize("mode", list(Mode))
def test_a_demo_keeps_only_channels_of_this_machine(mode: Mode) -> None:
    config = Config(mode=mode, notify=Notify(channels={**OUTSIDE, **INSIDE}))
    demo = mode is Mode.DEMO
    assert usable_channels(config).keys() == (INSIDE if demo else OUTSIDE | INSIDE).keys()
    assert set(setting_of(config).routes) == set(usable_channels(config))
    assert wants_notifier(config, mode) is not demo
    assert not wants_notifier(Config(), mode)


def test_a_demo_pings_no_watchdog_outside_and_escalates_to_nobody_outside() -> None:
    notify = Notify(
        channels={**OUTSIDE, **INSIDE},
        escalation=("bot", "hook4", "hook6"),
        heartbeat_url="https://watch.example/c4n4ry",
    )
    live, demo = (setting_of(Config(mode=mode, notify=notify)) for mode in (Mode.LIVE, Mode.DEMO))
    assert (live.heartbeat, live.chain) == (True, ("bot", "hook4", "hook6"))
    assert (demo.heartbeat, demo.chain) == (False, ("hook4", "hook6"))
    near = msgspec.structs.replace(notify, heartbeat_url="http://127.0.0.1:1/x")
    assert setting_of(Config(mode=Mode.DEMO, notify=near)).heartbeat
    assert is_local("http://127.0.0.1:1/x")


@pytest.mark.parametrize(
    ("mode", "wish", "told"),
    [
        (Mode.OBSERVER, None, True),
        (Mode.LIVE, None, False),
        (Mode.LIVE, True, True),
        (Mode.OBSERVER, False, False),
    ],
)
def test_opportunities_are_told_to_observers_unless_said_otherwise(
    mode: Mode,
    wish: bool | None,  # noqa: FBT001
    told: bool,  # noqa: FBT001
) -> None:
    assert setting_of(Config(mode=mode, notify=Notify(opportunities=wish))).opportunities is told
