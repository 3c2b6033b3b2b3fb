"""The runbook as a dashboard: one panel a heading, so that a link from a picture leads to what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from deploy.dashboards.board import Board, Row
from deploy.dashboards.panels import Panel

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "operations" / "runbook.md"
UID: Final = "fundarb-runbook"
_HEADING: Final = re.compile(r"^## (.+)$", re.MULTILINE)


def anchor(heading: str) -> str:
    """A heading's address within the page, as Markdown renderers make it."""
    return re.sub(r"[^a-z0-9-]", "", heading.lower().replace(" ", "-"))


def sections(text: str) -> dict[str, str]:
    """Heading -> its text, in their order."""
    parts = _HEADING.split(text)
    return {heading.strip(): body.strip() for heading, body in zip(parts[1::2], parts[2::2], strict=True)}


def board(text: str) -> Board:
    """The dashboard of the page's text."""
    return Board(
        uid=UID,
        title="fundarb / Runbook",
        description="What each alert means, how to check it, what to do, and how to see that it helped.",
        rows=(Row("One heading an alert", texts(text)),),
    )


def texts(text: str) -> tuple[Panel, ...]:
    """A panel a heading, in the page's order."""
    return tuple(
        Panel(title=heading, description="", kind="text", body=body, width=12, height=11)
        for heading, body in sections(text).items()
    )


def addresses(text: str, uid: str = UID) -> dict[str, str]:
    """Anchor -> the page of that heading's own panel in Grafana."""
    names = enumerate(sections(text), start=1)
    return {anchor(heading): f"/d/{uid}?viewPanel=panel-{number}" for number, heading in names}
