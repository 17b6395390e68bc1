"""What the page tells of one scenario: its figures, what was not met, what users saw, one stream's course."""

from collections.abc import Iterator

from sidecar.verify.comparison import Column, Comparison, Row
from sidecar.verify.markup import Markup, element, together
from sidecar.verify.measures import MEASURES, SHOWN, shown_row, told
from sidecar.verify.page_parts import badge, bullets, keys, table
from sidecar.verify.results import ScenarioResult
from sidecar.verify.svg_timeline import timeline_plot

TIMELINE_KEYS = (
    ("fault", "fault"),
    ("asked", "connection asked for"),
    ("open", "connection open"),
    ("lost", "connection lost"),
    ("event", "message"),
    ("beat", "heartbeat"),
    ("gap", "gap told"),
)


def scenario_section(comparison: Comparison, row: Row) -> Markup:
    """Return the section of one scenario, over all targets."""
    cells = [(column, cell) for column, cell in zip(comparison.columns, row.cells, strict=True) if cell]
    head = element("h2", f"{row.number}. {row.title}", id=f"scenario-{row.number}")
    lines = ([each.name, *(told(cell, each) for _, cell in cells)] for each in MEASURES)
    figures = table(["", *(column.label for column, _ in cells)], lines, class_="figures")
    return element(
        "section",
        head,
        element("p", row.promise),
        *(_course(column, cell) for column, cell in cells),
        keys(TIMELINE_KEYS),
        *(part for column, cell in cells for part in _remarks(column, cell)),
        figures,
        class_="scenario",
    )


def _course(column: Column, cell: ScenarioResult) -> Markup:
    caption = element("figcaption", element("h3", column.label, " ", badge(cell.verdict)))
    if not (cell.timeline.marks or cell.timeline.bands):
        return element("figure", caption, element("p", "No course was recorded.", class_="quiet"))
    return element("figure", caption, timeline_plot(cell.timeline, cell.took_s), class_="timeline")


def _remarks(column: Column, cell: ScenarioResult) -> Iterator[Markup]:
    breaches = [f"{breach.rule}: {breach.sentence}" for breach in cell.breaches]
    for title, lines in (
        ("what was not met", cell.reasons),
        ("invariants that did not hold", breaches),
        ("what could not be checked", cell.not_checked),
    ):
        if lines:
            yield together(element("h3", f"{column.label}: {title}"), bullets(lines))
    if cell.shown:
        rows = map(shown_row, cell.shown)
        yield together(element("h3", f"{column.label}: what users were shown"), table(SHOWN, rows))
