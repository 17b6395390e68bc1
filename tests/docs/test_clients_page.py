"""docs/clients.md: the versions in its tables are those that the tests run, and its examples are valid."""

import json
import re
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from sidecar.config.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (.*?) \| ([0-9][0-9.]*) \|", re.MULTILINE)
NPM: dict[str, str] = json.loads((ROOT / "tests/clients/sdk/package.json").read_text(encoding="utf-8"))[
    "dependencies"
]
OF_PYPI = ("openai", "anthropic", "google-genai", "mcp", "httpx", "httpx-sse")

ROWS: dict[str, str] = dict(ROW.findall(PAGE))
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def _name_of(row: str) -> str:
    """Return the package that a row's version is of: the last one it names before a comma."""
    names: list[str] = re.findall(r"`([^`]*)`", row.partition(",")[0].partition(" over ")[0])
    return names[-1]


@pytest.mark.parametrize("row", ROWS)
def test_the_version_on_the_page_is_the_one_that_is_tested(row: str) -> None:
    name = _name_of(row)
    of_pypi = name in OF_PYPI and "JavaScript" not in row
    assert ROWS[row] == (version(name) if of_pypi else NPM[name])


def test_every_client_that_is_tested_is_on_the_page() -> None:
    named = {_name_of(row) for row in ROWS}
    assert named == {*NPM, *OF_PYPI}


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_a_valid_configuration(example: str) -> None:
    Settings.model_validate({"upstream": "http://127.0.0.1:8000", **yaml.safe_load(example)})
