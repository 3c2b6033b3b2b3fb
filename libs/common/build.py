"""Which build runs: the version, and the commit where it is known."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

BUILD_ENV: Final = "FUNDARB_BUILD"
"""Set by image builds, where no repository lies beside the source."""

_COMMIT_CHARS: Final = 9


@cache
def version() -> str:
    """The distribution's version, `0+unknown` when it is not installed."""
    try:
        return metadata.version("fundarb")
    except metadata.PackageNotFoundError:
        return "0+unknown"


def build(env: Mapping[str, str] = os.environ) -> str:
    """`0.1.0+1a2b3c4d5`, or the version alone."""
    commit = env.get(BUILD_ENV) or _commit(Path(__file__).resolve().parents[2] / ".git")
    return f"{version()}+{commit[:_COMMIT_CHARS]}" if commit else version()


def _commit(git: Path) -> str:
    """The commit that HEAD names, read without starting git; empty when it cannot be told."""
    try:
        head = (git / "HEAD").read_text(encoding="ascii").strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        loose = git / name
        if loose.is_file():
            return loose.read_text(encoding="ascii").strip()
        for line in (git / "packed-refs").read_text(encoding="ascii").splitlines():
            commit, _, packed = line.partition(" ")
            if packed == name:
                return commit
    except (OSError, UnicodeDecodeError):
        return ""
    return ""
