"""The report as Markdown: the same tables as the page, without its plots."""

import re
from collections.abc import Iterable, Iterator, Sequence

from sidecar.verify.report.comparison import Comparison, ComparisonRow
from sidecar.verify.report.figures import count, quantity
from sidecar.verify.report.measures import (
    MEASURES,
    OBJECTIVES,
    SHOWN,
    breaches,
    facts,
    load_facts,
    objective_row,
    pieces,
    shown_row,
    told,
)
from sidecar.verify.results import LoadResult, Results, ScenarioResult

TITLE = "SSE resilience test report"

_special = re.compile(r"([\\`*<|\[])")


def markdown(results: Sequence[Results]) -> str:
    """Return the report of one run or several, side by side."""
    comparison = Comparison(results)
    parts = [f"# {TITLE}", *_verdicts(comparison)]
    for load in comparison.loads:
        parts += _load(load)
    for row in comparison.rows:
        parts += _scenario(comparison, row)
    for run in results:
        parts += _run(run)
    return "\n\n".join(parts) + "\n"


def _verdicts(comparison: Comparison) -> Iterator[str]:
    yield _list(comparison.sentences)
    if comparison.rows:
        head = ["Scenario", "Promise", *(column.label for column in comparison.columns)]
        yield _table(head, map(_verdict_row, comparison.rows))


def _verdict_row(row: ComparisonRow) -> list[str]:
    return [f"{row.number}. {row.title}", row.promise, *map(_verdict, row.cells)]


def _verdict(result: ScenarioResult | None) -> str:
    if result is None:
        return "not run"
    return " ".join([result.verdict, *(f"- {reason}" for reason in result.reasons)])


def _scenario(comparison: Comparison, row: ComparisonRow) -> Iterator[str]:
    labels = [column.label for column in comparison.columns]
    yield f"## {row.number}. {_safe(row.title)}"
    yield f"Promise: {_safe(row.promise)}"
    yield _table(
        ["Figure", *labels], ([each.name, *(told(cell, each) for cell in row.cells)] for each in MEASURES)
    )
    for label, cell in zip(labels, row.cells, strict=True):
        if cell:
            yield from _remarks(label, cell)


def _remarks(label: str, result: ScenarioResult) -> Iterator[str]:
    lines = [
        *(f"failed: {reason}" for reason in result.reasons),
        *(f"not checked: {reason}" for reason in result.not_checked),
        *(f"broken invariant, {sentence}" for sentence in breaches(result)),
    ]
    if lines:
        yield f"**{_safe(label)}**"
        yield _list(lines)
    if result.shown:
        yield f"What users were shown at {_safe(label)}:"
        yield _table(SHOWN, map(shown_row, result.shown))


def _load(load: LoadResult) -> Iterator[str]:
    yield f"## {count(load.users)} users at once"
    yield _table(OBJECTIVES, map(objective_row, load.objectives))
    if load.differences:
        yield _list(load.differences)
    yield _table(("Load", "Figure"), load_facts(load))
    yield _table(("What happened", "Times"), ((what, count(times)) for what, times in load.did.items()))
    yield _table(("Metric", "At the end"), ((name, quantity(name, v)) for name, v in load.metrics.items()))


def _run(run: Results) -> Iterator[str]:
    yield f"## How it was made: {_safe(run.started)}"
    yield "\n".join(["```console", *(f"$ {line}" for line in run.command.splitlines()), "```"])
    yield _table(("Run", "Value"), facts(run))
    if pieces(run):
        yield _table(("Impairment", "Made by"), pieces(run))


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"* {_safe(line)}" for line in lines)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [[_safe(cell) for cell in line] for line in (head, *rows)]
    lines.insert(1, ["---"] * len(head))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _safe(text: str) -> str:
    """Return text on one line that Markdown takes for nothing but text."""
    return _special.sub(r"\\\1", " ".join(text.split()))
