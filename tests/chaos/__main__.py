"""`make chaos CYCLES=n SEED=k ONLY=kind,kind`: faults on real processes, with figures; exit 1 on a violation.

Without ONLY all kinds of `faults.KINDS`, one after the other, each in a world of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from typing import Final

from tests.chaos.campaign import Cycle, run_kind, table
from tests.chaos.faults import FULL_DISK, KINDS
from tests.chaos.permits import HOWS, trials
from tests.chaos.permits import table as table_of_trials
from tests.helpers import island

PERMITS: Final = "permits"


def say(text: str) -> None:
    """A line now."""
    print(text, flush=True)


async def run(kinds: list[str], cycles: int, seed: int) -> int:
    """All that was asked for; how many violations there were."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    done: list[Cycle] = []
    bad = 0
    for kind in kinds:
        if kind == PERMITS:
            tried = await trials(HOWS, count=cycles, seed=seed, say=say)
            say(table_of_trials(tried))
            bad += sum(len(one.violations) for one in tried)
        else:
            done += await run_kind(kind, cycles=cycles, seed=seed, say=say)
    if done:
        say(table(done))
    return bad + sum(len(one.violations) for one in done)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="make chaos", description="Faults on real processes.")
    parser.add_argument("--cycles", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default=",".join(KINDS), help=f"of {', '.join(KINDS)}, {PERMITS}")
    options = parser.parse_args()
    kinds = [kind.strip() for kind in options.only.split(",")]
    if strange := [kind for kind in kinds if kind not in (*KINDS, PERMITS)]:
        parser.error(f"no fault: {', '.join(strange)}; there are {', '.join(KINDS)}")
    if options.cycles < 1:
        parser.error("--cycles is at least 1")
    if FULL_DISK in kinds and not island.inside():
        if why := island.unable():
            say(f"{FULL_DISK} is left out: this machine gives no namespaces ({why})")
            kinds.remove(FULL_DISK)
        else:  # a disk may be mounted there by anybody, and is gone with it whatever happens
            island.move([sys.executable, "-m", "tests.chaos", *sys.argv[1:]])
    if island.inside():
        island.loopback_up()
    try:
        return 1 if asyncio.run(run(kinds, options.cycles, options.seed)) else 0
    except asyncio.CancelledError:
        sys.stderr.write("stopped\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
