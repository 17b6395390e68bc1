"""What the metrics and the dashboard say is what happened, by the ledger of those who made the faults."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from alerts import queries, rules
from dashboards.asked import queries_of
from dashboards.rendered import HOME
from sidecar.observability.slo import SLO
from tests.kit.fake_upstream import FakeUpstream
from tests.kit.fault_run import ROUTES, FaultRun, FaultRunCounts
from tests.kit.prometheus import Prometheus, needs_prometheus, prometheus
from tests.kit.running import running

TILES = 6
REPORTS = "sse_client_reports_total"
EVALUATED_S = 2 * SLO.evaluation_interval_s
"""The longest wait for an evaluation of the rules that began after a moment."""

UP = f'up{{job="{SLO.job}"}}'
OVERVIEW = HOME / "generated" / "sse-overview.json"
INTEGRITY = HOME / "generated" / "sse-integrity.json"


@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_the_metrics_equal_the_ledger_of_those_who_made_the_faults() -> None:
    async with fault_run() as run:
        ledger = await run.all()
        outcomes = {name: run.users("sse_streams_finished_total", outcome=name) for name in ledger.outcomes}
        assert outcomes == ledger.outcomes
        counted = {
            "sse_streams_finished_total": {"": ledger.outcomes.total()},
            "sse_messages_lost_total": {"": ledger.lost},
            "sse_messages_duplicated_total": {
                "disposition=delivered": ledger.duplicates_delivered,
                "stage=upstream": ledger.duplicates_suppressed + ledger.duplicates_delivered,
                "stage=client": ledger.dropped_by_report,
            },
            "sse_client_missed_messages_total": {"": ledger.missed_by_report},
            "sse_silent_failures_total": {
                "disposition=leaked": ledger.leaked,
                "disposition=surfaced": ledger.surfaced,
            },
            "sse_reconnect_duration_seconds_count": {
                "side=client": len(ledger.client_reconnects_s) + ledger.client_gave_up,
                "side=upstream": ledger.upstream_reconnects,
                "outcome=gave_up": ledger.client_gave_up,
            },
            "sse_stall_recovery_seconds_count": {
                "outcome=false_alarm": ledger.stalls_false_alarm,
                "outcome=recovered": ledger.stalls_recovered,
                "outcome=failed": ledger.stalls_failed,
            },
        }
        for name, expected in counted.items():
            said = {which: run.users(name, **_labels(which)) for which in expected}
            assert said == expected, name
        verdicts = {name: run.sc.metric(REPORTS, verdict=name) for name in ledger.reports}
        assert (verdicts, run.sc.metric(REPORTS)) == (ledger.reports, ledger.reports.total())
        assert run.sc.conservation() == {"streams": 0.0, "messages": 0.0}


@pytest.mark.slow
@pytest.mark.prometheus
@needs_prometheus
@pytest.mark.timeout(120)
async def test_each_headline_tile_shows_exactly_what_the_ledger_says(tmp_path: Path) -> None:
    async with (
        fault_run() as run,
        prometheus(
            tmp_path, [f"127.0.0.1:{run.sc.admin_port}"], rules.render(SLO), scrape_interval_s=0.5
        ) as prom,
    ):
        await prom.until("sum(sse_streams_started_total) >= 0")
        ledger = await run.all()
        assert await _tiles(prom, time.time()) == pytest.approx(expected_tiles(ledger), rel=1e-9, abs=0)
        asked = {each.where: each.expr for each in queries_of(INTEGRITY.read_text(), rate_interval="60s")}
        shown = {row.labels["verdict"]: row.value for row in await prom.query(asked["Do clients agree?"])}
        assert {verdict for verdict, a_minute in shown.items() if a_minute} == set(ledger.reports)
        assert 0 < (await prom.query(asked["Confirmed by a client?"]))[0].value < 1
        since = time.time()
        for recorded in (queries.STREAMS_UNACCOUNTED, queries.MESSAGES_UNACCOUNTED):
            books = await prom.until(f"{recorded} and timestamp({recorded}) >= {since}", EVALUATED_S)
            routes = {"default", *(route["name"] for route in ROUTES)}
            assert {book.labels["route"] for book in books} == routes, recorded
            assert {book.value for book in books} == {0.0}, recorded


def expected_tiles(ledger: FaultRunCounts) -> dict[str, float]:
    """What the six tiles have to show."""
    in_time = sum(seconds < SLO.reconnect_s for seconds in ledger.client_reconnects_s)
    reconnects = len(ledger.client_reconnects_s) + ledger.client_gave_up + ledger.upstream_reconnects
    return {
        "Do streams complete?": ledger.completion,
        "Back within 5 s?": (in_time + ledger.upstream_reconnects) / reconnects,
        "Were messages lost?": ledger.lost,
        "Did any arrive twice?": ledger.duplicates_delivered,
        "Did any fail silently?": ledger.leaked,
        "Do stalls recover?": ledger.stalls_recovered / (ledger.stalls_recovered + ledger.stalls_failed),
    }


async def _tiles(prom: Prometheus, since: float) -> dict[str, float]:
    """Ask the tiles' queries as of the first scrape since a Unix time: ``increase`` guesses nothing there.

    The one after it has to be there too: then all of the first is.
    """
    (scrape,) = await prom.until(f"timestamp({UP}) > {since}")
    await prom.until(f"timestamp({UP}) > {scrape.value}")
    asked = {each.where: each.expr for each in queries_of(OVERVIEW.read_text(), rate_interval="4s")}
    return {
        title: (await prom.api.query(asked[title], scrape.value))[0].value for title in list(asked)[:TILES]
    }


@asynccontextmanager
async def fault_run() -> AsyncIterator[FaultRun]:
    """A backend and a sidecar for the faults; the canary sings on, and no number of a user's may show it."""
    async with FakeUpstream() as up, running(up.url, routes=ROUTES, canary_interval_s=1) as sc:
        yield FaultRun(up, sc)


def _labels(which: str) -> dict[str, str]:
    return dict([which.split("=")]) if which else {}
