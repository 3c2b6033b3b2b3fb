"""Dashboards: the committed JSON is the generator's, laid out without overlap, and means the same to the SDK.

Loading them in Grafana itself is not tested: there is none here. Their queries are run on Prometheus.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.alerts import __main__ as alerts
from deploy.dashboards import __main__ as made
from deploy.dashboards import figures, runbook
from deploy.dashboards.board import COLUMNS, Board, placed
from libs.common.metrics import METRICS

TEXT: Final = runbook.PAGE.read_text(encoding="utf-8")
ALL: Final = (*made.BOARDS, *made.pages())
BUILT_IN: Final = {"fundarb_service_up", "up"}
NARROW_PX: Final = 800
PX_A_COLUMN: Final = NARROW_PX / COLUMNS
STAT_PX_MIN: Final = 130


def panels_of(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


@pytest.mark.parametrize("name", sorted(made.files()))
def test_the_committed_json_is_the_generators(name: str) -> None:
    text = (made.FOLDER / name).read_text(encoding="utf-8")
    assert text == made.files()[name], "run `make dashboards` and commit what it wrote"


def test_no_file_is_left_over() -> None:
    assert {path.name for path in made.FOLDER.glob("*.json")} == set(made.files())


@pytest.mark.parametrize("name", sorted(made.files()))
def test_the_sdk_reads_back_what_it_wrote(name: str) -> None:
    text = made.files()[name]
    again = JSONEncoder(sort_keys=True, indent=2).encode(Dashboard.from_json(json.loads(text))) + "\n"
    assert again == text


@pytest.mark.parametrize("board", ALL, ids=lambda board: board.uid)
def test_nothing_overlaps_and_every_id_is_its_own(board: Board) -> None:
    dashboard = json.loads(made.files()[made.file_of(board)])
    taken: set[tuple[int, int]] = set()
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert all(ids)
    assert len(ids) == len(set(ids))
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("board", ALL, ids=lambda board: board.uid)
def test_panels_are_readable_on_a_narrow_screen(board: Board) -> None:
    for panel, _, _, _ in placed(board):
        assert panel.width * PX_A_COLUMN >= STAT_PX_MIN, panel.title
        assert panel.kind in ("stat", "text") or panel.width >= 6, panel.title


@pytest.mark.parametrize("board", made.BOARDS, ids=lambda board: board.uid)
def test_every_panel_says_what_it_shows_in_which_unit(board: Board) -> None:
    dashboard = json.loads(made.files()[made.file_of(board)])
    for panel in panels_of(dashboard):
        assert panel["title"]
        assert panel["description"].endswith((".", "?")), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]
        for target in panel["targets"]:
            assert '=~"$deployment"' in target["expr"] or "$deployment" in target["expr"], panel["title"]
    names = [variable["name"] for variable in dashboard["templating"]["list"]]
    assert names[0] == "deployment"


@pytest.mark.parametrize("board", made.BOARDS, ids=lambda board: board.uid)
def test_queries_name_metrics_that_there_are(board: Board) -> None:
    known = set(METRICS)
    for panel, _, _, _ in placed(board):
        for query in panel.queries:
            for name in re.findall(r"\bfundarb_[a-z0-9_]+", query.expr):
                assert re.sub(r"_(bucket|sum|count)$", "", name) in known | BUILT_IN, (panel.title, name)


SHOWN_NOWHERE: Final[dict[str, str]] = {}
"""Metrics that are deliberately on no panel and in no rule, and why."""


def test_every_metric_of_the_table_is_shown_or_watched() -> None:
    """What is measured and looked at by nobody is noise, or a panel that was forgotten."""
    queries = [query.expr for board in made.BOARDS for panel, *_ in placed(board) for query in panel.queries]
    rules = [rule["expr"] for text in alerts.files().values() for rule in rules_in(text)]
    used = {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for expr in (*queries, *rules)
        for name in re.findall(r"(?<![:a-z0-9_])fundarb_[a-z0-9_]+(?!:)", expr)
    }
    assert set(METRICS) - used == set(SHOWN_NOWHERE)


def rules_in(text: str) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def test_every_panel_leads_to_a_heading_and_to_its_panel_in_grafana() -> None:
    links = figures.links()
    pages = {board.uid: placed(board) for board in made.pages()}
    for board in made.BOARDS:
        shown = {panel["title"]: panel for panel in panels_of(json.loads(made.files()[made.file_of(board)]))}
        for panel, _, _, _ in placed(board):
            assert panel.runbook, (board.uid, panel.title)
            (link,) = shown[panel.title]["links"]
            assert link["url"] == links[panel.runbook]
            there = re.fullmatch(r"/d/([\w-]+)\?viewPanel=panel-(\d+)", link["url"])
            assert there is not None, link
            headings = {number: one.title for one, number, _, _ in pages[there[1]]}
            assert runbook.anchor(headings[int(there[2])]) == panel.runbook


def test_the_page_of_figures_names_what_it_explains() -> None:
    """A title that was changed on a dashboard only would be looked for in vain."""
    text = figures.PAGE.read_text(encoding="utf-8")
    titles = {panel.title.partition(",")[0] for board in made.BOARDS for panel, *_ in placed(board)}
    titles |= {panel.title for board in made.BOARDS for panel, *_ in placed(board)}
    named = {re.sub(r"\s+", " ", one) for one in re.findall(r"\*([A-Z][^*]+)\*", text)}
    assert len(named) > 10
    assert not named - titles


CHOICES: Final = {"pair": 'pair=~"$pair"', "venue": 'venue=~"$venue"'}
WHOLE: Final = {
    ("fundarb-pair", "fundarb_leg_usd", "venue"): "the net of a hedge is of both its venues",
    ("fundarb-venues", "fundarb_orders_total", "pair"): "a venue is looked at, whoever sends to it",
}
"""Selectors that leave out a label which their metric has, and why."""


@pytest.mark.parametrize("board", made.BOARDS, ids=lambda board: board.uid)
def test_what_can_be_chosen_is_used_by_every_query_that_has_it(board: Board) -> None:
    offered = {variable.name for variable in board.variables} & set(CHOICES)
    used: set[str] = set()
    for panel, _, _, _ in placed(board):
        for query in panel.queries:
            for name, selector in re.findall(r"\b(fundarb_[a-z0-9_]+)\{([^{}]*)\}", query.expr):
                labels = METRICS[name.removesuffix("_bucket")].labels if name not in BUILT_IN else ()
                for label in set(labels) & offered:
                    chosen = CHOICES[label] in selector
                    assert chosen or (board.uid, name, label) in WHOLE, (panel.title, query.expr)
                    used |= {label} if chosen else set()
    assert used == offered


def test_the_boards_of_pairs_and_venues_can_be_narrowed_to_them() -> None:
    offered = {board.uid: {variable.name for variable in board.variables} for board in made.BOARDS}
    for uid in ("fundarb-opportunities", "fundarb-pair", "fundarb-risk"):
        assert offered[uid] == {"deployment", "venue", "pair"}, uid
    assert offered["fundarb-venues"] == {"deployment", "venue"}


def test_the_runbook_says_the_same_four_things_under_each_heading() -> None:
    sections = runbook.sections(TEXT)
    assert len(sections) >= 25
    for heading, body in sections.items():
        said = re.findall(r"^- \*\*(\w+)\.\*\* ", body, re.MULTILINE)
        assert said == ["Symptom", "Check", "Act", "Verify"], heading


def test_a_panel_that_is_too_wide_is_refused() -> None:
    row = made.BOARDS[0].rows[0]
    wide = type(row.panels[0])(title="wide", description="Too wide.", width=COLUMNS + 1)
    board = Board(uid="x", title="x", description="x", rows=(type(row)("r", (wide,)),))
    with pytest.raises(ValueError, match="25 columns"):
        placed(board)
