"""The access table against real servers: every user x every subject family and every kind of key."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
import redis.asyncio
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

from libs.common.access import BUS, OPERATOR, STORE, bus_grant, inbox_of
from libs.common.bus import matches
from libs.common.embedded import nats_server, valkey_server
from libs.common.redis_store import RedisStore
from libs.common.store import StoreUnavailable, Transition
from libs.common.supervisor import Supervisor
from tests.helpers.servers import receipt

FAMILIES = (
    "md.quote.binance.BTC-USDT",
    "signal.intent.P",
    "exec.pair.P",
    "risk.permit",
    "risk.breaker.global",
    "alert.critical",
    "sys.clock",
    "sys.want.feed",
    "cmd.halt",
    "_INBOX.x.1",
    "_INBOX_executor.x.1",
    "$SYS.REQ.SERVER.PING",
    *(f"sys.health.{user}" for user in BUS),
)
DEPLOYMENT = "main"
PREFIX = f"fundarb:{DEPLOYMENT}:"
KEYS = {
    "pair:P": "pair:*",
    "intents:P": "intents:*",
    "journal": "journal",
    "ledger": "ledger",
    "breakers": "breakers",
    "risk_epoch": "risk_epoch",
    "signal:selection": "signal:*",
    "feed:settled:binance": "feed:*",
    "notifier:cursor": "notifier:*",
    "store_id": "store_id",
    "audit": "audit",
}


class Servers:
    """A deployment's own servers: no user without bounds."""

    def __init__(self, folder: Path) -> None:
        self.nats = nats_server(folder / "nats", env=os.environ, master=False)
        self.valkey = valkey_server(folder / "valkey", env=os.environ, durable=False, deployment=DEPLOYMENT)


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Servers]:
    made = Servers(tmp_path)
    async with Supervisor([made.nats.spec, made.valkey.spec]):
        yield made


async def refusals(url: str, work: list[tuple[str, str]]) -> set[tuple[str, str]]:
    """Which of (act, subject) the broker refuses to the user of `url`."""
    told: list[str] = []

    async def heard(error: Exception) -> None:
        told.append(str(error).lower())

    client = await nats.connect(url, error_cb=heard, allow_reconnect=False)
    found: set[tuple[str, str]] = set()
    try:
        for act, subject in work:
            told.clear()
            if act == "publish":
                await client.publish(subject, b"{}")
            else:
                await client.subscribe(subject)
            await receipt(client)  # the refusal comes before the PONG
            if any("permissions violation" in one and subject.lower() in one for one in told):
                found.add((act, subject))
    finally:
        await client.close()
    return found


def allowed(user: str, act: str, subject: str) -> bool:
    """What the table says."""
    grant = bus_grant(user)
    return any(matches(one, subject) for one in (grant.publish if act == "publish" else grant.subscribe))


async def test_the_broker_lets_each_user_do_what_the_table_says_and_nothing_else(servers: Servers) -> None:
    work = [(act, subject) for act in ("publish", "subscribe") for subject in FAMILIES]
    for user in BUS:
        refused = await refusals(servers.nats.urls[user], work)
        assert refused == {one for one in work if not allowed(user, *one)}, user


def test_the_table_keeps_the_families_apart() -> None:
    """Spelled out, so that an edit of the table alone cannot loosen it."""
    sayers = {
        family: {user for user in BUS if allowed(user, "publish", subject)}
        for family, subject in (
            ("md", "md.quote.binance.BTC-USDT"),
            ("signal", "signal.intent.P"),
            ("exec", "exec.order.P"),
            ("risk", "risk.permit"),
            ("cmd", "cmd.flatten"),
        )
    }
    assert sayers == {
        "md": {"feed"},
        "signal": {"signal"},
        "exec": {"executor"},
        "risk": {"risk"},
        "cmd": {OPERATOR},
    }
    for user in BUS:
        heard = {other for other in BUS if allowed(user, "subscribe", f"{inbox_of(other)}.x.1")}
        assert heard == {user}


async def test_a_command_of_an_operator_is_answered_and_one_of_a_service_never_arrives(
    servers: Servers,
) -> None:
    risk = await nats.connect(servers.nats.urls["risk"])
    operator = await nats.connect(servers.nats.urls[OPERATOR])
    signal = await nats.connect(servers.nats.urls["signal"], error_cb=_silent)
    arrived: list[str] = []

    async def answer(message: Msg) -> None:
        arrived.append(message.subject)
        await message.respond(b'{"service":"risk","ok":true}')

    try:
        await risk.subscribe("cmd.*", cb=answer)
        await receipt(risk)
        await signal.publish("cmd.halt", b"{}")
        await receipt(signal)
        assert not arrived
        told = await operator.request("cmd.halt", b"{}", timeout=5)
        assert told.data == b'{"service":"risk","ok":true}'
        assert arrived == ["cmd.halt"]
    finally:
        for client in (risk, operator, signal):
            await client.close()


@pytest.mark.parametrize("patterns", [("cmd.*", "cmd.reload"), ("cmd.*", "cmd.reload", "cmd.>")])
async def test_who_hears_a_command_by_several_subscriptions_may_answer_it(
    servers: Servers, patterns: tuple[str, ...]
) -> None:
    """The broker counts each further delivery for an answer; risk hears `cmd.*` and `cmd.reload`."""
    refused: list[Exception] = []

    async def note(error: Exception) -> None:
        refused.append(error)

    risk = await nats.connect(servers.nats.urls["risk"], error_cb=note)
    operator = await nats.connect(servers.nats.urls[OPERATOR])

    async def hear(_message: Msg) -> None:
        """Somebody else in the process answers."""

    async def answer(message: Msg) -> None:
        await message.respond(b"done")

    try:
        for pattern in patterns[:-1]:
            await risk.subscribe(pattern, cb=hear)
        await risk.subscribe(patterns[-1], cb=answer)
        await receipt(risk)
        for _ in range(3):
            assert (await operator.request("cmd.reload", b"{}", timeout=5)).data == b"done"
        assert not refused
    finally:
        for client in (risk, operator):
            await client.close()


async def _silent(_error: Exception) -> None:
    """A refusal is expected here."""


async def test_nobody_gets_in_without_a_name(servers: Servers) -> None:
    address = servers.nats.url.rsplit("@", 1)[1]
    with pytest.raises(NatsError):
        await nats.connect(f"nats://{address}", allow_reconnect=False, connect_timeout=2)
    client = redis.asyncio.Redis.from_url(f"redis://{servers.valkey.url.rsplit('@', 1)[1]}")
    with pytest.raises(AuthenticationError):
        await client.execute_command("GET", f"{PREFIX}store_id")  # type: ignore[no-untyped-call]
    await client.aclose()


async def may(client: redis.asyncio.Redis, *command: str) -> bool:
    """Whether the store lets this user do it; a wrong kind of key is no refusal."""
    try:
        await client.execute_command(*command)  # type: ignore[no-untyped-call]
    except NoPermissionError:
        return False
    except ResponseError:
        return True
    return True


def kept(patterns: tuple[str, ...], key: str) -> bool:
    return any(one in ("*", key, KEYS[key]) for one in patterns)


async def test_the_store_lets_each_user_touch_what_the_table_says_and_nothing_else(servers: Servers) -> None:
    for user, grant in STORE.items():
        client = redis.asyncio.Redis.from_url(servers.valkey.urls[user])
        for key in KEYS:
            readable = kept((*grant.reads, *grant.writes), key)
            assert await may(client, "GET", PREFIX + key) is readable, (user, key)
            assert await may(client, "DEL", PREFIX + key) is kept(grant.writes, key), (user, key)
            inner = f"return redis.call('DEL', '{PREFIX}{key}')"
            assert await may(client, "EVAL", inner, "0") is grant.scripts, (user, key)
            with_script = grant.scripts and kept(grant.writes, key)
            assert await _deletes(client, inner) is with_script, (user, key)
        assert not await may(client, "GET", "fundarb:other:store_id"), user
        for command in (("FLUSHALL",), ("CONFIG", "SET", "appendonly", "no"), ("ACL", "LIST"), ("SHUTDOWN",)):
            assert not await may(client, *command), (user, command)
        await client.aclose()


async def _deletes(client: redis.asyncio.Redis, script: str) -> bool:
    """Whether the script's own command is let through: the server checks it against the same keys."""
    try:
        await client.execute_command("EVAL", script, "0")  # type: ignore[no-untyped-call]
    except ResponseError as error:
        return "permission" not in str(error).lower()
    return True


async def test_a_service_works_on_its_own_keys_through_our_scripts_and_on_no_others(servers: Servers) -> None:
    store = RedisStore(servers.valkey.urls["signal"], deployment=DEPLOYMENT)
    await store.connect()
    try:
        assert await store.compare_and_set("signal:selection", b"{}", expect=0) == 1
        assert (await store.durability()).durable is not None
        await store.append("audit", {"a": b"1"})
        with pytest.raises(StoreUnavailable, match="refused"):
            await store.transition(Transition(writes={"pair:P": b"{}"}))
        with pytest.raises(StoreUnavailable, match="refused"):
            await store.transition(Transition(hash_writes={"breakers": {"global": None}}))
    finally:
        await store.close()
