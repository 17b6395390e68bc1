"""The plot of a load's objectives: records, Prometheus and limits."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sidecar.verify.report.figures import quantity
from sidecar.verify.report.html.markup import Markup, element, together
from sidecar.verify.report.plots.plot import Scale, axis, bar, dot, grid, plot, stroke
from sidecar.verify.results import LoadResult, Objective

LANE_PX = 26
BEYOND = 1.25
"""How far the scale goes beyond the limit, or beyond the worst of the figures."""

_asked = re.compile(r"< ([\d.]+) s")


@dataclass(frozen=True, slots=True)
class ObjectiveRow:
    """An objective with a limit in seconds, over all loads."""

    name: str
    limit_s: float
    entries: Sequence[tuple[str, Objective]]


def objectives_plot(loads: Sequence[LoadResult]) -> Markup:
    """Return a row per load for each objective in seconds, or nothing."""
    return together(*map(_block, _lanes(loads)))


def _lanes(loads: Sequence[LoadResult]) -> list[ObjectiveRow]:
    limits: dict[str, float] = {}
    entries: dict[str, list[tuple[str, Objective]]] = {}
    for load in loads:
        for each in load.objectives:
            if found := _asked.fullmatch(each.asks):
                limits[each.name] = float(found[1])
                entries.setdefault(each.name, []).append((f"{load.users:,} users", each))
    return [ObjectiveRow(name, limits[name], entries[name]) for name in limits]


def _block(lane: ObjectiveRow) -> Markup:
    known = [value for _, each in lane.entries for value in _values(each) if value is not None]
    scale = Scale(max([lane.limit_s, *known]) * BEYOND)
    rows = (
        element(
            "div",
            element("p", f"{lane.name}, {label}", class_="name"),
            _row(each, lane, scale),
            class_="lane",
        )
        for label, each in lane.entries
    )
    return together(*rows, element("div", element("p", class_="name"), axis(scale, " s"), class_="lane"))


def _row(each: Objective, lane: ObjectiveRow, scale: Scale) -> Markup:
    clients, books = _values(each)
    shapes = [
        grid(scale, LANE_PX),
        stroke(scale, lane.limit_s, top=0, height=LANE_PX, class_="limit"),
        bar(scale, (0, clients or 0), top=8, height=10, class_="c4"),
        None if books is None else dot(scale, books, middle=13, radius=6, class_="books"),
    ]
    counted = [quantity(lane.name, value) for value in (clients, books)]
    says = f"{lane.name}: {counted[0]} by people's records, {counted[1]} by Prometheus; asked: {each.asks}."
    return plot(LANE_PX, says, *filter(None, shapes))


def _values(each: Objective) -> tuple[float | None, float | None]:
    return each.by_clients, each.by_prometheus
