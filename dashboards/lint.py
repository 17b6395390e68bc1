"""The rules of grafana/dashboard-linter for Prometheus, all of them and for every panel: no exclusions."""

from collections.abc import Iterator
from typing import Any

import promql_parser as promql

from dashboards import promql as tree
from dashboards.asked import LABEL_VALUES

DATASOURCE = "${datasource}"
UNITS = frozenset(
    ("none", "short", "percentunit", "percent", "s", "ms", "bytes", "cps", "cpm", "ops", "reqps", "string")
)
"""Of Grafana's units, those that these dashboards use."""

COUNTED_BY = ("rate", "irate", "increase")

Json = dict[str, Any]
Finding = tuple[str, str]
"""The name of a rule, and what breaks it."""


def lint(board: Json) -> list[Finding]:
    """Return what breaks a rule, as Grafana's linter names the rules."""
    found = [*_datasource_variable(board), *_query_variables(board)]
    found += [finding for name in ("job", "instance") for finding in _template(board, name)]
    if board.get("editable", True):
        found.append(("uneditable-dashboard", board["title"]))
    for panel in board["panels"]:
        if panel["type"] != "row":
            found += _panel(f"{board['title']}: {panel['title']}", panel)
    return found


def _variables(board: Json, kind: str) -> list[Json]:
    return [variable for variable in board["templating"]["list"] if variable["type"] == kind]


def _datasource_variable(board: Json) -> Iterator[Finding]:
    sources = [(v["name"], v["label"], v["query"]) for v in _variables(board, "datasource")]
    if sources != [("datasource", "Data source", "prometheus")]:
        yield "template-datasource-rule", f"{board['title']}: {sources}"


def _template(board: Json, name: str) -> Iterator[Finding]:
    expected = {
        "datasource": DATASOURCE,
        "label": name.title(),
        "multi": True,
        "allValue": ".+",
    }
    found = [
        v | {"datasource": v["datasource"]["uid"]} for v in _variables(board, "query") if v["name"] == name
    ]
    if [{key: v.get(key) for key in expected} for v in found] != [expected]:
        yield f"template-{name}-rule", board["title"]


def _query_variables(board: Json) -> Iterator[Finding]:
    for variable in _variables(board, "query"):
        where = f"{board['title']}: ${variable['name']}"
        if variable.get("refresh") != 2:  # noqa: PLR2004 - Grafana's number for: on time range change
            yield "template-on-time-change-reload-rule", where
        asked = LABEL_VALUES.fullmatch(variable["query"])
        if not asked or not _parses(asked[1]):
            yield "template-label-promql-rule", f"{where}: {variable['query']}"


def _panel(where: str, panel: Json) -> Iterator[Finding]:
    if panel.get("datasource", {}).get("uid") != DATASOURCE:
        yield "panel-datasource-rule", where
    if not (panel.get("title") and panel.get("description")):
        yield "panel-title-description-rule", where
    if panel["fieldConfig"]["defaults"].get("unit") not in UNITS:
        yield "panel-units-rule", where
    if not panel.get("targets"):
        yield "panel-no-targets-rule", where
    for target in panel.get("targets", ()):
        yield from _target(where, target["expr"])


def _target(where: str, expression: str) -> Iterator[Finding]:
    if not _parses(expression):
        yield "target-promql-rule", f"{where}: {expression}"
        return
    for node, parents in tree.walk(tree.parse(expression)):
        if isinstance(node, promql.VectorSelector):
            yield from _selector(where, node, parents)
        elif isinstance(node, promql.MatrixSelector):
            yield from _range(where, node, parents)


def _selector(where: str, selector: promql.VectorSelector, parents: tree.Parents) -> Iterator[Finding]:
    for label in ("job", "instance"):
        found = [(str(m.op), m.value) for m in selector.matchers.matchers if m.name == label]
        if found != [("MatchOp.Re", f"VAR_{label}")]:
            yield f"target-{label}-rule", f'{where}: {selector.name} lacks {label}=~"${label}"'
    if (selector.name or "").endswith("_total") and _function(parents[:-1]) not in COUNTED_BY:
        yield "target-counter-agg-rule", f"{where}: {selector.name}"


def _range(where: str, selector: promql.MatrixSelector, parents: tree.Parents) -> Iterator[Finding]:
    function = _function(parents)
    if function in {"rate", "irate"} and selector.range != tree.RATE_INTERVAL:
        yield "target-rate-interval-rule", f"{where}: {function}() over something else than $__rate_interval"


def _function(parents: tree.Parents) -> str:
    """Return the function whose argument a node is."""
    call = parents[-1] if parents else None
    return call.func.name if isinstance(call, promql.Call) else ""


def _parses(expression: str) -> bool:
    try:
        tree.parse(expression)
    except ValueError:
        return False
    return True
