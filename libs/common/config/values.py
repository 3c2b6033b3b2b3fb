"""Is a value of the type that its field has? If not: the reason and the remedy, in words of a config.

Values come from JSON, TOML or the environment; answers are (reason, remedy), secrets never repeated.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

from msgspec import inspect

from libs.common.config.schema import Mode

Complaint = tuple[str, str]

PERCENT: Final = re.compile(r"\s*([-+]?[0-9]*\.?[0-9]+)\s*%\s*")
_NUMERIC: Final = re.compile(r"\s*[-+]?[0-9][0-9_,]*(\.[0-9]+)?([eE][-+]?[0-9]+)?\s*")
_SHOWN_MAX: Final = 40
_EXPECTED: Final[dict[type[inspect.Type], str]] = {
    inspect.FloatType: "a number",
    inspect.IntType: "a whole number",
    inspect.BoolType: "true or false",
    inspect.StrType: "text in quotes",
    inspect.NoneType: "null",
}

_PYTHON: Final[dict[type[inspect.Type], type]] = {
    inspect.BoolType: bool,
    inspect.StrType: str,
    inspect.NoneType: type(None),
}

_FLAGS: Final = {"true": ("true", "yes", "on", "1"), "false": ("false", "no", "off", "0")}


def shown(value: Any) -> str:
    """A value as a person would write it, cut to a readable length."""
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return "null"
        case str():
            text = f'"{value}"'
        case dict():
            return "a section"
        case list():
            return "a list"
        case _:
            text = str(value)
    return text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 3] + "..."


def plain(value: float) -> str:
    """A number without exponent and without noise: 0.0005, 50000."""
    text = f"{value:.12f}".rstrip("0").rstrip(".")
    return text if text not in ("", "-0") else "0"


def expected(shape: inspect.Type) -> str:
    """What a field wants, in words."""
    match shape:
        case inspect.LiteralType() | inspect.EnumType():
            return "one of " + ", ".join(choices(shape))
        case inspect.UnionType():
            return " or ".join(expected(part) for part in shape.types)
    return _EXPECTED.get(type(shape), "a section { ... }")


def choices(shape: inspect.Type) -> list[str]:
    """The words that a field takes."""
    if isinstance(shape, inspect.EnumType):
        return [str(member.value) for member in shape.cls if member.value != Mode.DEMO]
    if isinstance(shape, inspect.UnionType):
        return [word for part in shape.types for word in choices(part)]
    return [str(value) for value in shape.values] if isinstance(shape, inspect.LiteralType) else []


def is_text(shape: inspect.Type) -> bool:
    """True when plain text from the environment is the value, with no quotes asked for."""
    match shape:
        case inspect.StrType() | inspect.LiteralType() | inspect.EnumType():
            return True
        case inspect.UnionType():
            return all(is_text(part) or isinstance(part, inspect.NoneType) for part in shape.types)
    return False


def complaint(value: Any, shape: inspect.Type, *, secret: bool = False) -> Complaint | None:
    """Why `value` is no value for a field of type `shape` (scalars only); None when it is one."""
    if isinstance(shape, inspect.UnionType):
        if any(complaint(value, part) is None for part in shape.types):
            return None
        rest = [part for part in shape.types if not isinstance(part, inspect.NoneType)]
        return complaint(value, rest[0]) if len(rest) == 1 else (f"{expected(shape)} is expected", "")
    if _fits(value, shape):
        return None
    got = "what stands there" if secret else shown(value)
    return f"{expected(shape)} is expected, not {got}", "" if secret else _remedy(value, shape)


def _fits(value: Any, shape: inspect.Type) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match shape:
        case inspect.FloatType():
            return number and _finite(value)
        case inspect.IntType():
            return number and isinstance(value, int)
        case inspect.EnumType():
            return isinstance(value, str) and value in [member.value for member in shape.cls]
        case inspect.LiteralType():
            return isinstance(value, str) and value in choices(shape)
    return isinstance(value, _PYTHON.get(type(shape), ()))


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond what a float holds
        return False


def _remedy(value: Any, shape: inspect.Type) -> str:
    """How the value that was probably meant is written."""
    if value is None:
        return "leave the key out to get the default"
    if isinstance(shape, inspect.BoolType):
        word = str(value).lower()
        return next((f"write {flag}, without quotes" for flag, words in _FLAGS.items() if word in words), "")
    if isinstance(shape, inspect.StrType):
        return f'write "{shown(value)}"' if isinstance(value, int | float) else ""
    if not isinstance(shape, inspect.FloatType | inspect.IntType) or isinstance(value, bool):
        return ""
    if isinstance(value, str):
        return _number_in_quotes(value)
    return f"write {round(value)}" if isinstance(value, float) and _finite(value) else ""


def _number_in_quotes(text: str) -> str:
    percent = PERCENT.fullmatch(text)
    if percent is not None:
        return f"as a fraction {percent.group(1)}% is {plain(float(percent.group(1)) / 100)}"
    if _NUMERIC.fullmatch(text):
        return f"write {text.strip().replace(',', '').replace('_', '')} without quotes"
    return ""
