"""Every name a config may use: ours, the blueprint's, each in snake_case and camelCase.

All of it follows from `schema`: a new field is known here at once.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import inspect

from libs.common.config.schema import ALIASES, BPS_ALIASES, SECRET_FIELDS, Config

ANY: Final = "*"
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SIMILAR: Final = 0.6


class Spelling(msgspec.Struct, frozen=True, kw_only=True):
    """What a written key stands for.

    `bps`: the value is divided by 10,000; `file`: it is the path of a file that holds the secret.
    """

    field: str
    bps: bool = False
    file: bool = False


def camel(name: str) -> str:
    """The camelCase form.

    >>> camel("daily_funding_min")
    'dailyFundingMin'
    """
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def snake(name: str) -> str:
    """The snake_case form.

    >>> snake("borrowRateDaily")
    'borrow_rate_daily'
    """
    return _HUMP.sub("_", name).lower()


@functools.cache
def root() -> inspect.StructType:
    """The schema's shape."""
    shape = inspect.type_info(Config)
    assert isinstance(shape, inspect.StructType)  # noqa: S101 - Config is a struct, the checker cannot know
    return shape


def field_types(section: inspect.StructType) -> dict[str, inspect.Field]:
    """Fields of a section by name."""
    return {field.name: field for field in section.fields}


@functools.cache
def _spellings(pattern: tuple[str, ...], names: tuple[str, ...]) -> Mapping[str, Spelling]:
    known: dict[str, Spelling] = {}
    for name in names:
        for written in (name, camel(name)):
            known[written] = Spelling(field=name)
        if name in SECRET_FIELDS:
            for written in (f"{name}_file", camel(f"{name}_file")):
                known[written] = Spelling(field=name, file=True)
    for table, bps in ((ALIASES, False), (BPS_ALIASES, True)):
        for alias, target in table.items():
            *section, written = alias.split(".")
            if tuple(section) == pattern:
                meaning = Spelling(field=target.rsplit(".", 1)[-1], bps=bps)
                for form in (written, snake(written), camel(written)):
                    known.setdefault(form, meaning)
    return known


def spellings(pattern: tuple[str, ...], section: inspect.StructType) -> Mapping[str, Spelling]:
    """Written key -> meaning, for the section at `pattern` (its path with `*` for chosen names)."""
    return _spellings(pattern, tuple(field.name for field in section.fields))


@functools.cache
def all_paths() -> Mapping[str, str]:
    """Every dotted path of the schema, as spelled -> as ours; chosen names are `*`."""
    found: dict[str, str] = {}

    def visit(shape: inspect.Type, pattern: tuple[str, ...]) -> None:
        if isinstance(shape, inspect.StructType):
            fields = field_types(shape)
            for written, meaning in spellings(pattern, shape).items():
                path = (*pattern, meaning.field)
                found[".".join((*pattern, written))] = ".".join(path)
                if written == meaning.field:
                    visit(fields[meaning.field].type, path)
        elif isinstance(shape, inspect.DictType):
            visit(shape.value_type, (*pattern, ANY))

    visit(root(), ())
    return found


def nearest(word: str, candidates: list[str]) -> str:
    """The candidate most like `word` (case aside), empty when none is."""
    lowered: dict[str, str] = {}
    for candidate in candidates:
        lowered.setdefault(candidate.lower(), candidate)
    close = difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=_SIMILAR)
    return lowered[close[0]] if close else ""


def nearest_key(
    parent: tuple[str, ...], pattern: tuple[str, ...], section: inspect.StructType, written: str
) -> str:
    """The key that was meant by an unknown one: in its section, else the same word elsewhere."""
    here = spellings(pattern, section)
    close = nearest(written, list(here))
    elsewhere: dict[str, str] = {
        path.rsplit(".", 1)[-1].lower(): path
        for path in reversed(list(all_paths()))
        if not path.startswith("exchanges.")
    }
    moved = elsewhere.get(written.lower(), "")
    if moved and (not close or close.lower() != written.lower()):
        return moved
    if close:
        return ".".join((*parent, close))
    anywhere = nearest(written, list(elsewhere))
    return elsewhere[anywhere] if anywhere else ""
