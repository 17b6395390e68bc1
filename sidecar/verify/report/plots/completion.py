"""The plot of completion: a bar per target, a line at the objective."""

from collections.abc import Sequence

from sidecar.verify.report.comparison import Comparison, ComparisonColumn, ComparisonRow
from sidecar.verify.report.figures import share
from sidecar.verify.report.html.markup import Markup, element, together
from sidecar.verify.report.plots.plot import Scale, axis, bar, dot, grid, plot, stroke, words
from sidecar.verify.results import ScenarioResult

BAR_PX = 16
STEP_PX = 21
WHOLE = Scale(1.0)
PERCENT = Scale(100.0)


def completion_plot(comparison: Comparison) -> Markup:
    """Return a row of bars per scenario, and the scale below."""
    rows = (
        element(
            "div",
            element("p", f"{row.number}. {row.title}", class_="name"),
            _bars(comparison, row),
            class_="lane",
        )
        for row in comparison.rows
    )
    scale = element("div", element("p", class_="name"), axis(PERCENT, " %"), class_="lane")
    return together(*rows, scale)


def _bars(comparison: Comparison, row: ComparisonRow) -> Markup:
    height = STEP_PX * len(row.cells)
    pairs = list(zip(comparison.columns, row.cells, strict=True))
    bars = (_bar(index, cell) for index, cell in enumerate(row.cells) if cell)
    return plot(height, _says(row, pairs), grid(WHOLE, height), *bars)


def _bar(index: int, cell: ScenarioResult) -> Markup:
    top = index * STEP_PX + 2
    middle = top + BAR_PX / 2
    filled = bar(WHOLE, (0, cell.completion), top=top, height=BAR_PX, class_=f"c{index % 6}")
    inside = cell.completion > 0.5  # noqa: PLR2004 - on which side of the bar's end there is more room
    value = words(
        share(cell.completion),
        WHOLE,
        cell.completion,
        middle=middle,
        class_="inside" if inside else None,
    )
    return together(filled, _promise(cell, top), value)


def _promise(cell: ScenarioResult, top: float) -> Markup:
    if cell.completion_min is None:
        return Markup()
    line = stroke(WHOLE, cell.completion_min, top=top - 2, height=BAR_PX + 4, class_="promise")
    return together(line, dot(WHOLE, cell.completion_min, middle=top - 1, radius=2.5, class_="promise"))


def _says(row: ComparisonRow, pairs: Sequence[tuple[ComparisonColumn, ScenarioResult | None]]) -> str:
    told = [f"{column.label} {share(cell.completion)}" for column, cell in pairs if cell]
    return f"Completion in {row.title}: {', '.join(told)}."
