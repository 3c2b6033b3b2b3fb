"""Reads a config: files in order, then the environment; the last wins, everything wrong is told at once."""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from libs.common.config import advice, assign, environment, jsonc, rules
from libs.common.config.assign import Assigned, Key, Source
from libs.common.config.facts import Facts
from libs.common.config.problems import ConfigError, Problem
from libs.common.config.schema import SECRET_FIELDS, Config, Mode, Section, is_secret_option

__all__ = ["ConfigError", "Loaded", "Problem", "load_config", "load_with_report"]

FILE_BYTES_MAX: Final = 1024 * 1024
DEMO_VARIABLE: Final = "FUNDARB_MODE"


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A config, what is doubtful about it (`warnings`), and by whom each dotted path was set (`sources`)."""

    config: Config
    warnings: tuple[Problem, ...]
    sources: dict[str, str]


def load_config(paths: Sequence[Path], env: Mapping[str, str]) -> Config:
    """The config that files and environment make together; `ConfigError` names every problem.

    No file at all gives the defaults: an observer that watches nothing.
    """
    return load_with_report(paths, env).config


def load_with_report(paths: Sequence[Path], env: Mapping[str, str]) -> Loaded:
    """`load_config`, with warnings and the origin of every value."""
    files = [_read_file(path, rank) for rank, path in enumerate(paths)]
    merged, sections = _merge(files)
    chosen: dict[Key, set[str]] = {}
    for section in sections:
        chosen.setdefault(section[:-1], set()).add(section[-1]) if section else None
    for path in merged:
        chosen.setdefault(path[:-1], set()).add(path[-1])
    variables = environment.read_environment(env, rank=len(files), chosen=chosen)
    sources = [*files, *variables]
    merged, sections = _merge(sources)
    problems = [problem for source in sources for problem in source.problems]
    problems += _same_setting_twice(variables)
    demo = _demo_wanted(env, problems)
    facts = Facts(
        merged=merged, sections=frozenset(sections), broken=_broken(problems), files=len(files), demo=demo
    )
    problems += rules.before_building(facts)
    config = _build(merged, sections, demo=demo, problems=problems)
    warnings = [warning for source in sources for warning in source.warnings]
    if config is not None:
        problems += rules.refusals(facts, config)
        warnings += advice.warnings(facts, config) if not problems else []
        readable = [found for file in files if (found := _readable_secret(file, config.mode)) is not None]
        readable += [found for source in sources for found in source.exposed]
        (problems if config.mode is Mode.LIVE else warnings).extend(readable)
    if problems or config is None:
        raise ConfigError(_unique(problems))
    origin = {
        assign.dotted(path): value.source if value.line is None else f"{value.source}:{value.line}"
        for path, value in sorted(merged.items())
    }
    return Loaded(config=config, warnings=tuple(_unique(warnings)), sources=origin)


def _read_file(path: Path, rank: int) -> Source:
    """One file as assignments; a file that cannot be read is a problem of its source."""
    source = Source(name=str(path), rank=rank, folder=path.parent)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        source.complain((), "there is no such file", "", "`fundarb init` writes one")
        return source
    except OSError as error:
        source.complain((), f"cannot be read: {(error.strerror or str(error)).lower()}")
        return source
    if len(raw) > FILE_BYTES_MAX:
        source.complain((), f"is larger than {FILE_BYTES_MAX // 1024} KiB, which no config is")
        return source
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        source.complain((), "is not UTF-8 text", "", "save it as UTF-8")
        return source
    if path.suffix.lower() == ".toml":
        _read_toml(source, text)
    else:
        _read_json(source, text)
    return source


def _read_json(source: Source, text: str) -> None:
    try:
        parsed = jsonc.parse(text)
    except jsonc.JsonSyntaxError as error:
        source.problems.append(
            Problem(
                source=source.name, line=error.line, path="", reason=f"column {error.column}: {error.reason}"
            )
        )
        return
    source.lines = parsed
    assign.read_tree(source, parsed.tree)


def _read_toml(source: Source, text: str) -> None:
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        source.complain((), f"is no TOML: {error}")
        return
    assign.read_tree(source, tree)


def _merge(sources: Sequence[Source]) -> tuple[dict[Key, Assigned], set[Key]]:
    """All assignments, later sources over earlier ones, and all sections that were named."""
    merged: dict[Key, Assigned] = {}
    sections: set[Key] = set()
    for source in sources:
        merged |= source.assigned
        sections |= source.sections
    return merged, sections


def _same_setting_twice(variables: Sequence[Source]) -> list[Problem]:
    """Two variables for one setting (TAKER and TAKER_BPS, SECRET and SECRET_FILE) that disagree."""
    first: dict[Key, Assigned] = {}
    problems = []
    for source in variables:
        for path, value in source.assigned.items():
            before = first.setdefault(path, value)
            if before.value != value.value:
                problems.append(
                    source.problem(
                        path, f"contradicts {before.source}, which is the same setting", "", "keep one"
                    )
                )
    return problems


def _demo_wanted(env: Mapping[str, str], problems: list[Problem]) -> bool:
    """True when the demo verb started this process."""
    mode = env.get(DEMO_VARIABLE, "")
    if mode not in ("", Mode.DEMO):
        problems.append(
            Problem(
                source=DEMO_VARIABLE,
                path="mode",
                reason="is reserved for the demo verb",
                remedy="write mode in a config file",
            )
        )
    return mode == Mode.DEMO


def _broken(problems: Sequence[Problem]) -> frozenset[str]:
    """Written paths with a problem already, so that nobody complains about what follows from it."""
    return frozenset(problem.path for problem in problems)


def _build(
    merged: Mapping[Key, Assigned], sections: set[Key], *, demo: bool, problems: list[Problem]
) -> Config | None:
    """The config, or None with a problem noted."""
    tree: dict[str, Any] = {}
    for section in sorted(sections):
        _at(tree, section)
    for path, assigned in merged.items():
        _at(tree, path[:-1])[path[-1]] = assigned.value
    if problems:  # exchanges without their required fields are told already, and must not hide the rest
        exchanges = tree.get("exchanges", {})
        tree["exchanges"] = {name: body for name, body in exchanges.items() if {"id", "type"} <= body.keys()}
    try:
        config = msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        if not problems:
            problems.append(Problem(source="config", path="", reason=str(error)))
        return None
    return _as_demo(config) if demo else config


def _as_demo(config: Config) -> Config:
    """Mode demo, without anybody's keys: the demo makes its own."""
    bare = {
        name: msgspec.structs.replace(exchange, api_key="", secret="", password="")
        for name, exchange in config.exchanges.items()
    }
    return msgspec.structs.replace(config, mode=Mode.DEMO, exchanges=bare)


def _at(tree: dict[str, Any], path: Key) -> dict[str, Any]:
    for part in path:
        tree = tree.setdefault(part, {})
    return tree


def _readable_secret(source: Source, mode: Mode) -> Problem | None:
    """A file that holds a real secret and that more than its owner can read."""
    written = next((value.written for value in source.assigned.values() if value.inline_secret), None)
    if written is None:
        return None
    permissions = stat.S_IMODE(Path(source.name).stat().st_mode)
    if not permissions & assign.READABLE_BY_OTHERS:
        return None
    who = "live trading refuses that" if mode is Mode.LIVE else "live mode will refuse that"
    return Problem(
        source=source.name,
        path=written,
        reason=f"a secret stands in a file that others may read (permissions {permissions:o}); {who}",
        remedy=f"chmod 600 {source.name}, or name a file of its own with {written.rsplit('.', 1)[-1]}_file",
    )


def _unique(problems: Sequence[Problem]) -> list[Problem]:
    return list(dict.fromkeys(problems))


def secrets_of(config: Config) -> tuple[str, ...]:
    """All secrets that are set, for whoever must keep them out of a log; options that look like some too."""
    return tuple(dict.fromkeys(_secrets("", config)))


def _secrets(name: str, value: Any) -> Iterator[str]:
    match value:
        case str() if value and (name in SECRET_FIELDS or is_secret_option(name, value)):
            yield value
        case Section():
            for field in value.__struct_fields__:
                yield from _secrets(field if field in SECRET_FIELDS else "", getattr(value, field))
        case dict():
            for key, inner in value.items():
                yield from _secrets(key, inner)
        case tuple():
            for inner in value:
                yield from _secrets("", inner)
        case _:
            pass
