"""The files that FUNDARB_CONFIG names: `first:second`, the last wins; `file?` is read where it exists."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

WHERE_IT_EXISTS: Final = "?"
"""Keys are a file of their own that only live mode needs: the same settings start paper without it."""


def paths_of(text: str) -> tuple[Path, ...]:
    """The files to read, in order. A missing one is in it, so that it is complained of, unless marked."""
    found = []
    for part in text.split(os.pathsep):
        path = Path(part.removesuffix(WHERE_IT_EXISTS))
        if part and (not part.endswith(WHERE_IT_EXISTS) or path.exists()):
            found.append(path)
    return tuple(found)


def unread(text: str) -> tuple[Path, ...]:
    """Those that are marked and not there: to be named when something is missing that they could hold."""
    parts = (part for part in text.split(os.pathsep) if part.endswith(WHERE_IT_EXISTS))
    paths = (Path(part.removesuffix(WHERE_IT_EXISTS)) for part in parts)
    return tuple(path for path in paths if not path.exists())
