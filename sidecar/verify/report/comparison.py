"""Several runs side by side: each target a column, each scenario a row."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sidecar.verify.results import LoadResult, Results, ScenarioResult, TargetResult

WITHOUT_SIDECAR = "direct"
"""The plain backend: it is shown beside the others, and judges nobody."""


@dataclass(frozen=True, slots=True)
class ComparisonColumn:
    """One target of one run, with a unique ``label``."""

    label: str
    run: Results
    target: TargetResult
    decides: bool

    def scenario(self, name: str) -> ScenarioResult | None:
        """Return what a scenario found here; None if it did not run."""
        return next((found for found in self.target.scenarios if found.name == name), None)


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One scenario at every target; None where it did not run."""

    number: int
    name: str
    title: str
    promise: str
    cells: list[ScenarioResult | None]


class Comparison:
    """What a report is about."""

    def __init__(self, runs: Sequence[Results]) -> None:
        self.runs = runs
        self.columns = list(_columns(runs))
        self.rows = list(_rows(self.columns))

    @property
    def loads(self) -> list[LoadResult]:
        """Return the load results of all runs, in order."""
        return [load for run in self.runs for load in run.loads]

    @property
    def passed(self) -> bool:
        """Tell whether every target and load that decides has passed."""
        judged: list[TargetResult | LoadResult] = [each.target for each in self.columns if each.decides]
        return all(each.verdict == "passed" for each in (*judged, *self.loads))

    @property
    def sentences(self) -> list[str]:
        """Return a sentence on each target and each load."""
        columns = sorted(self.columns, key=lambda column: not column.decides)
        deciding = sum(column.decides for column in columns)
        told = [_of_target(column) for column in columns]
        return [*told[:deciding], *map(_of_load, self.loads), *told[deciding:]]


def _columns(runs: Sequence[Results]) -> Iterator[ComparisonColumn]:
    pairs = [(run, target) for run in runs for target in run.targets]
    alone = all(target.name == WITHOUT_SIDECAR for _, target in pairs)
    labels = _labels(pairs)
    for label, (run, target) in zip(labels, pairs, strict=True):
        yield ComparisonColumn(label, run, target, alone or target.name != WITHOUT_SIDECAR)


def _labels(pairs: Sequence[tuple[Results, TargetResult]]) -> list[str]:
    """Return the targets' names; repeated ones get path or run number."""
    for form in (_name, _name_and_path):
        labels = [form(run, target) for run, target in pairs]
        if max(Counter(labels).values(), default=0) <= 1:
            return labels
    order = list(dict.fromkeys(id(run) for run, _ in pairs))
    return [f"{target.name}, run {order.index(id(run)) + 1}" for run, target in pairs]


def _name(_run: Results, target: TargetResult) -> str:
    return target.name


def _name_and_path(run: Results, target: TargetResult) -> str:
    return f"{target.name} ({run.path.kind if run.path else 'no path'})"


def _rows(columns: Sequence[ComparisonColumn]) -> Iterator[ComparisonRow]:
    found = {each.name: each for column in columns for each in column.target.scenarios}
    for name, one in sorted(found.items(), key=lambda item: (item[1].number, item[0])):
        yield ComparisonRow(
            one.number, name, one.title, one.promise, [column.scenario(name) for column in columns]
        )


def _of_target(column: ComparisonColumn) -> str:
    name = column.label if column.decides else f"{column.label}, which decides nothing"
    scenarios = column.target.scenarios
    failed = [each for each in scenarios if each.verdict == "failed"]
    if not failed:
        return f"{name}: passed all of {len(scenarios)} scenarios."
    return f"{name}: failed {len(failed)} of {len(scenarios)} scenarios."


def _of_load(load: LoadResult) -> str:
    if load.verdict == "passed":
        return f"{load.users:,} users: every objective held over {load.streams:,} streams."
    missed = [each.name for each in load.objectives if not each.held]
    missed += ["the records and Prometheus disagree"] * bool(load.differences)
    return f"{load.users:,} users: failed over {load.streams:,} streams: {'; '.join(missed)}."
