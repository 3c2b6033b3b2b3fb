"""No secret leaves: a trading stack runs with marked keys, and everything that it says or writes is searched.

Searched are: logs of all services, metrics and health pages, every message on the bus, the whole store, every
file in the folder (but those that hold the secrets on purpose), and what the commands print.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import redis.asyncio

from libs.common.bus import Frame
from libs.common.config.load import load_config, secrets_of
from libs.common.nats_bus import NatsBus
from libs.common.runtime_file import Deployment, deployment_path
from libs.common.runtime_file import read as read_runtime
from tests.helpers.executor import BINANCE, BITGET, Lab, config_of, lab

FUNDARB = Path(sys.executable).parent / "fundarb"
PAIRS = {"BTC/USDT": BINANCE, "ETH/USDT": BITGET}
IDS = ("BTC-USDT_binance-spot_binance-perp", "ETH-USDT_bitget-spot_bitget-perp")
MARK = "c4n4ry-5ecret"


def canaries() -> dict[str, Any]:
    """Settings of a config that are secrets, each with a mark of its own."""
    return {
        "exchanges": {
            f"{venue}_{leg}": {
                "id": venue,
                "type": kind,
                **{name: f"{MARK}-{venue}-{leg}-{name}" for name in ("api_key", "secret", "password")},
                "options": {"apiToken": f"{MARK}-{venue}-{leg}-option"},
            }
            for venue in ("binance", "bitget")
            for leg, kind in (("spot", "spot"), ("perp", "swap"))
        },
        "notify": {"heartbeat_url": f"https://127.0.0.1:1/{MARK}-heartbeat"},
    }


class Ear:
    """Everything on the bus, commands and answers included."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.subjects: set[str] = set()

    def hear(self, frame: Frame) -> None:
        self.subjects.add(frame.subject.split(".")[0])
        self.heard.append(frame.subject.encode() + b" " + frame.payload)


async def dump(url: str) -> bytes:
    """All keys of a Redis with all that they hold."""
    client: Any = redis.asyncio.from_url(url)
    found: list[bytes] = []
    async for key in client.scan_iter(count=1_000):
        kind = await client.type(key)
        value: Any = {
            b"string": lambda key=key: client.get(key),
            b"hash": lambda key=key: client.hgetall(key),
            b"stream": lambda key=key: client.xrange(key),
            b"set": lambda key=key: client.smembers(key),
            b"zset": lambda key=key: client.zrange(key, 0, -1, withscores=True),
            b"list": lambda key=key: client.lrange(key, 0, -1),
        }[kind]()
        found.append(key + b" " + repr(await value).encode())
    await client.aclose()
    return b"\n".join(found)


def pages(folder: Path) -> dict[str, bytes]:
    """Metrics and health of every service that was announced."""
    known = read_runtime(deployment_path(folder, "lab"), Deployment)
    assert known is not None
    found = {}
    for service, port in known.metrics_ports.items():
        for path in ("metrics", "health"):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
                    found[f"{service} /{path}"] = answer.read()
            except urllib.error.HTTPError as error:  # unwell: the body says why
                found[f"{service} /{path}"] = error.read()
    return found


def printed(made: Lab, config: Path) -> dict[str, bytes]:
    """What commands say of such a config, and of one that is broken."""
    broken = config.parent / "broken.json"
    tree = json.loads(config.read_text())
    tree["exchanges"]["binance_spot"]["apikey"] = f"{MARK}-mistyped"
    tree["costs"] = {"taker": 5}
    broken.write_text(json.dumps(tree))
    found = {}
    commands: tuple[tuple[str, ...], ...] = (
        ("config", "show"),
        ("config", "show", "--json"),
        ("check", "--offline"),
        ("check", "--offline", "--json"),
        ("status", "--json"),
        ("reload", "--json"),
        ("run", "executor"),
    )
    for words in commands:
        for file in (config, broken):
            env = {name: value for name, value in made.env.items() if name != "FUNDARB_MODE"}
            if words[0] == "run":
                env = {
                    **env,
                    "FUNDARB_REDIS_URL": f"redis://:{MARK}-redis@127.0.0.1:1/0",
                    "FUNDARB_WAIT_SEC": "1",
                    "FUNDARB_RUNTIME_DIR": str(config.parent),
                }
            done = subprocess.run(
                [FUNDARB, *words], env={**env, "FUNDARB_CONFIG": str(file)}, capture_output=True, timeout=60,
                check=False, cwd=config.parent,
            )  # fmt: skip
            assert b"unexpected" not in done.stderr, done.stderr
            found[f"{' '.join(words)} of {file.name}"] = done.stdout + done.stderr
    return found


def written(folder: Path, on_purpose: set[str]) -> dict[str, bytes]:
    """All files in a folder, but those that hold the secrets by their nature."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in on_purpose
    }


def whole_text(tree: Any) -> bytes:
    return json.dumps(tree).encode()


def leaks(where: str, text: bytes, secrets: Iterable[str]) -> list[str]:
    return [f"{where}: {secret[:6]}... of {len(secret)}" for secret in secrets if secret.encode() in text]


async def test_no_secret_is_in_anything_that_a_trading_stack_says_or_writes(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    async with lab(folder, PAIRS) as made:
        venue_keys = json.loads((folder / "venue.json").read_text())["keys"]
        used = {text for key in venue_keys.values() for text in key.values()}
        extra = tmp_path / "keys.json"
        extra.write_text(json.dumps(canaries()))
        extra.chmod(0o600)
        whole = json.loads(config_of(PAIRS, folder, "lab")) | canaries()
        config = tmp_path / "config.json"
        config.write_text(json.dumps(whole))
        config.chmod(0o600)
        marked = set(secrets_of(load_config([config], {})))
        assert len(marked) == 4 * 4 + 1
        urls = {made.env["FUNDARB_NATS_URL"], made.env["FUNDARB_REDIS_URL"]}
        passwords = {url.rpartition("@")[0].rpartition(":")[2] for url in urls}
        secrets = used | marked | passwords | {MARK}

        ear, bus = Ear(), NatsBus(made.env["FUNDARB_NATS_URL"], name="ear", connect_timeout_sec=10.0)
        await bus.connect()
        await bus.subscribe(">", ear.hear)
        more = {"FUNDARB__NOTIFY__HEARTBEAT_URL": f"https://127.0.0.1:1/{MARK}-heartbeat"}
        for name in ("EXECUTOR", "SIGNAL"):
            more[f"FUNDARB__EXCHANGES__BINANCE_SPOT__{'SECRET' if name == 'SIGNAL' else 'API_KEY'}"] = (
                f"{MARK}-{name}"
            )
        await asyncio.gather(made.start("executor", PAIRS, **more), made.start("recorder", PAIRS, **more))
        await asyncio.gather(*(made.ask("open", pair, until="active") for pair in IDS))
        bus.publish("cmd.reload", json.dumps({"reason": f"password={MARK}-said"}).encode())
        bus.publish("cmd.status", b"{")
        await made.until(lambda: "exec" in ear.subjects and "cmd" in ear.subjects)
        said = await asyncio.to_thread(printed, made, config)
        shown = await asyncio.to_thread(pages, folder)
        await asyncio.sleep(1.5)  # the health of all services, and what the store's writers still hold
        stored = await dump(made.env["FUNDARB_REDIS_URL"])
        await bus.close()

    assert {"exec", "md", "risk", "sys", "cmd"} <= ear.subjects, "the ear has heard the whole bus"
    assert b"ledger" in stored
    assert b"audit" in stored
    assert {"executor /metrics", "feed /health", "risk /metrics"} <= shown.keys()
    assert b"***" in said["config show of config.json"]
    assert len(leaks("config.json", whole_text(whole), marked)) == len(marked), "what is written is found"
    found = leaks("store", stored, secrets)
    echoed = b'cmd.reload {"reason":'  # what an outsider said himself is on the bus, and nowhere else
    for frame in ear.heard:
        if not frame.replace(b'": "', b'":"').startswith(echoed):
            found += leaks(frame[:40].decode(errors="replace"), frame, secrets)
    for where, text in {**shown, **said}.items():
        found += leaks(where, text, secrets)
    on_purpose = {"venue.json", "config.json", "keys.json", "broken.json"}
    files = written(tmp_path, on_purpose)
    assert any(name.rpartition("/")[2].startswith("executor-") for name in files)
    for name, text in files.items():
        found += leaks(name, text, secrets)
    assert found == []
