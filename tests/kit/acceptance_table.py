"""The acceptance suite's summary table and its ``sse_test_results.json``, made from the test reports.

Everything travels in the reports' user properties, so that it works the same where worker processes run the
tests.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar.cli.text_table import table
from sidecar.cli.verify.scenarios import OUTPUT
from sidecar.verify.output import write
from sidecar.verify.results import PromiseResult
from sidecar.verify.results_json import from_json
from tests.kit.acceptance import begin

PROMISE, MEASURED, RUN = "promise", "measured", "run"
"""The user properties: the promise's group and sentence, what was asked and measured, and the whole run."""

GROUPS = ("unit", "scenario", "monitoring")


def summarize(terminal: pytest.TerminalReporter, reports: list[pytest.TestReport]) -> None:
    """Print each promise with its number, and write the results."""
    promises = list(_promises(reports))
    _print(terminal, promises)
    try:
        for path in _write(reports, promises):
            terminal.write_line(f"wrote {path}")
    except OSError as error:
        terminal.write_line(f"cannot write {OUTPUT}: {error.strerror or error}", red=True)


def _promises(reports: list[pytest.TestReport]) -> Iterator[PromiseResult]:
    """Yield a result for each test, in the order of the file."""
    by_test: dict[str, list[pytest.TestReport]] = {}
    for report in sorted(reports, key=lambda each: each.location[1] or 0):
        by_test.setdefault(report.nodeid, []).append(report)
    for nodeid, of_test in by_test.items():
        properties: dict[str, Any] = dict(of_test[-1].user_properties)
        group, promise = properties[PROMISE]
        asked, measured = properties.get(MEASURED, ("", ""))
        yield PromiseResult(
            group=group,
            test=nodeid.rpartition("::")[2].partition("@")[0],  # xdist appends its group
            promise=promise,
            asked=asked,
            measured=measured,
            verdict="passed" if all(each.outcome == "passed" for each in of_test) else "failed",
        )


def _print(terminal: pytest.TerminalReporter, promises: list[PromiseResult]) -> None:
    terminal.section("promises of the streaming product")
    rows = [
        (each.verdict, each.group, each.promise, each.asked or None, each.measured or None)
        for each in promises
        if each.asked or each.verdict == "failed"
    ]
    terminal.write_line(table(("verdict", "group", "promise", "asked", "measured"), rows))
    for group in GROUPS:
        of_group = [each for each in promises if each.group == group]
        passed = sum(each.verdict == "passed" for each in of_group)
        terminal.write_line(f"{group}: {passed} of {len(of_group)} passed")


def _write(reports: list[pytest.TestReport], promises: list[PromiseResult]) -> Iterator[Path]:
    runs = [properties[RUN] for report in reports if RUN in (properties := dict(report.user_properties))]
    results = from_json(str(runs[-1])) if runs else begin().results()
    took_s = max(report.stop for report in reports) - min(report.start for report in reports)
    yield from write(replace(results, took_s=round(took_s, 3), promises=promises), Path(OUTPUT))
