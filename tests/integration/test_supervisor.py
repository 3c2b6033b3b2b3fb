"""Real children: killed, frozen, stubborn; and a supervisor that is itself killed. Nothing is left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from libs.common.child import LAUNCHER, Child, ChildFailed, ChildSpec, ChildState, python_env
from libs.common.clock import mono_us
from libs.common.instant import US_PER_SEC
from libs.common.supervisor import Supervisor
from tests.helpers import stack_process
from tests.helpers.processes import alive, within
from tests.helpers.servers import eventually

SLEEP = "import time\nprint('up', flush=True)\nwhile True: time.sleep(60)"


def python(name: str, code: str, folder: Path, **more: Any) -> ChildSpec:
    """A Python child that is ready when it has said `up`."""
    log = folder / f"{name}.log"

    async def is_up() -> bool:
        return log.exists() and "up" in log.read_text()

    more.setdefault("ready", is_up)
    return ChildSpec(
        name=name, argv=(sys.executable, "-c", code), log=log, env=python_env(os.environ), **more
    )


def back_with_another_pid(supervisor: Supervisor, name: str, old: int) -> bool:
    return supervisor.states()[name] == "ok" and supervisor.pids().get(name) not in (None, old)


async def test_a_killed_child_comes_back_and_is_counted(tmp_path: Path) -> None:
    changes: list[tuple[str, str]] = []
    spec = python("a", SLEEP, tmp_path)
    async with Supervisor(
        [spec], on_change=lambda name, state, _why: changes.append((name, state.value))
    ) as kept:
        for times in (1, 2):
            pid = kept.pids()["a"]
            os.kill(pid, signal.SIGKILL)
            await eventually(lambda pid=pid: back_with_another_pid(kept, "a", pid))  # type: ignore[misc]
            assert kept.restarts() == {"a": times}
            assert not alive(pid)
    assert [state for _, state in changes] == ["ok", "restarting", "ok", "restarting", "ok", "stopped"]
    assert kept.pids() == {}


async def test_a_child_that_keeps_dying_is_restarted_ever_more_slowly(tmp_path: Path) -> None:
    changes: list[tuple[str, int]] = []
    async with Supervisor(
        [python("a", SLEEP, tmp_path)],
        on_change=lambda _, state, __: changes.append((state.value, mono_us())),
    ) as kept:
        for _ in range(4):
            pid = kept.pids()["a"]
            os.kill(pid, signal.SIGKILL)
            await eventually(lambda pid=pid: back_with_another_pid(kept, "a", pid))  # type: ignore[misc]
    died = [at_us for state, at_us in changes if state == "restarting"]
    lived = [at_us for state, at_us in changes if state == "ok"][1:]
    pauses_sec = [(alive_us - dead_us) / US_PER_SEC for dead_us, alive_us in zip(died, lived, strict=True)]
    assert all(pause >= wanted for pause, wanted in zip(pauses_sec, (0.05, 0.2, 0.5, 1.0), strict=True))


async def test_a_frozen_child_is_noticed_and_replaced(tmp_path: Path) -> None:
    answering = True

    async def answers() -> bool:
        return answering

    spec = python("a", SLEEP, tmp_path, ready=answers, hung_sec=0.5)
    async with Supervisor([spec]) as kept:
        pid = kept.pids()["a"]
        os.kill(pid, signal.SIGSTOP)
        answering = False
        await eventually(lambda: not alive(pid))
        answering = True
        await eventually(lambda: back_with_another_pid(kept, "a", pid))


async def test_wrong_usage_is_not_tried_again(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = (
        "import os, sys, time\nprint('up', flush=True)\n"
        f"while not os.path.exists({str(mark)!r}): time.sleep(0.01)\n"
        "sys.exit(2)"
    )
    async with Supervisor([python("a", code, tmp_path)]) as kept:
        mark.touch()
        await eventually(lambda: kept.states()["a"] == "failed")
        assert kept.reasons() == kept.refusals() == {"a": "up"}, "its last line says why"
        assert kept.restarts() == {"a": 0}


async def test_who_refuses_in_a_later_life_has_not_refused_to_start(tmp_path: Path) -> None:
    """What is held then is not left alone by all others too."""
    mark = tmp_path / "mark"
    code = (
        "import os, sys, time\nprint('up', flush=True)\n"
        f"while not os.path.exists({str(mark)!r}): time.sleep(0.01)\n"
        "print('a: the key may withdraw', flush=True)\nsys.exit(2)"
    )
    async with Supervisor([python("a", code, tmp_path)]) as kept:
        pid = kept.pids()["a"]
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: back_with_another_pid(kept, "a", pid))
        mark.touch()
        await eventually(lambda: kept.states()["a"] == "failed")
        assert kept.reasons() == {"a": "a: the key may withdraw"}
        assert kept.refusals() == {}


async def test_a_child_that_dies_at_once_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    other = python("other", SLEEP, tmp_path)
    broken = python("broken", "import sys; sys.exit('the reason why')", tmp_path, stage=1)
    supervisor = Supervisor([other, broken])
    with pytest.raises(ChildFailed, match=r"(?s)broken ended: exit code 1.*the reason why"):
        await supervisor.start()
    assert supervisor.pids() == {}


async def test_a_child_that_is_never_ready_is_an_error(tmp_path: Path) -> None:
    spec = python("slow", "import time; time.sleep(60)", tmp_path, ready_sec=0.5)
    with pytest.raises(ChildFailed, match=r"slow was not ready after 0\.5 s \(it wrote nothing"):
        await Supervisor([spec]).start()


async def test_a_program_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    spec = ChildSpec(name="x", argv=("/no/such/program",), log=tmp_path / "x.log", ready=None)
    supervisor = Supervisor([spec])
    await supervisor.start()  # without a probe, running is ready: the launcher runs for a moment
    await eventually(lambda: supervisor.restarts()["x"] >= 1 or supervisor.states()["x"] == "failed")
    assert "cannot start /no/such/program: No such file" in (tmp_path / "x.log").read_text()
    await supervisor.stop()


async def test_stages_start_in_order_and_stop_in_reverse(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time\n"
        "def end(*_): open({path!r}, 'a').write('{name} ended\\n'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "open({path!r}, 'a').write('{name} began\\n'); print('up', flush=True)\n"
        "while True: time.sleep(60)"
    )
    path = tmp_path / "order"
    specs = [
        python(name, code.format(path=str(path), name=name), tmp_path, stage=stage)
        for name, stage in (("service", 2), ("server", 0), ("venue", 1))
    ]
    async with Supervisor(specs):
        assert path.read_text().split("\n")[:3] == ["server began", "venue began", "service began"]
    assert path.read_text().split("\n")[3:6] == ["service ended", "venue ended", "server ended"]


async def test_a_stubborn_child_is_killed_after_its_grace_with_all_it_started(tmp_path: Path) -> None:
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "grandchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(f'up {grandchild.pid} .', flush=True)\n"
        "while True: time.sleep(60)"
    )
    supervisor = Supervisor([python("a", code, tmp_path, grace_sec=0.3)])
    await supervisor.start()
    child, grandchild = supervisor.pids()["a"], int((tmp_path / "a.log").read_text().split()[1])
    await supervisor.stop()
    assert not alive(child)
    assert within(5, lambda: not alive(grandchild))


async def test_children_have_a_session_of_their_own(tmp_path: Path) -> None:
    """Ctrl-C goes to the terminal's foreground group: it must reach the supervisor alone."""
    async with Supervisor([python("a", SLEEP, tmp_path)]) as kept:
        pid = kept.pids()["a"]
        assert os.getsid(pid) == pid != os.getsid(0)


async def test_a_talkative_child_does_not_fill_the_disk(tmp_path: Path) -> None:
    code = (
        "print('up', flush=True)\nimport time\nwhile True: print('x' * 1000, flush=True); time.sleep(0.001)"
    )
    async with Supervisor([python("a", code, tmp_path, log_bytes_max=100_000)]):
        await eventually((tmp_path / "a.log.1").exists)
    assert (tmp_path / "a.log.1").stat().st_size <= 100_000


async def test_one_more_child_can_be_added_while_others_run(tmp_path: Path) -> None:
    async with Supervisor([python("a", SLEEP, tmp_path)]) as kept:
        await kept.add(python("b", SLEEP, tmp_path, stage=1))
        assert kept.states() == {"a": "ok", "b": "ok"}
        with pytest.raises(ValueError, match="one name"):
            await kept.add(python("b", SLEEP, tmp_path))
    assert kept.pids() == {}


def test_a_child_must_be_started_from_the_main_thread(tmp_path: Path) -> None:
    """The kernel's death signal comes when the starting *thread* ends."""
    errors: list[Exception] = []

    def start() -> None:
        try:
            Child.start(python("a", SLEEP, tmp_path))
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main one" in str(errors[0])


def test_the_launcher_starts_nothing_when_the_parent_is_gone_already(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    argv = [sys.executable, "-I", "-S", str(LAUNCHER), "1", "/bin/sh", "-c", f"touch {mark}"]
    assert subprocess.run(argv, check=False).returncode == 0
    assert not mark.exists()
    argv[4] = str(os.getpid())
    assert subprocess.run(argv, check=False).returncode == 0
    assert mark.exists()


@contextmanager
def stack(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], list[int], Path]]:
    """A supervising process with its children: (process, pids of the children, its folder)."""
    process = subprocess.Popen(
        [sys.executable, str(Path(stack_process.__file__)), *arguments], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        pids = list(said["pids"].values())
        assert len(pids) == 3
        assert all(alive(pid) for pid in pids)
        yield process, pids, Path(said["folder"])
    finally:
        process.kill()
        process.communicate()


def nothing_left(pids: list[int], folder: Path) -> bool:
    return not folder.exists() and not any(alive(pid) for pid in pids)


def test_a_killed_supervisor_leaves_no_process_and_no_folder() -> None:
    with stack() as (process, pids, folder):
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert within(2, lambda: not any(alive(pid) for pid in pids))
        assert within(10, lambda: nothing_left(pids, folder))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_everything_orderly(number: signal.Signals) -> None:
    with stack() as (process, pids, folder):
        process.send_signal(number)
        assert process.wait(timeout=20) == 0
        assert nothing_left(pids, folder)


def test_a_second_signal_does_not_wait_for_a_stubborn_child() -> None:
    with stack("stubborn") as (process, pids, folder):
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1)  # its grace is a minute
        started_us = mono_us()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
        assert mono_us() - started_us < 15_000_000
        assert nothing_left(pids, folder)


def test_states_are_the_words_that_the_summary_uses() -> None:
    assert {state.value for state in ChildState} == {"starting", "ok", "restarting", "failed", "stopped"}


async def test_a_probe_that_answers_in_the_moment_of_the_end_does_not_hold_it_up(tmp_path: Path) -> None:
    """`asyncio.wait_for` loses a cancellation that comes when its work has just been done (before 3.12)."""
    asked, gate = 0, asyncio.Event()

    async def ready() -> bool:
        nonlocal asked
        asked += 1
        if asked > 1:
            await gate.wait()
        return True

    spec = ChildSpec(
        name="child", argv=("/bin/sleep", "60"), log=tmp_path / "child.log", ready=ready, hung_sec=30.0
    )
    supervisor = Supervisor([spec])
    await supervisor.start()
    async with asyncio.timeout(10):
        while asked < 2:  # noqa: ASYNC110 - the supervisor's own pace
            await asyncio.sleep(0.01)
    gate.set()
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await supervisor.stop()
    assert supervisor.states() == {"child": "stopped"}
