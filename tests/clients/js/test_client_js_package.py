"""The browser client as a package: small, typed, versioned, and installable."""

import gzip
import json
import subprocess
from pathlib import Path

import pytest

from sidecar import __version__
from tests.clients.js.node import CLIENT, HOME, run
from tests.clients.sdk import node_sdks

MINIFIED_BYTES_MAX = 6 * 1024
RUN_S = 120.0
PACKAGE = json.loads((CLIENT / "package.json").read_text())
CLIENT_JS = (CLIENT / "client.js").read_text()

needs_tools = pytest.mark.needs("npm")
needs_node = pytest.mark.needs("node")


def _tool(package: str, path: str) -> Path:
    return node_sdks.MODULES / package / path


def test_it_is_one_module_that_imports_nothing() -> None:
    code = [line for line in CLIENT_JS.splitlines() if not line.startswith("/**")]
    assert not [line for line in code if "import(" in line.replace('import("./client.d.ts")', "")]
    assert not [line for line in code if line.startswith("import")]


@needs_tools
def test_minified_and_gzipped_it_has_at_most_6_kib() -> None:
    esbuild, source = _tool("esbuild", "bin/esbuild"), CLIENT / "client.js"
    command = [str(esbuild), "--minify", "--format=esm", "--target=es2022", str(source)]
    minified = subprocess.run(command, capture_output=True, check=True, timeout=RUN_S).stdout
    size = len(gzip.compress(minified, 9))
    assert size <= MINIFIED_BYTES_MAX, f"{size} bytes"


@needs_tools
@pytest.mark.slow
@pytest.mark.timeout(200)
async def test_the_source_is_what_its_types_promise() -> None:
    said = await run(_tool("typescript", "bin/tsc"), "--project", HOME / "tsconfig.json", within_s=RUN_S)
    assert said == ""


def test_the_version_is_the_sidecar_s() -> None:
    assert PACKAGE["version"] == __version__
    assert f'export const VERSION = "{__version__}";' in CLIENT_JS


def test_everything_the_package_names_is_there_and_everything_there_is_named() -> None:
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
async def test_an_installed_package_is_found_by_its_name(tmp_path: Path) -> None:
    home = tmp_path / "node_modules" / PACKAGE["name"]
    home.parent.mkdir(parents=True)
    home.symlink_to(CLIENT)
    script = tmp_path / "page.mjs"
    script.write_text(
        f'import {{ connect, StreamFailed, VERSION }} from "{PACKAGE["name"]}";\n'
        "console.log(VERSION, typeof connect, new StreamFailed('no', 'code').code);\n"
    )
    assert await run(script, within_s=RUN_S) == f"{__version__} function code\n"
