"""The page's first section: each scenario at each target."""

from sidecar.verify.report.comparison import Comparison, ComparisonColumn, ComparisonRow
from sidecar.verify.report.figures import seconds, share
from sidecar.verify.report.html.markup import Markup, element, together
from sidecar.verify.report.html.parts import badge, bullets
from sidecar.verify.results import ScenarioResult

REASONS_MAX = 3


def verdicts(comparison: Comparison) -> Markup:
    """Return the table; without any scenario nothing."""
    if not comparison.rows:
        return Markup()
    heads = (_head(column) for column in comparison.columns)
    head = element("tr", element("th", "Scenario", scope="col", role="columnheader"), *heads, role="row")
    body = (_row(comparison, row) for row in comparison.rows)
    return element(
        "table",
        element("thead", head, role="rowgroup"),
        element("tbody", *body, role="rowgroup"),
        class_="verdicts",
        role="table",
        aria_label="Verdicts",
    )


def _head(column: ComparisonColumn) -> Markup:
    url = element("span", column.target.url, class_="quiet")
    return element("th", column.label, url, badge(column.target.verdict), scope="col", role="columnheader")


def _row(comparison: Comparison, row: ComparisonRow) -> Markup:
    link = element("a", f"{row.number}. {row.title}", href=f"#scenario-{row.number}")
    promise = element("span", row.promise, class_="quiet")
    cells = zip(comparison.columns, row.cells, strict=True)
    return element(
        "tr",
        element("th", link, promise, scope="row", role="rowheader"),
        *(_cell(column, cell) for column, cell in cells),
        role="row",
    )


def _cell(column: ComparisonColumn, cell: ScenarioResult | None) -> Markup:
    content = element("span", "not run", class_="quiet") if cell is None else _verdict(cell)
    return element("td", content, data_label=column.label, role="cell")


def _verdict(cell: ScenarioResult) -> Markup:
    mean = "" if cell.reconnect_mean_s is None else f", mean reconnect {seconds(cell.reconnect_mean_s)}"
    said = f" {share(cell.completion)} complete{mean}"
    more = element("p", "More of it below.", class_="quiet") if len(cell.reasons) > REASONS_MAX else None
    why = bullets(cell.reasons[:REASONS_MAX], class_="why")
    return together(badge(cell.verdict), element("span", _unbroken(said), class_="quiet"), why, more)


def _unbroken(text: str) -> str:
    """Return text in which no unit stands at the beginning of a line."""
    return text.replace(" s", "\u00a0s").replace(" %", "\u00a0%")
