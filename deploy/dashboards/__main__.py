"""Write the dashboards: `python -m deploy.dashboards` (or `make dashboards`)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.dashboards import figures, runbook
from deploy.dashboards.board import Board, dashboard_of
from deploy.dashboards.internals import INTERNALS
from deploy.dashboards.opportunities import OPPORTUNITIES
from deploy.dashboards.overview import OVERVIEW
from deploy.dashboards.pair import PAIR_BOARD
from deploy.dashboards.risk import RISK
from deploy.dashboards.venues import VENUES

FOLDER: Final = Path(__file__).resolve().parents[1] / "grafana" / "dashboards"
BOARDS: Final = (OVERVIEW, OPPORTUNITIES, PAIR_BOARD, RISK, VENUES, INTERNALS)


def files() -> dict[str, str]:
    """File name -> JSON, the pages of text among them."""
    links = figures.links()
    return {file_of(board): json_of(board, links) for board in (*BOARDS, *pages())}


def pages() -> tuple[Board, ...]:
    """The boards of nothing but text: what panels link to."""
    return tuple(page.board(page.PAGE.read_text(encoding="utf-8")) for page in (runbook, figures))


def file_of(board: Board) -> str:
    """`overview.json`."""
    return f"{board.uid.removeprefix('fundarb-')}.json"


def json_of(board: Board, links: dict[str, str]) -> str:
    """A dashboard as Grafana reads it."""
    return JSONEncoder(sort_keys=True, indent=2).encode(dashboard_of(board, links)) + "\n"


def main() -> int:
    """Write all of them, and say which changed."""
    for name, text in files().items():
        path = FOLDER / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stderr.write(f"wrote {path.relative_to(FOLDER.parents[2])}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
