"""The browser client in Node.js: literal bytes in, messages out, on a clock that stands still.

Each file of ``tests/js`` is one test here; ``node --test tests/js/<file>`` runs it alone.
"""

import re
from pathlib import Path

import pytest

from tests.js.node import HOME, missing, run

pytestmark = [pytest.mark.skipif(bool(missing()), reason=missing()), pytest.mark.timeout(200)]

FILES = sorted(HOME.glob("*.test.mjs"), key=lambda path: path.name)
RUN_S = 180.0
FAILURE = re.compile(r"^not ok .*\n(?:  .*\n)*", re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=[path.name.partition(".")[0] for path in FILES])
async def test_every_promise_of_the_file_holds(path: Path) -> None:
    try:
        said = await run("--test", "--test-reporter=tap", path, within_s=RUN_S)
    except AssertionError as error:
        raise AssertionError("\n".join(FAILURE.findall(str(error))) or str(error)) from None
    counts = dict(re.findall(r"^# (pass|fail|cancelled|skipped|todo) (\d+)$", said, re.MULTILINE))
    passed = int(counts.pop("pass"))
    assert passed > 1, said
    assert set(counts.values()) == {"0"}, said
