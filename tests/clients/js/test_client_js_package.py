"""The browser client as a package: its build, size, types and version."""

import gzip
import json
import re
from pathlib import Path

import pytest

from sidecar import __version__
from tests.clients.js import bundle
from tests.clients.js.node import CLIENT, HOME, run
from tests.clients.sdk import node_sdks

GZIPPED_BYTES_MAX = {"client.js": 6 * 1024, "status.js": 3 * 1024}
RUN_S = 120.0
PACKAGE = json.loads((CLIENT / "package.json").read_text())
SOURCES = sorted((CLIENT / "src").rglob("*.js"))
TYPES = node_sdks.MODULES / "typescript" / "lib"

needs_tools = pytest.mark.needs("npm")
needs_node = pytest.mark.needs("node")


@needs_tools
@pytest.mark.parametrize("name", bundle.SCRIPTS)
def test_served_script_is_what_its_sources_build(name: str) -> None:
    assert (CLIENT / name).read_bytes() == bundle.build(name), "run `make client-js` and commit its result"


@pytest.mark.parametrize("name", bundle.SCRIPTS)
def test_served_script_is_small(name: str) -> None:
    size = len(gzip.compress((CLIENT / name).read_bytes(), 9))
    assert size <= GZIPPED_BYTES_MAX[name], f"{size} bytes"


@pytest.mark.parametrize("name", bundle.SCRIPTS)
def test_served_script_imports_nothing(name: str) -> None:
    assert not re.search(r"\bimport\b(?!\.meta)", (CLIENT / name).read_text())


@needs_tools
def test_shortened_names_are_internal() -> None:
    published = [*TYPES.glob("lib.dom*.d.ts"), *TYPES.glob("lib.es*.d.ts"), *CLIENT.glob("*.d.ts")]
    assert len(published) > len(bundle.SCRIPTS)
    words = {word for path in published for word in re.findall(r"\w+", path.read_text())}
    assert not words & set(bundle.INTERNAL)


def test_shortened_names_occur_in_the_sources() -> None:
    words = {word for path in SOURCES for word in re.findall(r"\w+", path.read_text())}
    assert set(bundle.INTERNAL) <= words


@needs_tools
@pytest.mark.slow
@pytest.mark.timeout(200)
async def test_sources_agree_with_the_types() -> None:
    tsc = node_sdks.MODULES / "typescript" / "bin" / "tsc"
    assert await run(tsc, "--project", HOME / "tsconfig.json", within_s=RUN_S) == ""


def test_package_has_the_version_of_the_sidecar() -> None:
    assert PACKAGE["version"] == __version__
    assert f'export const VERSION = "{__version__}";' in (CLIENT / "src" / "client.js").read_text()
    assert f'"{__version__}"' in (CLIENT / "client.js").read_text()


def test_package_names_every_file_and_no_other() -> None:
    targets = {
        path.removeprefix("./")
        for way in PACKAGE["exports"].values()
        for path in ([way] if isinstance(way, str) else way.values())
    }
    there = {path.name for path in CLIENT.iterdir() if path.is_file()}
    assert targets == there - {"README.md"}
    assert {*PACKAGE["files"], "package.json"} == there
    assert (PACKAGE["type"], PACKAGE["license"]) == ("module", "Apache-2.0")
    assert "dependencies" not in PACKAGE


@needs_node
async def test_installed_package_is_found_by_its_name(tmp_path: Path) -> None:
    home = tmp_path / "node_modules" / PACKAGE["name"]
    home.parent.mkdir(parents=True)
    home.symlink_to(CLIENT)
    script = tmp_path / "page.mjs"
    script.write_text(
        f'import {{ connect, StreamFailed, VERSION }} from "{PACKAGE["name"]}";\n'
        "console.log(VERSION, typeof connect, new StreamFailed('no', 'code').code);\n"
    )
    assert await run(script, within_s=RUN_S) == f"{__version__} function code\n"
