"""Options that several verbs share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from libs.common.config.load import Loaded, load_with_report, secrets_of
from libs.common.config.paths import paths_of
from libs.common.redact import REDACTOR

CONFIG_VARIABLE: Final = "FUNDARB_CONFIG"
DEFAULT_CONFIG: Final = Path("config.json")
NO_PAIRS: Final = "no pairs to watch"
NO_PAIRS_REMEDY: Final = (
    "give `symbols` with exchanges named `spot` and `perp`, or list `pairs` "
    "(`fundarb init` writes a config, --config F names one)"
)


def add_config(parser: argparse.ArgumentParser) -> None:
    """`--config F`, repeatable: the last file wins."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        action="append",
        type=Path,
        help="config file, JSON with comments or TOML; may be given several times, the last wins "
        f"(default: ${CONFIG_VARIABLE}, else {DEFAULT_CONFIG} where it exists)",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """`--json`: one JSON document on stdout."""
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout, for scripts")


def config_paths(args: argparse.Namespace, env: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """The files that are meant: `--config`, else FUNDARB_CONFIG, else config.json if it exists, else none."""
    env = os.environ if env is None else env
    given: list[Path] | None = getattr(args, "config", None)
    if given:
        return tuple(given)
    if env.get(CONFIG_VARIABLE):
        return paths_of(env[CONFIG_VARIABLE])
    return (DEFAULT_CONFIG,) if DEFAULT_CONFIG.exists() else ()


def load(args: argparse.Namespace, env: Mapping[str, str] | None = None) -> Loaded:
    """The config that a verb was called with; raises `ConfigError`."""
    env = os.environ if env is None else env
    return load_files(config_paths(args, env), env)


def load_files(paths: Sequence[Path], env: Mapping[str, str]) -> Loaded:
    """The config of these files; its secrets are hidden in whatever this process says from now on."""
    loaded = load_with_report(paths, env)
    REDACTOR.add(*secrets_of(loaded.config))
    return loaded
