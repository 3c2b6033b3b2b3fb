"""What holds for all tests: no network beyond this machine, and a word about those that lack their data."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from tests.helpers.recordings import missing


def pytest_configure() -> None:
    sys.addaudithook(refuse_the_network)


def refuse_the_network(event: str, arguments: Sequence[Any]) -> None:
    """An audit hook: a test that would reach another machine fails before the system call."""
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if host not in (None, "", b"", "localhost", b"localhost") and not is_loopback(host):
        raise PermissionError(f"a test wants to reach {host!r}: tests stay on this machine")


def is_loopback(host: str | bytes) -> bool:
    try:
        return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host).is_loopback
    except ValueError:
        return False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`@pytest.mark.data("history/x.parquet")` is skipped, with the reason, where that file is not."""
    for item in items:
        for mark in item.iter_markers("data"):
            reason = missing(*mark.args)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))
