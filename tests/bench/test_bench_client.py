"""The benchmark of the Python client runs, and says what it says it does."""

import re
import sys

import pytest

from tests.kit.user_process import run_to_end

COMMAND = [sys.executable, "-m", "tests.bench.client", "4000"]
FIGURES = re.compile(
    r"^ +(one by one|400 in a chunk): +\d+\.\d parser \( *\d+ MB/s\), +\d+\.\d whole client$"
)


@pytest.mark.slow
async def test_it_prints_a_figure_for_each_way_of_sending() -> None:
    said = (await run_to_end(*COMMAND)).stdout.splitlines()
    assert said[0] == "4000 stamped events of 143 bytes, CPU microseconds for each"
    assert [bool(FIGURES.match(line)) for line in said[1:]] == [True, True]
