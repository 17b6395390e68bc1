"""The acceptance suite can fail: with a fault in a copy of the sidecar, the broken promise's test fails.

There is one fault for each scenario. Each copy differs from the package in one place.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema  # type: ignore[import-untyped]
import pytest

ROOT = Path(__file__).parents[2]
SUITE = "tests/streaming/test_sse_production.py"
COPIED = ("sidecar", "alerts", "dashboards", "runbooks", "docs", "tests/streaming", "tests/kit")
FILES = ("pyproject.toml", "tests/__init__.py", "tests/conftest.py")

RUN_S = 240


@dataclass(frozen=True, slots=True)
class PlantedFault:
    """A change of one file of the package, the tests that meet it, and the one that has to fail."""

    file: str
    right: str
    wrong: str
    chosen: str
    test: str


FAULTS = {
    "the client gives up a slow answer": PlantedFault(
        "client/connection.py",
        "async with asyncio.timeout(within_s):",
        "async with asyncio.timeout(0.3):",
        "slow_3g",
        "test_scenario_slow_3g_completes_95_percent",
    ),
    "heartbeats hide a silent backend": PlantedFault(
        "streams/subscriber.py",
        "idle_s = int(stream.clock() - stream.last_byte_at)",
        "idle_s = 0",
        "stall",
        "test_scenario_stall_recovers_within_5_seconds",
    ),
    "a resume skips one event": PlantedFault(
        "streams/subscriber.py",
        "self.position = position\n",
        "self.position = position + bool(position)\n",
        "packet_loss",
        "test_scenario_packet_loss_is_100_percent_after_replay",
    ),
    "a resume is refused": PlantedFault(
        "sse/event_id.py",
        "return any(verdicts)",
        "return False",
        "network_handoff",
        "test_scenario_network_handoff_is_automatic",
    ),
    "reconnects do not back off": PlantedFault(
        "sse/backoff.py",
        "DELAYS_S = (1.0, 2.0, 4.0, 5.0)",
        "DELAYS_S = (1.0, 1.0, 1.0, 1.0)",
        "rapid_reconnects",
        "test_scenario_rapid_reconnects_wait_1_2_4_5_seconds",
    ),
    "a truncated answer looks complete": PlantedFault(
        "sse/verdict.py",
        "return Ending(Outcome.UPSTREAM_TRUNCATED, errors.UpstreamTruncated, silent=SilentKind.TRUNCATED)",
        "return Ending(Outcome.COMPLETED)",
        "user_experience",
        "test_scenario_user_experience_has_0_silent_failures",
    ),
}


class Ran(NamedTuple):
    """How a run of the suite ended: the tests that failed, its results, and its output."""

    code: int
    failed: set[str]
    results: dict[str, Any]
    output: str


def _run(folder: Path, fault: PlantedFault | None) -> Ran:
    _copy(folder)
    chosen = []
    if fault is not None:
        file = folder / "sidecar" / fault.file
        text = file.read_text()
        assert text.count(fault.right) == 1, (
            f"plant this fault again, {fault.file} has changed: {fault.right}"
        )
        file.write_text(text.replace(fault.right, fault.wrong))
        chosen = ["-k", fault.chosen]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", SUITE, *chosen, "-p", "no:cacheprovider"],
        cwd=folder,
        env={**_clean_environment(), "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    output = ran.stdout + ran.stderr
    file = folder / "verify-results" / "sse_test_results.json"
    assert file.exists(), output
    failed = set(re.findall(rf"^(?:FAILED|ERROR) {SUITE}::(\w+)", output, re.MULTILINE))
    return Ran(ran.returncode, failed, json.loads(file.read_text()), output)


def _copy(folder: Path) -> None:
    ignore = shutil.ignore_patterns("node_modules")
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    for name in FILES:
        shutil.copy(ROOT / name, folder / name)


def _clean_environment() -> dict[str, str]:
    """Return the environment without what an outer pytest has put there."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


@pytest.mark.slow
def test_the_suite_without_a_fault_passes_with_46_tests(tmp_path: Path) -> None:
    sound = _run(tmp_path, None)
    assert (sound.code, sound.failed) == (0, set()), sound.output
    groups = Counter(promise["group"] for promise in sound.results["promises"])
    assert groups == {"unit": 25, "scenario": 16, "monitoring": 5}
    assert len({promise["test"] for promise in sound.results["promises"]}) == 46
    _check_results(sound.results)


def _check_results(results: dict[str, Any]) -> None:
    """Check that results follow the published schema, and that each promise names its numbers."""
    schema = json.loads((ROOT / "docs" / "sse_test_results.schema.json").read_text())
    jsonschema.validate(results, schema, cls=jsonschema.Draft202012Validator)
    assert [scenario["number"] for scenario in results["targets"][0]["scenarios"]] == [1, 2, 3, 4, 5, 6]
    numbered = [promise for promise in results["promises"] if promise["group"] != "unit"]
    assert all(promise["asked"] and promise["measured"] for promise in numbered)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_fails_the_test_of_its_promise(name: str, tmp_path: Path) -> None:
    ran = _run(tmp_path, FAULTS[name])
    assert ran.code == 1, ran.output
    assert FAULTS[name].test in ran.failed, ran.output
    broken = {promise["test"] for promise in ran.results["promises"] if promise["verdict"] == "failed"}
    assert broken == ran.failed
