"""The browser client in Node.js, with literal bytes and a fake clock.

Each file of ``tests/clients/js`` is one test here; ``node --test tests/clients/js/<file>`` runs it alone.
"""

import re
from pathlib import Path

import pytest

from tests.clients.js.node import HOME, node, nodes, run

pytestmark = [pytest.mark.needs("node", "npm"), pytest.mark.timeout(200)]

WIRE = HOME / "wire.test.mjs"
FILES = sorted((path for path in HOME.glob("*.test.mjs") if path != WIRE), key=lambda path: path.name)
RUN_S = 180.0
FAILURE = re.compile(r"^not ok .*\n(?:  .*\n)*", re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=[path.name.partition(".")[0] for path in FILES])
async def test_file_passes_in_node(path: Path) -> None:
    await _holds(path, node())


@pytest.mark.slow
@pytest.mark.parametrize("program", nodes(), ids=["the first Node.js", "the other"][: len(nodes())])
async def test_wire_cases_pass_in_every_node(program: str) -> None:
    await _holds(WIRE, program)


async def _holds(path: Path, program: str) -> None:
    try:
        said = await run("--test", "--test-reporter=tap", path, within_s=RUN_S, program=program)
    except AssertionError as error:
        raise AssertionError("\n".join(FAILURE.findall(str(error))) or str(error)) from None
    counts = dict(re.findall(r"^# (pass|fail|cancelled|skipped|todo) (\d+)$", said, re.MULTILINE))
    passed = int(counts.pop("pass"))
    assert passed > 1, said
    assert set(counts.values()) == {"0"}, said
