"""docs/client-status.md says what status.js and status.d.ts are: keys, kinds, parts, properties and size."""

import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/client-status.md").read_text(encoding="utf-8")
MODULE = ROOT / "sidecar/client/js/status.js"
SOURCE = "".join(path.read_text(encoding="utf-8") for path in sorted(MODULE.parent.glob("src/status/*.js")))
TYPES = (ROOT / "sidecar/client/js/status.d.ts").read_text(encoding="utf-8")
TSC = ROOT / "tests/clients/sdk/node_modules/.bin/tsc"
NODE = shutil.which("node")

USES = """
import { connect } from "%(folder)s/client.js";
import { SseStatus, TEXTS, type Text } from "%(folder)s/status.js";

const status: SseStatus = document.querySelector("sse-status")!;
status.source = connect("/api/chat");
status.source = { state: "failed", reason: "It died." };
status.source = null;
status.texts = { recovered: ({ replayed }) => `${replayed ?? "some"}`, "thinking-count": "{seconds}" };
// @ts-expect-error no such text
status.texts = { lively: "L" };
const text: Text = TEXTS.failed;
const kind: "live" | string = status.kind + typeof text;
console.log(kind);
"""
OPTIONS = "--noEmit --strict --target es2022 --module nodenext --moduleResolution nodenext"
LIBRARIES = "es2022,dom,dom.iterable,dom.asynciterable"

TEXTS_OF = """
class Element {}
globalThis.HTMLElement = Element;
globalThis.customElements = { get: () => null, define: () => null };
const { TEXTS } = await import(process.argv[1]);
const values = { attempt: 2, seconds: 4, replayed: 7, missed: 7 };
const say = (text) => (typeof text === "string" ? text : text(values));
const said = Object.entries(TEXTS).map(([key, text]) => [key, say(text)]);
console.log(JSON.stringify(Object.fromEntries(said)));
"""


def _rows(head: str) -> dict[str, str]:
    """Return the first and the last cell of each row of the table with this head."""
    table = re.search(rf"^\| {head} \|.*\n\| --- .*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert table is not None
    rows = [line.strip("| \n").split(" | ") for line in table[1].splitlines()]
    return {cells[0].strip("`"): cells[-1] for cells in rows}


def _union(name: str) -> set[str]:
    declared = re.search(rf"type {name} =([^;]*);", TYPES)
    assert declared is not None
    return set(re.findall(r'"([a-z-]+)"', declared[1]))


def test_the_page_has_every_kind_and_every_value() -> None:
    assert set(_rows("Kind")) == _union("Kind")
    values = re.search(r"interface TextValues \{(.*?)\n\}", TYPES, re.DOTALL)
    assert values is not None
    assert set(_rows("Value")) == set(re.findall(r"^  (\w+):", values[1], re.MULTILINE))


def test_the_page_has_every_part_and_every_custom_property() -> None:
    assert set(_rows("Part")) == set(re.findall(r'part: "(\w+)"', SOURCE))
    assert set(_rows("Custom property")) == set(re.findall(r"var\((--sse-\w+)", SOURCE))


@pytest.mark.needs("node")
def test_the_page_has_every_text_as_it_is() -> None:
    command = [str(NODE), "--input-type=module", "--eval", TEXTS_OF, str(MODULE)]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    texts = json.loads(said.stdout)
    assert _rows("Key") == texts
    assert set(texts) == _union("Kind") | set(
        re.findall(r'"([a-z-]+)"', TYPES.split("type TextKey")[1].split(";")[0])
    )


@pytest.mark.slow
@pytest.mark.needs("npm")
def test_the_types_allow_what_the_page_says_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "uses.ts").write_text(USES % {"folder": MODULE.parent}, encoding="utf-8")
    command = [str(TSC), *OPTIONS.split(), "--lib", LIBRARIES, "uses.ts"]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")


def test_it_is_as_small_as_the_page_says() -> None:
    said = re.search(r"([\d.]+) KB", PAGE)
    assert said is not None
    assert abs(len(gzip.compress(MODULE.read_bytes(), 9)) / 1000 - float(said[1])) < 0.1
