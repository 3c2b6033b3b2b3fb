"""A dashboard as rows of panels: places, ids and variables are worked out, never written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as models

from deploy.dashboards.panels import SOURCE, Panel, build

COLUMNS: Final = 24
TAGS: Final = ("fundarb",)
ROW_ID_BASE: Final = 1_000


class Row(msgspec.Struct, frozen=True):
    """A heading and its panels, from left to right, wrapping at 24 columns."""

    title: str
    panels: tuple[Panel, ...]


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """A choice at the top. `query`: label_values(...); several may be chosen, all is the start."""

    name: str
    label: str
    query: str


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """One dashboard. `uid` is its address for ever; `since`: how far back it looks at first."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()
    since: str = "now-6h"


DEPLOYMENT: Final = Variable(
    name="deployment", label="Deployment", query="label_values(fundarb_build_info, deployment)"
)
PAIR: Final = Variable(
    name="pair",
    label="Pair",
    query='label_values(fundarb_pair_state{deployment=~"$deployment"}, pair)',
)
SCORED: Final = Variable(
    name="pair",
    label="Pair",
    query='label_values(fundarb_opportunity_net_daily_usd{deployment=~"$deployment"}, pair)',
)
"""Pairs that signal evaluates: there are some also where nothing trades."""

LEG_VENUE: Final = Variable(
    name="venue",
    label="Venue",
    query='label_values(fundarb_leg_usd{deployment=~"$deployment", pair=~"$pair"}, venue)',
)
VENUE: Final = Variable(
    name="venue",
    label="Venue",
    query='label_values(fundarb_data_age_seconds{deployment=~"$deployment"}, venue)',
)


def placed(board: Board) -> list[tuple[Panel, int, int, int]]:
    """(panel, id, x, y), rows' headings left out. ValueError for a panel that is wider than the page."""
    found: list[tuple[Panel, int, int, int]] = []
    y = 0
    for row in board.rows:
        y += 1
        x = height = 0
        for panel in row.panels:
            if not 1 <= panel.width <= COLUMNS:
                raise ValueError(f"{board.uid}: {panel.title!r} is {panel.width} columns wide")
            if x + panel.width > COLUMNS:
                y, x, height = y + height, 0, 0
            found.append((panel, len(found) + 1, x, y))
            x, height = x + panel.width, max(height, panel.height)
        y += height
    return found


def dashboard_of(board: Board, links: Mapping[str, str]) -> models.Dashboard:
    """The SDK's model of it. `links`: runbook heading -> where its panel is."""
    builder = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags([*TAGS])
        .readonly()
        .refresh("10s")
        .time(board.since, "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(_others())
    )
    for variable in board.variables:
        builder.with_variable(_variable(variable))
    places = iter(placed(board))
    for number, row in enumerate(board.rows):
        heading = None
        for _ in row.panels:
            panel, identity, x, y = next(places)
            if heading is None:
                heading = dashboard.Row(row.title).id(ROW_ID_BASE + number)
                heading.grid_pos(models.GridPos(h=1, w=COLUMNS, x=0, y=y - 1))
                builder.with_row(heading)
            builder.with_panel(build(panel, identity=identity, x=x, y=y, links=links))
    return builder.build()


def _others() -> Any:
    return (
        dashboard.DashboardLink("fundarb")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([*TAGS])
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
    )


def _variable(variable: Variable) -> Any:
    return (
        dashboard.QueryVariable(variable.name)
        .label(variable.label)
        .datasource(SOURCE)
        .query(variable.query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(models.VariableOption(text="All", value="$__all", selected=True))
    )
