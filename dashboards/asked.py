"""Every query of a dashboard as Grafana sends it: the panels', the variables' and the annotations'."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

EVERYTHING = {"job": ".+", "instance": ".+", "route": ".+"}
"""What the variables stand for until a reader chooses."""

LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)")
"""The query of a variable: a selector, and the label whose values it takes."""

Kind = Literal["instant", "range", "label values"]


@dataclass(frozen=True, slots=True)
class Asked:
    """One query. For a variable ``expr`` is the selector, and ``label`` whose values are asked for."""

    board: str
    where: str
    kind: Kind
    expr: str
    panel: int = 0
    ref_id: str = ""
    label: str = ""
    exemplars: bool = False


def queries_of(text: str, rate_interval: str, values: Mapping[str, str] | None = None) -> list[Asked]:
    """Return every query of a dashboard, given as JSON.

    ``rate_interval`` is what ``$__rate_interval`` stands for, such as ``4s``; ``values``: the variables.
    """
    board = json.loads(text)
    replaced = {"__rate_interval": rate_interval, **EVERYTHING, **(values or {})}
    return [*_panels(board, replaced), *_variables(board, replaced), *_annotations(board, replaced)]


def _panels(board: Mapping[str, Any], replaced: Mapping[str, str]) -> Iterator[Asked]:
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield Asked(
                board["uid"],
                panel["title"],
                "instant" if target.get("instant") else "range",
                _rendered(target["expr"], replaced),
                panel=panel["id"],
                ref_id=target["refId"],
                exemplars=target.get("exemplar", False),
            )


def _variables(board: Mapping[str, Any], replaced: Mapping[str, str]) -> Iterator[Asked]:
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            asked = LABEL_VALUES.fullmatch(variable["query"])
            assert asked, variable["query"]  # noqa: S101 - the linter's rule
            where = f"${variable['name']}"
            yield Asked(board["uid"], where, "label values", _rendered(asked[1], replaced), label=asked[2])


def _annotations(board: Mapping[str, Any], replaced: Mapping[str, str]) -> Iterator[Asked]:
    for annotation in board["annotations"]["list"]:
        yield Asked(board["uid"], annotation["name"], "range", _rendered(annotation["expr"], replaced))


def _rendered(expression: str, replaced: Mapping[str, str]) -> str:
    """Put values for variables; KeyError for a variable that is not known here."""
    return re.sub(r"\$(\w+)", lambda found: replaced[found[1]], expression)
