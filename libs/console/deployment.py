"""Which running deployment a verb means, and its runtime file."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from libs.common.redact import REDACTOR
from libs.common.runtime_file import BadRuntimeFile, Deployment, deployment_path, read, runtime_dir
from libs.console.options import config_paths, load
from libs.console.output import UNREACHABLE, USAGE, UserError

VENUE_FILE = "venue"


def add_deployment(parser: argparse.ArgumentParser) -> None:
    """`--deployment NAME`: needed only when several run here."""
    parser.add_argument(
        "--deployment",
        metavar="NAME",
        help="which running deployment (default: the config's, or the only one)",
    )


def find(args: argparse.Namespace, env: Mapping[str, str] | None = None) -> tuple[str, Deployment]:
    """Name and runtime file of the deployment that is meant; `UserError` says where it was looked for."""
    env = os.environ if env is None else env
    folder = runtime_dir(env)
    running = names_in(folder)
    name = _named(args, env)
    if name is None:
        if len(running) > 1:
            raise UserError(f"several deployments run here: give --deployment {' or '.join(running)}", USAGE)
        if not running:
            raise UserError(
                f"nothing runs here (looked in {folder}); `fundarb up` or `fundarb demo` starts it",
                UNREACHABLE,
            )
        name = running[0]
    try:
        known = read(deployment_path(folder, name), Deployment)
    except BadRuntimeFile as error:
        raise UserError(str(error), UNREACHABLE) from error
    except PermissionError as error:
        raise UserError(
            f"{error.filename}: belongs to another user; run this as that user", UNREACHABLE
        ) from error
    if known is None:
        others = f"; running here: {', '.join(running)}" if running else ""
        raise UserError(f"deployment {name} does not run here (looked in {folder}){others}", UNREACHABLE)
    for url in (known.nats_url, known.redis_url):
        REDACTOR.add_url(url)
    return name, known


def names_in(folder: Path) -> list[str]:
    """Deployments that have a runtime file."""
    found = (path for path in folder.glob("[!.]*.json") if path.stem != VENUE_FILE)
    return sorted(path.stem for path in found if path.exists())  # a demo's link dangles once it has ended


def _named(args: argparse.Namespace, env: Mapping[str, str]) -> str | None:
    """--deployment, else what config files or the environment say; None when nobody says anything."""
    given: str | None = args.deployment
    if given:
        return given
    if not config_paths(args, env) and "FUNDARB__DEPLOYMENT" not in env:
        return None
    loaded = load(args, env)
    return loaded.config.deployment if "deployment" in loaded.sources else None
