"""`fundarb config show|schema`: the config in force, and what a config may say."""

from __future__ import annotations

import argparse
from typing import Any

from libs.common.config.redact import redacted
from libs.console import output
from libs.console.options import add_config, add_json, load
from libs.console.output import OK, USAGE, UserError

NAME = "config"
HELP = "show the effective config, or the JSON schema of config and messages"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`show` with origins, `schema` for editors and for whoever reads the bus."""
    parser.add_argument(
        "what", choices=("show", "schema"), help="show: what is in force; schema: what may be"
    )
    parser.add_argument("--messages", action="store_true", help="schema: of every bus message, by subject")
    add_config(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """`ConfigError` when there is nothing effective to show."""
    if args.what == "schema":
        return _schema(messages=args.messages)
    if args.messages:
        raise UserError("fundarb config show: --messages belongs to `fundarb config schema`", USAGE)
    loaded = load(args)
    settings = redacted(loaded.config)
    if args.json:
        output.emit_json(
            {
                "config": settings,
                "sources": loaded.sources,
                "warnings": [str(warning) for warning in loaded.warnings],
            }
        )
        return OK
    table = output.table(["setting", "value", "from"])
    for path, value in _flat(settings, ""):
        table.add_row(path, _text(value), loaded.sources.get(path, "default"))
    output.console().print(table)
    for warning in loaded.warnings:
        output.warn(str(warning))
    return OK


def _schema(*, messages: bool) -> int:
    from libs.console.config_schema import config_schema, message_schema  # noqa: PLC0415 - `show` needs neither

    output.emit_json(message_schema() if messages else config_schema())
    return OK


def _flat(value: Any, path: str) -> list[tuple[str, Any]]:
    if not isinstance(value, dict) or not value:
        return [(path, value)]
    return [
        found for name, inner in value.items() for found in _flat(inner, f"{path}.{name}" if path else name)
    ]


def _text(value: Any) -> str:
    match value:
        case None:
            return "not set"
        case bool():
            return "true" if value else "false"
        case "" | {} | []:
            return "-"
        case list():
            return ", ".join(_pair(item) if isinstance(item, dict) else _text(item) for item in value)
    return str(value)


def _pair(item: dict[str, Any]) -> str:
    return f"{item['symbol']} ({' / '.join(item['legs'])})"
