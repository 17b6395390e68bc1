"""The page of faults is true: each row is there, each test it names exists, each test of a fault is named."""

import ast
import re
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "faults.md").read_text()
TABLE = PAGE.partition("\n## ")[0]
NODE = re.compile(r"`(tests/[\w/]+\.py)::([\w:]+)`")
ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
OF_STORAGE = {*range(16, 25), 45}
"""Faults of storage that this version does not have."""


def named_in(path: Path) -> set[str]:
    """Return the names of a file's tests, those in classes as ``Class::test``."""
    tree = ast.parse(path.read_text())
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    inside = [
        (f"{c.name}::{node.name}", node) for c in classes for node in c.body if isinstance(node, functions)
    ]
    outside = [(node.name, node) for node in tree.body if isinstance(node, functions)]
    return {name for name, node in chain(inside, outside) if node.name.startswith("test_")}


def test_every_fault_has_a_row_with_a_requirement_and_a_test() -> None:
    rows = ROW.findall(TABLE)
    assert [int(number) for number, *_ in rows] == [n for n in range(1, 49) if n not in OF_STORAGE]
    assert [number for number, *_, tests in rows if not NODE.search(tests)] == []


def test_every_test_that_the_page_names_exists() -> None:
    named = NODE.findall(PAGE)
    assert len(named) > 50
    assert [(file, test) for file, test in named if test not in named_in(ROOT / file)] == []


def test_every_test_of_a_fault_is_on_the_page() -> None:
    named = set(NODE.findall(PAGE))
    files = list((ROOT / "tests" / "faults").glob("test_*.py"))
    assert len(files) > 4
    there = {(f"tests/faults/{path.name}", test) for path in files for test in named_in(path)}
    assert there - named == set()
