"""What the page tells of people at the sidecar: the objectives, counted twice, and what had happened."""

from sidecar.verify.figures import count, quantity
from sidecar.verify.markup import Markup, element
from sidecar.verify.measures import OBJECTIVES, load_facts, objective_row
from sidecar.verify.page_parts import badge, bullets, pairs, table
from sidecar.verify.results import LoadResult


def load_section(load: LoadResult) -> Markup:
    """Return the section of one load."""
    objectives = table(OBJECTIVES, map(objective_row, load.objectives), class_="objectives")
    did = [(what, count(times)) for what, times in load.did.items()]
    metrics = [(name, quantity(name, value)) for name, value in load.metrics.items()]
    return element(
        "section",
        element("h2", f"{count(load.users)} users at once ", badge(load.verdict)),
        objectives,
        bullets(load.differences, class_="why"),
        pairs(load_facts(load)),
        element("h3", "What people did, and what was done to them"),
        pairs(did),
        element("h3", "The key metrics at the end"),
        pairs(metrics),
        class_="load",
    )
