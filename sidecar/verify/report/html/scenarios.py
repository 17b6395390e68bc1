"""The page's section on one scenario."""

from collections.abc import Iterator, Sequence

from sidecar.verify.report.comparison import Comparison, ComparisonColumn, ComparisonRow
from sidecar.verify.report.figures import NOTHING, count
from sidecar.verify.report.html.markup import Markup, Part, element, together
from sidecar.verify.report.html.parts import badge, bullets, keys, table
from sidecar.verify.report.measures import MEASURES, SHOWN, Measure, breaches, shown_row
from sidecar.verify.report.plots.timeline import lasting_s, timeline_plot
from sidecar.verify.results import ScenarioResult, Shown

TIMELINE_KEYS = (
    ("fault", "fault"),
    ("asked", "connection asked for"),
    ("open", "connection open"),
    ("lost", "connection lost"),
    ("event", "message"),
    ("beat", "heartbeat"),
    ("gap", "gap told"),
)


def scenario_section(comparison: Comparison, row: ComparisonRow) -> Markup:
    """Return the section of one scenario, over all targets."""
    cells = [(column, cell) for column, cell in zip(comparison.columns, row.cells, strict=True) if cell]
    most_s = lasting_s(cell.timeline for _, cell in cells)
    remarks = [part for column, cell in cells for part in _remarks(column, cell)]
    head = element("h2", f"{row.number}. {row.title}", id=f"scenario-{row.number}")
    lines = (_line(each, [cell for _, cell in cells]) for each in MEASURES)
    figures = table(["Figure", *(column.label for column, _ in cells)], filter(None, lines), class_="figures")
    return element(
        "section",
        head,
        element("p", row.promise),
        *(_course(column, cell, most_s) for column, cell in cells),
        keys(TIMELINE_KEYS),
        element("div", figures, element("div", *remarks), class_="details"),
        *(_shown_table(column, cell) for column, cell in cells if cell.shown),
        class_="scenario",
    )


def _line(measure: Measure, cells: Sequence[ScenarioResult]) -> list[Part]:
    """Return a row of the figures; nothing if no target has any."""
    values = [measure.of(cell) for cell in cells]
    if set(values) == {NOTHING}:
        return []
    bad = [measure.wanted_zero and value != count(0) for value in values]
    shown = (element("strong", v, class_="bad") if b else v for v, b in zip(values, bad, strict=True))
    return [measure.name, *shown]


def _course(column: ComparisonColumn, cell: ScenarioResult, most_s: float) -> Markup:
    caption = element("figcaption", element("h3", column.label, " ", badge(cell.verdict)))
    if not (cell.timeline.marks or cell.timeline.bands):
        return element("figure", caption, element("p", "No course was recorded.", class_="quiet"))
    lanes = element("div", timeline_plot(cell.timeline, most_s), class_="timeline")
    return element("figure", caption, lanes)


def _remarks(column: ComparisonColumn, cell: ScenarioResult) -> Iterator[Markup]:
    for title, lines in (
        ("what was not met", cell.reasons),
        ("invariants that did not hold", breaches(cell)),
        ("what could not be checked", cell.not_checked),
    ):
        if lines:
            yield together(element("h3", f"{column.label}: {title}"), bullets(lines))


def _shown_table(column: ComparisonColumn, cell: ScenarioResult) -> Markup:
    rows = map(_shown, cell.shown)
    return together(element("h3", f"{column.label}: what users were shown"), table(SHOWN, rows))


def _shown(shown: Shown) -> list[Part]:
    *row, silent = shown_row(shown)
    return [*row, element("strong", silent, class_="bad") if shown.silent else silent]
