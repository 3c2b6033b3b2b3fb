"""Which bus a verb that asks a running deployment speaks on."""

from __future__ import annotations

import argparse
import os
from typing import Final

from msgspec import structs

from libs.common.runtime_file import Deployment
from libs.console.deployment import find
from libs.console.output import UNREACHABLE, UserError
from libs.console.servers import nats_url

CONNECT_SEC: Final = 3.0
NAME_ENV: Final = "FUNDARB__DEPLOYMENT"
"""What sets `deployment` of the config, as in a container beside the services."""


def add_nats(parser: argparse.ArgumentParser) -> None:
    """`--nats URL`: another server than that of the deployment that runs here."""
    parser.add_argument(
        "--nats", metavar="URL", help="ask this NATS server (default: that of the deployment)"
    )


def reached(args: argparse.Namespace) -> tuple[str, Deployment]:
    """Name and addresses: `--nats`, else the deployment that runs here, else what FUNDARB_NATS_URL names."""
    if args.nats is not None:
        return args.deployment or _named(), Deployment(nats_url=nats_url(args.nats, {}) or "")
    try:
        name, known = find(args)
    except UserError as error:
        url = nats_url(None, os.environ)
        if url is None or args.deployment or error.exit_code != UNREACHABLE:
            raise
        return _named(), Deployment(nats_url=url)
    if known.nats_url:
        return name, known
    url = nats_url(None, os.environ)  # services that were started one by one do not announce their bus
    if url is None:
        remedy = "name it with --nats or FUNDARB_NATS_URL"
        raise UserError(
            f"{name}: services run here, and nobody has announced their bus; {remedy}", UNREACHABLE
        )
    return name, structs.replace(known, nats_url=url)


def _named() -> str:
    """What the environment calls the deployment that runs elsewhere."""
    return os.environ.get(NAME_ENV) or "?"
