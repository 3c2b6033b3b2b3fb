"""What was written, by whom and where: the ground on which rules and advice stand."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from libs.common.config.assign import Assigned, Key
from libs.common.config.problems import Problem


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What was written and where. `broken`: written paths that are wrong already."""

    merged: Mapping[Key, Assigned]
    sections: frozenset[Key]
    broken: frozenset[str]
    files: int
    demo: bool

    def problem(self, path: str, reason: str, nearest: str = "", remedy: str = "") -> Problem:
        """A problem at the setting `path`, with the place where it was written."""
        assigned = self.find(path)
        if assigned is None:
            return Problem(source=self.owner(path), path=path, reason=reason, nearest=nearest, remedy=remedy)
        return Problem(
            source=assigned.source,
            path=assigned.written + path[len(path.partition("[")[0]) :],
            line=assigned.line,
            reason=reason,
            nearest=nearest,
            remedy=remedy,
        )

    def find(self, path: str) -> Assigned | None:
        return self.merged.get(tuple(path.partition("[")[0].split(".")))

    def owner(self, path: str) -> str:
        """The source that wrote something near `path`: its section's, else the last file's."""
        parts = tuple(path.split("."))
        for length in range(len(parts) - 1, -1, -1):
            near = [value for key, value in self.merged.items() if key[:length] == parts[:length]]
            if near:
                return max(near, key=lambda value: value.rank).source
        return "config"

    @property
    def exchange_names(self) -> frozenset[str]:
        """Names of all exchanges that were written, complete or not."""
        return frozenset(
            key[1] for key in (*self.sections, *self.merged) if len(key) > 1 and key[0] == "exchanges"
        )
