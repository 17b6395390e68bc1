"""What `make verify-grafana` does, against a stand-in for Grafana: the real one needs its image."""

import asyncio
import json
import os
import subprocess
import sys
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from dashboards.verify import NotVerified, verify

Json = dict[str, Any]


@asynccontextmanager
async def grafana(change: Callable[[Json], None] = lambda _: None) -> AsyncIterator[tuple[str, list[str]]]:
    """Keep what is imported and hand it back with an id and a version, after ``change``."""
    kept: dict[str, Json] = {}
    asked: list[str] = []

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"database": "ok"})

    folders: list[Json] = []

    async def known(_: web.Request) -> web.Response:
        return web.json_response(folders)

    async def folder(request: web.Request) -> web.Response:
        if folders:
            raise web.HTTPPreconditionFailed(text="there is one with this uid")
        folders.append(await request.json())
        asked.append(b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode())
        return web.json_response(folders[0])

    async def save(request: web.Request) -> web.Response:
        body = await request.json()
        asked.append(f"{body['folderUid']}/{body['dashboard']['uid']}")
        kept[body["dashboard"]["uid"]] = body["dashboard"] | {"id": 7, "version": 1}
        return web.json_response({"status": "success"})

    async def read(request: web.Request) -> web.Response:
        board = json.loads(json.dumps(kept[request.match_info["uid"]]))
        change(board)
        return web.json_response({"dashboard": board, "meta": {}})

    app = web.Application()
    app.add_routes(
        [
            web.get("/api/health", health),
            web.get("/api/folders", known),
            web.post("/api/folders", folder),
            web.post("/api/dashboards/db", save),
            web.get("/api/dashboards/uid/{uid}", read),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}", asked
    await runner.cleanup()


async def test_a_grafana_that_keeps_the_dashboards_as_they_are_is_content() -> None:
    async with grafana() as (url, asked):
        assert await verify(url) == {
            "sse-integrity": [],
            "sse-overview": [],
            "sse-reconnects": [],
            "sse-resources": [],
        }
    assert asked == [
        "admin:admin",
        "sse/sse-integrity",
        "sse/sse-overview",
        "sse/sse-reconnects",
        "sse/sse-resources",
    ]


async def test_the_same_grafana_may_be_asked_again() -> None:
    async with grafana() as (url, asked):
        assert await verify(url) == await verify(url)
    assert asked.count("admin:admin") == 1


async def test_what_a_grafana_changes_is_named() -> None:
    def forget(board: Json) -> None:
        board["panels"][1]["title"] = "?"
        del board["links"]

    async with grafana(forget) as (url, _):
        assert (await verify(url))["sse-overview"] == ["links", "panels"]


async def test_what_a_grafana_refuses_is_told_in_its_words() -> None:
    def refuse(_: Json) -> None:
        raise web.HTTPPreconditionFailed(text="version-mismatch")

    async with grafana(refuse) as (url, _):
        with pytest.raises(NotVerified, match="GET dashboards/uid/sse-integrity: 412 version-mismatch"):
            await verify(url)


async def test_without_docker_it_says_what_is_needed(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "dashboards.verify")
    environment = os.environ | {"PATH": str(tmp_path)}
    said = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, env=environment, check=False, timeout=60
    )
    assert said.returncode == 1
    assert "needs docker or podman to run docker.io/grafana/grafana:11.6.0; or name a Grafana" in said.stderr
