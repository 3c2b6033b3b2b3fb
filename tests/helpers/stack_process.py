"""A supervising process for tests to kill: `python tests/helpers/stack_process.py [stubborn]`.

Runs NATS, Valkey and one Python child in a temporary folder, prints one JSON line {"pids", "folder"},
and ends orderly on a signal. `stubborn`: the child ignores SIGTERM.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from libs.common.child import ChildSpec, python_env
from libs.common.embedded import nats_server, temporary_folder, valkey_server
from libs.common.supervisor import StopSignals, Supervisor

SLEEPER = "import signal, time\n{ignore}\nprint('up', flush=True)\nwhile True: time.sleep(60)"
IGNORE = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"


async def run(*, stubborn: bool) -> int:
    with temporary_folder("fundarb-test-") as folder:
        log = folder / "sleeper.log"

        async def is_up() -> bool:
            return log.exists() and "up" in log.read_text()

        sleeper = ChildSpec(
            name="sleeper",
            argv=(sys.executable, "-c", SLEEPER.format(ignore=IGNORE if stubborn else "")),
            log=log,
            env=python_env(os.environ),
            stage=1,
            ready=is_up,
            grace_sec=60.0,
        )
        nats = nats_server(folder / "nats", env=os.environ)
        valkey = valkey_server(folder / "valkey", env=os.environ, durable=True)
        supervisor = Supervisor([nats.spec, valkey.spec, sleeper])
        with StopSignals(supervisor.kill) as stop:
            async with supervisor:
                print(json.dumps({"pids": supervisor.pids(), "folder": str(Path(folder))}), flush=True)
                await stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(run(stubborn="stubborn" in sys.argv[1:])))
