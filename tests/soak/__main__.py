"""`make soak MINUTES=n`: the whole stack trades under load and is watched; exit 1 with reasons when it fails.

Writes `soak.json` (all curves, facts and the verdict) and `soak.svg` (the curves) into `--out`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Final

from libs.console.output import UserError, quiet_logs
from tests.soak.campaign import Run, soak
from tests.soak.judge import ALLOWED, slope_of
from tests.soak.picture import picture
from tests.soak.record import Record, growth_of, points_of, write

MINUTES: Final = 10.0
MINUTES_MIN: Final = 0.5
OUT: Final = Path("build/soak")
SEC_PER_MINUTE: Final = 60.0
TOLD: Final = "rss_mb"


def say(text: str) -> None:
    """A line now."""
    print(text, flush=True)


def record_of(run: Run, *, seed: int) -> Record:
    """What is written."""
    return Record(
        seconds=run.seconds,
        seed=seed,
        passed=not run.reasons,
        reasons=run.reasons,
        growth=growth_of(run.curves),
        answers=run.answers,
        facts=run.facts,
        curves=points_of(run.curves),
    )


def tell(run: Run) -> None:
    """The growth of each memory with its bounds, what was traded, and the verdict."""
    say(f"{'memory of':<12}{'MB at the end':>14}   growth of the later part, 99 % bounds")
    for who, curve in run.curves.of(TOLD).items():
        found = run.curves.trend(curve)
        told = "too few samples" if found is None else slope_of(found, ALLOWED[TOLD].unit)
        say(f"{who:<12}{curve.values[-1]:>14.1f}   {told}")
    last = run.curves.last
    say(
        f"{last('traded/orders'):.0f} orders, {last('traded/opened'):.0f} pairs opened, "
        f"{last('traded/closed'):.0f} closed, {last('traded/settlements'):.0f} settlements; store "
        f"{last('store/mb'):.1f} MB, {last('store/keys'):.0f} keys, journal {last('stream/journal'):.0f}, "
        f"ledger {last('stream/ledger'):.0f}; residual {run.facts.residual_usd}"
    )
    for reason in run.reasons:
        say(f"FAILED {reason}")
    if not run.reasons:
        say("passed")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="make soak", description="The whole stack under load, watched.")
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT, help=f"folder of soak.json and soak.svg ({OUT})")
    options = parser.parse_args()
    if not MINUTES_MIN <= options.minutes < float("inf"):
        parser.error(f"--minutes {options.minutes:g}: at least {MINUTES_MIN:g} is expected")
    quiet_logs()
    say(f"starting NATS, Valkey, the simulated exchange and the services for {options.minutes:g} minutes ...")
    try:
        run = asyncio.run(soak(seconds=options.minutes * SEC_PER_MINUTE, seed=options.seed, say=say))
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.stderr.write("stopped\n")
        return 130
    record = record_of(run, seed=options.seed)
    write(record, options.out / "soak.json")
    (options.out / "soak.svg").write_text(picture(record), encoding="utf-8")
    tell(run)
    say(f"curves: {options.out / 'soak.svg'}, all figures: {options.out / 'soak.json'}")
    return 1 if run.reasons else 0


if __name__ == "__main__":
    sys.exit(main())
