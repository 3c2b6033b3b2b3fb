"""The user lists of broker and store as their servers read them. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Final

from libs.common.access import (
    BUS,
    READ_COMMANDS,
    SCRIPT_COMMANDS,
    STORE,
    WRITE_COMMANDS,
    StoreGrant,
    bus_grant,
)

ANSWERS_MAX: Final = 4
"""One answer, and room for subscriptions: nats-server takes each further delivery of the request to the same
connection for an answer (2.15.1, `deliverMsg` asks `pubAllowedFullCheck`, which counts). Risk hears `cmd.*`
and `cmd.reload`: with 1 its only answer was a violation, which ends a process.
"""

ANSWER_WITHIN: Final = "10s"
"""A service may answer a request soon, wherever the asker wants it: answerers need no other right."""


def nats_users(passwords: Mapping[str, str], *, superusers: Sequence[str] = ()) -> str:
    """The `users` list of a nats-server config. KeyError for a user that the table does not know."""
    lines = []
    for user, password in passwords.items():
        login = f"user: {json.dumps(user)}, password: {json.dumps(password)}"
        if user in superusers:
            lines.append(f"    {{ {login} }}")
            continue
        grant = bus_grant(user)
        said, heard = json.dumps(list(grant.publish)), json.dumps(list(grant.subscribe))
        answers = f"allow_responses: {{ max: {ANSWERS_MAX}, expires: {json.dumps(ANSWER_WITHIN)} }}"
        rights = f"publish: {{ allow: {said} }}, subscribe: {{ allow: {heard} }}, {answers}"
        lines.append(f"    {{ {login}, permissions: {{ {rights} }} }}")
    return "\n".join(lines)


def valkey_users(passwords: Mapping[str, str], *, deployment: str, superusers: Sequence[str] = ()) -> str:
    """The text of an ACL file: one `user` line each, passwords as SHA-256; the nameless user is off.

    Off, so that nobody is let in as it, and yet with every right: Redis 7.2 and Valkey 8.1 (9.1.2 no more)
    check what they read back from their append-only file by the rights of this user, and silently leave out
    each transaction that it may not do (valkey#3983, redis#14541): all that our scripts have written.
    """
    lines = ["user default off sanitize-payload resetpass ~* &* +@all"]
    for user, password in passwords.items():
        login = f"user {user} on sanitize-payload #{hashlib.sha256(password.encode()).hexdigest()}"
        rights = "~* &* +@all" if user in superusers else store_rights(STORE[user], deployment=deployment)
        lines.append(f"{login} {rights}")
    return "\n".join(lines) + "\n"


def store_rights(grant: StoreGrant, *, deployment: str) -> str:
    """Keys and commands of one user in the server's own notation."""
    prefix = f"fundarb:{deployment}:"
    keys = [f"%R~{prefix}{one}" for one in grant.reads] + [f"~{prefix}{one}" for one in grant.writes]
    commands = [
        *READ_COMMANDS,
        *(WRITE_COMMANDS if grant.writes else ()),
        *(SCRIPT_COMMANDS if grant.scripts else ()),
    ]
    return " ".join(("resetchannels", "-@all", *keys, *(f"+{one}" for one in commands)))


def users() -> tuple[str, ...]:
    """Everybody in the table."""
    return tuple(BUS)
