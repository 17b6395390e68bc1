"""``sse-sidecar streams`` shows what a running sidecar holds, and says what to do when it cannot."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from sidecar.cli.main import main
from sidecar.sse.event_id import handle
from tests.kit.fake_upstream import FakeUpstream, plain, sse
from tests.kit.running import RunningSidecar, running
from tests.kit.user_process import run_to_end

TOKEN = "correct-horse-battery-staple"
CLEAN = {"SSE_SIDECAR_ADMIN_TOKEN": ""}


class Ended(NamedTuple):
    exit_code: int
    stdout: str
    stderr: str


class TestLs:
    async def test_the_streams_are_a_table_with_the_newest_first(self) -> None:
        async with FakeUpstream() as up, running(up.url) as sc:
            up.script(sse(b"data: a\n\n"), sse(b"data: a\n\ndata: b\n\n", then="fin"))
            ids = [await _read_a_stream(sc) for _ in range(2)]
            result = await _streams(sc, "ls")
        head, *rows = [re.split(r" {2,}", line) for line in result.stdout.splitlines()]
        assert head[:5] == ["ID", "ROUTE", "STATE", "AUDIENCE", "OUTCOME"]
        assert [row[:5] for row in rows] == [
            [handle(ids[1]), "default", "ended", "detached", "upstream_truncated"],
            [handle(ids[0]), "default", "ended", "detached", "completed"],
        ]

    async def test_json_is_what_the_listener_says(self) -> None:
        async with FakeUpstream() as up, running(up.url) as sc:
            up.script(sse(b"data: a\n\n"))
            stream_id = await _read_a_stream(sc)
            result = await _streams(sc, "ls", "--json", "--state", "ended", "--route", "default")
        rows = json.loads(result.stdout)
        assert [(row["id"], row["outcome"], row["events"]) for row in rows] == [
            (handle(stream_id), "completed", 1)
        ]

    async def test_no_streams_is_an_answer_too(self) -> None:
        async with FakeUpstream() as up, running(up.url) as sc:
            result = await _streams(sc, "ls")
        assert (result.exit_code, result.stdout) == (0, "no streams\n")

    async def test_a_route_that_is_none_is_told(self) -> None:
        async with FakeUpstream() as up, running(up.url) as sc:
            result = await _streams(sc, "ls", "--route", "chatt")
        assert (result.exit_code, "route: got 'chatt'; there is no such route" in result.stderr) == (1, True)


class TestShow:
    async def test_it_tells_why_a_stream_stopped(self) -> None:
        async with FakeUpstream() as up, running(up.url) as sc:
            up.script(sse(b"data: a\n\n", then="reset"))
            stream_id = await _read_a_stream(sc)
            result = await _streams(sc, "show", stream_id)
        facts, timeline = result.stdout.split("\ntimeline\n")
        assert re.search(r"^outcome +upstream_truncated$", facts, re.MULTILINE)
        assert re.search(r"^code +err-sidecar-upstream-reset$", facts, re.MULTILINE)
        assert re.search(r"^ +\d+\.\d{3} s  lost: err-sidecar-upstream-reset$", timeline, re.MULTILINE)

    async def test_one_that_is_not_held_is_told_with_what_to_do(self) -> None:
        async with FakeUpstream() as up, running(up.url) as sc:
            result = await _streams(sc, "show", "s1/../x?y")
        assert result.exit_code == 1
        assert "no such stream is held" in result.stderr
        assert "sse-sidecar streams ls" in result.stderr


class TestCancelCommand:
    async def test_a_stream_is_stopped_and_its_backend_s_connection_closed(self) -> None:
        async with FakeUpstream() as up, running(up.url) as sc:
            up.script(sse(b"data: a\n\n", then="stall"))
            async with sc.client.open() as response:
                stream_id = str(response.header("sse-stream"))
                result = await _streams(sc, "cancel", stream_id)
                await up.requests[0].closed_by_peer()
            assert sc.outcomes() == {"client_cancelled": 1}
        assert (result.exit_code, result.stdout) == (0, f"cancelled {stream_id}\n")


class TestAccess:
    async def test_the_token_is_sent(self) -> None:
        async with FakeUpstream() as up, running(up.url, admin_token=TOKEN) as sc:
            by_flag = await _streams(sc, "ls", "--token", TOKEN)
            by_variable = await _streams(sc, "ls", env={"SSE_SIDECAR_ADMIN_TOKEN": TOKEN})
        assert [by_flag.exit_code, by_variable.exit_code] == [0, 0]

    async def test_a_missing_token_is_asked_for(self) -> None:
        async with FakeUpstream() as up, running(up.url, admin_token=TOKEN) as sc:
            result = await _streams(sc, "ls")
        assert result.exit_code == 1
        assert {"--token", "SSE_SIDECAR_ADMIN_TOKEN"} <= set(result.stderr.split())

    def test_a_sidecar_that_does_not_run_is_told_with_what_to_do(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        result = CliRunner().invoke(main, ["streams", "ls", "--admin", f"http://127.0.0.1:{port}"])
        assert result.exit_code == 1
        facts = (f"http://127.0.0.1:{port}", "Connection refused", "admin_listen", "--admin")
        assert [fact for fact in facts if fact not in result.stderr] == []

    async def test_something_else_at_that_address_is_told(self) -> None:
        async with FakeUpstream() as up:
            up.script(plain(200, body=b"<html>"))
            result = await asyncio.to_thread(CliRunner().invoke, main, ["streams", "ls", "--admin", up.url])
        assert (result.exit_code, "is it the admin listener?" in result.stderr) == (1, True)

    async def test_a_redirect_does_not_get_the_token(self) -> None:
        async with FakeUpstream() as up:
            up.script(plain(302, [("Location", f"{up.url}/elsewhere")]))
            arguments = ["streams", "ls", "--admin", up.url, "--token", TOKEN]
            result = await asyncio.to_thread(CliRunner().invoke, main, arguments)
        assert (result.exit_code, len(up.requests)) == (1, 1)

    @pytest.mark.parametrize("url", ["localhost:9464", "ftp://x", "http://", "http://x:99999"])
    def test_what_is_no_url_is_a_usage_error(self, url: str) -> None:
        result = CliRunner().invoke(main, ["streams", "ls", "--admin", url])
        assert result.exit_code == 2
        assert "--admin" in result.stderr


async def _read_a_stream(sc: RunningSidecar) -> str:
    response = await sc.client.fetch("GET", "/", [("Accept", "text/event-stream")])
    await sc.until(lambda: not any(stream.readers for stream in sc.parts.hub.streams.values()))
    return str(response.header("sse-stream"))


async def _streams(sc: RunningSidecar, *arguments: str, env: dict[str, str] | None = None) -> Ended:
    """Run the command as a process of its own: the sidecar in this one writes its log to our stdout."""
    line = ["streams", *arguments, "--admin", f"http://127.0.0.1:{sc.admin_port}"]
    command = (sys.executable, "-m", "sidecar", *line)
    return Ended(*await run_to_end(*command, stderr=subprocess.PIPE, env=os.environ | (env or CLEAN)))
