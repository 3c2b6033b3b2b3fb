"""`fundarb health [SERVICE]`: asks /health of what runs here.

Light on purpose: a container calls it every few seconds.
"""

from __future__ import annotations

import argparse
import http.client
import os
from typing import Any, Final

import msgspec

from libs.console import output
from libs.console.deployment import add_deployment, find
from libs.console.options import add_json
from libs.console.output import NO, OK, UNREACHABLE, USAGE, UserError

NAME = "health"
HELP = "exit 0 when a service (or all of them) is healthy"

TIMEOUT_SEC: Final = 3.0
PORT_VARIABLE: Final = "FUNDARB_METRICS_PORT"
BODY_BYTES_MAX: Final = 256 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One service, or all that run in this deployment."""
    parser.add_argument(
        "service", nargs="?", metavar="SERVICE", help="one service (default: all that run here)"
    )
    add_deployment(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """0: all healthy; 1: a service says it is not; 3: a service does not answer."""
    answers = {name: ask(port) for name, port in _ports(args).items()}
    states = {name: str(answer["state"]) for name, answer in answers.items()}
    if args.json:
        output.emit_json({"ok": set(states.values()) == {"ok"}, "services": answers})
    else:
        output.emit_text("\n".join(_line(name, answer) for name, answer in answers.items()))
    if "unreachable" in states.values():
        return UNREACHABLE
    return OK if set(states.values()) == {"ok"} else NO


def ask(port: int) -> dict[str, Any]:
    """What a service says on its metrics port: `state` ok, unwell or unreachable, with `problems`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SEC)
    try:
        connection.request("GET", "/health")
        body = connection.getresponse().read(BODY_BYTES_MAX)
        said = msgspec.json.decode(body, type=dict[str, Any])
    except (OSError, http.client.HTTPException) as error:
        text = str(error) or type(error).__name__
        return {"state": "unreachable", "problems": [f"port {port} does not answer ({text})"]}
    except msgspec.DecodeError:
        return {"state": "unreachable", "problems": [f"port {port} is not a service of ours"]}
    finally:
        connection.close()
    return {
        **said,
        "state": "ok" if said.get("ok") is True else "unwell",
        "problems": said.get("problems", []),
    }


def _ports(args: argparse.Namespace) -> dict[str, int]:
    """Service -> port to ask."""
    try:
        name, known = find(args)
    except UserError:
        port = os.environ.get(PORT_VARIABLE, "")
        if args.service and port.isdecimal() and int(port):
            return {args.service: int(port)}  # a container runs one service, and knows its port
        raise
    ports = known.metrics_ports
    if not args.service:
        if not ports:
            raise UserError(f"no service of deployment {name} has started yet", UNREACHABLE)
        return dict(sorted(ports.items()))
    if args.service not in ports:
        running = ", ".join(sorted(ports)) or "none yet"
        raise UserError(
            f"service {args.service} does not run in deployment {name}; running: {running}", USAGE
        )
    return {args.service: ports[args.service]}


def _line(name: str, answer: dict[str, Any]) -> str:
    problems = "; ".join(str(problem) for problem in answer["problems"])
    return f"{name}: {answer['state']}" + (f" ({problems})" if problems else "")
