"""docs/client-python.md: every option and member is on it, and its programs print what it says they print."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sidecar.client
from sidecar.client import EventSource, State, blocking
from tests.kit.demo_backend import demo_backend
from tests.kit.running import running
from tests.kit.user_process import run_to_end

PAGE = (Path(__file__).parents[2] / "docs" / "client-python.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```\n.*?```text\n(.*?)```", PAGE, re.DOTALL)
PLACE = "http://127.0.0.1:8080"
PROGRAM_S = 60.0

OPTIONS = [name for name in inspect.signature(EventSource).parameters if name != "url"]


def members_of(kind: type) -> set[str]:
    return {name for name in vars(kind) if not name.startswith("_")}


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_has_a_row_with_its_default(option: str) -> None:
    row = re.search(rf"^\| `{option}` \| ([^|]*) \|", PAGE, re.MULTILINE)
    assert row is not None
    default = inspect.signature(EventSource).parameters[option].default
    in_words = {"headers", "body", "session", "transport", "jitter"}
    if option in in_words or option.startswith("on_"):
        return
    assert row[1].strip("`") == (
        f'"{default}"' if isinstance(default, str) else str(default).removesuffix(".0")
    )


def test_no_option_is_named_that_is_none() -> None:
    table = PAGE.partition("## Options")[2].partition("## Members")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == OPTIONS


def test_every_member_has_a_row_and_no_other_has() -> None:
    table = PAGE.partition("## Members")[2].partition("## Without")[0]
    named = re.findall(r"^\| `(\w+)(?:\(\))?` \|", table, re.MULTILINE)
    assert sorted(named) == sorted(members_of(EventSource) | {"url"})


def test_the_blocking_client_has_the_same_members() -> None:
    assert members_of(blocking.BlockingEventSource) == members_of(EventSource) | {"url"}


@pytest.mark.parametrize("name", [*sidecar.client.__all__, *State, "own_id", "block"])
def test_what_else_is_public_is_named(name: str) -> None:
    assert re.search(rf"`{name}\b", PAGE)


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_the_programs_on_the_page_print_what_it_says() -> None:
    async with demo_backend() as backend, running(f"http://127.0.0.1:{backend.port}") as sc:
        printed = [await _printed(program, sc.port) for program, _ in PROGRAMS]
    assert printed == [output for _, output in PROGRAMS]


async def _printed(program: str, port: int) -> str:
    source = program.replace(PLACE, f"http://127.0.0.1:{port}")
    command = (sys.executable, "-c", source)
    return (await run_to_end(*command, within_s=PROGRAM_S, stderr=subprocess.STDOUT)).stdout
