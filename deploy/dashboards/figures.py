"""What the figures mean, as a dashboard: panels that page nobody link to what is normal of them."""

from __future__ import annotations

from typing import Final

from deploy.dashboards import runbook
from deploy.dashboards.board import Board, Row

PAGE: Final = runbook.PAGE.with_name("figures.md")
UID: Final = "fundarb-figures"


def board(text: str) -> Board:
    """The dashboard of the page's text."""
    return Board(
        uid=UID,
        title="fundarb / Figures",
        description="What is normal of the figures that page nobody.",
        rows=(Row("One heading a kind of figure", runbook.texts(text)),),
    )


def links() -> dict[str, str]:
    """Heading of the runbook or of this page -> its own panel in Grafana. ValueError for one in both."""
    known = runbook.addresses(runbook.PAGE.read_text(encoding="utf-8"))
    more = runbook.addresses(PAGE.read_text(encoding="utf-8"), UID)
    if twice := known.keys() & more.keys():
        raise ValueError(f"headings of {runbook.PAGE.name} and of {PAGE.name}: {', '.join(sorted(twice))}")
    return known | more
