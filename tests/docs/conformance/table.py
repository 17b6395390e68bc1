"""docs/conformance.md: its table, made of the results that are committed beside it."""

import json
import re
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from sidecar.cli.reference import table
from sidecar.verify.results import Results, ScenarioResult, TargetResult
from sidecar.verify.results_json import from_json, to_json

PAGE, RESULTS = "conformance.md", "conformance.json"
PART = re.compile(r"(<!-- generated: conformance -->\n).*?(<!-- end -->)", re.DOTALL)
OWN = {"direct": "the plain backend", "sidecar": "the sidecar"}


def write_table(results: bytes, docs: Path, names: Sequence[str], command: str) -> None:
    """Keep the results, without what the table does not need, and write the table."""
    run = from_json(results)
    told = json.loads(to_json(run))
    told["command"] = command
    strangers = iter(names)
    for target in told["targets"]:
        target["name"] = OWN.get(target["name"]) or next(strangers)
        for scenario in target["scenarios"]:
            scenario |= {"timeline": {"marks": [], "bands": []}, "breaches": [], "shown": []}
    (docs / RESULTS).write_text(to_json(from_json(json.dumps(told))))
    page = docs / PAGE
    page.write_text(render(page.read_text(encoding="utf-8"), docs), encoding="utf-8")


def render(page: str, docs: Path) -> str:
    """Return the page with its table made anew."""
    run = from_json((docs / RESULTS).read_bytes())
    made = f"{_verdicts(run)}\n{_made(run)}\n{_reasons(run)}\n{_not_checked(run)}"
    return PART.sub(lambda found: f"{found[1]}\n{made}\n{found[2]}", page)


def _verdicts(run: Results) -> str:
    titles = [f"{each.number}. {each.title}" for each in run.targets[0].scenarios]
    return table(["Server", *titles], (_row(target) for target in run.targets))


def _row(target: TargetResult) -> list[str]:
    return [target.name, *map(_cell, target.scenarios)]


def _cell(result: ScenarioResult) -> str:
    if result.verdict == "passed":
        return "passed, in part" if result.not_checked else "passed"
    return "**failed**"


def _made(run: Results) -> str:
    kind = run.path.kind if run.path else "no"
    facts = ", ".join(
        f"{name} {value}" for name, value in run.environment.items() if name in {"python", "system"}
    )
    return f"{run.started}, {kind} path, seed {run.seed}, sse-sidecar {run.version}, {facts}.\n"


def _reasons(run: Results) -> str:
    rows = [(target.name, _failures(target)) for target in run.targets]
    return table(["Server", "Scenario by scenario: why it failed"], (row for row in rows if row[1]))


def _failures(target: TargetResult) -> str:
    return " ".join(
        f"**{each.number}.** {' '.join(each.reasons)}" for each in target.scenarios if each.reasons
    )


def _not_checked(run: Results) -> str:
    """Return each thing that could not be checked, with the servers and scenarios of which that is true."""
    where: dict[str, dict[str, list[int]]] = {}
    for target in run.targets:
        for each in target.scenarios:
            for sentence in each.not_checked:
                where.setdefault(sentence, {}).setdefault(target.name, []).append(each.number)
    rows = (
        [sentence, ", ".join(servers), ", ".join(map(str, sorted(set(chain(*servers.values())))))]
        for sentence, servers in where.items()
    )
    return table(["What could not be checked", "Server", "Scenario"], rows)
