"""A source's tree, however it spells its keys, as assignments to the schema's paths.

One assignment a leaf: sources are then merged by "the last wins" on plain paths, and each value
keeps where it came from. Lists are leaves, sections and named maps are not.
"""

from __future__ import annotations

import os
import stat
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
READABLE_BY_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
MOUNTED_SECRETS: Final = "/run/secrets/"  # containers mount secrets world-readable, inside a world of one


class Assigned(msgspec.Struct, frozen=True, kw_only=True):
    """A value for a path, and where it was written.

    `inline_secret`: a real secret stands in that very source, not in a file that it names.
    """

    value: Any
    source: str
    written: str
    rank: int = 0
    line: int | None = None
    inline_secret: bool = False


class Place(msgspec.Struct, frozen=True):
    """Where the reader is: our path, the same with `*` for chosen names, and the keys as written."""

    path: Key = ()
    pattern: Key = ()
    written: tuple[str | int, ...] = ()

    @property
    def key(self) -> str:
        """The pattern as one dotted word, as `units` and the alias tables have it."""
        return ".".join(self.pattern)

    def down(self, field: str, written: str) -> Place:
        """Into a field of a section, however it was spelled."""
        return Place((*self.path, field), (*self.pattern, field), (*self.written, written))

    def named(self, name: str) -> Place:
        """Into an entry with a name of the user's choice."""
        return Place((*self.path, name), (*self.pattern, names.ANY), (*self.written, name))

    def element(self, index: int) -> Place:
        """Into an element of a list."""
        return Place(self.path, self.pattern, (*self.written, index))


class Source(msgspec.Struct, kw_only=True):
    """A file or a variable while it is read; `lines` by written path, `folder` for relative secrets.

    `exposed`: secrets in files of their own that others may read; doubtful for an observer, refused in live.
    """

    name: str
    rank: int = 0
    folder: Path
    lines: Mapping[tuple[str | int, ...], int] = {}
    assigned: dict[Key, Assigned] = {}
    sections: set[Key] = set()
    problems: list[Problem] = []
    warnings: list[Problem] = []
    exposed: list[Problem] = []

    def complain(
        self, written: tuple[str | int, ...], reason: str, nearest: str = "", remedy: str = ""
    ) -> None:
        self.problems.append(self.problem(written, reason, nearest, remedy))

    def problem(
        self, written: tuple[str | int, ...], reason: str, nearest: str = "", remedy: str = ""
    ) -> Problem:
        """A problem at a written path, with its line."""
        return Problem(
            source=self.name,
            path=dotted(written),
            reason=reason,
            nearest=nearest,
            remedy=remedy,
            line=self.lines.get(written),
        )

    def assign(self, place: Place, value: Any, *, inline_secret: bool = False) -> None:
        """Note a value; the same path twice in one source must agree."""
        path, written = place.path, place.written
        before = self.assigned.get(path)
        if before is not None and before.value != value:
            reason = f"contradicts {before.written}, which is the same setting"
            if path[-1] not in SECRET_FIELDS:
                reason += f": {values.shown(value)} against {values.shown(before.value)}"
            self.complain(written, reason, "", "keep one of them")
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
    read_section(source, tree, names.root(), Place())


def read_section(source: Source, tree: dict[str, Any], shape: inspect.StructType, place: Place) -> None:
    """Assign a section whose keys the schema names."""
    source.sections.add(place.path)
    known = names.spellings(place.pattern, shape)
    fields = names.field_types(shape)
    for key, value in tree.items():
        meaning = known.get(key)
        if meaning is None:
            close = names.nearest_key(place.path, place.pattern, shape, key)
            source.complain((*place.written, key), "unknown key", close)
        else:
            read_meant(source, value, meaning, fields[meaning.field].type, place.down(meaning.field, key))


def read_meant(
    source: Source, value: Any, meaning: names.Spelling, shape: inspect.Type, place: Place
) -> None:
    """Assign a value as its key's spelling means it: a secret's file, bps, or the field's own unit."""
    if meaning.file:
        read_secret_file(source, value, place)
    elif meaning.bps:
        read_bps(source, value, place)
    else:
        read_value(source, value, shape, place)


def read_value(source: Source, value: Any, shape: inspect.Type, place: Place) -> None:
    """Assign what stands under a known key."""
    if isinstance(shape, inspect.StructType | inspect.DictType):
        if not isinstance(value, dict):
            source.complain(place.written, f"a section {{ ... }} is expected, not {values.shown(value)}")
        elif isinstance(shape, inspect.StructType):
            read_section(source, value, shape, place)
        else:
            read_named(source, value, shape, place)
    elif isinstance(shape, inspect.TupleType | inspect.VarTupleType):
        parsed = read_list(source, value, shape, place)
        if parsed is not None:
            source.assign(place, parsed)
    else:
        read_scalar(source, value, shape, place)


def read_scalar(source: Source, value: Any, shape: inspect.Type, place: Place) -> None:
    """Assign one number, word or flag after its type and its unit have been looked at."""
    secret = place.path[-1] in SECRET_FIELDS
    wrong = values.complaint(value, shape, secret=secret)
    if wrong is not None:
        close = names.nearest(value, values.choices(shape)) if isinstance(value, str) else ""
        source.complain(place.written, wrong[0], close, units.percent_remedy(place.key, value) or wrong[1])
        return
    if secret and is_placeholder(value):
        return
    if isinstance(value, int | float) and not isinstance(value, bool):
        beyond = units.out_of_bounds(place.key, value)
        if beyond is not None:
            source.complain(place.written, beyond[0], "", beyond[1])
            return
    source.assign(place, value, inline_secret=secret)


def read_named(source: Source, tree: dict[str, Any], shape: inspect.DictType, place: Place) -> None:
    """Assign a map whose keys are the user's names (exchanges, venues with costs of their own, options)."""
    source.sections.add(place.path)
    for key, value in tree.items():
        inner = place.named(key)
        if SLUG.match(key):
            read_value(source, value, shape.value_type, inner)
        else:
            reason = f"{values.shown(key)} is no name"
            source.complain(inner.written, reason, "", "use letters, digits, - and _ only")


def read_list(
    source: Source, value: Any, shape: inspect.TupleType | inspect.VarTupleType, place: Place
) -> list[Any] | None:
    """A list with its elements checked, None when something is wrong."""
    if not isinstance(value, list):
        remedy = f"write [{values.shown(value)}]" if isinstance(value, str) else ""
        source.complain(place.written, f"a list is expected, not {values.shown(value)}", "", remedy)
        return None
    if isinstance(shape, inspect.TupleType) and len(value) != len(shape.item_types):
        wanted = len(shape.item_types)
        source.complain(place.written, f"a list of {wanted} is expected, not of {len(value)}")
        return None
    before = len(source.problems)
    parsed = []
    for index, item in enumerate(value):
        item_shape = shape.item_types[index] if isinstance(shape, inspect.TupleType) else shape.item_type
        parsed.append(_read_item(source, item, item_shape, place.element(index)))
    return parsed if len(source.problems) == before else None


def _read_item(source: Source, item: Any, shape: inspect.Type, place: Place) -> Any:
    if isinstance(shape, inspect.StructType):
        return _read_record(source, item, shape, place)
    if isinstance(shape, inspect.TupleType | inspect.VarTupleType):
        return read_list(source, item, shape, place)
    wrong = values.complaint(item, shape)
    if wrong is not None:
        source.complain(place.written, wrong[0], "", wrong[1])
    return item


def _read_record(source: Source, item: Any, shape: inspect.StructType, place: Place) -> Any:
    """A section inside a list (`pairs`): all of it is one leaf."""
    if not isinstance(item, dict):
        source.complain(place.written, f"a section {{ ... }} is expected, not {values.shown(item)}")
        return item
    known = names.spellings(place.pattern, shape)
    fields = names.field_types(shape)
    record: dict[str, Any] = {}
    for key, value in item.items():
        meaning = known.get(key)
        if meaning is None:
            source.complain((*place.written, key), "unknown key", names.nearest(key, list(known)))
            continue
        inner = place.down(meaning.field, key)
        record[meaning.field] = _read_item(source, value, fields[meaning.field].type, inner)
    for name, field in fields.items():
        if field.required and name not in record:
            source.complain(place.written, f"{name} is missing", "", f"give {' and '.join(fields)}")
    return record


def read_bps(source: Source, value: Any, place: Place) -> None:
    """Assign a figure that is written in bps to a field that holds a fraction (exactly: 5 is 0.0005)."""
    wrong = values.complaint(value, inspect.FloatType())
    if wrong is None:
        fraction = float(Decimal(str(value)) / 10_000)
        wrong = units.out_of_bounds_bps(place.key, fraction)
        if wrong is None:
            source.assign(place, fraction)
            return
    source.complain(place.written, wrong[0], "", units.percent_remedy(None, value) or wrong[1])


def read_secret_file(source: Source, value: Any, place: Place) -> None:
    """Assign what a secret's file holds; relative paths start at the config's folder."""
    if not isinstance(value, str):
        source.complain(place.written, "the path of a file is expected, as text in quotes")
        return
    if is_placeholder(value):
        return
    file = source.folder / Path(value).expanduser()
    try:
        with file.open("rb") as opened:
            raw = opened.read(SECRET_BYTES_MAX + 1)
            permissions = os.fstat(opened.fileno()).st_mode
        text = raw.decode().strip()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        source.complain(place.written, f"cannot read the secret's file {file}: {reason}")
        return
    except UnicodeDecodeError:
        source.complain(place.written, f"the secret's file {file} is not text")
        return
    if len(raw) > SECRET_BYTES_MAX or not text:
        source.complain(place.written, f"the secret's file {file} is {'too large' if text else 'empty'}")
        return
    if is_placeholder(text):
        return
    if permissions & READABLE_BY_OTHERS and not str(file).startswith(MOUNTED_SECRETS):
        who = "every user of this machine" if permissions & stat.S_IRWXO else "its group"
        reason = f"{who} can read {file}, which holds a secret"
        source.exposed.append(source.problem(place.written, reason, "", f"chmod 600 {file}"))
    source.assign(place, text)


def is_placeholder(value: str) -> bool:
    """True for what the blueprint's examples hold in place of a key: `...`, `<填>`, nothing, any `<...>`."""
    text = value.strip()
    return text in PLACEHOLDERS or (text.startswith("<") and text.endswith(">"))
