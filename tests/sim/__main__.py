"""`make sim SEEDS=n SEED_START=k`: seeds of the executor's simulation, with figures; exit 1 on a violation.

A failing seed is shrunk and printed with the command that repeats it, and with its line for
`tests/sim/regressions.jsonl`: what is there is run with every test run from then on.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time

from tests.sim.campaign import report, run_all, smallest
from tests.sim.regressions import line_of


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="make sim", description="Seeds of the executor's simulation.")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    options = parser.parse_args()
    if options.seeds < 1 or options.start < 0 or options.jobs < 1:
        parser.error("--seeds and --jobs are at least 1, --start at least 0")
    begin = time.perf_counter()
    outcomes = run_all(options.start, options.seeds, options.jobs)
    print(report(outcomes, time.perf_counter() - begin))
    bad = [one for one in outcomes if one.violation]
    for one in bad[:3]:
        plan = smallest(one.seed)
        kinds = ", ".join(sorted(plan.misfortunes)) or "none"
        print(
            f"seed {one.seed} violates {one.number}: make sim SEEDS=1 SEED_START={one.seed}\n"
            f"  still so with misfortunes {kinds}, active for {plan.active_us / 1e6:.0f} s\n"
            f"  {line_of(plan)}"
        )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
