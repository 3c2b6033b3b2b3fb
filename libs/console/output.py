"""What verbs say and how: JSON for scripts, tables for people, one clear line for errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TextIO

import msgspec

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

OK: Final = 0
NO: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
INTERRUPTED: Final = 130

WIDTH_WITHOUT_TERMINAL: Final = 400  # files and pipes are searched: nothing may be folded

MARKS: Final = {"ok": "green", "warning": "yellow", "refused": "red", "unreachable": "magenta"}


_ENCODER: Final = msgspec.json.Encoder(decimal_format="string")


class UserError(Exception):
    """The answer is an error: `text` is complete, for people, free of secrets; no traceback follows."""

    def __init__(self, text: str, exit_code: int = NO) -> None:
        super().__init__(text)
        self.text = text
        self.exit_code = exit_code


def is_terminal(stream: TextIO | None = None) -> bool:
    """True when a person reads `stream` (stdout when not given)."""
    stream = sys.stdout if stream is None else stream
    try:
        return stream.isatty()
    except ValueError:  # already closed
        return False


def emit_json(value: Any) -> None:
    """One JSON document on stdout, one line; infinite and NaN become null."""
    sys.stdout.write(_ENCODER.encode(value).decode() + "\n")
    sys.stdout.flush()


def emit_text(text: str) -> None:
    """Lines on stdout."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def warn(text: str) -> None:
    """One line on stderr that is no error."""
    sys.stderr.write(f"warning: {text}\n")


def quiet_logs() -> None:
    """Keep libraries' log records off stderr in verbs that say themselves what went wrong."""
    import logging  # noqa: PLC0415 - light verbs log nothing

    root = logging.getLogger()
    if not root.handlers:  # without any handler Python prints warnings to stderr
        root.addHandler(logging.NullHandler())


def console(*, stderr: bool = False) -> Console:
    """Where tables are printed: no colour and no folding when no terminal reads it.

    rich honours NO_COLOR and COLUMNS by itself. Imported here, so that light verbs do not pay for it.
    """
    from rich.console import Console  # noqa: PLC0415 - 60 ms that `health` must not pay

    stream = sys.stderr if stderr else sys.stdout
    width = None if is_terminal(stream) or os.environ.get("COLUMNS") else WIDTH_WITHOUT_TERMINAL
    return Console(file=stream, width=width, highlight=False, soft_wrap=False, emoji=False, markup=False)


def table(
    columns: Sequence[str], *, title: str = "", right: Iterable[str] = (), whole: Iterable[str] = ()
) -> Table:
    """An empty table; the columns named in `right` hold numbers, those in `whole` are not folded either."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - see console
    from rich.table import Table  # noqa: PLC0415

    numbers, unfolded = frozenset(right), frozenset((*right, *whole))
    result = Table(box=SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for column in columns:
        result.add_column(
            column,
            justify="right" if column in numbers else "left",
            overflow="fold",
            no_wrap=column in unfolded,
        )
    return result


def state_text(state: str) -> Any:
    """`state` as rich text in its colour (ok, warning, refused, unreachable)."""
    from rich.text import Text  # noqa: PLC0415 - see console

    return Text(state, style=MARKS.get(state, ""))
