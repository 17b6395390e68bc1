"""Common parts of the report's page: tables, lists, figures."""

from collections.abc import Iterable, Sequence

from sidecar.verify.report.comparison import Comparison
from sidecar.verify.report.html.markup import Markup, Part, element, together

GOOD, BAD = "✓", "✗"
TONES = 6
"""Colours for columns; with more columns they begin anew."""


def tone(index: int) -> str:
    """Return the class with a column's colour."""
    return f"c{index % TONES}"


def badge(verdict: str) -> Markup:
    """Return a verdict with its sign, so that nothing hangs on the colour."""
    sign = element("span", GOOD if verdict == "passed" else BAD, aria_hidden="true")
    return element("strong", sign, f" {verdict}", class_=f"badge {verdict}")


def table(head: Sequence[str], rows: Iterable[Sequence[Part]], *, class_: str | None = None) -> Markup:
    """Return a table; its first column names the rows, wide ones scroll."""
    heads = together(*(element("th", text, scope="col") for text in head))
    body = (
        element("tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:]))
        for row in rows
    )
    made = element("table", element("thead", element("tr", heads)), element("tbody", *body), class_=class_)
    return element(
        "div",
        made,
        class_="sideways",
        tabindex="0",
        role="group",
        aria_label=f"Table: {head[0]}",
    )


def pairs(rows: Iterable[tuple[str, str]]) -> Markup:
    """Return names with their values."""
    return element("dl", *(element("div", element("dt", name), element("dd", value)) for name, value in rows))


def bullets(lines: Iterable[str], *, class_: str | None = None) -> Markup:
    """Return a list; nothing for no lines."""
    items = [element("li", line) for line in lines]
    return element("ul", *items, class_=class_) if items else Markup()


def figure(title: str, note: str, *parts: str) -> Markup:
    """Return a plot with its title and what it shows."""
    caption = element("figcaption", element("h3", title), element("p", note, class_="quiet"))
    return element("figure", caption, *parts)


def legend(comparison: Comparison, *others: tuple[str, str]) -> Markup:
    """Return the legend: the columns, and ``others`` by class."""
    columns = [(tone(index), column.label) for index, column in enumerate(comparison.columns)]
    return keys([*columns, *others])


def keys(entries: Iterable[tuple[str, str]]) -> Markup:
    """Return colours with what they mean."""
    items = (
        element("li", element("i", class_=f"key {class_}", aria_hidden="true"), text)
        for class_, text in entries
    )
    return element("ul", *items, class_="legend")
