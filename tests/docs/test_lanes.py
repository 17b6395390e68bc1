"""The lanes of `make test` and `make test-all`: bounds, interruption and counts."""

import importlib.util
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from tests.kit.blocking_process import blocking_process

SCRIPT = Path(__file__).parents[2] / ".ci" / "lanes.py"
RUN_S = 60
BOUND_MINUTES = 0.01

# Two lanes of one track. The first prints until a signal ends it, so that its thread prints to the end.
TWO_LANES = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("lanes", {script!r})
lanes = sys.modules["lanes"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lanes)
first = lanes.Lane("first", "echo first; exec yes", 5)
second = lanes.Lane("second", "touch {mark}; exec sleep 300", 5)
lanes.SETS = {{"python": lambda: ([[first, second]], [])}}
sys.exit(lanes.main(["python"]))
"""


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lanes", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["lanes"] = module
    spec.loader.exec_module(module)
    return module


lanes = _load()


@pytest.mark.parametrize(
    "command",
    ["exec sleep 300", "sleep 300 & exit 0"],
    ids=["the command hangs", "a child holds the output open"],
)
def test_a_lane_ends_at_its_bound_and_fails(command: str) -> None:
    lane = lanes.Lane("x", command, BOUND_MINUTES)
    began_at_s = time.monotonic()
    lane.run(io.StringIO())
    assert time.monotonic() - began_at_s < RUN_S
    assert lane.status != 0
    assert (lane.passed, lane.failed) == (0, 1)


@pytest.mark.parametrize(
    ("printed", "status", "counted"),
    [
        ("3 passed, 2 skipped in 1.0s", 0, (3, 0)),
        ("1 failed, 3 passed, 1 error in 65.1s (0:01:05)", 1, (3, 2)),
        ("no tests ran in 0.1s", 5, (0, 1)),
        ("anything", 0, (1, 0)),
        (r"\377 2 passed in 1.0s", 0, (2, 0)),
    ],
)
def test_a_lane_counts_tests(printed: str, status: int, counted: tuple[int, int]) -> None:
    lane = lanes.Lane("x", f"printf '{printed}\\n'; exit {status}", 1)
    lane.run(None)
    assert (lane.passed, lane.failed) == counted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_lanes_and_starts_no_other(number: signal.Signals, tmp_path: Path) -> None:
    program = TWO_LANES.format(script=str(SCRIPT), mark=tmp_path / "second")
    with blocking_process([sys.executable, "-c", program], stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "first\n"
        os.kill(started.pid, number)
        started.communicate(timeout=RUN_S)
        assert started.returncode == 130
    assert not (tmp_path / "second").exists()
