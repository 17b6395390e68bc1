"""``sse-sidecar evidence`` bundles what is known of a sidecar: bounded, and never with a secret in it."""

import asyncio
import json
import os
import re
import socket
import stat
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from click.testing import CliRunner

from sidecar.cli.admin_client import AdminClient
from sidecar.cli.evidence import BUNDLE_BYTES_MAX, TIMELINES_MAX, Bundle
from sidecar.cli.main import main
from sidecar.sse.event_id import handle
from tests.kit.fake_upstream import FakeUpstream, plain, sse
from tests.kit.running import STREAM, RunningSidecar, running
from tests.kit.user_process import run_to_end

SECRET = "a-signing-key-that-nobody-may-ever-see"
TOKEN = "correct-horse-battery-staple"
QUERY = "hunter2"
CLEAN = {"SSE_SIDECAR_CONFIG": "", "SSE_SIDECAR_UPSTREAM": "", "SSE_SIDECAR_ADMIN_TOKEN": ""}


class Taken(NamedTuple):
    exit_code: int
    stdout: str
    stderr: str
    parts: dict[str, bytes]

    def json(self, name: str) -> Any:
        return json.loads(self.parts[name])


async def test_it_holds_metrics_health_streams_and_the_timeline_of_what_failed(tmp_path: Path) -> None:
    async with FakeUpstream() as up, running(up.url) as sc:
        up.script(sse(b"data: a\n\n", then="reset"))
        response = await sc.client.fetch("GET", "/", STREAM)
        failed = handle(str(response.header("sse-stream")))
        taken = await _take(sc, tmp_path)
    assert (taken.exit_code, taken.stderr) == (0, "")
    assert sorted(taken.parts) == [
        *["config.json", "metrics.txt", "readyz.json", "streams.json", f"streams/{failed}.json"],
        "summary.json",
    ]
    assert (
        b'sse_streams_finished_total{outcome="upstream_truncated",route="default"} 1.0'
        in (taken.parts["metrics.txt"])
    )
    assert taken.json("readyz.json")["ready"] is True
    assert taken.json(f"streams/{failed}.json")["code"] == "err-sidecar-upstream-reset"


async def test_a_draining_sidecar_s_readiness_is_evidence_too(tmp_path: Path) -> None:
    async with FakeUpstream() as up, running(up.url) as sc:
        sc.parts.readiness.draining = True
        taken = await _take(sc, tmp_path)
    assert taken.json("readyz.json") == {"ready": False, "degraded": False, "reasons": ["draining"]}


async def test_no_secret_is_in_it(tmp_path: Path) -> None:
    file = tmp_path / "sidecar.yaml"
    settings = {"upstream": "http://127.0.0.1:9", "secret": SECRET, "admin_token": TOKEN}
    file.write_text(yaml.safe_dump({**settings, "auth_check": f"http://127.0.0.1:9/auth?key={QUERY}"}))
    async with FakeUpstream() as up, running(up.url, secret=SECRET, admin_token=TOKEN) as sc:
        up.script(sse(b"data: private words\n\n"))
        fields = [*STREAM, ("Authorization", f"Bearer {QUERY}")]
        response = await sc.client.fetch("GET", f"/?token={QUERY}", fields)
        taken = await _take(sc, tmp_path, "--token", TOKEN, "--config", str(file))
    everything = b"".join(taken.parts.values()).decode()
    assert taken.exit_code == 0
    assert "config.json" in taken.parts
    for private in (SECRET, TOKEN, QUERY, "private words", str(response.header("sse-stream"))):
        assert private not in everything
    assert (taken.json("config.json")["secret"], taken.json("config.json")["drain_s"]) == ("**********", 25.0)


async def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    async with FakeUpstream() as up, running(up.url) as sc:
        await _take(sc, tmp_path)
    assert stat.S_IMODE((tmp_path / "evidence.tar.gz").stat().st_mode) == 0o600


def test_a_sidecar_that_does_not_answer_leaves_a_bundle_that_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        admin = f"http://127.0.0.1:{probe.getsockname()[1]}"
    file = tmp_path / "evidence.tar.gz"
    arguments = ["evidence", "--admin", admin, "--output", str(file)]
    result = CliRunner().invoke(main, arguments, env=CLEAN)
    assert result.exit_code == 0
    assert result.stderr.count("missing: ") == 3
    assert "missing: metrics.txt: cannot reach the admin listener" in result.stderr
    summary = json.loads(_parts(file)["summary.json"])
    assert [line.partition(":")[0] for line in summary["missing"]] == [
        *["readyz.json", "metrics.txt", "streams.json"]
    ]


def test_settings_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    config, file = tmp_path / "sidecar.yaml", tmp_path / "evidence.tar.gz"
    config.write_text(f"upstream: http://127.0.0.1:9\nsecret: {SECRET}\nworkers: 2\n")
    CliRunner().invoke(
        main,
        ["evidence", "--admin", "http://127.0.0.1:1", "--config", str(config), "--output", str(file)],
        env=CLEAN,
    )
    faults = json.loads(_parts(file)["config.json"])["faults"]
    assert len(faults) == 1
    assert faults[0].startswith("workers: ")


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "evidence.tar.gz"
    file.write_text("mine")
    result = CliRunner().invoke(
        main, ["evidence", "--admin", "http://127.0.0.1:1", "--output", str(file)], env=CLEAN
    )
    assert (result.exit_code, "File exists" in result.stderr, file.read_text()) == (1, True, "mine")


def test_what_is_no_url_is_a_usage_error() -> None:
    result = CliRunner().invoke(main, ["evidence", "--admin", "localhost:9464"])
    assert (result.exit_code, "--admin" in result.stderr) == (2, True)


async def test_something_else_at_that_address_breaks_nothing(tmp_path: Path) -> None:
    async with FakeUpstream() as up:
        up.script(plain(200, body=b"<html>"), plain(200, body=b"<html>"), plain(200, body=b"<html>"))
        bundle = Bundle(AdminClient(up.url))
        await asyncio.to_thread(bundle.collect, None)
    assert bundle.parts["streams.json"] == b"<html>"


async def test_at_most_a_bounded_number_of_timelines_is_taken_and_failures_come_first(tmp_path: Path) -> None:
    async with FakeUpstream() as up, running(up.url) as sc:
        up.script(sse(b"data: a\n\n", then="reset"), *[sse(b"data: a\n\n") for _ in range(TIMELINES_MAX)])
        response = await sc.client.fetch("GET", "/", STREAM)
        for _ in range(TIMELINES_MAX):
            await sc.client.fetch("GET", "/", STREAM)
        taken = await _take(sc, tmp_path)
    timelines = [name for name in taken.parts if name.startswith("streams/")]
    assert len(timelines) == TIMELINES_MAX
    assert timelines[0] == f"streams/{handle(str(response.header('sse-stream')))}.json"


def test_what_would_make_it_too_large_is_left_out_and_named() -> None:
    bundle = Bundle(AdminClient("http://127.0.0.1:1"))
    bundle.add("a", bytes(BUNDLE_BYTES_MAX - 1))
    bundle.add("b", b"xx")
    bundle.add("c", b"x")
    assert (sorted(bundle.parts), bundle.size) == (["a", "c"], BUNDLE_BYTES_MAX)
    assert bundle.missing == [f"b: left out, the bundle would be above {BUNDLE_BYTES_MAX} bytes"]


def test_without_a_name_the_file_carries_the_time(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sidecar", "evidence", "--admin", "http://127.0.0.1:1"]
    ended = subprocess.run(
        command, cwd=tmp_path, capture_output=True, env=os.environ | CLEAN, timeout=30, check=True
    )
    found = [path.name for path in tmp_path.iterdir()]
    assert len(found) == 1
    assert re.fullmatch(r"sse-evidence-\d{8}T\d{6}Z\.tar\.gz", found[0])
    assert ended.stdout.decode().startswith(f"wrote {found[0]}: ")


async def _take(sc: RunningSidecar, directory: Path, *more: str) -> Taken:
    file = directory / "evidence.tar.gz"
    arguments = ["evidence", "--admin", f"http://127.0.0.1:{sc.admin_port}", "--output", str(file), *more]
    command = (sys.executable, "-m", "sidecar", *arguments)
    ended = await run_to_end(*command, stderr=subprocess.PIPE, env=os.environ | CLEAN)
    return Taken(ended.code, ended.stdout, ended.stderr, _parts(file))


def _parts(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as archive:
        members = [(member, archive.extractfile(member)) for member in archive.getmembers()]
        return {
            member.name.removeprefix("sse-evidence/"): opened.read() for member, opened in members if opened
        }
