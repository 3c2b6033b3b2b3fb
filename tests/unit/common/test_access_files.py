"""The store's user list as text; `tests/integration/test_access.py` walks it against a real server."""

from __future__ import annotations

import pytest

from libs.common.access import STORE
from libs.common.access_files import users, valkey_users

WORDS = {user: f"word-of-{user}" for user in users()}
LINES = {line.split()[1]: line.split()[2:] for line in valkey_users(WORDS, deployment="main").splitlines()}


def test_nobody_is_let_in_without_a_name() -> None:
    assert LINES["default"][0] == "off"
    assert "nopass" not in LINES["default"]
    assert not [word for word in LINES["default"] if word.startswith(("#", ">"))]


def test_what_scripts_wrote_is_read_back_by_servers_that_ask_the_default_user() -> None:
    # valkey#3983: without these rights a restart leaves out every MULTI/EXEC of the append-only file.
    assert {"~*", "&*", "+@all"} <= set(LINES["default"])
    assert not [word for word in LINES["default"] if word.startswith("-")]


@pytest.mark.parametrize("user", sorted(STORE))
def test_everybody_else_begins_with_nothing(user: str) -> None:
    assert LINES[user][0] == "on"
    assert "-@all" in LINES[user]
    assert "~*" not in LINES[user]
    assert "+@all" not in LINES[user]
    assert WORDS[user] not in " ".join(LINES[user])
