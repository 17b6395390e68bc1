"""Evaluate the alerting rules over recorded samples in Python, where no promtool is installed.

It knows exactly the PromQL that the rules use; anything else raises ValueError. It reads the same
:class:`tests.kit.promtool.Sentence` as promtool does, so that promtool can confirm it.
"""

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import promql_parser as promql
import yaml

from tests.kit.promtool import Sentence

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
Value = float | Vector
Points = list[tuple[float, float]]

NAME = "__name__"
LOOKBACK_S = 300.0
"""How old a sample may be that an instant selector still returns."""

_SERIES = re.compile(r'(\w+)="([^"]*)"')
_RUN = re.compile(r"(-?[\d.]+)([+-][\d.]+)?x(\d+)|(-?[\d.]+|_)")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}

ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
AGGREGATES: Mapping[str, Callable[[float, float], float]] = {"sum": operator.add, "max": max}
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
}
MATCHES: Mapping[str, Callable[[str, str], bool]] = {
    "MatchOp.Equal": lambda value, wanted: value == wanted,
    "MatchOp.NotEqual": lambda value, wanted: value != wanted,
    "MatchOp.Re": lambda value, wanted: re.fullmatch(wanted, value) is not None,
    "MatchOp.NotRe": lambda value, wanted: re.fullmatch(wanted, value) is None,
}

ATTACHED = {"job", "instance"}


def firing(sentence: Sentence, rules: str) -> dict[str, set[Labels]]:
    """Return the labels of the sentence's alert that fire at each of its times, without name and job."""
    step_s = seconds(sentence.every)
    ends = {time: seconds(time) for time in sentence.firing}
    samples = Samples(sentence.given, step_s)
    since: dict[Labels, float] = {}
    found: dict[str, set[Labels]] = {}
    for turn in range(int(max(ends.values()) / step_s) + 1):
        at_s = turn * step_s
        for rule in yaml.safe_load(rules)["groups"][0]["rules"]:
            result = samples.evaluate(rule["expr"], at_s)
            assert isinstance(result, dict)
            if "record" in rule:
                samples.record(rule["record"], result, at_s)
            elif rule["alert"] == sentence.alert:
                since = {labels: since.get(labels, at_s) for labels in result}
                held_s = seconds(rule.get("for", "0s"))
                for time in (time for time, end_s in ends.items() if end_s == at_s):
                    ready = (labels for labels, began_s in since.items() if at_s - began_s >= held_s)
                    found[time] = {_shown(labels, rule.get("labels", {})) for labels in ready}
    return found


def expected(sentence: Sentence) -> dict[str, set[Labels]]:
    """Return what the sentence promises in the form of ``firing``."""
    return {
        time: {frozenset(_SERIES.findall(each)) for each in alerts}
        for time, alerts in sentence.firing.items()
    }


def _shown(labels: Labels, more: Mapping[str, str]) -> Labels:
    return frozenset(
        (key, value) for key, value in (dict(labels) | dict(more)).items() if key not in (NAME, "job")
    )


def seconds(duration: str) -> float:
    """Read a duration such as 15s or 2m."""
    return float(duration[:-1]) * _UNIT_S[duration[-1]]


class Samples:
    """Recorded series, and the values of expressions over them."""

    def __init__(self, given: Mapping[str, str], step_s: float) -> None:
        self._series: dict[Labels, Points] = {}
        for series, notation in given.items():
            labels = frozenset({(NAME, series.partition("{")[0]), *_SERIES.findall(series)})
            self._series[labels] = [
                (turn * step_s, value) for turn, value in enumerate(_values(notation)) if value is not None
            ]

    def record(self, name: str, vector: Vector, at_s: float) -> None:
        """Add the result of a recording rule as samples."""
        for labels, value in vector.items():
            named = frozenset({(NAME, name), *_unnamed(labels)})
            self._series.setdefault(named, []).append((at_s, value))

    def evaluate(self, expression: str, at_s: float) -> Value:
        """Return an expression's value at a time."""
        return self._value(promql.parse(expression), at_s)

    def _value(self, node: promql.Expr, at_s: float) -> Value:
        match node:
            case promql.NumberLiteral():
                return float(node.val)
            case promql.ParenExpr():
                return self._value(node.expr, at_s)
            case promql.VectorSelector():
                return self._instant(node, at_s)
            case promql.AggregateExpr():
                return self._aggregate(node, at_s)
            case promql.BinaryExpr():
                return _binary(node, self._value(node.lhs, at_s), self._value(node.rhs, at_s))
            case promql.Call():
                return self._call(node, at_s)
            case _:
                raise ValueError(f"not known here: {node}")

    def _instant(self, node: promql.VectorSelector, at_s: float) -> Vector:
        asked_s = at_s - (node.offset.total_seconds() if node.offset else 0.0)
        return {labels: points[-1][1] for labels, points in self._range(node, asked_s, LOOKBACK_S)}

    def _range(
        self, node: promql.VectorSelector, end_s: float, over_s: float
    ) -> Iterator[tuple[Labels, Points]]:
        for labels, points in self._series.items():
            if _selected(node, dict(labels)):
                within = [point for point in points if end_s - over_s < point[0] <= end_s]
                if within:
                    yield labels, within

    def _aggregate(self, node: promql.AggregateExpr, at_s: float) -> Vector:
        add = AGGREGATES[str(node.op)]
        by = node.modifier.labels if node.modifier else []
        found: Vector = {}
        for labels, value in _vector(self._value(node.expr, at_s)).items():
            kept = frozenset(pair for pair in labels if pair[0] in by)
            found[kept] = add(found[kept], value) if kept in found else value
        return found

    def _call(self, node: promql.Call, at_s: float) -> Value:
        name, arguments = node.func.name, node.args
        if name == "time":
            return at_s
        if name in ("rate", "increase"):
            return self._increase(arguments[0], at_s, per_second=name == "rate")
        vector = _vector(self._value(arguments[0], at_s))
        if name == "label_replace":
            label, value, source, pattern = (each.val for each in arguments[1:])
            assert not pattern
            replaced = ((dict(labels), each) for labels, each in vector.items())
            return {
                frozenset((labels if labels.get(source) else labels | {label: value}).items()): each
                for labels, each in replaced
            }
        if name == "absent":
            selector = arguments[0]
            equal = (m for m in selector.matchers.matchers if str(m.op) == "MatchOp.Equal")
            return {} if vector else {frozenset((m.name, m.value) for m in equal): 1.0}
        raise ValueError(f"not known here: {name}")

    def _increase(self, node: Any, at_s: float, *, per_second: bool) -> Vector:
        over_s = node.range.total_seconds()
        found: Vector = {}
        for labels, points in self._range(node.vector_selector, at_s, over_s):
            if len(points) > 1:
                grown = _extrapolated(points, at_s - over_s, at_s)
                found[_unnamed(labels)] = grown / over_s if per_second else grown
        return found


def _extrapolated(points: Points, start_s: float, end_s: float) -> float:
    """Return a counter's increase over a range, extrapolated to its ends as Prometheus does."""
    grown = sum(after - before if after >= before else after for (_, before), (_, after) in pairwise(points))
    (first_s, first), (last_s, _) = points[0], points[-1]
    sampled_s = last_s - first_s
    between_s = sampled_s / (len(points) - 1)
    before_s, after_s = first_s - start_s, end_s - last_s
    if grown > 0 and first >= 0:
        before_s = min(before_s, sampled_s * first / grown)  # a counter was never below zero
    reach_s = sampled_s
    for gap_s in (before_s, after_s):
        reach_s += gap_s if gap_s < between_s * 1.1 else between_s / 2
    return grown * reach_s / sampled_s


def _values(notation: str) -> Iterator[float | None]:
    """Yield the samples that promtool's notation stands for, such as ``0x3 1+2x5``."""
    for start, step, times, alone in _RUN.findall(notation):
        if alone:
            yield None if alone == "_" else float(alone)
        else:
            yield from (float(start) + turn * float(step or 0) for turn in range(int(times) + 1))


def could_select(node: promql.VectorSelector, labels: Mapping[str, str]) -> bool:
    """Return whether a selector of a dashboard takes a series that a sidecar exports with these labels.

    Its variables, and the labels that Prometheus attaches, take every value.
    """
    return all(
        MATCHES[str(each.op)](labels.get(each.name, ""), each.value)
        for each in node.matchers.matchers
        if each.name not in ATTACHED and not each.value.startswith("VAR_")
    )


def _selected(node: promql.VectorSelector, labels: dict[str, str]) -> bool:
    matchers = node.matchers.matchers
    return labels[NAME] == node.name and all(
        MATCHES[str(each.op)](labels.get(each.name, ""), each.value) for each in matchers
    )


def _unnamed(labels: Labels) -> Labels:
    return frozenset(pair for pair in labels if pair[0] != NAME)


def _vector(value: Value) -> Vector:
    assert isinstance(value, dict)
    return value


def _binary(node: promql.BinaryExpr, left: Value, right: Value) -> Value:
    op = str(node.op)
    if op in ("and", "or", "unless"):
        return _set(node, op, _vector(left), _vector(right))
    if isinstance(left, float) and isinstance(right, float):
        return ARITHMETIC[op](left, right)
    if isinstance(right, float):
        pairs = {labels: (value, right) for labels, value in _vector(left).items()}
    elif isinstance(left, float):
        pairs = {labels: (left, value) for labels, value in right.items()}
    else:
        other = {_unnamed(labels): value for labels, value in right.items()}
        pairs = {
            labels: (value, other[_unnamed(labels)])
            for labels, value in left.items()
            if _unnamed(labels) in other
        }
    if op in COMPARISONS:
        return {labels: pair[0] for labels, pair in pairs.items() if COMPARISONS[op](*pair)}
    return {_unnamed(labels): ARITHMETIC[op](*pair) for labels, pair in pairs.items()}


def _set(node: promql.BinaryExpr, op: str, left: Vector, right: Vector) -> Vector:
    on = node.modifier.matching.labels if node.modifier and node.modifier.matching else None

    def key(labels: Labels) -> Labels:
        return _unnamed(labels) if on is None else frozenset(pair for pair in labels if pair[0] in on)

    if op == "or":
        taken = {key(labels) for labels in left}
        return left | {labels: value for labels, value in right.items() if key(labels) not in taken}
    other = {key(labels) for labels in right}
    return {labels: value for labels, value in left.items() if (key(labels) in other) is (op == "and")}
