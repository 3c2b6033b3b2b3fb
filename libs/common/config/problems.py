"""What is wrong with a config, in words: where, why, and what to do instead."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One complaint. `path` is the dotted key as the user wrote it, empty when the whole file is meant.

    `source` is a file's path or an environment variable's name; `line` counts from 1 where it is known.
    """

    source: str
    path: str
    reason: str
    nearest: str = ""
    remedy: str = ""
    line: int | None = None

    def __str__(self) -> str:
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        text = f"{place}: {self.path}: {self.reason}" if self.path else f"{place}: {self.reason}"
        if self.nearest:
            text += f"; did you mean {self.nearest}?"
        if self.remedy:
            text += f"; {self.remedy}"
        return text


class ConfigError(Exception):
    """A config that is refused. `str()` is the complete text for the user, one problem a line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
