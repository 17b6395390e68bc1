"""The layers of the package: imports point up in the table of ARCHITECTURE.md, and pure modules stay pure."""

import ast
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "sidecar"
ENTRIES_MAX = 16
"""Files and folders directly in the package, so that a reader sees all of it at once."""

IMPURE = frozenset(
    {
        "asyncio",
        "concurrent",
        "datetime",
        "io",
        "logging",
        "multiprocessing",
        "os",
        "pathlib",
        "random",
        "secrets",
        "select",
        "selectors",
        "signal",
        "socket",
        "ssl",
        "subprocess",
        "sys",
        "tempfile",
        "threading",
        "time",
        "uuid",
    }
)
"""Standard modules with a clock, a source of chance, a thread, or a way out of the process."""

Graph = Mapping[str, set[str]]


def _table() -> dict[str, list[str]]:
    """Return package -> its pure modules, in the order of the table; ``all`` stands for every module."""
    section = (ROOT / "ARCHITECTURE.md").read_text().partition("\n## Layers\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)/?` \| [^|]+ \| ([^|]+) \|$", section, re.MULTILINE)
    return {package: re.findall(r"[\w.]+", pure) for package, pure in rows}


LAYERS = _table()


def test_every_package_has_one_row() -> None:
    assert sorted(LAYERS) == sorted(
        path.name for path in (ROOT / PACKAGE).iterdir() if path.is_dir() and any(path.glob("*.py"))
    )


def test_the_package_shows_few_entries() -> None:
    entries = [path.name for path in (ROOT / PACKAGE).iterdir() if path.name != "__pycache__"]
    assert len(entries) <= ENTRIES_MAX


def test_no_import_points_down_the_table() -> None:
    assert _upward(_graph(), list(LAYERS)) == []


def test_an_import_that_points_down_the_table_is_found() -> None:
    graph = {"sidecar.a.x": {"sidecar.b.y"}, "sidecar.b.y": {"sidecar.a.z"}, "sidecar.a.z": {"sidecar"}}
    assert _upward(graph, ["a", "b"]) == ["sidecar.a.x imports sidecar.b.y"]
    assert _upward(graph, ["b", "a"]) == ["sidecar.b.y imports sidecar.a.z"]
    assert _upward({"sidecar": {"sidecar.a"}, "sidecar.a": {"sidecar.__main__"}}, ["a"]) == [
        "sidecar imports sidecar.a",
        "sidecar.a imports sidecar.__main__",
    ]


def test_no_modules_import_each_other_in_a_cycle() -> None:
    assert _cycle(_graph()) == []


def test_a_cycle_is_found() -> None:
    assert set(_cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == {"a", "b", "c"}


def test_pure_modules_import_only_pure_modules() -> None:
    modules = _modules()
    pure = _pure(modules)
    assert [
        f"{module} imports {target}"
        for module in sorted(pure)
        for target in sorted(_imports(modules[module].read_text()))
        if not _is_pure(target, modules, pure)
    ] == []


def test_every_pure_module_of_the_table_exists() -> None:
    modules = _modules()
    assert [
        f"{package}.{name}"
        for package, names in LAYERS.items()
        for name in names
        if name != "all" and f"{PACKAGE}.{package}.{name}" not in modules
    ] == []


def test_imports_are_read_wherever_they_are_written() -> None:
    source = (
        "import os.path, json\nfrom a import b, c\n"
        "def f():\n    from x.y import z\n    importlib.import_module('d.e')\n"
    )
    assert set(_imports(source)) == {"os.path", "json", "a.b", "a.c", "x.y.z", "d.e"}


def _modules() -> dict[str, Path]:
    """Return dotted name -> file, of every module of the package."""
    names = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        names[".".join(parts).removesuffix(".__init__")] = path
    return names


def _graph() -> Graph:
    """Return module -> the modules of the package that it imports, at any depth of the code."""
    modules = _modules()
    return {
        name: {own for target in _imports(path.read_text()) if (own := _nearest(target, modules))} - {name}
        for name, path in modules.items()
    }


def _upward(graph: Graph, layers: Sequence[str]) -> list[str]:
    """Return the imports of a package by one that stands above it, as sentences."""
    return [
        f"{module} imports {target}"
        for module, targets in graph.items()
        for target in sorted(targets)
        if _layer(target, layers) > _layer(module, layers)
    ]


def _layer(module: str, layers: Sequence[str]) -> int:
    """Return a module's row: the package itself stands above all rows, ``__main__`` below all."""
    package = module.removeprefix(PACKAGE).removeprefix(".").partition(".")[0]
    if not package:
        return -1
    return len(layers) if package == "__main__" else layers.index(package)


def _nearest(target: str, modules: Mapping[str, Path]) -> str | None:
    """Return the module that ``target`` is, or is a name in; None if it is not ours."""
    while target not in modules:
        target, dot, _name = target.rpartition(".")
        if not dot:
            return None
    return target


def _imports(source: str) -> Iterator[str]:
    """Yield the dotted names that a source imports. All are absolute: ruff refuses relative ones."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (str(name.value) for name in node.args[:1] if isinstance(name, ast.Constant))


def _pure(modules: Mapping[str, Path]) -> set[str]:
    return {
        name
        for name in modules
        for package, pure in LAYERS.items()
        if name.startswith(f"{PACKAGE}.{package}.")
        and ("all" in pure or name.removeprefix(f"{PACKAGE}.{package}.") in pure)
    }


def _is_pure(target: str, modules: Mapping[str, Path], pure: set[str]) -> bool:
    top = target.partition(".")[0]
    if top == PACKAGE:
        return _nearest(target, modules) in pure | {PACKAGE}
    return top in sys.stdlib_module_names and top not in IMPURE


def _cycle(graph: Graph) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []
