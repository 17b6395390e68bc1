"""docs/resilience-report: made of the results that are committed beside it, and of nothing else."""

import pytest

from sidecar.verify.report.comparison import Comparison
from tests.resilience_report import KEPT, NAME, RUNS, kept, reports

BACK_IN_TIME_USERS = 500
RECONNECTS = {"reconnect mean", "reconnect p95"}
"""What people by the thousand may miss where they share two processors with all that they use."""


def test_it_is_made_of_the_results_beside_it() -> None:
    made = reports(kept())
    stale = [file.name for file, text in made.items() if file.read_text(encoding="utf-8") != text]
    assert stale == [], f"python -m tests.resilience_report --write-only; then commit {NAME}.*"


@pytest.mark.parametrize("name", RUNS)
def test_every_run_is_in_it_with_the_command_that_repeats_it(name: str) -> None:
    text = (KEPT / f"{name}.json").read_text(encoding="utf-8")
    assert f'"command": "sse-sidecar {" ".join(RUNS[name][:3])}' in text
    assert "/tmp/" not in text


def test_the_sidecar_passes_on_both_paths_and_the_plain_backend_fails_what_needs_it() -> None:
    comparison = Comparison(kept())
    verdicts = {column.label: column.target.verdict for column in comparison.columns}
    assert verdicts == {
        "direct (real)": "failed",
        "sidecar (real)": "passed",
        "direct (userspace)": "failed",
        "sidecar (userspace)": "passed",
    }


def test_however_many_people_nothing_is_lost_and_hundreds_of_them_are_back_in_time() -> None:
    for load in Comparison(kept()).loads:
        missed = {objective.name for objective in load.objectives if not objective.held}
        assert load.differences == []
        assert missed <= (set() if load.users <= BACK_IN_TIME_USERS else RECONNECTS), load.users
