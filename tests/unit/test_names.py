"""One name for one class: a reader who searches for a class finds one."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("sidecar", "tests", "alerts", "compose", "dashboards", ".ci")
INSTALLED = "node_modules"


def _sources() -> list[Path]:
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    return [path for path in found if INSTALLED not in path.parts]


def _same(names: dict[str, str]) -> dict[str, list[str]]:
    """Return the class names that more than one of the sources defines; a source is a place and its text."""
    places: dict[str, list[str]] = defaultdict(list)
    for place, text in names.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(place)
    return {name: where for name, where in places.items() if len(where) > 1}


def test_no_two_classes_share_a_name() -> None:
    assert _same({str(path): path.read_text(encoding="utf-8") for path in _sources()}) == {}


def test_two_classes_of_one_name_are_found() -> None:
    sources = {"a.py": "class Gap: ...", "b.py": "def f():\n    class Gap: ..."}
    assert _same(sources) == {"Gap": ["a.py", "b.py"]}
