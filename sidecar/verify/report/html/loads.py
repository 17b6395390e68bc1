"""The page's section on a load: objectives and faults."""

from collections.abc import Iterator, Sequence

from sidecar.verify.report.figures import count, quantity
from sidecar.verify.report.html.markup import Markup, Part, element
from sidecar.verify.report.html.parts import badge, bullets, figure, keys, pairs, table
from sidecar.verify.report.measures import OBJECTIVES, load_facts, objective_row
from sidecar.verify.report.plots.objectives import objectives_plot
from sidecar.verify.results import LoadResult, Objective

NOTE = "The bar is the clients' records, the ring Prometheus, the dashed line what is asked."
KEYS = (("c4", "by the clients' records"), ("books", "by Prometheus"))


def loads_section(loads: Sequence[LoadResult]) -> Markup:
    """Return the section of all loads: their objectives, then each of them."""
    rows = (row for load in loads for row in _objectives(load))
    objectives = table(("Users", *OBJECTIVES), rows, class_="objectives")
    plot = objectives_plot(loads)
    return element(
        "section",
        element("h2", "People at the sidecar"),
        objectives,
        figure("Time to reconnect against its objectives", NOTE, keys(KEYS), plot) if plot else None,
        *map(_load, loads),
        class_="load",
    )


def _objectives(load: LoadResult) -> Iterator[list[Part]]:
    for each in load.objectives:
        *row, _ = objective_row(each)
        yield [count(load.users), *row, _held(each)]


def _held(objective: Objective) -> Markup:
    return badge("passed") if objective.held else badge("failed")


def _load(load: LoadResult) -> Markup:
    did = [(what, count(times)) for what, times in load.did.items()]
    metrics = [(name, quantity(name, value)) for name, value in load.metrics.items()]
    return element(
        "section",
        element("h3", f"{count(load.users)} users at once ", badge(load.verdict)),
        bullets(load.differences, class_="why"),
        pairs(load_facts(load)),
        element("h4", "What people did, and what was done to them"),
        pairs(did),
        element("h4", "The key metrics at the end"),
        pairs(metrics),
    )
