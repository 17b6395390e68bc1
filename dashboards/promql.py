"""PromQL of panels as a tree: stand-ins that parse for Grafana's variables, and a walk over the nodes."""

import re
from collections.abc import Iterator
from datetime import timedelta

import promql_parser as promql

STAND_INS = {"$__rate_interval": timedelta(minutes=77), "$__interval": timedelta(minutes=78)}
"""Ranges that nobody writes."""

RATE_INTERVAL = STAND_INS["$__rate_interval"]

Parents = tuple[promql.Expr, ...]


def parse(expression: str) -> promql.Expr:
    """Return the tree; ValueError if this is no PromQL. ``$job`` in a matcher is read as ``VAR_job``."""
    for name, span in STAND_INS.items():
        expression = expression.replace(name, f"{span // timedelta(minutes=1)}m")
    return promql.parse(re.sub(r"\$\{?(\w+)\}?", r"VAR_\1", expression))


def walk(node: promql.Expr, parents: Parents = ()) -> Iterator[tuple[promql.Expr, Parents]]:
    """Yield every node, each with the nodes above it, the outermost first."""
    yield node, parents
    for child in _children(node):
        yield from walk(child, (*parents, node))


def selectors(expression: str) -> Iterator[tuple[promql.VectorSelector, Parents]]:
    """Yield every selector of series, each with the nodes above it."""
    for node, parents in walk(parse(expression)):
        if isinstance(node, promql.VectorSelector):
            yield node, parents


def _children(node: promql.Expr) -> Iterator[promql.Expr]:
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        child = getattr(node, name, None)
        if isinstance(child, promql.Expr):
            yield child
    yield from getattr(node, "args", None) or ()
