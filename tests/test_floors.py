"""The shape of the package: which module stands on which floor."""

import ast
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = "sidecar"

PURE = 0
FLOORS = {
    "backoff": PURE,
    "catalogue": PURE,
    "connection": PURE,
    "continuity": PURE,
    "errors": PURE,
    "event_id": PURE,
    "flood": PURE,
    "framing": PURE,
    "headers": PURE,
    "labels": PURE,
    "key_numbers": PURE,
    "lifecycle": PURE,
    "principal": PURE,
    "raw_tail": PURE,
    "readership": PURE,
    "readiness": PURE,
    "redaction": PURE,
    "replay_log": PURE,
    "report": PURE,
    "routes": PURE,
    "slo": PURE,
    "source": PURE,
    "verdict": PURE,
    "authorization": 1,
    "bounds": 1,
    "claims": 1,
    "known_stream": 1,
    "config": 1,
    "config_faults": 1,
    "config_file": 1,
    "descriptors": 1,
    "families": 1,
    "formats": 1,
    "history": 1,
    "hub": 1,
    "intake": 1,
    "ledger": 1,
    "log": 1,
    "log_lines": 1,
    "metrics": 1,
    "proof": 1,
    "route_metrics": 1,
    "route_settings": 1,
    "scrape": 1,
    "scripts": 1,
    "settings": 1,
    "settings_table": 1,
    "stall": 1,
    "stream": 1,
    "tally": 1,
    "upstream": 1,
    "upstream_attempt": 1,
    "upstream_connection": 1,
    "upstream_errors": 1,
    "upstream_response": 1,
    "watchdog": 1,
    "wheel": 1,
    "admin": 2,
    "canary": 2,
    "canary_backend": 2,
    "canary_probe": 2,
    "canary_route": 2,
    "app": 2,
    "attach": 2,
    "control": 2,
    "exchange": 2,
    "guard": 2,
    "index_page": 2,
    "overview": 2,
    "problem": 2,
    "protocol": 2,
    "proxy": 2,
    "receipt": 2,
    "reports": 2,
    "request_clock": 2,
    "server": 2,
    "snapshot": 2,
    "subscriber": 2,
    "triage": 2,
    "__main__": 3,
    "admin_client": 3,
    "cli": 3,
    "cli_client": 3,
    "cli_demo": 3,
    "cli_evidence": 3,
    "cli_serve": 3,
    "cli_streams": 3,
    "cli_tail": 3,
    "cli_verify": 3,
    "cli_verify_load": 3,
    "cli_verify_proxy": 3,
    "cli_verify_report": 3,
    "client": 3,
    "client.answer": PURE,
    "client.course": PURE,
    "client.event_parser": PURE,
    "client.progress": PURE,
    "client.reading": PURE,
    "client.report": PURE,
    "client.request": PURE,
    "client.state": PURE,
    "client.told": PURE,
    "client.wait": PURE,
    "demo": 3,
    "reference": 3,
    "tail": 3,
    "text_table": 3,
    "verify": 3,
}
"""Module or subpackage -> floor. The package itself (its ``__init__``) belongs to the ground floor."""

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


def test_every_module_stands_on_a_floor() -> None:
    homeless = {module for module in _modules() if _room(module) not in {"", *FLOORS}}
    assert not homeless, f"add to FLOORS: {sorted(homeless)}"


def test_imports_never_go_up() -> None:
    climbing = [
        f"{module} (floor {_floor(module)}) imports {target} (floor {_floor(target)})"
        for module, targets in _own_imports().items()
        for target in sorted(targets)
        if _floor(target) > _floor(module)
    ]
    assert not climbing


def test_imports_make_no_circle() -> None:
    assert _circle(_own_imports()) == []


def test_a_circle_is_found() -> None:
    assert set(_circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == {"a", "b", "c"}


def test_the_ground_floor_is_pure() -> None:
    impure = [
        f"{module} imports {target}"
        for module, path in _modules().items()
        if FLOORS.get(_room(module)) == PURE
        for target in sorted(_imports(path.read_text()))
        if not _is_pure(target)
    ]
    assert not impure


def test_imports_are_read_wherever_they_are_written() -> None:
    source = "import os.path, json\nfrom a import b, c\ndef f():\n    from x.y import z\n"
    assert set(_imports(source)) == {"os.path", "json", "a.b", "a.c", "x.y.z"}


def _modules() -> dict[str, Path]:
    """Return dotted name -> file, of every module of the package."""
    names = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        names[".".join(parts).removesuffix(".__init__")] = path
    return names


def _room(module: str) -> str:
    """Return the key in FLOORS: the module's own, or its subpackage's; nothing for the package itself."""
    name = module.removeprefix(PACKAGE).removeprefix(".")
    while name not in FLOORS and "." in name:
        name = name.rpartition(".")[0]
    return name


def _floor(module: str) -> int:
    return FLOORS.get(_room(module), PURE)


def _own_imports() -> dict[str, set[str]]:
    """Return module -> the modules of the package that it imports, at any depth of the code."""
    modules = _modules()
    return {
        name: {own for target in _imports(path.read_text()) if (own := _nearest(target, modules))} - {name}
        for name, path in modules.items()
    }


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


def _is_pure(target: str) -> bool:
    top = target.partition(".")[0]
    if top == PACKAGE:
        return _floor(target) == PURE
    return top in sys.stdlib_module_names and top not in IMPURE


def _circle(graph: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []
