"""docs/resilience-report: made of the results that are committed beside it, and of nothing else."""

import pytest

from sidecar.verify.report.comparison import Comparison
from tests.docs.resilience_report import KEPT, NAME, RUNS, kept, reports


def test_it_is_made_of_the_results_beside_it() -> None:
    made = reports(kept())
    stale = [file.name for file, text in made.items() if file.read_text(encoding="utf-8") != text]
    assert stale == [], f"python -m tests.docs.resilience_report --write-only; then commit {NAME}.*"


@pytest.mark.parametrize("name", RUNS)
def test_every_run_is_in_it_with_the_command_that_repeats_it(name: str) -> None:
    text = (KEPT / f"{name}.json").read_text(encoding="utf-8")
    assert f'"command": "sse-sidecar {" ".join(RUNS[name][:3])}' in text
    assert "/tmp/" not in text


def test_the_sidecar_passes_where_the_plain_backend_fails() -> None:
    comparison = Comparison(kept())
    verdicts = {column.label: column.target.verdict for column in comparison.columns}
    assert verdicts == {
        "direct (real)": "failed",
        "sidecar (real)": "passed",
        "direct (userspace)": "failed",
        "sidecar (userspace)": "passed",
    }
    assert comparison.passed


def test_at_every_load_objectives_hold_and_both_counts_agree() -> None:
    for load in Comparison(kept()).loads:
        assert [objective.name for objective in load.objectives if not objective.held] == [], load.users
        assert load.differences == []
