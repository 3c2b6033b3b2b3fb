"""A panel as a value, and what Grafana's SDK makes of it: units, thresholds and words in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from grafana_foundation_sdk.builders import common, prometheus, stat, statetimeline, table, text, timeseries
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as prometheus_models
from grafana_foundation_sdk.models import text as text_models

SOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="fundarb-prometheus")
Kind = Literal["stat", "lines", "states", "table", "text"]
Steps = tuple[tuple[float | None, str], ...]

GOOD_BELOW: Final = "green"
BAD: Final = "red"
WARN: Final = "orange"

LEVELS: Final = {
    "0": ("normal", "green"),
    "1": ("no opens", "yellow"),
    "2": ("reduce only", "orange"),
    "3": ("flatten", "red"),
}
UP: Final = {"0": ("down", "red"), "1": ("up", "green")}


class Query(msgspec.Struct, frozen=True):
    """PromQL and how its series are named. `instant`: the newest value alone (tables, single numbers)."""

    expr: str
    legend: str = ""
    instant: bool = False


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """One panel. `width` of 24 columns; `steps`: (from, colour), the first from None; `words`: value ->
    (text, colour); `runbook`: the heading, of the runbook or of figures.md, that says what to do or what is normal; `may_be_empty`: why no data is a good answer.
    """

    title: str
    description: str
    kind: Kind = "lines"
    queries: tuple[Query, ...] = ()
    unit: str = "short"
    width: int = 8
    height: int = 7
    decimals: int | None = None
    steps: Steps = ()
    words: dict[str, tuple[str, str]] = {}
    stacked: bool = False
    zero: bool = False
    runbook: str = ""
    body: str = ""
    columns: dict[str, str] = {}
    may_be_empty: str = ""


def build(panel: Panel, *, identity: int, x: int, y: int, links: Mapping[str, str]) -> Any:
    """The SDK's builder of a panel at its place. KeyError for a runbook heading that there is not."""
    builder = _BUILDERS[panel.kind](panel)
    builder.id(identity).title(panel.title).description(panel.description)
    builder.grid_pos(models.GridPos(h=panel.height, w=panel.width, x=x, y=y))
    if panel.kind == "text":
        return builder
    builder.datasource(SOURCE)
    for number, query in enumerate(panel.queries):
        builder.with_target(_target(query, chr(ord("A") + number), is_table=panel.kind == "table"))
    if panel.runbook:
        link = models.DashboardLink(
            title=f"What it means: {panel.runbook}",
            type_val=models.DashboardLinkType.LINK,
            url=links[panel.runbook],
            target_blank=True,
        )
        builder.links([_Built(link)])
    return builder


class _Built:
    """A finished model where the SDK asks for a builder."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def build(self) -> Any:
        return self._model


def _target(query: Query, ref: str, *, is_table: bool) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expr).ref_id(ref).datasource(SOURCE)
    if query.legend:
        target.legend_format(query.legend)
    if query.instant or is_table:
        target.instant()
    else:
        target.range()
    if is_table:
        target.format(prometheus_models.PromQueryFormat.TABLE)
    return target


def _common(builder: Any, panel: Panel) -> Any:
    builder.unit(panel.unit)
    if panel.decimals is not None:
        builder.decimals(panel.decimals)
    if panel.steps:
        steps = [models.Threshold(value=value, color=color) for value, color in panel.steps]
        builder.thresholds(ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
    if panel.words:
        options = {
            value: models.ValueMappingResult(text=word, color=color, index=index)
            for index, (value, (word, color)) in enumerate(panel.words.items())
        }
        builder.mappings([models.ValueMap(options=options)])
    return builder


def _stat(panel: Panel) -> Any:
    builder = _common(stat.Panel(), panel)
    reduced = common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields("")
    builder.reduce_options(reduced).text_mode(common_models.BigValueTextMode.AUTO)
    color = (
        common_models.BigValueColorMode.BACKGROUND if panel.words else common_models.BigValueColorMode.VALUE
    )
    return builder.color_mode(color).graph_mode(common_models.BigValueGraphMode.NONE)


def _lines(panel: Panel) -> Any:
    builder = _common(timeseries.Panel(), panel)
    builder.line_width(1.5).fill_opacity(18 if panel.stacked else 6).show_points(
        common_models.VisibilityMode.NEVER
    )
    builder.span_nulls(False)
    legend = common.VizLegendOptions().display_mode(common_models.LegendDisplayMode.LIST)
    builder.legend(legend.placement(common_models.LegendPlacement.BOTTOM).show_legend(True))
    builder.tooltip(
        common.VizTooltipOptions()
        .mode(common_models.TooltipDisplayMode.MULTI)
        .sort(common_models.SortOrder.DESCENDING)
    )
    if panel.stacked:
        builder.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL))
    if panel.zero:
        builder.min(0)
    if panel.steps:
        style = common.GraphThresholdsStyleConfig().mode(common_models.GraphThresholdsStyleMode.DASHED)
        builder.thresholds_style(style)
    return builder


def _states(panel: Panel) -> Any:
    builder = _common(statetimeline.Panel(), panel)
    builder.show_value(common_models.VisibilityMode.AUTO).row_height(0.8).merge_values(True)
    return builder.fill_opacity(80)


def _table(panel: Panel) -> Any:
    builder = _common(table.Panel(), panel)
    renames = {**panel.columns}
    hidden = dict.fromkeys(("Time", "__name__", "instance", "job", "deployment", "service"), True)
    for name in renames:
        hidden.pop(name, None)
    organize = {
        "excludeByName": hidden,
        "renameByName": renames,
        "indexByName": {name: i for i, name in enumerate(renames)},
    }
    if len(panel.queries) > 1:
        builder.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    return builder.with_transformation(models.DataTransformerConfig(id_val="organize", options=organize))


def _text(panel: Panel) -> Any:
    return text.Panel().mode(text_models.TextMode.MARKDOWN).content(panel.body)


_BUILDERS: Final = {"stat": _stat, "lines": _lines, "states": _states, "table": _table, "text": _text}
