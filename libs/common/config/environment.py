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
from libs.common.config.assign import Key, Place, Source
from libs.common.config.schema import SECRET_FIELDS

PREFIX: Final = "FUNDARB__"
SEPARATOR: Final = "__"
_COIN_DEPTH: Final = 4  # paper.balances.{venue}.{wallet}
OPTIONS_REMEDY: Final = 'give all of them as JSON: ...__OPTIONS={"name": value}'


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
    shape: inspect.Type = names.root()
    place = Place()
    meaning = names.Spelling(field="")
    for word in variable.removeprefix(PREFIX).split(SEPARATOR):
        if isinstance(shape, inspect.StructType):
            known = names.spellings(place.pattern, shape)
            found = _match(word, known)
            if found is None:
                close = names.nearest_key(place.path, place.pattern, shape, word.lower())
                source.complain((*place.path, word.lower()), "unknown key", _as_variable(close))
                return
            meaning = known[found]
            shape = names.field_types(shape)[meaning.field].type
            place = place.down(meaning.field, meaning.field)
        elif isinstance(shape, inspect.DictType):
            name = _match(word, chosen.get(place.path, set()))
            if name is None and place.path[-1:] == ("options",):
                source.complain((*place.path, word.lower()), "an option's case matters", "", OPTIONS_REMEDY)
                return
            shape = shape.value_type
            place = place.named(name or _new_name(place.path, word.lower()))
        else:
            source.complain((*place.path, word.lower()), f"{assign.dotted(place.path)} has no parts")
            return
    _assign(source, text, shape, place, meaning)


def _assign(source: Source, text: str, shape: inspect.Type, place: Place, meaning: names.Spelling) -> None:
    if text == "" and place.path[-1] not in SECRET_FIELDS:
        source.complain(place.path, "the variable is empty", "", "unset it, or give a value")
        return
    value = text if meaning.file else _value(text, shape)
    assign.read_meant(source, value, meaning, shape, place)


def _value(text: str, shape: inspect.Type) -> Any:
    """`text` as the field's type has it: JSON where it is JSON, else text (comma-separated for lists)."""
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


def _new_name(section: Key, word: str) -> str:
    """A name that no file gives: venues (`binance-perp`, `binance-sub1`) have dashes, which variables lack,
    and coins have capitals.
    """
    if section[:2] == ("paper", "balances") and len(section) == _COIN_DEPTH:
        return word.upper()
    dashed = section in (("costs", "venues"), ("paper", "balances"))
    return word.replace("_", "-") if dashed else word


def _as_variable(path: str) -> str:
    return PREFIX + path.replace(".", SEPARATOR).upper() if path else ""
