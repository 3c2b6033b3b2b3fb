"""`python -m tests.bench [--only NAME [--set SIZE=N]] [--json]`: ratios within one run, each beside its goal.

Nothing here is asserted: a slow machine is no defect. A goal that is not met is said in words.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys

from tests.bench.report import Result

BENCHES = ("tick", "scan", "startup", "engine", "leg_skew", "order_path", "unwind_path")


def run_one(name: str, **sizes: int) -> Result:
    """One benchmark; imported only when it is run, since each brings its own world."""
    result: Result = importlib.import_module(f"tests.bench.{name}").run(**sizes)
    return result


def main(arguments: list[str] | None = None) -> int:
    """All benchmarks, or one."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Benchmarks, as ratios.")
    parser.add_argument("--only", choices=BENCHES, help="run this one")
    parser.add_argument(
        "--set", action="append", default=[], metavar="SIZE=N", help="with --only: one of its sizes"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    chosen = parser.parse_args(arguments)
    if chosen.set and not chosen.only:
        parser.error("--set goes with --only")
    sizes = {name: int(number) for name, _, number in (one.partition("=") for one in chosen.set)}
    results: dict[str, object] = {}
    for name in (chosen.only,) if chosen.only else BENCHES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        result = run_one(name, **sizes)
        results[name] = result.as_json()
        if not chosen.json:
            print(result.as_text(), flush=True)
    if chosen.json:
        print(json.dumps(results, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
