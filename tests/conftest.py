"""What holds for all tests: no network, nothing left behind, four workers, the long ones first."""

from __future__ import annotations

import ipaddress
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.processes import children_with, within
from tests.helpers.recordings import ENV, missing

# Workers take files in this order, then the others: a long one must not begin when all else has ended,
# and those that run whole demos are a minute apart.
LONGEST_FIRST = (
    "test_seeds.py",
    "test_executor_kills.py",
    "test_paper_mode.py",
    "test_executor_commands.py",
    "test_feed.py",
    "test_panels.py",
    "test_full_disk.py",
    "test_permits.py",
    "test_live_process.py",
    "test_demo.py",
    "test_canary.py",
    "test_executor_process.py",
    "test_up.py",
    "test_docs.py",
    "test_order_requests.py",
    "test_chaos.py",
    "test_soak.py",
    "test_demo_trades.py",
    "test_up_servers.py",
    "test_bench.py",
    "test_executor_books.py",
    "test_mutants.py",
)
SHELLS_OWN = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")
NO_WAY_OUT = "http://127.0.0.1:9"
LEFT_SEC = 15.0  # those who clear up after a killed process notice its end first


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


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """`-n auto` of the whole suite is four, whatever the machine: most tests wait for real processes.

    Files named on the command line run in this process, without the start of a worker.
    """
    named = config.option.file_or_dir
    return 0 if named and all(".py" in name for name in named) else 4


def place(item: pytest.Item) -> int:
    return LONGEST_FIRST.index(item.path.name) if item.path.name in LONGEST_FIRST else len(LONGEST_FIRST)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A set has another order in every process: the workers would collect different tests, sometimes."""
    for mark in metafunc.definition.iter_markers("parametrize"):
        if any(isinstance(values, set | frozenset) for values in mark.args[1:2]):
            raise TypeError(f"{metafunc.definition.nodeid} is parametrised over a set: sort it")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`@pytest.mark.data("history/x.parquet")` is skipped, with the reason, where that file is not."""
    items.sort(key=place)
    for item in items:
        for mark in item.iter_markers("data"):
            reason = missing(*mark.args)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where everything temporary of this run goes, of the processes that it starts as well.

    And whatever the shell (or a worker's start) has set must not change what is shown or configured. A
    process that would reach a real exchange finds a dead proxy: commands run here as without a network.
    """
    folder = tmp_path_factory.mktemp("temporary")
    with pytest.MonkeyPatch.context() as patch:
        for name in set(os.environ) - {ENV}:
            if name in SHELLS_OWN or name.startswith("FUNDARB"):
                patch.delenv(name)
        for name in ("HTTPS_PROXY", "https_proxy", "WSS_PROXY", "wss_proxy"):
            patch.setenv(name, NO_WAY_OUT)
        patch.delenv("NO_PROXY", raising=False)
        patch.delenv("no_proxy", raising=False)
        patch.setenv("TMPDIR", str(folder))
        patch.setattr(tempfile, "tempdir", None)
        yield folder


@pytest.fixture(scope="module", autouse=True)
def nothing_left(temporary: Path) -> Iterator[None]:
    """A file of tests leaves no process and no temporary file behind."""
    yield
    mark = f"TMPDIR={temporary}"
    clean = within(LEFT_SEC, lambda: not any(temporary.iterdir()) and not children_with(mark))
    assert clean, f"left behind: {[path.name for path in temporary.iterdir()]}, {children_with(mark)}"
