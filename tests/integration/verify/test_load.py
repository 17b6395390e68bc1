"""A load from end to end: what people recorded is what was counted; nothing was lost, twice or silent.

LOAD_STREAMS=<number> and LOAD_USERS=<number> make it larger, LOAD_SEED=<seed> another one.
"""

import os
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from sidecar.cli.main import main
from sidecar.verify.load.books import after_last_scrape, scraping
from sidecar.verify.load.cell import DARK_S, FINE_S, SLOW_S
from sidecar.verify.load.load_run import run
from sidecar.verify.load.talk import FAILURE_EVERY, STALL_SHARE
from sidecar.verify.load.visit import HABITS
from sidecar.verify.load.workload import USERS_PER_PROCESS, Workload
from sidecar.verify.own import own
from sidecar.verify.prometheus import prometheus
from sidecar.verify.results import Results
from sidecar.verify.results_json import from_json
from tests.kit.prometheus import needs_prometheus
from tests.kit.user_process import run_to_end

USERS = int(os.environ.get("LOAD_USERS", "100"))
STREAMS = int(os.environ.get("LOAD_STREAMS", "450"))
SEED = int(os.environ.get("LOAD_SEED", "1"))
RECONNECT_S_MAX = 20.0
"""Of a machine that does much else; the objective is judged by ``make load`` on one that does not."""

DOCS = Path(__file__).parents[3] / "docs" / "load.md"


@pytest.mark.slow
@pytest.mark.prometheus
@needs_prometheus
@pytest.mark.timeout(200 + STREAMS / 5)
async def test_what_a_hundred_people_recorded_is_what_prometheus_counted() -> None:
    found = await run(Workload(users=USERS, seed=SEED, streams=STREAMS))
    assert found.differences == []
    held = {each.name: each for each in found.objectives}
    for name in ("messages lost", "duplicates delivered", "silent failures"):
        assert (held[name].by_clients, held[name].by_prometheus) == (0, 0)
    assert held["completion"].held, held["completion"]
    assert 0 < (held["reconnect p95"].by_clients or 0) < RECONNECT_S_MAX
    assert found.counted_by == "Prometheus"
    failing = STREAMS // FAILURE_EVERY
    assert STREAMS - failing <= found.streams <= STREAMS
    assert found.did["failures told"] >= failing
    assert found.did["reconnects that the sidecar has to have measured"] > 0


@pytest.mark.prometheus
@needs_prometheus
async def test_the_books_are_opened_at_a_scrape_that_began_later_than_asked(tmp_path: Path) -> None:
    async with own(sidecar=True) as ours:
        assert ours.sidecar is not None
        configuration = scraping(urlsplit(ours.sidecar.admin_url).netloc)
        async with prometheus(configuration, tmp_path / "prometheus") as api:
            since = (await after_last_scrape(api, 0.0)).at
            books = await after_last_scrape(api, since)
            (scrape,) = await api.query("timestamp(up)", books.at)
    assert books.at == scrape.value > since


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_without_prometheus_the_sidecar_itself_is_asked_and_that_is_said(tmp_path: Path) -> None:
    command = ["verify", "load", "--users", "5", "--streams", "15", "--seed", "2", "--output", str(tmp_path)]
    environment = {**os.environ, "PATH": str(tmp_path)}
    ended = await run_to_end(sys.executable, "-m", "sidecar", *command, env=environment)
    results = _results(tmp_path)
    (found,) = results.loads
    assert found.differences == []
    assert found.counted_by == "the sidecar's own /metrics"
    assert f"counted by people and by {found.counted_by}" in ended.stdout
    assert ended.code == (0 if results.verdict == "passed" else 1)
    for suffix in ("md", "html"):
        assert "5 users" in (tmp_path / f"sse_test_results.{suffix}").read_text()


def _results(folder: Path) -> Results:
    return from_json((folder / "sse_test_results.json").read_text())


def test_a_load_is_for_streams_or_for_seconds_but_not_for_both() -> None:
    asked = CliRunner().invoke(main, ["verify", "load", "--streams", "5", "--seconds", "5"])
    assert asked.exit_code == 2
    assert "not both" in asked.output


def test_people_and_streams_are_split_over_processes_with_none_left_over() -> None:
    load = Workload(users=2 * USERS_PER_PROCESS + 1, seed=1, streams=1_000)
    parts = load.parts("http://127.0.0.1:1")
    assert [part.part for part in parts] == [0, 1, 2]
    assert sum(part.users for part in parts) == load.users
    assert sum(part.streams for part in parts) == load.streams
    assert max(part.users for part in parts) <= USERS_PER_PROCESS


def test_the_more_people_the_slower_their_answers_and_the_later_a_stall() -> None:
    few, many = Workload(users=10, seed=1), Workload(users=2_000, seed=1)
    assert few.pace.interval_s < many.pace.interval_s < few.pace.interval_s * 200
    for load in (few, many):
        (stall_s,) = {route["stall_s"] for route in load.settings()["routes"]}  # type: ignore[attr-defined]
        assert load.pace.interval_s * 2 < stall_s < load.pace.stall_s


def test_the_docs_tell_what_people_do_and_what_befalls_them() -> None:
    text = re.sub(r"\s+", " ", DOCS.read_text())
    for habit, weight in HABITS.items():
        assert f"| {habit} | {weight:g} % |" in text
    assert re.search(rf"\b{FAILURE_EVERY}\b", text)
    assert f"{STALL_SHARE:.0%}".replace("%", " %") in text
    for least, most in (FINE_S, DARK_S, SLOW_S):
        assert f"{least:g} to {most:g} s" in text
