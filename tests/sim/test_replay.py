"""A seed replays to the same bytes, whatever PYTHONHASHSEED is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import hashlib
from tests.sim.plan import of_seed
from tests.sim.run import Seed
seed = Seed(of_seed({seed}))
world = seed.run()
entries = repr(world.entries("journal")).encode()
engines = b"".join(venue.engine.snapshot() for venue in world.venues.values())
print(hashlib.sha256(entries + engines).hexdigest(), world.time.steps)
"""


def told_by(seed: int, hash_seed: str) -> str:
    env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(seed=seed)], env=env, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_a_seed_replays_to_the_same_bytes() -> None:
    for seed in (3, 14):
        assert told_by(seed, "1") == told_by(seed, "4242")
