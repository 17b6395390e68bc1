"""The sidecar serves the browser client's scripts to any page."""

import gzip
import hashlib
import subprocess
import sys
import zipfile
from base64 import b64encode
from pathlib import Path

import pytest

from sidecar import __version__
from sidecar.proxy.client_scripts import SCRIPTS, ClientScript
from tests.kit.relayed import relayed

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "sidecar" / "client" / "js"
MODULES = ("client.js", "status.js")
YEAR = "public, max-age=31536000, immutable"
SHORT = "public, max-age=300"


@pytest.mark.parametrize("name", MODULES)
async def test_script_is_served_as_in_the_package(name: str) -> None:
    body = (FOLDER / name).read_bytes()
    async with relayed() as (up, sc):
        response = await sc.client.fetch("GET", f"/_sse/{name}")
        assert (response.status, response.raw) == (200, body)
        assert response.header("Content-Type") == "text/javascript; charset=utf-8"
        assert response.header("Content-Length") == str(len(body))
        assert response.header("X-Content-Type-Options") == "nosniff"
        assert up.requests == []


async def test_page_of_any_origin_may_load_a_script() -> None:
    async with relayed() as (_, sc):
        response = await sc.client.fetch("GET", "/_sse/client.js", [("Origin", "https://app.example")])
        assert response.header("Access-Control-Allow-Origin") == "*"
        assert response.header("Cross-Origin-Resource-Policy") == "cross-origin"


@pytest.mark.parametrize(
    ("query", "cached"),
    [
        ("", SHORT),
        (f"?v={__version__}", YEAR),
        (f"?a=1&v={__version__}", YEAR),
        ("?v=0.0.1", SHORT),
        (f"?v={__version__}0", SHORT),
        ("?v=", SHORT),
    ],
)
async def test_only_the_present_version_is_immutable(query: str, cached: str) -> None:
    async with relayed() as (_, sc):
        response = await sc.client.fetch("GET", f"/_sse/client.js{query}")
        assert (response.status, response.header("Cache-Control")) == (200, cached)


@pytest.mark.parametrize(
    ("known", "status"), [("{tag}", 304), ('"a", W/{tag}', 304), ("*", 304), ('"a"', 200)]
)
async def test_known_etag_is_answered_with_304(known: str, status: int) -> None:
    async with relayed() as (_, sc):
        first = await sc.client.fetch("GET", "/_sse/client.js")
        tag = first.header("ETag") or ""
        again = await sc.client.fetch("GET", "/_sse/client.js", [("If-None-Match", known.format(tag=tag))])
        assert (again.status, again.header("ETag")) == (status, tag)
        assert again.raw == (b"" if status == 304 else first.raw)


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, deflate, br, zstd", "gzip"),
        ("br;q=1.0, GZIP;q=0.8", "gzip"),
        ("identity", None),
        ("br", None),
        ("gzip;q=0", None),
        ("gzip; q=0.000, *", None),
    ],
)
async def test_accepted_gzip_compresses_the_script(accepted: str, coding: str | None) -> None:
    async with relayed() as (_, sc):
        plain = await sc.client.fetch("GET", "/_sse/client.js")
        sent = await sc.client.fetch("GET", "/_sse/client.js", [("Accept-Encoding", accepted)])
        assert sent.header("Content-Encoding") == coding
        assert (gzip.decompress(sent.raw) if coding else sent.raw) == plain.raw
        assert (sent.header("Vary"), plain.header("Vary")) == ("accept-encoding", "accept-encoding")
        assert (sent.header("ETag") == plain.header("ETag")) is (coding is None)
        if coding:
            assert len(sent.raw) < len(plain.raw) / 2


async def test_head_has_the_fields_and_no_body() -> None:
    async with relayed() as (_, sc):
        got = await sc.client.fetch("GET", "/_sse/client.js")
        headed = await sc.client.fetch("HEAD", "/_sse/client.js")
        assert (headed.status, headed.raw) == (200, b"")
        assert headed.header("Content-Length") == str(len(got.raw))
        assert headed.header("ETag") == got.header("ETag")


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
async def test_other_methods_are_refused(method: str) -> None:
    async with relayed() as (up, sc):
        response = await sc.client.fetch(method, "/_sse/client.js")
        assert (response.status, response.header("Allow")) == (405, "GET, HEAD")
        assert up.requests == []


@pytest.mark.parametrize(
    "name",
    [
        "client.d.ts",
        "package.json",
        "client",
        "js/client.js",
        "src/client.js",
        "..%2Fclient.js",
        "nothing.js",
    ],
)
async def test_other_files_are_not_found_or_forwarded(name: str) -> None:
    async with relayed() as (up, sc):
        response = await sc.client.fetch("GET", f"/_sse/{name}")
        assert (response.status, response.json()["code"]) == (404, "err-sidecar-control-not-found")
        assert up.requests == []


async def test_scripts_follow_the_reserved_prefix() -> None:
    async with relayed(reserved_prefix="/internal/sse") as (_, sc):
        assert (await sc.client.fetch("GET", "/internal/sse/client.js")).status == 200


def test_other_content_has_another_etag() -> None:
    assert ClientScript("a.js", b"1").etag != ClientScript("a.js", b"2").etag


def test_integrity_is_the_sha384_of_the_bytes() -> None:
    digest = b64encode(hashlib.sha384(b"export {};\n").digest()).decode()
    assert ClientScript("a.js", b"export {};\n").integrity == f"sha384-{digest}"


def test_script_contains_the_version_of_the_sidecar() -> None:
    assert f'"{__version__}"' in (FOLDER / "client.js").read_text()


def test_every_script_of_the_folder_is_served() -> None:
    assert {name: script.body for name, script in SCRIPTS.items()} == {
        path.name: path.read_bytes() for path in FOLDER.glob("*.js")
    }


@pytest.mark.slow
def test_wheel_has_every_script_and_its_types(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        held = {
            name: packed.read(name) for name in packed.namelist() if name.startswith("sidecar/client/js/")
        }
    for name in (*MODULES, "client.d.ts"):
        assert held[f"sidecar/client/js/{name}"] == (FOLDER / name).read_bytes()
