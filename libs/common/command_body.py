"""What JSON and our types let through and no command may have: a field twice, one nobody knows. Pure."""

from __future__ import annotations

import difflib
import json
from typing import Any, Final

import msgspec

from libs.common.messages_cmd import Command

FIELDS: Final = tuple(field.name for field in msgspec.structs.fields(Command))
LENIENT: Final = frozenset({"pause", "halt"})
"""What makes things safer is obeyed whatever else is written beside it. In the others a misspelt `scope`
would be no scope, and that is everything: `{"scpoe": "pair:X"}` must not flatten or resume it all."""


class BadBody(ValueError):
    """The body could mean something else than was meant."""


def check_body(payload: bytes, verb: str) -> None:
    """Raises `BadBody`. `payload` has been decoded as a `Command` before, so that it is one JSON object."""
    try:
        body = json.loads(payload, object_pairs_hook=_each_once)
    except ValueError as error:  # also BadBody; what msgspec reads and json does not is left to neither
        raise BadBody(str(error)) from None
    if verb in LENIENT:
        return
    for name, value in body.items():
        if name not in FIELDS and value is not None:  # null says nothing
            near = difflib.get_close_matches(name[:60], FIELDS, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(FIELDS)}"
            raise BadBody(f"a command has no field {name[:60]!a}: {hint}")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Readers differ in which of two values they take."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise BadBody(f"the field {name[:60]!a} is there twice")
        found[name] = value
    return found
