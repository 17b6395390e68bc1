"""The admin page's files and the one answer that feeds it."""

import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from sidecar import __version__
from sidecar.admin.history import SAMPLE_S
from sidecar.admin.overview import COLUMNS
from sidecar.admin.page_files import PARTS, SCRIPTS
from sidecar.admin.snapshot import WHY
from sidecar.config.routes import CANARY_ROUTE
from sidecar.observability import errors
from sidecar.observability.labels import Outcome
from sidecar.streams.states import StreamInput
from tests.kit.held import Held, HeldReader

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
STATES = "opening or streaming or stalled or reconnecting or ended or expired"
PAGE_PATHS = ("/", *PARTS)
PAGE_FILES = {"index.html", "page.css", *SCRIPTS}
ROOT = Path(__file__).parents[3]


class TestFiles:
    @pytest.mark.parametrize("path", PAGE_PATHS)
    async def test_who_has_a_file_already_is_not_sent_it_again(self, path: str) -> None:
        async with Held().client() as client:
            first = await client.get(path)
            tags = (first.headers["etag"], f'"other", W/{first.headers["etag"]}')
            again = [await client.get(path, headers={"If-None-Match": tag}) for tag in tags]
            other = await client.get(path, headers={"If-None-Match": '"other"'})
        assert (first.status_code, first.headers["cache-control"]) == (200, "no-cache")
        assert [(answer.status_code, answer.content) for answer in again] == [(304, b"")] * 2
        assert (other.status_code, other.content) == (200, first.content)

    @pytest.mark.parametrize("path", PAGE_PATHS)
    async def test_nothing_but_the_listener_s_own_files_may_run_or_be_asked(self, path: str) -> None:
        async with Held().client() as client:
            answer = await client.get(path)
        policy = dict(
            part.partition(" ")[::2] for part in answer.headers["content-security-policy"].split("; ")
        )
        assert policy["default-src"] == "'none'"
        assert policy["frame-ancestors"] == "'none'"
        assert {"unsafe-inline", "unsafe-eval"} & set(re.findall(r"[\w-]+", str(policy))) == set()
        assert {policy[kind] for kind in ("script-src", "style-src", "connect-src")} == {"'self'"}

    def test_no_file_names_another_host_and_no_text_is_set_as_html(self) -> None:
        for file in files("sidecar.admin").joinpath("page").iterdir():
            text = file.read_text()
            assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text) == []
            assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text) == []
            assert re.findall(r"\s(?:style|on\w+)=\"", text) == []

    def test_every_part_that_the_page_asks_for_is_served_and_no_other(self) -> None:
        texts = [file.read_text() for file in files("sidecar.admin").joinpath("page").iterdir()]
        asked = {
            name
            for text in texts
            for name in re.findall(r'(?:from "\.|src="|stylesheet" href=")(/[^"]+)', text)
        }
        assert asked == set(PARTS)

    async def test_a_browser_that_follows_an_exemplar_gets_the_page_and_curl_the_json(self) -> None:
        held = Held()
        stream = held.stream("chat")
        path = f"/streams/{stream.handle}"
        async with held.client() as client:
            page, shown = await client.get("/"), await client.get(path, headers=BROWSER)
            told = await client.get(path)
            asked = await client.get(path, headers={"Accept": "application/json, text/html;q=0.5"})
        assert shown.content == page.content
        assert {answer.headers["vary"] for answer in (shown, told)} == {"Accept"}
        assert [answer.json()["id"] for answer in (told, asked)] == [stream.handle] * 2


@pytest.mark.parametrize(
    ("target", "opened"), [("wheel", ZipFile), pytest.param("sdist", tarfile.open, marks=pytest.mark.slow)]
)
def test_what_is_installed_has_the_page_in_it(
    tmp_path: Path, target: str, opened: Callable[[Path], ZipFile | tarfile.TarFile]
) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (built,) = tmp_path.iterdir()
    with opened(built) as archive:
        names = archive.namelist() if isinstance(archive, ZipFile) else archive.getnames()
    assert {name.rpartition("/")[2] for name in names if "sidecar/admin/page/" in name} == PAGE_FILES


class TestNow:
    async def test_it_says_which_program_runs_for_how_long_and_how_it_is(self) -> None:
        held = Held()
        held.readiness.upstream_ok = False
        held.now += 90
        told = await overview(held)
        assert (told["version"], told["uptime_s"]) == (__version__, 90)
        assert (told["ready"], told["degraded"]) == (True, True)
        assert told["reasons"] == ["the upstream refused the last connection"]

    async def test_it_says_that_it_drains(self) -> None:
        held = Held()
        held.readiness.draining = True
        told = await overview(held)
        assert (told["ready"], told["reasons"]) == (False, ["draining"])

    async def test_it_says_what_is_held(self) -> None:
        held = Held()
        held.stream("chat", events=3).join(HeldReader(3))
        held.stream("chat").settle(Outcome.UPSTREAM_ERROR)
        held.stream(CANARY_ROUTE)
        told = await overview(held)
        assert told["held"] == {"streams": 3, "active": 1, "detached": 0, "readers": 1, "log_bytes": 24}

    async def test_the_six_numbers_leave_out_the_canary(self) -> None:
        held = Held()
        for route, outcome in [
            ("chat", Outcome.COMPLETED),
            ("default", Outcome.COMPLETED),
            ("default", Outcome.COMPLETED),
            ("chat", Outcome.UPSTREAM_ERROR),
            ("chat", Outcome.CLIENT_LEFT),
            (CANARY_ROUTE, Outcome.SIDECAR_ERROR),
        ]:
            held.stream(route).settle(outcome)
        held.now += 1
        told = await overview(held)
        assert told["start"]["completion"] == {"eligible": 4, "bad": 1, "ratio": 0.75, "met": False}
        assert list(told["start"]) == ["completion", "reconnect", "lost", "duplicates", "silent", "stalls"]

    async def test_the_witnesses_of_the_zeros_are_told(self) -> None:
        held = Held()
        held.metrics.watchdog_last_pass_timestamp_seconds.set(1000)
        held.metrics.canary_last_pass_timestamp_seconds.set(2000)
        held.metrics.canary_mismatches.inc()
        told = await overview(held)
        assert told["witnesses"] == {"watchdog_at": 1000, "canary_at": 2000, "canary_mismatches": 1}


class TestHistory:
    async def test_only_samples_that_the_page_has_not_seen_are_sent(self) -> None:
        held = Held()
        for _ in range(3):
            held.now += SAMPLE_S
            held.history.visit(held.now)
        every, after = await overview(held), await overview(held, "after=2")
        assert [row[:2] for row in every["history"]["rows"]] == [[0, 0], [1, 15], [2, 30], [3, 45]]
        assert [row[0] for row in after["history"]["rows"]] == [3]
        assert every["history"]["columns"] == list(COLUMNS)
        assert {len(row) for row in every["history"]["rows"]} == {len(COLUMNS) + 1}

    async def test_an_hour_of_samples_is_one_small_answer(self) -> None:
        held = Held()
        for _ in range(300):
            held.now += SAMPLE_S
            held.history.visit(held.now)
        async with held.client() as client:
            answer = await client.get("/overview")
        told = answer.json()
        assert (len(told["history"]["rows"]), told["history"]["first"]) == (241, 60)
        assert told["hour_s"] == 3600
        assert len(answer.content) < 32_000

    async def test_each_run_of_the_program_has_a_name_of_its_own(self) -> None:
        assert (await overview(Held()))["process"] != (await overview(Held()))["process"]


class TestStreamPage:
    async def test_the_worst_of_the_live_streams_are_listed_and_all_are_counted(self) -> None:
        held = Held()
        held.stream("chat")
        stalled = held.stream("chat")
        stalled.advance(StreamInput.SILENCE)
        held.stream("chat").advance(StreamInput.END, stalled.verdict.broken(errors.UpstreamReset))
        held.stream(CANARY_ROUTE)
        told = await overview(held, "limit=1")
        assert [row["id"] for row in told["streams"]["rows"]] == [stalled.handle]
        assert told["streams"]["total"] == 2

    async def test_they_are_chosen_by_selection_and_route(self) -> None:
        held = Held()
        running, failed = held.stream("default"), held.stream("chat")
        failed.advance(StreamInput.LOST, failed.verdict.broken(errors.UpstreamReset))
        canary = held.stream(CANARY_ROUTE)
        assert await _ids(held, "shown=failed") == [failed.handle]
        assert await _ids(held, "shown=all") == [failed.handle, running.handle]
        assert await _ids(held, "shown=ended") == [failed.handle]
        assert await _ids(held, "route=default") == [running.handle]
        assert await _ids(held, f"route={CANARY_ROUTE}") == [canary.handle]

    async def test_one_stream_is_told_instead_of_the_list(self) -> None:
        held = Held()
        stream = held.stream("chat")
        stream.join(HeldReader(0))
        stream.advance(StreamInput.LOST, stream.verdict.broken(errors.UpstreamReset))
        told = await overview(held, f"stream={stream.handle}")
        assert "streams" not in told
        assert told["stream"]["why"] == WHY[Outcome.UPSTREAM_TRUNCATED]
        assert told["stream"]["remedy"] == errors.UpstreamReset.remedy
        assert told["stream"]["positions"] == [0]
        assert (await overview(held, "stream=s1gone"))["stream"] is None

    async def test_neither_the_token_of_a_stream_nor_its_content_is_told(self) -> None:
        held = Held()
        stream = held.stream("chat")
        stream.accept([b"data: the secret of the answer\n"])
        async with held.client() as client:
            answers = [await client.get(f"/overview{query}") for query in ("", f"?stream={stream.id}")]
        for answer in answers:
            assert stream.handle in answer.text
            assert stream.id not in answer.text
            assert "secret" not in answer.text

    @pytest.mark.parametrize(
        ("query", "detail"),
        [
            ("shown=dead", f"shown: got 'dead'; allowed: live or failed or all or {STATES}"),
            ("route=chatt", "route: got 'chatt'; there is no such route"),
            ("limit=1001", "limit: got '1001'; allowed: 1 to 1000"),
            ("after=-1", "after: got '-1'; allowed: 0 to 1000000000"),
            ("after=1e3", "after: got '1e3'; allowed: 0 to 1000000000"),
        ],
    )
    async def test_a_question_that_means_nothing_is_refused(self, query: str, detail: str) -> None:
        async with Held().client() as client:
            answer = await client.get(f"/overview?{query}")
        assert (answer.status_code, answer.json()["detail"]) == (400, detail)


def test_every_outcome_is_explained() -> None:
    assert set(WHY) == set(Outcome)


async def overview(held: Held, query: str = "") -> Any:
    async with held.client() as client:
        return (await client.get(f"/overview?{query}")).json()


async def _ids(held: Held, query: str) -> list[str]:
    return [row["id"] for row in (await overview(held, query))["streams"]["rows"]]
