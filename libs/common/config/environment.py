"""`FUNDARB__SECTION__KEY` variables as one more source, after all files.

Names are matched without regard to case, `-` counts as `_`, and the blueprint's spellings work too:
FUNDARB__THRESHOLDS__DAILYFUNDINGMIN. Values are JSON, or plain text where the field is text.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import inspect

from libs.common.config import assign, jsonc, names, values
from libs.common.config.assign import Key, Source
from libs.common.config.schema import SECRET_FIELDS

PREFIX: Final = "FUNDARB__"
SEPARATOR: Final = "__"


def read_environment(env: Mapping[str, str], *, rank: int, chosen: Mapping[Key, set[str]]) -> list[Source]:
    """One source a variable, so that each problem and each value names its variable.

    `chosen` holds the names that the files gave to exchanges and the like, by the section's path.
    """
    found: list[Source] = []
    for variable in sorted(env):
        if variable.startswith(PREFIX):
            source = Source(name=variable, rank=rank, folder=Path())
            _read_variable(source, variable, env[variable], chosen)
            found.append(source)
        elif variable.startswith("FUNDARB_") and SEPARATOR in variable:
            source = Source(name=variable, rank=rank, folder=Path())
            source.warnings.append(
                source.problem((), "is ignored", "", f"overrides start with {PREFIX} (two underscores)")
            )
            found.append(source)
    return found


def _read_variable(source: Source, variable: str, text: str, chosen: Mapping[Key, set[str]]) -> None:
    words = variable.removeprefix(PREFIX).split(SEPARATOR)
    shape: inspect.Type = names.root()
    path: Key = ()
    pattern: Key = ()
    meaning = names.Spelling(field="")
    for word in words:
        here = (*path, word.lower())
        if isinstance(shape, inspect.StructType):
            found = _match(word, names.spellings(pattern, shape))
            if found is None:
                close = names.nearest_key(path, pattern, shape, word.lower())
                source.complain(here, "unknown key", _as_variable(close), "")
                return
            meaning = names.spellings(pattern, shape)[found]
            shape = names.field_types(shape)[meaning.field].type
            path, pattern = (*path, meaning.field), (*pattern, meaning.field)
        elif isinstance(shape, inspect.DictType):
            name = _match(word, chosen.get(path, set())) or word.lower()
            if path[-1:] == ("options",) and name == word.lower():
                remedy = (
                    'their case matters: give all as JSON, FUNDARB__EXCHANGES__...__OPTIONS={"name": value}'
                )
                source.complain(here, "options cannot be named one by one in a variable", "", remedy)
                return
            shape = shape.value_type
            path, pattern = (*path, name), (*pattern, names.ANY)
        else:
            source.complain(here, f"{assign.dotted(path)} is a value, not a section")
            return
    _assign(source, text, shape, path, pattern, meaning)


def _assign(
    source: Source, text: str, shape: inspect.Type, path: Key, pattern: Key, meaning: names.Spelling
) -> None:
    if meaning.file:
        assign.read_secret_file(source, path, path, text)
        return
    if text == "" and path[-1] not in SECRET_FIELDS:
        source.complain(path, "the variable is empty", "", "unset it, or give a value")
        return
    value = _value(text, shape)
    if meaning.bps:
        assign.read_bps(source, path, pattern, path, value)
        return
    assign.read_value(source, value, shape, path, pattern, path)


def _value(text: str, shape: inspect.Type) -> Any:
    """`text` as the field's type would have it: JSON where it is JSON, else text (a comma-separated list for lists)."""
    if values.is_text(shape) and not text.startswith('"'):
        return text
    try:
        return jsonc.parse(text).tree
    except jsonc.JsonSyntaxError:
        if isinstance(shape, inspect.VarTupleType) and isinstance(shape.item_type, inspect.StrType):
            return [part.strip() for part in text.split(",") if part.strip()]
        return text


def _match(word: str, known: Mapping[str, Any] | set[str]) -> str | None:
    wanted = word.lower().replace("-", "_")
    return next((name for name in known if name.lower().replace("-", "_") == wanted), None)


def _as_variable(path: str) -> str:
    return PREFIX + path.replace(".", SEPARATOR).upper() if path else ""
