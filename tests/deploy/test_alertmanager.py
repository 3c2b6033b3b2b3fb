"""Alertmanager: who is told of what (amtool), and what is held back (the real server, the committed file)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web

from deploy.alerts import __main__ as made
from deploy.alerts.rules import Rule
from tests.deploy.tools import ALERTMANAGER, ROOT, needs, tell
from tests.deploy.watchers import Api, alertmanager_child, alertmanager_config, new_api, read, running, until

CONFIG: Final = ALERTMANAGER / "alertmanager.yml"
NAMES: Final = {rule.name for rule in made.RULES}
SERVICE_NAMES: Final = ("feed", "signal", "risk", "executor")


def labels_of(rule: Rule, **more: str) -> dict[str, str]:
    told = {"told": "direct"} if rule.direct else {}
    return {"alertname": rule.name, "severity": rule.severity, "deployment": "main", **told, **more}


def receivers_for(rule: Rule) -> str:
    if rule.direct:
        return "second,nobody"
    return "second,notifier" if rule.severity == "critical" else "notifier"


@needs("amtool")
def test_the_file_is_valid_as_it_stands() -> None:
    assert "SUCCESS" in tell("amtool", "check-config", CONFIG)


@needs("amtool")
@pytest.mark.parametrize("rule", made.RULES, ids=lambda rule: rule.name)
def test_who_is_told(rule: Rule) -> None:
    labels = [f"{name}={value}" for name, value in labels_of(rule).items()]
    tell(
        "amtool",
        "config",
        "routes",
        "test",
        f"--config.file={CONFIG}",
        f"--verify.receivers={receivers_for(rule)}",
        *labels,
    )


@needs("amtool")
def test_a_wrong_receiver_is_noticed() -> None:
    with pytest.raises(pytest.fail.Exception, match="WARNING"):
        tell(
            *("amtool", "config", "routes", "test", f"--config.file={CONFIG}"),
            *("--verify.receivers=notifier", "alertname=Halted", "severity=critical"),
        )


def test_every_critical_alert_and_a_notifier_that_is_down_go_past_the_notifier() -> None:
    by_name = {rule.name: rule for rule in made.RULES}
    assert receivers_for(by_name["NotifierDown"]) == "second,notifier"
    assert receivers_for(by_name["Halted"]) == "second,notifier"
    assert {rule.name for rule in made.RULES if rule.direct and rule.severity != "critical"} == set()


def test_the_receivers_say_when_it_is_over() -> None:
    for receiver in read(CONFIG)["receivers"]:
        for kind, configs in receiver.items():
            assert kind == "name" or all(one["send_resolved"] is True for one in configs)


def test_the_notifier_listens_where_alerts_are_sent() -> None:
    receivers = {one["name"]: one for one in read(CONFIG)["receivers"]}
    assert receivers["notifier"]["webhook_configs"][0]["url"] == "http://notifier:9095/alertmanager"
    services = read(ROOT / "deploy" / "compose" / "services.yaml")["services"]
    assert services["notifier"]["environment"]["FUNDARB__NOTIFY__WEBHOOK_LISTEN"] == "0.0.0.0:9095"
    watch = read(ROOT / "deploy" / "compose" / "watch.yaml")["services"]
    assert set(services["notifier"]["networks"]) & set(watch["alertmanager"]["networks"]) >= {"told"}


def test_rules_of_inhibition_name_alerts_that_there_are() -> None:
    for rule in read(CONFIG)["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            name, _, pattern = matcher.partition("=" if "!~" not in matcher else "!")
            if name == "alertname":
                assert set(pattern.strip('~"').split("|")) <= NAMES, matcher
            elif name == "service":
                assert pattern.strip('~"') in SERVICE_NAMES


def over(name: str, **labels: str) -> dict[str, Any]:
    return {**firing(name, **labels), "startsAt": "2019-12-31T00:00:00Z", "endsAt": "2020-01-01T00:00:00Z"}


def firing(name: str, **labels: str) -> dict[str, Any]:
    rule = next(rule for rule in made.RULES if rule.name == name)
    annotations = {
        "summary": rule.summary,
        "description": rule.summary,
        "runbook_url": "http://127.0.0.1:3000/x",
    }
    return {"labels": labels_of(rule, **labels), "annotations": annotations}


FEED_DOWN: Final = ("ServiceDown", {"service": "feed"})
HALTED: Final = ("Halted", {"scope": "global"})
HELD_BACK: Final = (
    (FEED_DOWN, ("ServiceUnwell", {"service": "feed"})),
    (FEED_DOWN, ("QuotesOld", {"venue": "binance"})),
    (("ServiceDown", {"service": "executor"}), ("ExecutorSilent", {"service": "risk"})),
    (("ServiceDown", {"service": "risk"}), ("NoPermit", {"service": "executor"})),
    (HALTED, ("ScopeHalted", {"scope": "pair:a"})),
    (("NotifierDown", {"service": "notifier"}), ("MessagesWait", {"channel": "team"})),
    (("MarginRatioDangerous", {"venue": "binance"}), ("MarginRatioHigh", {"venue": "binance"})),
    (("PairFlattened", {"scope": "pair:a"}), ("PairShrinks", {"scope": "pair:a"})),
)
# The third one is held back by the first: it shows that the first is in force.
TOLD_ALL_THE_SAME: Final = (
    (FEED_DOWN, ("ServiceUnwell", {"service": "signal"}), ("ServiceUnwell", {"service": "feed"})),
    (
        ("ServiceDown", {"service": "signal"}),
        ("QuotesOld", {"venue": "bitget"}),
        ("BusLate", {"service": "signal"}),
    ),
    (HALTED, ("NakedExposure", {"scope": "global"}), ("VenueFails", {"scope": "venue:a"})),
    (
        ("Halted", {"scope": "global", "deployment": "other"}),
        ("OrdersFail", {"scope": "venue:a"}),
        ("OrdersFail", {"scope": "venue:a", "deployment": "other"}),
    ),
    (
        ("ServiceDown", {"service": "feed", "deployment": "other"}),
        ("ServiceUnwell", {"service": "feed"}),
        ("ServiceUnwell", {"service": "feed", "deployment": "other"}),
    ),
    (
        ("ServiceDown", {"service": "executor", "deployment": "other"}),
        ("ExecutorSilent", {"service": "risk"}),
        ("ExecutorSilent", {"service": "risk", "deployment": "other"}),
    ),
    (
        ("PairShrinks", {"scope": "pair:a"}),
        ("CollateralLow", {"scope": "pair:b"}),
        ("CollateralLow", {"scope": "pair:a"}),
    ),
)
Named = tuple[str, dict[str, str]]


@needs("alertmanager")
async def test_what_another_alert_says_already_is_held_back(tmp_path: Path) -> None:
    async with alone(tmp_path) as api:
        for source, target in HELD_BACK:
            await api.post("/api/v2/alerts", [firing(source[0], **source[1]), firing(target[0], **target[1])])
            await until(f"{target} is held back by {source}", partial(held, api, target), within_sec=20)
            assert not await held(api, source)
            await api.post("/api/v2/alerts", [over(source[0], **source[1]), over(target[0], **target[1])])


@needs("alertmanager")
async def test_what_it_does_not_say_is_told(tmp_path: Path) -> None:
    async with alone(tmp_path) as api:
        for three in TOLD_ALL_THE_SAME:
            source, target, witness = three
            await api.post("/api/v2/alerts", [firing(name, **labels) for name, labels in three])
            await until(f"{source} is in force", partial(held, api, witness), within_sec=20)
            assert not await held(api, target), (source, target)
            await api.post("/api/v2/alerts", [over(name, **labels) for name, labels in three])


@asynccontextmanager
async def alone(folder: Path) -> AsyncIterator[Api]:
    """An Alertmanager whose receivers are not there."""
    api, nowhere = new_api(), "http://127.0.0.1:9/x"
    config = alertmanager_config(folder, notifier=nowhere, second=nowhere)
    async with running(alertmanager_child(folder, config, api)):
        yield api


async def held(api: Api, one: Named) -> bool:
    """Whether another alert holds it back."""
    name, labels = one
    wanted = firing(name, **labels)["labels"]
    alerts = await api.get("/api/v2/alerts", filter=f'alertname="{name}"')
    found = [alert for alert in alerts if alert["labels"] == wanted]
    return bool(found) and bool(found[0]["status"]["inhibitedBy"])


@needs("alertmanager")
async def test_both_receivers_get_a_critical_alert_and_its_end_in_words(tmp_path: Path) -> None:
    bodies: dict[str, list[dict[str, Any]]] = {"notifier": [], "second": []}

    async def take(request: web.Request) -> web.Response:
        bodies[request.match_info["who"]].append(await request.json())
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_post("/{who}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    here = f"http://127.0.0.1:{runner.addresses[0][1]}"
    api = new_api()
    config = alertmanager_config(tmp_path, notifier=f"{here}/notifier", second=f"{here}/second")

    async def told(words: Iterable[str]) -> bool:
        return all(any(word in str(body) for body in bodies[who]) for who in bodies for word in words)

    try:
        async with running(alertmanager_child(tmp_path, config, api)):
            alert = firing("Halted", scope="global")
            await api.post("/api/v2/alerts", [alert, firing("StreamsBreak", venue="binance")])
            await until("the halt is told", lambda: told(["Halted"]), within_sec=20)
            assert bodies["second"][0]["attachments"][0]["title"] == "CRITICAL: Halted (main)"
            assert "only reductions" in bodies["second"][0]["attachments"][0]["text"]
            assert "StreamsBreak" not in str(bodies["second"])
            await api.post("/api/v2/alerts", [over("Halted", scope="global")])

            async def ended() -> bool:
                return "'resolved'" in str(bodies["notifier"]) and "over: Halted" in str(bodies["second"])

            await until("its end is told", ended, within_sec=30)
    finally:
        await runner.cleanup()
