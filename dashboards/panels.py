# ruff: noqa: FBT003 - setters of the SDK take what they set
"""One factory per kind of panel, each with the house style; a dashboard chains on what is its own.

``build()`` of the SDK returns the builder's own object, so every factory makes everything anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeVar

from dashboards.sdk import (
    common,
    common_model,
    dashboard,
    dashboard_model,
    heatmap,
    heatmap_model,
    prometheus,
    prometheus_model,
    stat,
    table,
    timeseries,
)

Panel = TypeVar("Panel", stat.Panel, timeseries.Panel, heatmap.Panel, table.Panel)

GRID_WIDTH = 24
Name = TypeVar("Name", bound=str)

REF_IDS = "ABCDEFGHIJ"
NO_TRAFFIC = "no traffic"
NO_ANSWER = "#464c54"
"""Grey: Grafana's own colour for no answer is that of the lowest value, which often is red."""

STEP = "30s"
"""A graph asks for no finer steps: two scrapes, and no more points than a screen has room for."""


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL query of a panel, and how its series are called."""

    expr: str
    legend: str = ""
    exemplars: bool = False


def datasource() -> common_model.DataSourceRef:
    """Return the data source that the reader chose."""
    return common_model.DataSourceRef(type_val="prometheus", uid="${datasource}")


def tile(title: str, description: str, query: Query, empty: str = NO_TRAFFIC) -> stat.Panel:
    """Return one number, coloured by its thresholds; ``empty`` stands where there is none."""
    panel = (
        _asked(_titled(stat.Panel(), title, description), (query,), "instant")
        .span(4)
        .height(4)
        .mappings([_nothing(empty)])
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .graph_mode(common_model.BigValueGraphMode.NONE)
    )
    return panel.color_mode(common_model.BigValueColorMode.BACKGROUND_SOLID)


def graph(title: str, description: str, *queries: Query) -> timeseries.Panel:
    """Return lines over time, from 0."""
    legend = (
        common.VizLegendOptions()
        .display_mode(common_model.LegendDisplayMode.TABLE)
        .placement(common_model.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs(["lastNotNull", "max"])
    )
    tooltip = common.VizTooltipOptions().mode(common_model.TooltipDisplayMode.MULTI)
    return (
        _asked(_titled(timeseries.Panel(), title, description), queries, "range")
        .span(12)
        .height(8)
        .interval(STEP)
        .min(0)
        .line_width(2)
        .fill_opacity(8)
        .show_points(common_model.VisibilityMode.AUTO)
        .span_nulls(False)
        .legend(legend)
        .tooltip(tooltip.sort(common_model.SortOrder.DESCENDING))
    )


def heat(title: str, description: str, query: Query) -> heatmap.Panel:
    """Return a histogram over time; its unit is that of the cells, the y axis has its own."""
    colours = (
        heatmap.HeatmapColorOptions()
        .mode(heatmap_model.HeatmapColorMode.SCHEME)
        .scheme("Blues")
        .scale(heatmap_model.HeatmapColorScale.EXPONENTIAL)
        .exponent(0.5)
        .steps(64)
    )
    tooltip = heatmap.HeatmapTooltip().mode(common_model.TooltipDisplayMode.SINGLE)
    return (
        _asked(_titled(heatmap.Panel(), title, description), (query,), "heatmap")
        .span(12)
        .height(8)
        .interval(STEP)
        .unit("short")
        .calculate(False)
        .cell_gap(1)
        .color(colours)
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .show_legend()
        .tooltip(tooltip.y_histogram(True).show_color_scale(True))
        .y_axis(heatmap.YAxisConfig().unit("s").axis_placement(common_model.AxisPlacement.LEFT))
    )


def rows(title: str, description: str, *queries: Query) -> table.Panel:
    """Return a table with a row for each set of labels and a column for each query."""
    return (
        _asked(_titled(table.Panel(), title, description), queries, "table")
        .span(24)
        .height(8)
        .show_header(True)
        .cell_height(common_model.TableCellHeight.SM)
        .with_transformation(dashboard_model.DataTransformerConfig(id_val="merge", options={}))
    )


def steps(base: str, *edges: tuple[float, str]) -> dashboard.ThresholdsConfig:
    """Return thresholds: the colour at the bottom, then each value from which another colour holds."""
    assert all(low < high for (low, _), (high, _) in pairwise(edges)), edges  # noqa: S101 - a slip of ours
    first = dashboard_model.Threshold(color=base, value=None)
    more = [dashboard_model.Threshold(color=colour, value=value) for value, colour in edges]
    return dashboard.ThresholdsConfig().mode(dashboard_model.ThresholdsMode.ABSOLUTE).steps([first, *more])


def limited(panel: timeseries.Panel, *edges: tuple[float, str]) -> timeseries.Panel:
    """Draw limits across a graph."""
    style = common.GraphThresholdsStyleConfig().mode(common_model.GraphThresholdsStyleMode.DASHED)
    return panel.thresholds(steps("transparent", *edges)).thresholds_style(style)


def stacked(panel: timeseries.Panel) -> timeseries.Panel:
    """Draw the series on top of each other, since they add up; without lines, or a 0 would have one."""
    names = common.VizLegendOptions().display_mode(common_model.LegendDisplayMode.LIST)
    return (
        panel.fill_opacity(70)
        .line_width(0)
        .show_points(common_model.VisibilityMode.NEVER)
        .legend(names.placement(common_model.LegendPlacement.BOTTOM).show_legend(True).calcs([]))
        .stacking(common.StackingConfig().mode(common_model.StackingMode.NORMAL).group("A"))
    )


def coloured(panel: timeseries.Panel, colours: Mapping[Name, str]) -> timeseries.Panel:
    """Give series the colours of what they mean, by the names that the legend shows."""
    for name, colour in colours.items():
        value = {"mode": "fixed", "fixedColor": colour}
        panel = panel.override_by_name(
            name, [dashboard_model.DynamicConfigValue(id_val="color", value=value)]
        )
    return panel


def _nothing(text: str) -> dashboard_model.SpecialValueMap:
    result = dashboard_model.ValueMappingResult(text=text, color=NO_ANSWER, index=0)
    match = dashboard_model.SpecialValueMatch.NULL_AND_NAN
    options = dashboard_model.DashboardSpecialValueMapOptions(match=match, result=result)
    return dashboard_model.SpecialValueMap(options=options)


def _titled(panel: Panel, title: str, description: str) -> Panel:
    return panel.title(title).description(description).datasource(datasource())


def _asked(
    panel: Panel, queries: tuple[Query, ...], kind: Literal["instant", "range", "heatmap", "table"]
) -> Panel:
    for ref_id, query in zip(REF_IDS, queries, strict=False):
        target = prometheus.Dataquery().datasource(datasource()).ref_id(ref_id).expr(query.expr)
        target = target.legend_format(query.legend or "__auto")
        target = target.instant() if kind in {"instant", "table"} else target.range()
        if kind in {"heatmap", "table"}:
            target = target.format(prometheus_model.PromQueryFormat(kind))
        if query.exemplars:
            target = target.exemplar(True)
        panel = panel.with_target(target)
    return panel
