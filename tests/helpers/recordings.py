"""The large recorded data set: beside the project, or where FUNDARB_SHARED_DATA says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

ENV: Final = "FUNDARB_SHARED_DATA"
SHARED: Final = Path(os.environ.get(ENV) or Path(__file__).parents[3] / "shared" / "data")


def missing(*names: str) -> str:
    """Why tests that read `names` (paths inside the data set) cannot run here; empty when they can."""
    absent = [name for name in names or (".",) if not (SHARED / name).exists()]
    if not absent:
        return ""
    return f"the recorded data set is not there: {SHARED} lacks {', '.join(absent)} ({ENV} names its folder)"
