"""Makes the credentials of a deployment in containers: `python -m libs.console.credentials FOLDER`.

Runs once before everything else, as the user that all containers share. Below FOLDER it finds one folder a
container (each a volume of its own, so that no container sees another's) and fills in

    nats/       nats.conf with the users of the access table
    valkey/     valkey.conf, users.acl
    {service}/  nats-url, redis-url: the service's own login
    operator/   the same for who types `fundarb` or publishes commands

What is there already stays, so that an update of the images keeps every password; rights are written anew
from the table each time. `--rotate` makes new passwords. `--demo` writes the demo's config too.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from libs.common.access_files import nats_users, users, valkey_users
from libs.common.runtime_file import write_private
from libs.common.server_files import Tls, nats_config, valkey_config
from libs.console.demo_config import demo_config

WORDS: Final = "passwords.json"
HEALTH, GRAFANA = "health", "grafana"
FAILED: Final = 1
DATA: Final = Path("/var/lib/fundarb")
"""Where services in containers keep logs and archive."""

NATS_PORT, MONITOR_PORT, VALKEY_PORT = 4222, 8222, 6379


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Where things are inside the containers. `tls`: folder of server.pem, server.key and ca.pem there."""

    deployment: str = "main"
    nats_host: str = "nats"
    valkey_host: str = "valkey"
    mounted: Path = Path("/run/fundarb/credentials")
    data: Path = Path("/data")
    tls: Path | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0, or 1 with one line that says what cannot be written."""
    parser = argparse.ArgumentParser(prog="fundarb-credentials", description="Credentials of a deployment.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--deployment", default=os.environ.get("FUNDARB__DEPLOYMENT", "main"))
    parser.add_argument("--tls", type=Path, help="folder of server.pem, server.key, ca.pem in the containers")
    parser.add_argument("--demo", type=Path, metavar="DIR", help="write the demo's config.json there")
    parser.add_argument("--rotate", action="store_true", help="new passwords (restart everything afterwards)")
    args = parser.parse_args(arguments)
    plan = Plan(deployment=args.deployment, tls=args.tls)
    try:
        made = make(args.folder, plan, rotate=args.rotate)
        if args.demo is not None:
            write_private(args.demo / "config.json", demo_config(DATA).encode())
    except (OSError, msgspec.DecodeError) as error:
        sys.stderr.write(f"credentials: {error}\n")
        return FAILED
    sys.stderr.write(f"credentials: {'new' if made else 'kept'} for {', '.join(users())} in {args.folder}\n")
    return 0


def make(folder: Path, plan: Plan, *, rotate: bool = False) -> bool:
    """Write everything; True when passwords are new. OSError names what cannot be written."""
    kept = folder / "nats" / WORDS
    known = {} if rotate or not kept.exists() else msgspec.json.decode(kept.read_bytes(), type=dict[str, str])
    names = (*users(), HEALTH, GRAFANA)
    words = {name: known.get(name) or secrets.token_urlsafe(24) for name in names}
    logins, health = {user: words[user] for user in users()}, words[HEALTH]
    write_private(kept, msgspec.json.encode(words))
    tls = None if plan.tls is None else tls_in(plan.tls)
    listen, monitor = f"0.0.0.0:{NATS_PORT}", f"0.0.0.0:{MONITOR_PORT}"
    broker = nats_config(listen=listen, users=nats_users(logins), monitor=monitor, tls=tls)
    write_private(folder / "nats" / "nats.conf", broker.encode())
    store = valkey_config(
        bind="0.0.0.0",  # inside its own network: compose publishes no port of it
        port=VALKEY_PORT,
        acl=plan.mounted / "users.acl",
        folder=plan.data,
        durable=True,
        tls=tls,
    )
    write_private(folder / "valkey" / "valkey.conf", store.encode())
    acl = valkey_users(logins, deployment=plan.deployment) + health_user(health)
    write_private(folder / "valkey" / "users.acl", acl.encode())
    for user, word in logins.items():
        bus = f"{'tls' if tls else 'nats'}://{user}:{word}@{plan.nats_host}:{NATS_PORT}"
        redis = f"{'rediss' if tls else 'redis'}://{user}:{word}@{plan.valkey_host}:{VALKEY_PORT}/0"
        write_private(folder / user / "nats-url", bus.encode())
        write_private(folder / user / "redis-url", redis.encode())
    write_private(folder / "valkey" / "health-word", health.encode())
    write_private(folder / "grafana" / "admin-password", words[GRAFANA].encode())
    return words != known


def health_user(word: str) -> str:
    """Who asks whether the store is up, and may do nothing else."""
    return (
        f"user {HEALTH} on #{hashlib.sha256(word.encode()).hexdigest()} resetkeys resetchannels -@all +ping\n"
    )


def tls_in(folder: Path) -> Tls:
    """The three files that whoever runs this puts there."""
    return Tls(certificate=folder / "server.pem", key=folder / "server.key", authority=folder / "ca.pem")


if __name__ == "__main__":
    raise SystemExit(main())
