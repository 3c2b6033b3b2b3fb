"""A source's tree, however it spells its keys, as assignments to the schema's paths.

One assignment a leaf: sources are then merged by "the last wins" on plain paths, and each value
keeps where it came from. Lists are leaves, sections and named maps are not.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import inspect

from libs.common.config import names, units, values
from libs.common.config.problems import Problem
from libs.common.config.schema import PLACEHOLDERS, SECRET_FIELDS
from libs.common.subjects import SLUG

Key = tuple[str, ...]

SECRET_BYTES_MAX: Final = 64 * 1024


class Assigned(msgspec.Struct, frozen=True, kw_only=True):
    """A value for a path, and where it was written. `inline_secret`: a real secret stands in that very source."""

    value: Any
    source: str
    written: str
    rank: int = 0
    line: int | None = None
    inline_secret: bool = False


class Source(msgspec.Struct, kw_only=True):
    """One file or the environment while it is read; `lines` by written path, `folder` for relative secrets."""

    name: str
    rank: int = 0
    folder: Path
    lines: Mapping[tuple[str | int, ...], int] = {}
    variables: Mapping[Key, str] = {}  # canonical path -> variable, when the source is the environment
    assigned: dict[Key, Assigned] = {}
    sections: set[Key] = set()
    problems: list[Problem] = []
    warnings: list[Problem] = []

    def complain(
        self, written: tuple[str | int, ...], reason: str, nearest: str = "", remedy: str = ""
    ) -> None:
        self.problems.append(self.problem(written, reason, nearest, remedy))

    def problem(
        self, written: tuple[str | int, ...], reason: str, nearest: str = "", remedy: str = ""
    ) -> Problem:
        return Problem(
            source=self.name,
            path=dotted(written),
            reason=reason,
            nearest=nearest,
            remedy=remedy,
            line=self.lines.get(written),
        )

    def assign(
        self, path: Key, written: tuple[str | int, ...], value: Any, *, inline_secret: bool = False
    ) -> None:
        """Note a value; the same path twice in one source must agree."""
        before = self.assigned.get(path)
        if before is not None and before.value != value:
            told = "values differ" if path[-1] in SECRET_FIELDS else f"they say {values.shown(before.value)}"
            told += "" if path[-1] in SECRET_FIELDS else f" and {values.shown(value)}"
            self.complain(
                written, f"contradicts {before.written}, which is the same setting; {told}", "", "keep one"
            )
            return
        self.assigned[path] = Assigned(
            value=value,
            source=self.name,
            written=dotted(written),
            rank=self.rank,
            line=self.lines.get(written),
            inline_secret=inline_secret,
        )


def dotted(path: tuple[str | int, ...]) -> str:
    """`pairs[0].legs` for ("pairs", 0, "legs")."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_tree(source: Source, tree: Any) -> None:
    """Assign all of a file's tree; what is wrong with it goes to `source.problems`."""
    if not isinstance(tree, dict):
        source.complain((), f"a section {{ ... }} is expected at the top, not {values.shown(tree)}")
        return
    read_section(source, tree, names.root(), (), (), ())


def read_section(
    source: Source, tree: dict[str, Any], shape: inspect.StructType, path: Key, pattern: Key, written: Key
) -> None:
    """Assign a section whose keys the schema names."""
    source.sections.add(path)
    known = names.spellings(pattern, shape)
    fields = names.field_types(shape)
    for key, value in tree.items():
        meaning = known.get(key)
        here = (*written, key)
        if meaning is None:
            source.complain(
                here,
                "unknown key",
                names.nearest_key(written, pattern, shape, key),
                "" if known else "remove it",
            )
            continue
        target = (*path, meaning.field)
        if meaning.file:
            read_secret_file(source, target, here, value)
        elif meaning.bps:
            read_bps(source, target, (*pattern, meaning.field), here, value)
        else:
            read_value(source, value, fields[meaning.field].type, target, (*pattern, meaning.field), here)


def read_value(
    source: Source, value: Any, shape: inspect.Type, path: Key, pattern: Key, written: Key
) -> None:
    """Assign what stands under a known key."""
    if isinstance(shape, inspect.StructType | inspect.DictType):
        if not isinstance(value, dict):
            source.complain(written, f"a section {{ ... }} is expected, not {values.shown(value)}")
        elif isinstance(shape, inspect.StructType):
            read_section(source, value, shape, path, pattern, written)
        else:
            read_named(source, value, shape, path, pattern, written)
        return
    if isinstance(shape, inspect.TupleType | inspect.VarTupleType):
        parsed = read_list(source, value, shape, pattern, written)
        if parsed is not None:
            source.assign(path, written, parsed)
        return
    secret = path[-1] in SECRET_FIELDS
    wrong = values.complaint(value, shape, secret=secret)
    if wrong is not None:
        close = names.nearest(value, values.choices(shape)) if _is_word(value, shape) else ""
        source.complain(written, wrong[0], close, wrong[1])
        return
    if secret and is_placeholder(value):
        return
    if isinstance(value, int | float) and not isinstance(value, bool):
        beyond = units.out_of_bounds(".".join(pattern), value)
        if beyond is not None:
            source.complain(written, beyond[0], "", beyond[1])
            return
    source.assign(path, written, value, inline_secret=secret)


def read_named(
    source: Source, tree: dict[str, Any], shape: inspect.DictType, path: Key, pattern: Key, written: Key
) -> None:
    """Assign a map whose keys are the user's names (exchanges, venues with costs of their own, options)."""
    source.sections.add(path)
    for key, value in tree.items():
        here = (*written, key)
        if not SLUG.match(key):
            source.complain(here, f"{values.shown(key)} is no name", "", "use letters, digits, - and _ only")
            continue
        read_value(source, value, shape.value_type, (*path, key), (*pattern, names.ANY), here)


def read_list(
    source: Source,
    value: Any,
    shape: inspect.TupleType | inspect.VarTupleType,
    pattern: Key,
    written: tuple[str | int, ...],
) -> list[Any] | None:
    """A list with its elements checked, None when something is wrong."""
    if not isinstance(value, list):
        remedy = f"write [{values.shown(value)}]" if isinstance(value, str) else ""
        source.complain(written, f"a list is expected, not {values.shown(value)}", "", remedy)
        return None
    if isinstance(shape, inspect.TupleType) and len(value) != len(shape.item_types):
        source.complain(written, f"a list of {len(shape.item_types)} is expected, not of {len(value)}")
        return None
    before = len(source.problems)
    parsed = []
    for index, item in enumerate(value):
        item_shape = shape.item_types[index] if isinstance(shape, inspect.TupleType) else shape.item_type
        parsed.append(_read_item(source, item, item_shape, pattern, (*written, index)))
    return parsed if len(source.problems) == before else None


def _read_item(
    source: Source, item: Any, shape: inspect.Type, pattern: Key, written: tuple[str | int, ...]
) -> Any:
    if isinstance(shape, inspect.StructType):
        return _read_record(source, item, shape, pattern, written)
    wrong = values.complaint(item, shape)
    if wrong is not None:
        source.complain(written, wrong[0], "", wrong[1])
    return item


def _read_record(
    source: Source, item: Any, shape: inspect.StructType, pattern: Key, written: tuple[str | int, ...]
) -> Any:
    """A section inside a list (`pairs`): all of it is one leaf."""
    if not isinstance(item, dict):
        source.complain(written, f"a section {{ ... }} is expected, not {values.shown(item)}")
        return item
    known = names.spellings(pattern, shape)
    fields = names.field_types(shape)
    record: dict[str, Any] = {}
    for key, value in item.items():
        meaning = known.get(key)
        if meaning is None:
            source.complain((*written, key), "unknown key", names.nearest(key, list(known)), "")
            continue
        field_shape = fields[meaning.field].type
        if isinstance(field_shape, inspect.TupleType | inspect.VarTupleType):
            record[meaning.field] = read_list(
                source, value, field_shape, (*pattern, meaning.field), (*written, key)
            )
        else:
            record[meaning.field] = _read_item(source, value, field_shape, pattern, (*written, key))
    for name, field in fields.items():
        if field.required and name not in record:
            source.complain(written, f"{name} is missing", "", f"a pair needs {' and '.join(fields)}")
    return record


def read_bps(source: Source, path: Key, pattern: Key, written: Key, value: Any) -> None:
    """Assign a figure that is written in bps to a field that holds a fraction (exactly: 5 is 0.0005)."""
    wrong = values.complaint(value, inspect.FloatType())
    if wrong is None:
        fraction = float(Decimal(str(value)) / 10_000)
        wrong = units.out_of_bounds(".".join(pattern), fraction, bps=True)
        if wrong is None:
            source.assign(path, written, fraction)
            return
    source.complain(written, wrong[0], "", wrong[1])


def read_secret_file(source: Source, path: Key, written: Key, value: Any) -> None:
    """Assign the first line of a secret's file; relative paths start at the config's folder."""
    if not isinstance(value, str):
        source.complain(written, "the path of a file is expected, as text in quotes")
        return
    if is_placeholder(value):
        return
    file = source.folder / Path(value).expanduser()
    try:
        raw = file.read_bytes()[: SECRET_BYTES_MAX + 1]
        text = raw.decode().strip("\r\n \t")
    except OSError as error:
        source.complain(
            written, f"cannot read the secret's file {file}: {os.strerror(error.errno or 0).lower()}"
        )
        return
    except UnicodeDecodeError:
        source.complain(written, f"the secret's file {file} is not text")
        return
    if len(raw) > SECRET_BYTES_MAX or not text:
        source.complain(written, f"the secret's file {file} is {'empty' if not text else 'too large'}")
        return
    if file.stat().st_mode & 0o007 and not str(file).startswith("/run/secrets/"):
        source.warnings.append(
            source.problem(written, f"every user of this machine can read {file}", "", f"chmod 600 {file}")
        )
    source.assign(path, written, text)


def is_placeholder(value: str) -> bool:
    """True for what the blueprint's examples hold in place of a key: `...`, `<填>`, nothing, any `<...>`."""
    text = value.strip()
    return text in PLACEHOLDERS or (text.startswith("<") and text.endswith(">"))


def _is_word(value: Any, shape: inspect.Type) -> bool:
    return isinstance(value, str) and isinstance(shape, inspect.LiteralType | inspect.EnumType)
