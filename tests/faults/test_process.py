"""The sidecar's process is killed, stopped for a while, short of memory, or told another time of day."""

import asyncio
import json
import resource
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from sidecar.server.watchdog import PASS_S
from tests.kit.client import Response
from tests.kit.deadline import within
from tests.kit.fake_upstream import SSE_HEADERS, FakeUpstream, Script, UpstreamConnection, sse
from tests.kit.needs import FAKETIME
from tests.kit.scrape import Scrape
from tests.kit.served import Served, served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SECRET = "a secret that survives the process that was given it"
KILLS = 3
MIB = 1024 * 1024
STREAM = [("Accept", "text/event-stream")]


async def test_resumes_after_a_kill_get_410_a_gap_or_404(
    tmp_path: Path,
) -> None:
    kept: dict[str, Any] = {"secret": SECRET, "routes": [{"name": "feed", "path": "/feed", "kind": "live"}]}
    async with FakeUpstream(lambda _: sse(b"data: 1\n\n", then="stall")) as up:
        for number in range(KILLS):
            settings = kept if number < KILLS - 1 else {"routes": kept["routes"]}
            answer, feed = await _killed(up, tmp_path, settings)
            requests = len(up.requests)
            async with served(up.url, tmp_path, **settings) as sc:
                expired = await sc.client.fetch("GET", "/answer", [*STREAM, ("Last-Event-ID", answer)])
                assert expired.status == (410 if "secret" in settings else 404)
                assert len(up.requests) == requests
                if "secret" in settings:
                    async with sc.client.resume(feed, target="/feed") as again:
                        gap, first = await again.take(2)
                    assert (gap.type, json.loads(gap.data)["missed_from"], first.data) == ("sse-gap", 2, "1")
                assert sc.defects == []


async def _killed(up: FakeUpstream, directory: Path, settings: dict[str, Any]) -> tuple[str, str]:
    """Start a sidecar, begin an answer and a feed, kill it, and return the two positions."""
    async with (
        served(up.url, directory, **settings) as sc,
        sc.client.open("POST", "/answer", body=b"{}") as answer,
        sc.client.open("GET", "/feed") as feed,
    ):
        for response in (answer, feed):
            await response.event()
        sc.signal(signal.SIGKILL)
        for response in (answer, feed):
            await response.read_to_end()
            assert response.ended == "aborted"
        return answer.last_event_id, feed.last_event_id


CAP_BYTES = 64 * MIB
"""Memory that the process is allowed beside what it holds idle."""

LOG_BYTES_TOTAL_MAX = 8 * MIB
ANSWERS, AT_ONCE, EVENTS = 160, 16, 64
EVENT = b"data: " + b"a" * (8 * 1024) + b"\n\n"


async def test_budgets_keep_the_process_below_a_memory_limit(
    tmp_path: Path,
) -> None:
    """Answers of more than the memory there is, all to be retained; the kernel enforces it (RLIMIT_DATA)."""
    async with (
        FakeUpstream(lambda _: sse(*[EVENT] * EVENTS)) as up,
        served(up.url, tmp_path, {"retain_s": 600}, log_bytes_total_max=LOG_BYTES_TOTAL_MAX) as sc,
    ):
        cap = sc.data_bytes + CAP_BYTES
        resource.prlimit(sc.process.pid, resource.RLIMIT_DATA, (cap, cap))
        for _ in range(0, ANSWERS, AT_ONCE):
            for wire in await asyncio.gather(*(_answer(sc) for _ in range(AT_ONCE))):
                assert (wire.count(b"\nid: "), wire[-5:]) == (EVENTS, b"0\r\n\r\n")
        now = await sc.scrape()
        assert 0 < now.metric("sse_log_bytes") <= LOG_BYTES_TOTAL_MAX
        assert now.outcomes() == {"completed": ANSWERS}
        assert sc.defects == []


async def _answer(sc: Served) -> bytes:
    async with sc.client.connect() as connection:
        fields = [("Accept", "text/event-stream"), ("Connection", "close")]
        await connection.send(sc.client.request_bytes("POST", "/", fields, b"{}"))
        return await connection.read_to_close()


STOPPED_S = 5.0
HEARTBEAT_S = 0.5
READERS = 20
BEATS_MAX = STOPPED_S / HEARTBEAT_S / 2
"""One is due after the stop, and more where the machine is slow; a burst would be twice as many."""


async def test_a_paused_process_times_out_no_client_and_logs_the_pause(
    tmp_path: Path,
) -> None:
    """Its limits are shorter than it stands still: only what it would read at once tells that all is well."""
    route = {"heartbeat_s": HEARTBEAT_S, "stall_s": 3, "upstream_idle_s": 4, "send_timeout_s": 4}
    speaks = asyncio.Event()
    async with (
        FakeUpstream(lambda _: _speaking(speaks)) as up,
        served(up.url, tmp_path, route) as sc,
        AsyncExitStack() as holding,
    ):
        opening = [sc.client.open("POST", f"/{n}", body=b"{}") for n in range(READERS)]
        responses = [await holding.enter_async_context(each) for each in opening]
        for response in responses:
            await response.event()
        before = [len(response.comments) for response in responses]
        await _stopped_for(sc, STOPPED_S)
        for response in responses:
            await response.take(int(STOPPED_S))
        beats = [len(r.comments) - b for r, b in zip(responses, before, strict=True)]
        speaks.set()
        for response in responses:
            await response.read_to_end()
            assert response.ended == "clean", response
        assert max(beats) <= BEATS_MAX, beats
        now = await sc.until(lambda now: now.metric("sse_event_loop_lag_seconds_sum") >= STOPPED_S - PASS_S)
        assert now.outcomes() == {"completed": READERS}
        assert now.metric("sse_silent_failures_total") == 0
        assert sc.defects == []


def _speaking(ends: asyncio.Event) -> Script:
    """Speak every quarter of a second until told to end, whether it is read or not."""

    async def script(connection: UpstreamConnection) -> None:
        await connection.body()
        await connection.send_head(200, SSE_HEADERS)
        while not ends.is_set():
            await connection.chunk(b"data: tick\n\n")
            await asyncio.sleep(0.25)
        await connection.end()

    return script


async def _stopped_for(sc: Served, seconds: float) -> None:
    sc.signal(signal.SIGSTOP)
    async with within(10, lambda: "not stopped"):
        while sc.state != "T":  # noqa: ASYNC110 - the kernel tells nobody
            await asyncio.sleep(0.01)
    await asyncio.sleep(seconds)  # the fault itself
    sc.signal(signal.SIGCONT)


HOUR_S = 3600


@pytest.mark.needs("faketime")
async def test_clock_steps_of_hours_change_no_timer_id_or_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = tmp_path / "clock"
    clock.write_text("+0")
    for name, value in _told_by(clock).items():  # for the process that is started, not for this one
        monkeypatch.setenv(name, value)
    route = {"heartbeat_s": HEARTBEAT_S, "linger_s": 600, "retain_s": 600}
    async with (
        FakeUpstream() as up,
        served(up.url, tmp_path, route) as sc,
    ):
        finished, detached = await _one_finished_one_left(up, sc)
        hand = up.by_hand()
        async with sc.client.open("POST", "/live", body=b"{}") as live:
            upstream = await hand.connection()
            for number, offset_s in enumerate((0, HOUR_S, -HOUR_S, 0), 1):
                clock.write_text(f"{offset_s:+d}")
                await sc.until(lambda now, by=offset_s: abs(_told(now) - time.time() - by) < HOUR_S / 2)  # type: ignore[misc]
                await _beats_at_its_pace(live)
                await upstream.write(b"data: %d\n\n" % number)
                event = await live.event()
                assert event.last_event_id == f"{live.header('SSE-Stream')}.{number}"
                assert (await sc.scrape()).metric("sse_streams_active") == 2
                async with sc.client.resume(f"{finished}.1") as again:
                    assert [event.data for event in await again.take(1)] == ["2"]
            await upstream.end()
            await live.read_to_end()
            assert live.ended == "clean"
        async with sc.client.resume(f"{detached}.1") as again:
            assert again.status == 200
        assert (await sc.scrape()).outcomes() == {"completed": 2}
        assert sc.defects == []


def _told_by(clock: Path) -> dict[str, str]:
    """Return what makes a process believe a file about the time of day, and the kernel about all else."""
    return {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def _told(now: Scrape) -> float:
    return now.metric("sse_watchdog_last_pass_timestamp_seconds")


async def _one_finished_one_left(up: FakeUpstream, sc: Served) -> tuple[str | None, str | None]:
    up.script(sse(b"data: 1\n\n", b"data: 2\n\n"), sse(b"data: 1\n\n", then="stall"))
    async with sc.client.open("POST", "/finished", body=b"{}") as finished:
        await finished.read_to_end()
    async with sc.client.open("POST", "/left", body=b"{}") as left:
        await left.event()
    return finished.header("SSE-Stream"), left.header("SSE-Stream")


async def _beats_at_its_pace(response: Response) -> None:
    """Wait for four heartbeats; none comes before its time."""
    loop, first = asyncio.get_running_loop(), len(response.comments) + 1
    await response.read_until(lambda so_far: len(so_far.comments) >= first)
    began, had = loop.time(), len(response.comments)
    await response.read_until(lambda so_far: len(so_far.comments) >= had + 3)
    assert loop.time() - began >= 2 * HEARTBEAT_S
