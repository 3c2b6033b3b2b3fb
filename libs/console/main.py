"""Entry of the `fundarb` command: finds the verb, runs it, turns every failure into one clear line.

The table below is all that `--help` needs; a verb's module is imported only when it is called, so
that `fundarb health` stays light enough for a container's health check.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import Any, Final, NoReturn, Protocol, cast

from libs.console.output import INTERRUPTED, NO, OK, USAGE, UserError

PACKAGE: Final = "libs.console.verbs"
LATER: Final = "later"

# verb -> module of libs.console.verbs, and what it does in one line
VERBS: Final[dict[str, tuple[str, str]]] = {
    "init": ("init", "write a commented config (a wizard on a terminal, --yes for defaults)"),
    "check": ("check", "config, symbols, units, clock: a table of ok / warning / refused"),
    "demo": ("demo", "everything at once on a simulated exchange that replays recorded data"),
    "up": ("up", "all services, supervised, with embedded servers where no URL is given"),
    "status": ("status", "what runs, what it sees, and why nothing is happening when nothing is"),
    "positions": ("positions", "what is held, in which state, and what it has earned so far"),
    "scan": ("scan", "rank the whole universe of funding once; needs no keys"),
    "calc": ("calc", "the economics of one pair from its rate and costs"),
    "config": ("config", "show the effective config, or the JSON schema of config and messages"),
    "data": ("data", "import, verify and list the archive of funding and prices"),
    "health": ("health", "exit 0 when a service (or all of them) is healthy"),
    "run": ("run", "run one service in this process"),
    "open": ("open", "open a pair now; limits and breakers hold as ever"),
    "close": ("close", "close a pair (--hard: now, both legs)"),
    "rebalance": ("rebalance", "bring the legs of a pair back to each other"),
    "pause": ("pause", "open nothing more until `resume`"),
    "resume": ("resume", "undo `pause`, and only that"),
    "halt": ("halt", "only reduce from now on, until `reset`; asks nothing"),
    "flatten": ("flatten", "close everything in a scope hard, until `reset`; asks first"),
    "reset": ("reset", "clear the latches of a scope, leave STUCK; asks first"),
    "ack": ("ack", "say that you know of a critical alert"),
    "reload": ("reload", "read the config again where that is possible"),
    "backtest": (LATER, "replay the archive through the same decisions (later)"),
    "report": (LATER, "the daily report (later)"),
}


NEGATIVE: Final = re.compile(r"-(\.?[0-9]|inf|nan)")
"""How a negative value begins; what is no number after all is refused in the flag's own words."""


class Verb(Protocol):
    """A module of `libs.console.verbs`. `NAME` and `HELP` repeat the table for readers of the module."""

    NAME: str
    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


class Parser(argparse.ArgumentParser):
    """Wrong usage as a UserError with one line, in place of argparse's usage block.

    Values may be negative numbers in any notation: argparse takes `-3e-4` for an option, up to Python 3.13.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._negative_number_matcher = NEGATIVE

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{self.prog}: {message} (see {self.prog} --help)", USAGE)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `fundarb` with `argv` (without the program's name) and answer the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return dispatch(words)
    except UserError as error:
        return fail(error.text, error.exit_code)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # `fundarb scan | head`: nobody reads any more, and the interpreter's last flush must not complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as error:  # noqa: BLE001 - the last fence: the user gets a line, the file the traceback
        if _is_config_error(error):
            return fail(str(error), USAGE)
        verb = words[0] if words else ""
        return fail(
            f"unexpected {type(error).__name__} in `fundarb {verb}`; the details are in {write_crash(error)}",
            NO,
        )


def dispatch(words: list[str]) -> int:
    """Find the verb and run it."""
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(overview())
        return OK if words else USAGE
    if words[0] in ("-V", "--version"):
        from importlib.metadata import version  # noqa: PLC0415 - only this option needs it

        sys.stdout.write(f"fundarb {version('fundarb')}\n")
        return OK
    name, *rest = words
    if name not in VERBS:
        close = difflib.get_close_matches(name, list(VERBS), n=1)
        hint = f"did you mean `fundarb {close[0]}`?" if close else "`fundarb --help` lists the verbs"
        raise UserError(f"fundarb: there is no verb {name!r}; {hint}", USAGE)
    module_name, text = VERBS[name]
    verb = cast("Verb", importlib.import_module(f"{PACKAGE}.{module_name}"))
    parser = Parser(prog=f"fundarb {name}", description=text, allow_abbrev=False)
    verb.add_arguments(parser)
    parser.set_defaults(verb=name)
    if module_name == LATER and not {"-h", "--help"} & set(rest):
        rest = []  # whatever is asked of it, the answer is the same
    try:
        args = parser.parse_args(rest)
    except SystemExit as leaving:  # --help has printed what was asked for
        return leaving.code if isinstance(leaving.code, int) else OK
    return verb.run(args)


def overview() -> str:
    """The text of `fundarb --help`."""
    now = [(name, text) for name, (module, text) in VERBS.items() if module != LATER]
    later = [name for name, (module, _) in VERBS.items() if module == LATER]
    lines = ["usage: fundarb VERB [options]", "", "Watches funding rates and says what is worth doing.", ""]
    lines += [f"  {name:<10} {text}" for name, text in now]
    lines += ["", f"  later: {' '.join(later)}", ""]
    lines += ["`fundarb VERB --help` explains one. Exit codes: 0 ok, 1 no, 2 wrong usage or config,"]
    lines += ["3 cannot reach what it needs."]
    return "\n".join(lines) + "\n"


def fail(text: str, exit_code: int) -> int:
    """Say `text`, without secrets, on stderr and answer the exit code."""
    from libs.common.redact import REDACTOR  # noqa: PLC0415 - only who fails waits for it

    sys.stdout.flush()
    sys.stderr.write(REDACTOR.known(text.rstrip("\n")) + "\n")
    return exit_code


def write_crash(error: Exception) -> str:
    """Keep the traceback, without secrets, in a file that the user alone can read; answers its path."""
    from libs.common.redact import REDACTOR  # noqa: PLC0415 - who does not crash does not wait for it

    handle, path = tempfile.mkstemp(prefix="fundarb-", suffix=".log")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(REDACTOR.text("".join(traceback.format_exception(error))))
    return path


def _is_config_error(error: Exception) -> bool:
    """True for ConfigError, without importing it: a module nobody imported cannot have raised it."""
    module = sys.modules.get("libs.common.config.problems")
    return module is not None and isinstance(error, module.ConfigError)


if __name__ == "__main__":
    sys.exit(main())
