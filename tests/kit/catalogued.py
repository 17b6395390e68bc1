"""Which series and labels can be asked for: the catalogue's, the recordings', and Prometheus' own."""

from collections.abc import Iterator, Mapping
from itertools import pairwise

import promql_parser as promql

from alerts import queries
from alerts.rules import expressions
from dashboards.promql import Parents, selectors
from sidecar.observability.catalogue import CATALOGUE
from sidecar.observability.slo import SLO

TARGET = frozenset({"job", "instance"})
PROCESS = (
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_max_fds",
    "process_start_time_seconds",
)
FILTERS = ("and", "unless")
ALERT = TARGET | {"alertname", "alertstate", "severity", "route"}


def known_series() -> Mapping[str, frozenset[str]]:
    """Return the labels of every series by its name."""
    known = dict.fromkeys(("up", *PROCESS), TARGET)
    known |= {name: frozenset(_recorded(name)) for name in expressions(SLO) if ":" in name}
    known |= {"ALERTS": ALERT, queries.FIRING: ALERT}
    for metric in CATALOGUE:
        labels = TARGET | set(metric.labels)
        if metric.kind == "histogram":
            known |= dict.fromkeys((f"{metric.name}_count", f"{metric.name}_sum"), labels)
            known[f"{metric.name}_bucket"] = labels | {"le"}
        else:
            known[metric.name] = labels
    return known


def unknown(expression: str) -> list[str]:
    """Return every series that does not exist, and every label that its series does not have."""
    known = known_series()
    found = []
    for selector, parents in selectors(expression):
        name = selector.name or ""
        if name not in known:
            found.append(name)
        else:
            used = {*_matched(selector), *_grouped((*parents, selector))}
            found += [f"{name}{{{label}}}" for label in sorted(used - known[name])]
    return found


def _recorded(name: str) -> list[str]:
    """Return the labels that a recording's name says it keeps."""
    return name.partition(":")[0].split("_")


def _matched(selector: promql.VectorSelector) -> Iterator[str]:
    for matcher in selector.matchers.matchers:
        yield matcher.name


def _grouped(path: Parents) -> Iterator[str]:
    """Yield the labels that the nodes above a selector group and match by.

    The right side of ``and`` and ``unless`` only filters: none of its labels goes further up.
    """
    for node, below in reversed(list(pairwise(path))):
        if isinstance(node, promql.AggregateExpr) and node.modifier:
            yield from node.modifier.labels
        elif isinstance(node, promql.BinaryExpr):
            yield from node.modifier.matching.labels if node.modifier and node.modifier.matching else ()
            if str(node.op) in FILTERS and node.rhs is below:
                return
